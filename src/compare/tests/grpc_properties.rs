//! Properties of generated messages in their many encodings.

use super::{
    grpc::{GET, LIST, called, grpc, unary},
    *,
};
use crate::value::tests::wire::{length, packed, varint};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

/// An item, of which each field can be sent in several ways.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    sku: String,
    sizes: Vec<u8>,
    stock: BTreeMap<String, u8>,
    rank: Option<u8>,
    price: Option<Result<u8, String>>,
    color: u8,
    child: Option<Box<Item>>,
    flag: bool,
    parts: Vec<Item>,
}

fn items() -> impl Strategy<Value = Item> {
    let price = prop_oneof![
        Just(None),
        (0..3u8).prop_map(|cents| Some(Ok(cents))),
        "[a-b]{0,1}".prop_map(|text| Some(Err(text))),
    ];
    let scalars = (
        "[a-c]{0,2}",
        vec(0..200u8, 0..4),
        proptest::collection::btree_map("[a-c]{0,1}", 0..3u8, 0..3),
        proptest::option::of(0..3u8),
        price,
        0..4u8,
        any::<bool>(),
    );
    let leaf = scalars.prop_map(|(sku, sizes, stock, rank, price, color, flag)| Item {
        sku,
        sizes,
        stock,
        rank,
        price,
        color,
        child: None,
        flag,
        parts: Vec::new(),
    });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let child = proptest::option::of(inner.clone());
        (inner.clone(), child, vec(inner, 0..3)).prop_map(|(item, child, parts)| Item {
            child: child.map(Box::new),
            parts,
            ..item
        })
    })
}

/// Chooses by a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) as usize % bound.max(1)
    }

    fn flips(&mut self) -> bool {
        self.below(2) == 1
    }
}

/// The message in one of its encodings.
fn encoded(item: &Item, chance: &mut Chance) -> Vec<u8> {
    // Parts of one list stay in order; lists are shuffled into one another.
    let mut lists = scalars(item, chance);
    lists.push(sizes(&item.sizes, chance));
    for (key, value) in &item.stock {
        let mut entry = [length(1, key), varint(2, (*value).into())];
        if chance.flips() {
            entry.reverse();
        }
        lists.push(vec![length(3, entry.concat())]);
    }
    if let Some(child) = &item.child {
        // A message sent in two parts is merged.
        let empty = chance.flips().then(|| length(8, ""));
        let whole = length(8, encoded(child, chance));
        lists.push(empty.into_iter().chain([whole]).collect());
    }
    let parts = item.parts.iter();
    lists.push(
        parts
            .map(|part| length(12, encoded(part, chance)))
            .collect(),
    );
    lists.retain(|list| !list.is_empty());
    let mut out = Vec::new();
    while !lists.is_empty() {
        let at = chance.below(lists.len());
        out.extend(lists[at].remove(0));
        lists.retain(|list| !list.is_empty());
    }
    out
}

/// Scalar fields, each maybe after a value that it replaces. A default may be left out.
fn scalars(item: &Item, chance: &mut Chance) -> Vec<Vec<Vec<u8>>> {
    let mut all = vec![
        (
            item.sku.is_empty(),
            length(1, &item.sku),
            length(1, "stale"),
        ),
        (item.color == 0, varint(7, item.color.into()), varint(7, 3)),
        (!item.flag, varint(11, item.flag.into()), varint(11, 1)),
    ];
    if let Some(rank) = item.rank {
        all.push((false, varint(4, rank.into()), varint(4, 77)));
    }
    match &item.price {
        Some(Ok(cents)) => all.push((false, varint(5, (*cents).into()), length(6, "stale"))),
        Some(Err(text)) => all.push((false, length(6, text), varint(5, 77))),
        None => {}
    }
    let sent = all.into_iter().map(|(is_default, field, stale)| {
        let mut list: Vec<_> = chance.flips().then_some(stale).into_iter().collect();
        // The last one counts.
        if !is_default || !list.is_empty() || chance.flips() {
            list.push(field);
        }
        list
    });
    sent.collect()
}

/// A list in parts, packed or not.
fn sizes(mut rest: &[u8], chance: &mut Chance) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 + chance.below(rest.len()));
        let values: Vec<_> = now.iter().map(|size| u64::from(*size)).collect();
        if chance.flips() {
            sent.push(length(2, packed(&values)));
        } else {
            sent.extend(values.iter().map(|value| varint(2, *value)));
        }
        rest = later;
    }
    sent
}

/// Changes one field, and returns what is to be reported.
fn changed(item: &mut Item, field: usize, at: &str) -> String {
    match field {
        0 => item.sku.push('z'),
        1 => item.color = (item.color + 1) % 3,
        2 => item.flag = !item.flag,
        3 => {
            item.rank = match item.rank {
                None => Some(0),
                Some(_) => None,
            };
            let kind = if item.rank.is_none() {
                "missing"
            } else {
                "extra"
            };
            return format!("{at}.rank {kind}");
        }
        4 => {
            let index = item.sizes.len();
            item.sizes.push(250);
            return format!("{at}.sizes[{index}] extra");
        }
        5 => {
            item.stock.insert("z".to_owned(), 0);
            return format!("{at}.stock.z extra");
        }
        _ => match &mut item.child {
            Some(child) => return changed(child, field - 6, &format!("{at}.child")),
            None => {
                item.child = Some(Box::new(Item {
                    sku: String::new(),
                    sizes: Vec::new(),
                    stock: BTreeMap::new(),
                    rank: None,
                    price: None,
                    color: 0,
                    child: None,
                    flag: false,
                    parts: Vec::new(),
                }));
                return format!("{at}.child extra");
            }
        },
    }
    let name = ["sku", "color", "flag"][field];
    format!("{at}.{name} value")
}

proptest! {
    #[test]
    fn encodings_of_one_message_are_equal(item in items(), seeds: [u64; 2]) {
        let [old, new] = seeds.map(|seed| unary(encoded(&item, &mut Chance(seed))));
        let result = called(GET, &old, &new, &[]).result;
        prop_assert_eq!(result, Compared::Equal(Via::Exact));
    }

    #[test]
    fn a_changed_field_is_found_at_its_place(
        item in items(), field in 0..12usize, seeds: [u64; 2],
    ) {
        prop_assume!(item.color < 2);
        prop_assume!(item.child.as_ref().is_none_or(|child| child.color < 2));
        let mut other = item.clone();
        let expected = changed(&mut other, field, "$");
        let old = unary(encoded(&item, &mut Chance(seeds[0])));
        let new = unary(encoded(&other, &mut Chance(seeds[1])));
        prop_assert_eq!(reported(&called(GET, &old, &new, &[])), [expected]);
    }

    #[test]
    fn any_bytes_are_compared_without_a_panic(
        old in vec(any::<u8>(), 0..40), new in vec(any::<u8>(), 0..40), path in prop_oneof![Just(GET), Just(LIST)],
    ) {
        let comparison = called(path, &unary(&old), &unary(&new), &[]);
        if old == new {
            prop_assert_eq!(comparison.result, Compared::Equal(Via::Exact));
        } else {
            let mirrored = called(path, &unary(&new), &unary(&old), &[]);
            prop_assert_eq!(reported(&comparison).len(), reported(&mirrored).len());
        }
        called(path, &grpc(old), &grpc(new), &[]);
    }
}
