//! Documents that are equal by construction under each action: they are equal, and a change next to them is still
//! found.

use super::*;
use crate::stack::Stack;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value as Json, json};

/// The content of a record, in any spelling.
#[derive(Clone, Debug)]
struct Fact {
    number: i64,
    second: i64,
    word: String,
}

/// One action: lets old and new spell a fact differently.
#[derive(Clone, Copy, Debug)]
struct Way {
    at: &'static str,
    action: &'static str,
    old: fn(usize, &Fact) -> (&'static str, Json),
    new: fn(usize, &Fact) -> (&'static str, Json),
}

fn decimal(text: String) -> Json {
    serde_json::from_str(&text).unwrap()
}

fn instant(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().to_string()
}

const WAYS: [Way; 19] = [
    Way {
        at: "$.items[*].ignored",
        action: "ignore",
        old: |_, fact| ("ignored", json!(fact.number)),
        new: |_, fact| ("ignored", json!([fact.word])),
    },
    Way {
        at: "$.items[*].optional",
        action: "optional",
        old: |_, _| ("optional", Json::Null),
        new: |at, _| {
            if at % 2 == 0 {
                ("optional", Json::Null)
            } else {
                ("", json!(1))
            }
        },
    },
    Way {
        at: "$.items[*].near",
        action: "{tolerance: {abs: 0.01}}",
        old: |_, fact| ("near", decimal(format!("{}.00", fact.number))),
        new: |_, fact| ("near", decimal(format!("{}.01", fact.number))),
    },
    Way {
        at: "$.items[*].rounded",
        action: "{round: 1}",
        old: |_, fact| ("rounded", decimal(format!("{}.04", fact.number))),
        new: |_, fact| ("rounded", decimal(format!("{}.0", fact.number))),
    },
    Way {
        at: "$.items[*].time",
        action: "{time: {formats: [rfc3339, unix_ms]}}",
        old: |_, fact| ("time", json!(instant(fact.second))),
        new: |_, fact| ("time", json!(fact.second * 1000)),
    },
    Way {
        at: "$.items[*].later",
        action: "{time: {within: 2s, formats: [rfc3339, '%d.%m.%Y %H:%M:%S']}}",
        old: |_, fact| ("later", json!(instant(fact.second))),
        new: |_, fact| ("later", json!(instant(fact.second + 2))),
    },
    Way {
        at: "$.items[*].tags",
        action: "unordered",
        old: |at, fact| ("tags", json!([fact.number, fact.word, at])),
        new: |at, fact| ("tags", json!([at, fact.number, fact.word])),
    },
    Way {
        at: "$.items[*].keyed",
        action: "{unordered: {key: k}}",
        old: |_, fact| ("keyed", json!([{"k": 1, "v": fact.word}, {"k": 2}])),
        new: |_, fact| ("keyed", json!([{"k": 2}, {"v": fact.word, "k": 1}])),
    },
    Way {
        at: "$.items[*].uuid",
        action: "{same: uuid}",
        old: |at, _| ("uuid", json!(format!("00000000-0000-4000-8000-{at:012}"))),
        new: |at, _| {
            (
                "uuid",
                json!(format!("10000000-0000-4000-8000-{:012}", at * 3)),
            )
        },
    },
    Way {
        at: "$.items[*].id",
        action: "{bijection: check}",
        old: |at, _| ("id", json!(at)),
        new: |at, _| ("id", json!(format!("id-{at}"))),
    },
    Way {
        at: "$.items[*].replaced",
        action: "{replace: {regex: '^v[0-9]+/', with: '', on: new}}",
        old: |_, fact| ("replaced", json!(fact.word)),
        new: |at, fact| ("replaced", json!(format!("v{at}/{}", fact.word))),
    },
    Way {
        at: "$.items[*].mapped",
        action: "{map: {table: {A: active, N: null, 1: one}, on: old}}",
        old: |at, _| {
            (
                "mapped",
                [json!("A"), json!("N"), json!(1), json!("x")][at % 4].clone(),
            )
        },
        new: |at, _| {
            (
                "mapped",
                [json!("active"), Json::Null, json!("one"), json!("x")][at % 4].clone(),
            )
        },
    },
    Way {
        at: "$.items[*].old_name",
        action: "{rename: {to: newName, on: old}}",
        old: |_, fact| ("old_name", json!({"word": fact.word})),
        new: |_, fact| ("newName", json!({"word": fact.word})),
    },
    Way {
        at: "$.items[*].parsed",
        action: "{parse: json}",
        old: |_, fact| {
            (
                "parsed",
                json!(format!("{{\"a\": [{}], \"b\": 1}}", fact.number)),
            )
        },
        new: |_, fact| {
            (
                "parsed",
                json!(format!("{{\"b\":1.0,\"a\":[{}e0]}}", fact.number)),
            )
        },
    },
    Way {
        at: "$.items[*].number",
        action: "{parse: number}",
        old: |_, fact| ("number", json!(format!("{}.50", fact.number))),
        new: |_, fact| ("number", json!(format!("{}.5", fact.number))),
    },
    Way {
        at: "$.items[*].link",
        action: "{parse: url}",
        old: |_, fact| {
            (
                "link",
                json!(format!("http://h/{}?a=1&b={}", fact.word, fact.number)),
            )
        },
        new: |_, fact| {
            (
                "link",
                json!(format!("HTTP://h:80/{}?b={}&a=1", fact.word, fact.number)),
            )
        },
    },
    Way {
        at: "$.items[*].case",
        action: "{case: fold}",
        old: |_, fact| ("case", json!(fact.word.to_uppercase())),
        new: |_, fact| ("case", json!(fact.word)),
    },
    Way {
        at: "$.items[*].space",
        action: "{space: collapse}",
        old: |_, fact| ("space", json!(format!(" {}\t\n x ", fact.word))),
        new: |_, fact| ("space", json!(format!("{} x", fact.word))),
    },
    Way {
        at: "$.items[*].unicode",
        action: "{unicode: nfc}",
        old: |_, fact| ("unicode", json!(format!("{}e\u{301}", fact.word))),
        new: |_, fact| ("unicode", json!(format!("{}é", fact.word))),
    },
];

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    let fact = (-9_999i64..9_999, 0i64..2_000_000_000, "[a-z]{1,6}");
    let fact = fact.prop_map(|(number, second, word)| Fact {
        number,
        second,
        word,
    });
    vec(fact, 1..7)
}

/// Records of all facts, each spelled in all chosen ways.
fn records(facts: &[Fact], ways: &[Way], stack: Stack) -> Vec<Json> {
    let record = |(at, fact): (usize, &Fact)| {
        let mut members = serde_json::Map::new();
        members.insert("beside".to_owned(), json!([at, fact.word]));
        for way in ways {
            let (name, value) = match stack {
                Stack::Old => (way.old)(at, fact),
                Stack::New => (way.new)(at, fact),
            };
            if !name.is_empty() {
                members.insert(name.to_owned(), value);
            }
        }
        Json::from(members)
    };
    facts.iter().enumerate().map(record).collect()
}

fn body(records: &[Json]) -> Answer {
    json(json!({ "items": records }).to_string())
}

/// Whether rules make unequal records equal.
fn is_masked(olds: &[Json], news: &[Json], rules: &[(&str, &str)]) -> bool {
    let via = if olds == news { Via::Exact } else { Via::Rules };
    compared(&body(olds), &body(news), rules).result == Compared::Equal(via)
}

fn mirrored(action: &str) -> String {
    let parts = [
        ("on: old", "on: NEW"),
        ("on: new", "on: old"),
        ("on: NEW", "on: new"),
    ];
    parts.iter().fold(action.to_owned(), |action, (from, to)| {
        action.replace(from, to)
    })
}

proptest! {
    #[test]
    fn constructed_equal_is_equal_and_one_change_is_found_there(
        facts in facts(), picked in vec(any::<Index>(), 1..6), turn: usize, changed: Index,
    ) {
        let mut ways: Vec<Way> = picked.iter().map(|index| *index.get(&WAYS)).collect();
        ways.sort_by_key(|way| way.at);
        ways.dedup_by_key(|way| way.at);
        let olds = records(&facts, &ways, Stack::Old);
        let mut news = records(&facts, &ways, Stack::New);
        let changed = changed.index(olds.len());
        let rules: Vec<_> = ways.iter().map(|way| (way.at, way.action)).collect();
        let back: Vec<_> = ways.iter().map(|way| (way.at, mirrored(way.action))).collect();
        let mut back: Vec<_> = back.iter().map(|(at, action)| (*at, action.as_str())).collect();
        prop_assert!(is_masked(&olds, &news, &rules));
        prop_assert!(is_masked(&news, &olds, &back));
        // In another order.
        let mut unordered = rules.clone();
        unordered.push(("$.items", "unordered"));
        back.push(("$.items", "unordered"));
        news.rotate_left(turn % olds.len());
        prop_assert!(is_masked(&olds, &news, &unordered));
        prop_assert!(is_masked(&news, &olds, &back));
        let place = |news: &[Json]| news.iter().position(|record| record["beside"][0] == changed).unwrap();
        let at = place(&news);
        news[at]["beside"][1] = json!(true);
        let reported = differences(&body(&olds), &body(&news), &unordered);
        prop_assert_eq!(reported, vec![format!("$.items[{changed}].beside[1] type")]);
        let reported = differences(&body(&news), &body(&olds), &back);
        prop_assert_eq!(reported, vec![format!("$.items[{at}].beside[1] type")]);
        // And in the original order.
        news.rotate_right(turn % olds.len());
        let reported = differences(&body(&olds), &body(&news), &rules);
        prop_assert_eq!(reported, vec![format!("$.items[{changed}].beside[1] type")]);
    }

    #[test]
    fn each_action_leaves_what_it_does_not_make_equal(facts in facts(), way: Index, changed: Index) {
        let way = way.get(&WAYS);
        let olds = records(&facts, &[*way], Stack::Old);
        let mut news = records(&facts, &[*way], Stack::New);
        let changed = changed.index(olds.len());
        let (name, _) = (way.new)(changed, &facts[changed]);
        // Only `ignore` treats a value as equal to one of a type of its own.
        if name.is_empty() || name == "ignored" || news[changed][name] == Json::Null {
            return Ok(());
        }
        news[changed][name] = json!({"none": "of it"});
        let reported = differences(&body(&olds), &body(&news), &[(way.at, way.action)]);
        let place = format!("$.items[{changed}].{name}");
        prop_assert!(!reported.is_empty() && reported.iter().all(|reported| reported.starts_with(&place)), "{:?}", reported);
    }

    #[test]
    fn renumbered_ids_are_equal_unless_two_meet_the_same(ids in vec(0u32..6, 1..12), changed: Index) {
        let rules = [("$[*]", "{bijection: check}")];
        let spelled = |ids: &[u32]| format!("{ids:?}");
        let renumbered: Vec<u32> = ids.iter().map(|id| (id + 1) % 6 + 10).collect();
        let comparison = compared(&json(spelled(&ids)), &json(spelled(&renumbered)), &rules);
        prop_assert_eq!(comparison.result, Compared::Equal(Via::Rules));
        let at = changed.index(ids.len());
        let mut wrong = renumbered.clone();
        wrong[at] = 99;
        let is_repeated = ids.iter().filter(|id| **id == ids[at]).count() > 1;
        let reported = json_differences(&spelled(&ids), &spelled(&wrong), &rules);
        prop_assert_eq!(!reported.is_empty(), is_repeated, "{:?}", reported);
    }
}
