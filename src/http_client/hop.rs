//! Marks the requests that an instance of twinread sends, so that it detects loops.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Lists the instances of twinread that forwarded a request.
pub const HOP: HeaderName = HeaderName::from_static("x-twinread-hop");

/// A request that has passed this many instances also counts as a loop.
const MAX_HOPS: usize = 16;

/// One instance of twinread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(HeaderValue);

// === impl Instance ===

impl Instance {
    /// A unique instance, identified by 64 random bits.
    pub fn new(bits: u64) -> Self {
        let id = HeaderValue::try_from(format!("{bits:016x}"));
        Self(id.expect("hexadecimal digits are a header value"))
    }

    /// Whether a request has returned to this instance or has passed too many others.
    pub fn is_in_loop(&self, headers: &HeaderMap) -> bool {
        let lists = headers.get_all(HOP).iter().map(HeaderValue::as_bytes);
        let mut hops = 0;
        for hop in lists.flat_map(|list| list.split(|byte| *byte == b',')) {
            hops += 1;
            if hop.trim_ascii() == self.0.as_bytes() || hops >= MAX_HOPS {
                return true;
            }
        }
        false
    }

    /// Adds this instance to the list.
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        headers.append(HOP, self.0.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(lists: &[&str]) -> HeaderMap {
        let lists = lists.iter();
        lists
            .map(|list| (HOP, HeaderValue::from_str(list).unwrap()))
            .collect()
    }

    #[test]
    fn a_request_is_in_a_loop_once_it_passed_this_instance_or_too_many() {
        let instance = Instance::new(7);
        let own = "0000000000000007";
        let mut headers = passed(&["0000000000000001, 0000000000000002"]);
        assert!(!instance.is_in_loop(&headers));
        instance.mark(&mut headers);
        assert!(instance.is_in_loop(&headers));
        assert!(instance.is_in_loop(&passed(&[&format!("1 ,{own}")])));
        assert!(!instance.is_in_loop(&passed(&[&["1"; 15].join(",")])));
        assert!(instance.is_in_loop(&passed(&["1"; 16])));
    }
}
