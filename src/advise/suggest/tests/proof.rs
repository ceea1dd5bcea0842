//! What values prove, and what they do not.

use super::*;

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

/// The suggested rules for one member `v`, given its values as spelled.
fn of_numbers(pairs: &[[&str; 2]]) -> Vec<String> {
    let pairs = pairs.iter().map(|pair| {
        let [old, new] = pair.map(|text| json!({"v": number(text)}));
        (old, new)
    });
    texts(&pairs.collect::<Vec<_>>())
}

#[test]
fn a_renaming_is_not_proved_by_trivial_values() {
    let trivial = [
        "true", "false", "null", "0", "7", "0.0", "\"\"", "\"x\"", "[]", "{}", "[0]",
    ];
    for value in trivial {
        let pair = (
            json!({"active": number(value)}),
            json!({"enabled": number(value)}),
        );
        let found = texts(&vec![pair; 5]);
        let renamed = found.iter().any(|text| text.contains("rename"));
        assert!(!renamed, "{value}: {found:?}");
    }
}

#[test]
fn a_renaming_that_others_prove_covers_trivial_values() {
    let values = [json!(17), json!(0), json!(42), json!(0), json!(0), json!(0)];
    let pairs = values.map(|value| (json!({"stock": value}), json!({"available": value})));
    assert_eq!(
        suggested(&pairs),
        [(
            r#"$.stock {"rename":{"to":"available","on":"old"}}"#.to_owned(),
            [6, 6, 6],
            Vec::new()
        )]
    );
    assert_eq!(texts(&pairs[1..]), [""; 0], "one proof is not enough");
}

#[test]
fn a_rounding_leaves_the_digits_that_matter() {
    let none: [&str; 0] = [];
    assert_eq!(of_numbers(&[["1", "0.5"]; 3]), none, "half of it is gone");
    assert_eq!(
        of_numbers(&[["1", "1.4"], ["3", "3.3"]]),
        none,
        "whole numbers"
    );
    assert_eq!(
        of_numbers(&[["0.1", "0.14"], ["0.2", "0.16"]]),
        none,
        "one digit"
    );
    let cut = [
        ["12.345", "12.34"],
        ["10.994", "10.99"],
        ["10.111", "10.11"],
        ["99.999", "99.99"],
    ];
    assert_eq!(of_numbers(&cut), none, "cut, not rounded");
    let rounded = [
        ["12.345", "12.35"],
        ["0.018", "0.02"],
        ["7.001", "7.00"],
        ["3.456", "3.46"],
    ];
    assert_eq!(of_numbers(&rounded), [r#"$.v {"round":2}"#]);
    assert_eq!(
        of_numbers(&[["1000000.1", "1000000.9"]; 3]),
        none,
        "two prices"
    );
    assert_eq!(
        of_numbers(&[["123456789.12341", "123456789.12343"]; 3]),
        [r#"$.v {"tolerance":{"rel":"1e-12"}}"#]
    );
}

/// Two stacks that differ in one member, which is a uuid in the form.
fn uuids(name: &str) -> Vec<(Json, Json)> {
    let uuid = |n: u32| json!({name: format!("6ba7b8{n:02}-9dad-11d1-80b4-00c04fd430c8")});
    (0..4).map(|n| (uuid(n), uuid(50 + n))).collect()
}

#[test]
fn a_reference_that_old_repeats_is_never_excused_by_its_form() {
    for name in ["owner_id", "owner", "request_id"] {
        let pairs = uuids(name);
        let at = format!("$.{name}");
        assert_eq!(
            texts(&pairs),
            [""; 0],
            "{name}: nothing shows that it varies"
        );
        let same = format!(r#"{at} {{"same":"uuid"}}"#);
        let mut varying = varying(&pairs, &at);
        let found = reported(&varying);
        assert_eq!(found, [(same, [4, 4, 4], Vec::new())]);
        // Old's own readings agree in one check.
        varying[3].noise.clear();
        let found = looked_at(&varying);
        assert!(
            found.suggestions.is_empty() && found.decisions.is_empty(),
            "{found:?}"
        );
        assert_eq!(found.unexplained.len(), 1);
    }
}

#[test]
fn the_remark_names_the_evidence() {
    let said = looked_at(&varying(&uuids("request"), "$.request")).suggestions;
    assert_eq!(
        said[0].note.as_deref(),
        Some("old's own readings differ there; mismatches that show it: 4")
    );
    let item = |id: String| json!({"owner_id": id});
    let pairs: Vec<_> = (0..5)
        .map(|n| n % 3)
        .map(|n| (item(format!("a-{n}")), item(format!("new-{}", n * 7))))
        .collect();
    assert_eq!(
        notes(&pairs),
        ["each of 3 old values met one new value, 2 of them more than once"]
    );
}

/// The rules that need a decision, as `at do note`.
fn decisions(pairs: &[(Json, Json)]) -> Vec<String> {
    let found = looked_at(&kept(pairs, usize::MAX));
    assert!(found.suggestions.is_empty(), "{found:?}");
    let found = found.decisions.into_iter().map(|found| {
        let at = found.rule["at"].as_str().unwrap();
        format!("{at} {} {}", found.rule["do"], found.note.unwrap())
    });
    found.collect()
}

#[test]
fn a_time_that_no_reading_shows_to_vary_needs_a_decision() {
    let at = |seconds: u32| json!({"created_at": format!("2026-11-22T10:00:{seconds:02}Z")});
    let pairs: Vec<_> = (0..4).map(|second| (at(second), at(second + 3))).collect();
    let found = decisions(&pairs);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains(r#"{"within":"10s""#)
            && found[0].contains("a decision: callers see another time"),
        "{found:?}"
    );
    let mut varying = varying(&pairs, "$.created_at");
    assert!(looked_at(&varying).decisions.is_empty());
    varying[1].noise.clear();
    let found = looked_at(&varying);
    assert!(
        found.suggestions.is_empty() && found.decisions.len() == 1,
        "old repeats it in one check: {found:?}"
    );
    let spelled = |text: &str| json!({"at": text});
    let pair = (
        spelled("2026-11-22T10:00:00Z"),
        spelled("2026-11-22T11:00:00+01:00"),
    );
    assert_eq!(
        texts(&vec![pair; 2]).len(),
        1,
        "the same instant needs none"
    );
}

#[test]
fn another_type_needs_a_decision() {
    let pairs: Vec<_> = (1..4)
        .map(|id| (json!({"id": id}), json!({"id": id.to_string()})))
        .collect();
    assert_eq!(
        decisions(&pairs),
        [r#"$.id {"parse":"number"} a decision: callers see another type"#]
    );
    let text = |text: &str| json!({"price": text});
    let pair = (text("9.90"), text("9.9"));
    assert_eq!(texts(&vec![pair; 2]), [r#"$.price {"parse":"number"}"#]);
}

#[test]
fn a_time_that_is_hours_off_is_no_clock_of_the_answer() {
    let pairs = ["10", "14", "20"].map(|hour| {
        let [old, new] = [0, 1].map(|late| {
            let hour = hour.parse::<u32>().unwrap() + late;
            json!({"created_at": format!("2026-11-22T{hour}:00:00Z")})
        });
        (old, new)
    });
    assert_eq!(texts(&pairs), [""; 0]);
}

#[test]
fn renumbered_uuids_are_paired_instead_of_excused() {
    let uuid = |n: u32| format!("6ba7b8{n:02}-9dad-11d1-80b4-00c04fd430c8");
    let pairs: Vec<_> = (0..6)
        .map(|n| n % 3)
        .map(|n| {
            (
                json!({"owner_id": uuid(n)}),
                json!({"owner_id": uuid(50 - n)}),
            )
        })
        .collect();
    assert_eq!(
        texts(&pairs),
        [r#"$.owner_id {"bijection":{"scope":"epoch"}}"#]
    );
}

/// The notes of the suggested rules.
fn notes(pairs: &[(Json, Json)]) -> Vec<String> {
    let found = looked_at(&kept(pairs, usize::MAX)).suggestions.into_iter();
    found.filter_map(|suggestion| suggestion.note).collect()
}

#[test]
fn an_order_rule_says_whether_only_ties_are_reordered() {
    let list = |ids: [u32; 4]| {
        let item = |id: u32| json!({"id": id, "price": id / 2, "name": format!("n{}", 9 - id)});
        json!(ids.map(item))
    };
    let ties = (list([0, 1, 2, 3]), list([1, 0, 3, 2]));
    let said = notes(&[ties.clone(), ties.clone()]);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("only ties change places: both sides are sorted by `price`"),
        "{said:?}"
    );
    let other = (list([0, 1, 2, 3]), list([2, 3, 0, 1]));
    let said = notes(&[ties, other]);
    assert!(said[0].starts_with("the order itself differs"), "{said:?}");
    let tags = (json!(["a", "b"]), json!(["b", "a"]));
    let said = notes(&[tags.clone(), tags]);
    assert!(said[0].starts_with("the order itself differs"), "{said:?}");
}

#[test]
fn moved_and_changed_elements_say_the_same_of_ties() {
    let list = |ids: [u32; 6]| {
        let item = |id: u32| json!({"sku": id, "name": format!("item {id}"), "price": id / 2, "stock": id});
        json!({"items": ids.map(item)})
    };
    let mut new = list([3, 2, 5, 4, 7, 6]);
    new["items"][1]["stock"] = json!(77);
    let said = notes(&vec![(list([2, 3, 4, 5, 6, 7]), new); 3]);
    assert!(
        said.iter().any(|note| note.contains("sorted by `price`")),
        "{said:?}"
    );
}

/// What is suggested for checks of several routes, as `at do when`.
fn over_routes(checks: &[(&'static str, Json, Json)], routes: &[&'static str]) -> Vec<String> {
    let checks = checks.iter().enumerate().map(|(id, (route, old, new))| {
        let check = Check {
            route,
            old: answer(old),
            new: answer(new),
        };
        let mut kept = check.kept(id, usize::MAX);
        kept.noise = vec!["$.at".to_owned()];
        kept
    });
    let routes = routes.iter().copied().collect();
    let found = looked_at_of(&checks.collect::<Vec<_>>(), &routes, Values::Shown);
    let found = found.suggestions.into_iter().map(|suggestion| {
        let rule = &suggestion.rule;
        let when = rule.get("when").unwrap_or(&Json::Null);
        format!(
            "{} {} {}",
            rule["at"].as_str().unwrap(),
            rule["do"],
            when["routes"]
        )
    });
    found.collect()
}

#[test]
fn many_routes_need_one_rule() {
    const ROUTES: [&str; 11] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10",
    ];
    // Each route has one example, and clocks that are further apart than those of the route before.
    let at = |seconds: usize| json!({"at": format!("2026-11-22T10:00:{seconds:02}Z")});
    let clocks = ROUTES.iter().enumerate();
    let clocks: Vec<_> = clocks
        .map(|(late, route)| (*route, at(0), at(late + 1)))
        .collect();
    let rule = r#"$.at {"time":{"within":"10s","formats":["rfc3339"]}}"#;
    assert_eq!(
        over_routes(&clocks[..10], &ROUTES[..10]),
        [format!("{rule} null")]
    );
    let named = json!(BTreeSet::from_iter(&ROUTES[..10]));
    assert_eq!(
        over_routes(&clocks[..10], &ROUTES),
        [format!("{rule} {named}")],
        "the last route is not excused"
    );
    let states: Vec<_> = ROUTES
        .iter()
        .flat_map(|route| {
            let word = |text: &str| json!({"state": text});
            [("A", "active"), ("I", "inactive")].map(|(old, new)| (*route, word(old), word(new)))
        })
        .collect();
    let map = r#"$.state {"map":{"table":{"A":"active","I":"inactive"},"on":"old"}} null"#;
    assert_eq!(over_routes(&states, &ROUTES), [map]);
}

#[test]
fn a_route_that_differs_otherwise_has_a_rule_of_its_own() {
    let of = |route, old: &str, new: &str| (route, json!({"state": old}), json!({"state": new}));
    let checks = [
        of("a", "A", "active"),
        of("a", "A", "active"),
        of("b", "A", "archived"),
        of("b", "A", "archived"),
    ];
    assert_eq!(
        over_routes(&checks, &["a", "b"]),
        [
            r#"$.state {"map":{"table":{"A":"active"},"on":"old"}} ["a"]"#,
            r#"$.state {"map":{"table":{"A":"archived"},"on":"old"}} ["b"]"#,
        ]
    );
}
