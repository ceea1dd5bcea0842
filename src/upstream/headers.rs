//! Removes headers without disturbing the order of the others.

use http::{HeaderMap, HeaderName, header::Entry};

/// Removes the headers that `goes` picks. `HeaderMap::remove` alone would move the last header into the gap.
pub fn remove_in_order(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    let Some(first) = headers.keys().position(&goes) else {
        return;
    };
    // What is removed from the end leaves no gap. What stays is put back in its order.
    let names: Vec<_> = headers.keys().skip(first).cloned().collect();
    let mut staying = Vec::new();
    for name in names.into_iter().rev() {
        let Entry::Occupied(entry) = headers.entry(&name) else {
            continue;
        };
        let (_, mut values) = entry.remove_entry_mult();
        if goes(&name) {
            continue;
        }
        let first = values.next().expect("an entry has at least one value");
        let more: Vec<_> = values.collect();
        staying.push((name, first, more));
    }
    for (name, first, more) in staying.into_iter().rev() {
        for value in std::iter::once(first).chain(more) {
            headers.append(&name, value);
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
