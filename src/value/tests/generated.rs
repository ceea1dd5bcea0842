//! Generates documents for tests.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value as Json};

/// A document in which no two members of an array are similar, so that every place is unique.
pub(crate) fn documents() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-1000i64..1000).prop_map(Json::from),
        "[a-zé\"\\\\\n😀]{0,6}".prop_map(Json::from),
    ];
    let tree = leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Json::from),
            vec(("[a-c '.]{0,2}", inner), 0..6)
                .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
        ]
    });
    tree.prop_map(distinct)
}

pub(crate) fn distinct(value: Json) -> Json {
    match value {
        Json::Array(items) => {
            let mut kept: Vec<Json> = Vec::new();
            for item in items.into_iter().map(distinct) {
                if !kept.contains(&item) {
                    kept.push(item);
                }
            }
            kept.into()
        }
        Json::Object(members) => {
            let members = members.into_iter();
            members
                .map(|(name, value)| (name, distinct(value)))
                .collect::<Map<_, _>>()
                .into()
        }
        leaf => leaf,
    }
}

/// The same document in another spelling: order of members, spaces, escapes, numbers.
pub(crate) fn respelled(value: &Json, seed: &mut u64) -> String {
    let mut next = |below: usize| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) as usize % below
    };
    let space = ["", " ", "\n\t"][next(3)];
    match value {
        Json::Number(number) => match next(4) {
            0 => format!("{number}.00"),
            1 => format!("{number}.0e-0"),
            2 => format!("{number}E+0"),
            _ => number.to_string(),
        },
        Json::String(text) => {
            let escape = next(2) == 0;
            let mut units = [0; 2];
            let spelled: String = text
                .chars()
                .map(|c| {
                    if escape || c < ' ' || c == '"' || c == '\\' {
                        c.encode_utf16(&mut units)
                            .iter()
                            .map(|unit| format!("\\u{unit:04X}"))
                            .collect()
                    } else {
                        c.to_string()
                    }
                })
                .collect();
            format!("\"{spelled}\"")
        }
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| respelled(item, seed)).collect();
            format!("[{space}{}]", items.join(&format!(",{space}")))
        }
        Json::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            let turn = next(members.len().max(1));
            members.rotate_left(turn);
            let members: Vec<_> = members
                .into_iter()
                .map(|(name, value)| {
                    let name = respelled(&Json::from(name.as_str()), seed);
                    format!("{name}{space}:{}", respelled(value, seed))
                })
                .collect();
            format!("{{{}{space}}}", members.join(","))
        }
        other => format!("{space}{other}"),
    }
}
