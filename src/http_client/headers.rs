//! Headers of forwarded requests: removed in order, and marked so that an instance of twinread detects loops.

use http::{HeaderMap, HeaderName, HeaderValue};
use std::mem;

/// Lists the instances of twinread that forwarded a request.
pub(crate) const HOP: HeaderName = HeaderName::from_static("x-twinread-hop");

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

    /// The id, which is unique.
    pub fn id(&self) -> &str {
        self.0.to_str().expect("hexadecimal digits are text")
    }

    /// Whether a request has returned to this instance or has passed too many others.
    pub fn is_in_loop(&self, headers: &HeaderMap) -> bool {
        // A look-up would cost more, because it computes the hash of the name.
        let lists = headers.iter().filter(|(name, _)| *name == HOP);
        let mut hops = 0;
        for hop in lists.flat_map(|(_, list)| list.as_bytes().split(|byte| *byte == b',')) {
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

/// Removes the headers that match `goes`. `HeaderMap::remove` alone would move the last header into the gap.
pub(crate) fn remove_in_order(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    let mut going = headers.keys().enumerate().filter(|(_, name)| goes(name));
    let Some((index, name)) = going.next() else {
        return;
    };
    if going.next().is_none() && index + 2 >= headers.keys_len() {
        // The order is preserved, because at most one header follows and fills the gap.
        let name = name.clone();
        headers.remove(name);
        return;
    }
    let room = HeaderMap::with_capacity(headers.keys_len());
    let mut staying = None;
    // Only the first value of a name comes with the name.
    for (name, value) in mem::replace(headers, room) {
        if let Some(name) = name {
            staying = (!goes(&name)).then_some(name);
        }
        if let Some(name) = &staying {
            headers.append(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_others_keep_their_order_and_their_values(
            lines in prop::collection::vec((0usize..8, "[a-z]{1,3}"), 0..20),
            gone in prop::collection::vec(any::<bool>(), 8),
        ) {
            let names: Vec<_> = (0..8)
                .map(|index| HeaderName::try_from(format!("x-{index}")).unwrap())
                .collect();
            let mut headers = HeaderMap::new();
            for (index, value) in &lines {
                headers.append(&names[*index], HeaderValue::from_str(value).unwrap());
            }
            let goes = |name: &HeaderName| {
                gone[names.iter().position(|other| other == name).unwrap()]
            };
            let pairs = |headers: &HeaderMap| -> Vec<_> {
                let pairs = headers.iter();
                pairs.map(|(name, value)| (name.clone(), value.clone())).collect()
            };
            let mut expected = pairs(&headers);
            expected.retain(|(name, _)| !goes(name));
            remove_in_order(&mut headers, goes);
            prop_assert_eq!(pairs(&headers), expected);
        }
    }

    fn passed(lists: &[&str]) -> HeaderMap {
        let lists = lists.iter();
        lists
            .map(|list| (HOP, HeaderValue::from_str(list).unwrap()))
            .collect()
    }

    #[test]
    fn loop_is_a_request_that_passed_this_instance_or_too_many() {
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
