//! Suggestions from the differences of real comparisons.

use super::{probes::Probes, *};
use crate::compare::{Answer, Class, Comparing, Context, Difference, Place, Value, compare};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use jiff::civil::Date;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Prints of nobody's key; names with an `@` must not be told.
struct Open;

/// What is kept of one check.
struct Kept {
    id: String,
    differences: Vec<(Difference, Class, Hints)>,
}

impl Prints for Open {
    fn print(&self, value: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{value:?}").hash(&mut hasher);
        hasher.finish()
    }

    fn may_tell(&self, place: &Place) -> bool {
        !place.to_string().contains('@')
    }
}

fn answer(body: &Json) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]),
        body: body.to_string().into(),
        trailers: HeaderMap::new(),
    }
}

fn kept(pairs: &[(Json, Json)]) -> Vec<Kept> {
    let context = Context {
        route: "get-item",
        method: &Method::GET,
        today: Date::MIN,
        deadline: None,
    };
    let checks = pairs.iter().enumerate().map(|(index, (old, new))| {
        let (old, new) = (answer(old), answer(new));
        let comparison = compare(&old, &new, &context, &Comparing::default());
        let differences = comparison.differences().to_vec();
        let hints = Hints::of(&differences, Some((&old, &new)), &Open);
        let kept = differences.into_iter().zip(hints);
        Kept {
            id: format!("m{index}"),
            differences: kept
                .map(|(difference, hints)| {
                    let class = Class::of("get-item", &difference);
                    (difference, class, hints)
                })
                .collect(),
        }
    });
    checks.collect()
}

/// What is suggested, as `at do`, with what it masks, explains, and does not.
fn suggested(pairs: &[(Json, Json)]) -> Vec<(String, [usize; 3], Vec<String>)> {
    let kept = kept(pairs);
    let ids: Vec<Vec<String>> = kept
        .iter()
        .map(|kept| {
            kept.differences
                .iter()
                .map(|(_, class, _)| class.id())
                .collect()
        })
        .collect();
    let examples = kept.iter().zip(&ids).map(|(kept, ids)| Example {
        id: &kept.id,
        route: "get-item",
        count: kept.differences.len(),
        differences: kept
            .differences
            .iter()
            .zip(ids)
            .map(|((difference, class, hints), id)| Seen {
                class: id,
                at: &class.place,
                hints,
                values: match (&difference.old, &difference.new) {
                    (
                        Some(Value::Json(Json::String(old))),
                        Some(Value::Json(Json::String(new))),
                    ) => Some([old, new]),
                    _ => None,
                },
            })
            .collect(),
    });
    let examples: Vec<_> = examples.collect();
    let found = suggest(&examples, &|| true);
    let told = found.suggestions.into_iter().map(|suggestion| {
        let rule = &suggestion.rule;
        let text = format!("{} {}", rule["at"].as_str().unwrap(), rule["do"]);
        let counts = [suggestion.masks, suggestion.explains, suggestion.of];
        (text, counts, suggestion.not)
    });
    told.collect()
}

fn texts(pairs: &[(Json, Json)]) -> Vec<String> {
    suggested(pairs)
        .into_iter()
        .map(|(text, ..)| text)
        .collect()
}

#[test]
fn a_clock_is_told_with_what_it_does_not_explain() {
    let at = |seconds: u32| json!({"at": format!("2026-11-22T10:00:{seconds:02}Z"), "n": 1});
    let mut pairs: Vec<_> = (0..9).map(|second| (at(second), at(second + 3))).collect();
    pairs.push((at(1), json!({"at": "never", "n": 1})));
    pairs.push((at(1), json!({"at": "2026-11-22T10:00:02Z", "n": 2})));
    let found = suggested(&pairs);
    let text = r#"$.at {"time":{"within":"10s","formats":["rfc3339"]}}"#;
    assert_eq!(
        found,
        [(text.to_owned(), [9, 10, 11], vec!["m9".to_owned()])]
    );
}

#[test]
fn a_renamed_member_is_one_rule_for_two_classes() {
    let pairs: Vec<_> = (0..3)
        .map(|n| {
            (
                json!({"user_name": format!("u{n}")}),
                json!({"userName": format!("u{n}")}),
            )
        })
        .collect();
    let found = suggested(&pairs);
    let text = r#"$.user_name {"rename":{"to":"userName","on":"old"}}"#;
    assert_eq!(found, [(text.to_owned(), [3, 3, 3], Vec::new())]);
}

#[test]
fn elements_that_moved_and_changed_are_paired_by_a_key() {
    let items = |order: [u32; 4], stock: u32| {
        let item =
            |sku: u32| json!({"sku": sku, "name": format!("item {sku}"), "stock": sku * stock});
        json!({"items": order.map(item)})
    };
    let pairs: Vec<_> = (1..4)
        .map(|n| (items([1, 2, 3, 4], n), items([3, 1, 4, 2], n)))
        .chain([(items([1, 2, 3, 4], 1), items([3, 4, 2, 1], 2))])
        .collect();
    assert_eq!(texts(&pairs)[0], r#"$.items "unordered""#);
    let changed: Vec<_> = (0..3)
        .map(|n| {
            let mut new = items([3, 1, 4, 2], 1);
            new["items"][n]["stock"] = json!(77);
            (items([1, 2, 3, 4], 1), new)
        })
        .collect();
    assert!(
        texts(&changed).contains(&r#"$.items {"unordered":{"key":"sku"}}"#.to_owned()),
        "{:?}",
        suggested(&changed)
    );
}

#[test]
fn renumbered_ids_are_a_bijection_and_wrong_prices_are_none() {
    let item = |id: &str, price: u32| json!({"owner_id": id, "price": price});
    let pairs: Vec<_> = (0..6)
        .map(|n| {
            let n = n % 3;
            (
                item(&format!("a-{n}"), n),
                item(&format!("new-{}", n * 7), n + 5),
            )
        })
        .collect();
    assert_eq!(
        texts(&pairs),
        [r#"$.owner_id {"bijection":{"scope":"epoch"}}"#]
    );
    let mixed: Vec<_> = (0..6)
        .map(|n| {
            (
                item(&format!("a-{}", n % 3), 1),
                item(&format!("new-{}", n % 2), 1),
            )
        })
        .collect();
    assert_eq!(texts(&mixed), [""; 0]);
}

#[test]
fn constant_translations_are_a_table() {
    let state = |text: &str| json!({"state": text});
    let pairs = [
        ("A", "active"),
        ("I", "inactive"),
        ("A", "active"),
        ("I", "inactive"),
    ]
    .map(|(old, new)| (state(old), state(new)));
    assert_eq!(
        texts(&pairs),
        [r#"$.state {"map":{"table":{"A":"active","I":"inactive"},"on":"old"}}"#]
    );
    let pairs = [("A", "active"), ("A", "inactive"), ("A", "active")]
        .map(|(old, new)| (state(old), state(new)));
    assert_eq!(texts(&pairs), [""; 0]);
}

#[test]
fn a_single_example_is_no_reason_for_a_rule() {
    let at = |seconds: u32| json!({"at": format!("2026-11-22T10:00:0{seconds}Z")});
    assert_eq!(texts(&[(at(1), at(2))]), [""; 0]);
}

#[test]
fn nothing_is_suggested_with_a_name_that_must_not_be_told() {
    let at = |seconds: u32| json!({"anna@example.com": format!("2026-11-22T10:00:0{seconds}Z")});
    assert_eq!(texts(&[(at(1), at(2)), (at(2), at(3))]), [""; 0]);
}

#[test]
fn a_suggestion_is_an_entry_of_a_rule_file() {
    let uuid = |n: u32| json!({"id": format!("6ba7b81{n}-9dad-11d1-80b4-00c04fd430c8")});
    let pairs = [(uuid(1), uuid(2)), (uuid(3), uuid(4))];
    let kept = kept(&pairs);
    let ids: Vec<_> = kept.iter().map(|kept| kept.differences[0].1.id()).collect();
    let examples: Vec<_> = kept
        .iter()
        .zip(&ids)
        .map(|(kept, id)| Example {
            id: &kept.id,
            route: "get-item",
            count: 1,
            differences: vec![Seen {
                class: id,
                at: "$.id",
                hints: &kept.differences[0].2,
                values: None,
            }],
        })
        .collect();
    let suggestion = &suggest(&examples, &|| true).suggestions[0];
    let file = format!("rules:\n{}", suggestion.yaml());
    let (rules, _) = crate::rules::RuleSet::compile(&[("f".into(), file)], Date::MIN).unwrap();
    let rule = &rules.rules()[0];
    assert_eq!(
        (rule.id.as_str(), rule.why.as_str()),
        ("id-same", "say why")
    );
    assert_eq!(suggest(&examples, &|| false).looked_at, 0, "time is up");
}

#[test]
fn what_explained_none_of_a_class_is_not_tried_on_each_of_its_differences() {
    let items = |side: fn(usize) -> String| json!({"items": (0..8).map(side).collect::<Vec<_>>()});
    let probes = |old, new| -> Vec<bool> {
        let kept = kept(&[(old, new)]).remove(0);
        let hints = kept.differences.iter().map(|(.., hints)| hints);
        hints
            .map(|hints| hints.probes != Probes::default())
            .collect()
    };
    // Seven that nothing explains, then one that is the same but for its case.
    let old = |index: usize| {
        if index == 7 {
            "lamp".to_owned()
        } else {
            format!("old {index}")
        }
    };
    let new = |index: usize| {
        if index == 7 {
            "LAMP".to_owned()
        } else {
            format!("new {index}")
        }
    };
    assert_eq!(probes(items(old), items(new)), [false; 8]);
    // Clocks that drift apart: what is wide enough for the last was not needed for the first.
    let old = |index: usize| format!("2026-11-22T10:{index:02}:00Z");
    let new = |index: usize| format!("2026-11-22T10:{index:02}:{:02}Z", index * 7 + 1);
    assert_eq!(probes(items(old), items(new)), [true; 8]);
}
