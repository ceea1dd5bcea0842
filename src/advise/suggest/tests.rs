//! Suggestions from the differences of real comparisons.

mod headers;
mod proof;

use super::*;
use crate::{
    compare::{Answer, Class, CompareConfig, Context, compare},
    value::{Difference, Kind, Place, Value},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use jiff::civil::Date;
use serde_json::json;
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Prints without a key; names with an `@` must not be shown.
struct Open;

/// The stored part of one check.
struct Kept {
    id: String,
    route: &'static str,
    rechecks: u32,
    noise: Vec<String>,
    headers: [Vec<(String, String)>; 2],
    differences: Vec<(Difference, Class, Hints)>,
}

/// One check: its route, and both answers.
struct Check {
    route: &'static str,
    old: Answer,
    new: Answer,
}

impl Prints for Open {
    fn print(&self, value: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{value:?}").hash(&mut hasher);
        hasher.finish()
    }

    fn may_show(&self, place: &Place) -> bool {
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

impl Check {
    fn kept(&self, id: usize, room: usize) -> Kept {
        let context = Context {
            route: self.route,
            method: &Method::GET,
            today: Date::MIN,
            deadline: None,
            message_type: None,
        };
        let answers = Answers {
            old: &self.old,
            new: &self.new,
            message_type: None,
        };
        let comparison = compare(&self.old, &self.new, &context, &CompareConfig::default());
        let differences = comparison.differences().to_vec();
        let hints = Hints::of(&differences, Some(answers), &Open, room, None);
        let classed = differences
            .into_iter()
            .zip(hints)
            .map(|(difference, hints)| {
                let class = Class::of(self.route, &difference);
                (difference, class, hints)
            });
        let headers = [&self.old, &self.new].map(|answer| {
            let headers = answer.headers.iter();
            let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
            headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect()
        });
        Kept {
            id: format!("m{id}"),
            route: self.route,
            rechecks: 0,
            noise: Vec::new(),
            headers,
            differences: classed.collect(),
        }
    }
}

/// The stored parts of checks, in each of which `room` differences are tried.
fn kept(pairs: &[(Json, Json)], room: usize) -> Vec<Kept> {
    let checks = pairs.iter().enumerate().map(|(id, (old, new))| {
        let check = Check {
            route: "get-item",
            old: answer(old),
            new: answer(new),
        };
        check.kept(id, room)
    });
    checks.collect()
}

/// The same, where old's own readings differ at one place.
fn varying(pairs: &[(Json, Json)], at: &str) -> Vec<Kept> {
    let mut kept = kept(pairs, usize::MAX);
    for kept in &mut kept {
        kept.rechecks = 1;
        kept.noise = vec![at.to_owned()];
    }
    kept
}

fn looked_at(kept: &[Kept]) -> Suggestions {
    let routes: BTreeSet<_> = kept.iter().map(|kept| kept.route).collect();
    looked_at_of(kept, &routes, Values::Shown)
}

#[derive(Clone, Copy, PartialEq)]
enum Values {
    Shown,
    Masked,
}

/// `routes` are those of which reads were checked.
fn looked_at_of(kept: &[Kept], routes: &BTreeSet<&str>, values: Values) -> Suggestions {
    let json = |value: &Option<Value>| match value {
        Some(Value::Json(json)) => Some(json.clone()),
        Some(Value::Text(text)) => Some(Json::from(text.as_str())),
        _ => None,
    };
    let stored: Vec<Vec<_>> = kept
        .iter()
        .map(|kept| {
            let differences = kept.differences.iter();
            differences
                .map(|(difference, class, _)| {
                    (class.id(), [json(&difference.old), json(&difference.new)])
                })
                .collect()
        })
        .collect();
    let examples = kept.iter().zip(&stored).map(|(kept, stored)| Example {
        id: &kept.id,
        route: kept.route,
        method: "GET",
        statuses: [200; 2],
        content_types: [Some("application/json"); 2],
        headers: [&kept.headers[0], &kept.headers[1]],
        rechecks: kept.rechecks,
        noise: &kept.noise,
        count: kept.differences.len(),
        differences: kept
            .differences
            .iter()
            .zip(stored)
            .map(
                |((difference, class, hints), (id, shown))| ExampleDifference {
                    class: id,
                    class_place: &class.place,
                    place: Some(&difference.place),
                    kind: difference.kind,
                    hints,
                    shown: (values == Values::Shown).then_some(shown),
                    reported: [None; 2],
                },
            )
            .collect(),
    });
    let examples: Vec<_> = examples.collect();
    suggest(&examples, routes, &[], &|| true)
}

/// The suggestions as `at do`, with the counts masked and explained, and the mismatches not explained.
fn suggested(pairs: &[(Json, Json)]) -> Vec<(String, [usize; 3], Vec<String>)> {
    reported(&kept(pairs, usize::MAX))
}

fn reported(kept: &[Kept]) -> Vec<(String, [usize; 3], Vec<String>)> {
    let found = looked_at(kept);
    let reported = found.suggestions.into_iter().map(|suggestion| {
        let rule = &suggestion.rule;
        let text = format!("{} {}", rule["at"].as_str().unwrap(), rule["do"]);
        let counts = [suggestion.masks, suggestion.explains, suggestion.of];
        (text, counts, suggestion.not)
    });
    reported.collect()
}

fn texts(pairs: &[(Json, Json)]) -> Vec<String> {
    suggested(pairs)
        .into_iter()
        .map(|(text, ..)| text)
        .collect()
}

#[test]
fn a_clock_is_reported_with_what_it_does_not_explain() {
    let at = |seconds: u32| json!({"at": format!("2026-11-22T10:00:{seconds:02}Z"), "n": 1});
    let mut pairs: Vec<_> = (0..9).map(|second| (at(second), at(second + 3))).collect();
    pairs.push((at(1), json!({"at": "never", "n": 1})));
    pairs.push((at(1), json!({"at": "2026-11-22T10:00:02Z", "n": 2})));
    let found = reported(&varying(&pairs, "$.at"));
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
fn nothing_is_suggested_with_a_name_that_must_not_be_reported() {
    let at = |seconds: u32| json!({"anna@example.com": format!("2026-11-22T10:00:0{seconds}Z")});
    assert_eq!(texts(&[(at(1), at(2)), (at(2), at(3))]), [""; 0]);
}

#[test]
fn a_suggestion_is_an_entry_of_a_rule_file() {
    let uuid = |n: u32| json!({"id": format!("6ba7b81{n}-9dad-11d1-80b4-00c04fd430c8")});
    let pairs = [(uuid(1), uuid(2)), (uuid(3), uuid(4))];
    let kept = kept(&pairs, usize::MAX);
    let noise = ["$.id".to_owned()];
    let ids: Vec<_> = kept.iter().map(|kept| kept.differences[0].1.id()).collect();
    let examples: Vec<_> = kept
        .iter()
        .zip(&ids)
        .map(|(kept, id)| Example {
            id: &kept.id,
            route: "get-item",
            method: "GET",
            statuses: [200; 2],
            content_types: [Some("application/json"); 2],
            headers: [&[]; 2],
            rechecks: 1,
            noise: &noise,
            count: 1,
            differences: vec![ExampleDifference {
                class: id,
                class_place: "$.id",
                place: None,
                kind: Kind::Value,
                hints: &kept.differences[0].2,
                shown: None,
                reported: [None; 2],
            }],
        })
        .collect();
    let suggestion = &suggest(&examples, &BTreeSet::new(), &[], &|| true).suggestions[0];
    let file = format!("rules:\n{}", suggestion.yaml());
    let (rules, _) = crate::rules::RuleSet::compile(&[("f".into(), file)], Date::MIN).unwrap();
    let rule = &rules.rules()[0];
    assert_eq!(
        (rule.id.as_str(), rule.why.as_str()),
        ("id-same", "say why")
    );
    let routes: Vec<_> = (0..9).map(|route| format!("GET /items/{route}")).collect();
    let mut of_many = suggestion.clone();
    of_many.rule["when"] = json!({ "routes": routes });
    let file = format!("rules:\n{}", of_many.yaml());
    assert!(file.lines().all(|line| line.len() <= 80), "{file}");
    let (rules, _) = crate::rules::RuleSet::compile(&[("f".into(), file)], Date::MIN).unwrap();
    assert_eq!(rules.rules()[0].when.routes.as_ref().unwrap().len(), 9);
    let again = suggest(&examples, &BTreeSet::new(), &["id-same"], &|| true);
    assert_eq!(
        again.suggestions[0].rule["id"], "id-same-2",
        "one is in force"
    );
    assert_eq!(
        suggest(&examples, &BTreeSet::new(), &[], &|| false).looked_at,
        0,
        "time is up"
    );
}

/// The places of unexplained classes, and the numbers of classes and differences that were not tried.
fn without(pairs: &[(Json, Json)], room: usize) -> (Vec<String>, usize, usize) {
    let kept = kept(pairs, room);
    let found = looked_at(&kept);
    let classes = kept.iter().flat_map(|kept| &kept.differences);
    let unexplained = classes.map(|(_, class, _)| class);
    let unexplained = unexplained.filter(|class| found.unexplained.contains(&class.id()));
    let places: BTreeSet<_> = unexplained.map(|class| class.place.clone()).collect();
    (
        places.into_iter().collect(),
        found.not_tried.len(),
        found.differences_not_tried,
    )
}

#[test]
fn untried_differs_from_unexplained() {
    let item = |name: &str, n: usize| json!({"a": format!("{name} {n}"), "b": n});
    let pairs: Vec<_> = (0..4)
        .map(|n| (item("lamp", n), item("desk", n + 1)))
        .collect();
    let [a, b] = ["$.a", "$.b"].map(str::to_owned);
    assert_eq!(without(&pairs, 2), (vec![a.clone(), b], 0, 0));
    assert_eq!(without(&pairs, 1), (vec![a], 1, 4));
    assert_eq!(without(&pairs, 0), (Vec::new(), 2, 8));
    let long = |word: &str| json!({"a": word.repeat(300)});
    let pairs = [(long("lamp"), long("desk")), (long("bed "), long("bench"))];
    assert_eq!(without(&pairs, 2), (Vec::new(), 1, 2));
}

#[test]
fn arrays_too_large_for_a_key_search_still_yield_their_clocks() {
    let items = |late: usize, price: usize| {
        let item = |n: usize| {
            let at = format!("2026-11-22T10:00:{:02}Z", n % 50 + late);
            json!({"at": at, "note": "x".repeat(1_000), "price": n + price})
        };
        json!({"items": (0..40).map(item).collect::<Vec<_>>()})
    };
    let pairs: Vec<_> = (0..3).map(|n| (items(0, n), items(5, n + 1))).collect();
    let found = looked_at(&varying(&pairs, "$.items[0].at"));
    let [suggestion] = &found.suggestions[..] else {
        panic!("{found:?}");
    };
    assert_eq!(suggestion.rule["at"], "$.items[*].at");
    assert_eq!(suggestion.rule["do"]["time"]["within"], "10s");
    assert_eq!(without(&pairs, 100), (Vec::new(), 1, 3 * 80));
}
