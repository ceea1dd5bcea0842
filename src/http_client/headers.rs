//! Removes headers and preserves the order of the others.

use http::{HeaderMap, HeaderName};
use std::mem;

/// Removes the headers that match `goes`. `HeaderMap::remove` alone would move the last header into the gap.
pub fn remove_in_order(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
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
    use http::HeaderValue;
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
}
