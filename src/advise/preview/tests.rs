//! Which effects on stored differences are certain, and which are not.

use super::*;
use crate::advise::suggest::Hints;
use serde_json::{Value as Json, json};
use std::collections::HashSet;

fn preview(rules: &str) -> Preview {
    let today = jiff::civil::date(2026, 11, 22);
    let (rules, _) = RuleSet::compile(&[("r".into(), rules.to_owned())], today).unwrap();
    Preview::new(rules, today)
}

fn node(steps: &[Json]) -> Place {
    let step = |step: &Json| match step.as_str() {
        Some(name) => Step::Name(name.to_owned()),
        None => Step::Index(step.as_u64().unwrap() as usize),
    };
    Place::Node(steps.iter().map(step).collect())
}

/// A mismatch with these differences and no others.
fn mismatch<'e>(differences: Vec<ExampleDifference<'e>>) -> Example<'e> {
    Example {
        id: "m",
        route: "get-item",
        method: "GET",
        statuses: [200, 200],
        content_types: [Some("application/json"); 2],
        headers: [&[]; 2],
        rechecks: 0,
        noise: &[],
        count: differences.len(),
        differences,
    }
}

fn difference<'e>(place: Option<&'e Place>, kind: Kind, hints: &'e Hints) -> ExampleDifference<'e> {
    ExampleDifference {
        class: "c",
        class_place: "",
        place,
        kind,
        hints,
        shown: None,
        reported: [None; 2],
    }
}

/// The effect of one rule on a mismatch with one difference.
fn effect(rule: &str, at: &Place, kind: Kind, shown: Option<&[Option<Json>; 2]>) -> Effect {
    let preview = preview(&format!("rules: [{{id: r, why: w, {rule}}}]"));
    let hints = Hints::default();
    let stored = mismatch(vec![ExampleDifference {
        shown,
        ..difference(Some(at), kind, &hints)
    }]);
    let mut hides = [Hides::default()];
    let effect = preview.effect(&stored, &mut hides);
    assert_eq!(hides[0].differences > 0, effect == Effect::Hidden);
    effect
}

/// A rule, the place and kind of a difference with masked values, and the certain effect.
const MASKED: [(&str, &str, Kind, Effect); 17] = [
    (
        "at: '$.items[*].total', do: ignore",
        "total",
        Kind::Value,
        Effect::Hidden,
    ),
    (
        "at: $..total, do: ignore",
        "total",
        Kind::Type,
        Effect::Hidden,
    ),
    (
        "at: $.items, do: ignore",
        "total",
        Kind::Missing,
        Effect::Hidden,
    ),
    (
        "at: '$.items[2].total', do: ignore",
        "total",
        Kind::Value,
        Effect::Kept,
    ),
    (
        "at: $.other, do: ignore",
        "total",
        Kind::Value,
        Effect::Kept,
    ),
    ("at: body, do: ignore", "total", Kind::Value, Effect::Hidden),
    (
        "at: '$.items[*].total', do: {round: 2}",
        "total",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: '$.items[*].total', do: {same: string}",
        "total",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: $.items, do: unordered",
        "total",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: '$.items[?@.a == 1].total', do: ignore",
        "total",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: '$.items[-1].total', do: ignore",
        "total",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: $.tags, do: unordered",
        "tags",
        Kind::Order,
        Effect::Hidden,
    ),
    (
        "at: $.tags, do: unordered",
        "tags",
        Kind::Value,
        Effect::Unknown,
    ),
    (
        "at: $.old, do: {rename: {to: tags, on: old}}",
        "tags",
        Kind::Extra,
        Effect::Unknown,
    ),
    ("at: status, do: ignore", "tags", Kind::Value, Effect::Kept),
    (
        "when: {routes: [other]}, at: $.tags, do: ignore",
        "tags",
        Kind::Value,
        Effect::Kept,
    ),
    (
        "when: {status: [404]}, at: $.tags, do: ignore",
        "tags",
        Kind::Value,
        Effect::Kept,
    ),
];

#[test]
fn masked_values_make_dependent_effects_unknown() {
    let total = node(&[json!("items"), json!(3), json!("total")]);
    let tags = node(&[json!("tags")]);
    for (rule, name, kind, expected) in MASKED {
        let at = if name == "tags" { &tags } else { &total };
        assert_eq!(effect(rule, at, kind, None), expected, "{rule} at {at}");
    }
}

#[test]
fn masked_name_leaves_only_a_whole_body_rule_certain() {
    let hints = Hints::default();
    let effect = |rule: &str| {
        let stored = mismatch(vec![difference(None, Kind::Value, &hints)]);
        let mut hides = [Hides::default()];
        let effect =
            preview(&format!("rules: [{{id: r, why: w, {rule}}}]")).effect(&stored, &mut hides);
        assert_eq!(hides[0].differences > 0, effect == Effect::Hidden);
        effect
    };
    for (rule, expected) in [
        ("at: body, do: ignore", Effect::Hidden),
        (
            "when: {content_type: application/json}, at: body, do: ignore",
            Effect::Hidden,
        ),
        (
            "when: {status: [404]}, at: body, do: ignore",
            Effect::Unknown,
        ),
        ("at: body, do: {case: fold}", Effect::Unknown),
        ("at: $.other, do: ignore", Effect::Unknown),
        ("at: header.x, do: ignore", Effect::Unknown),
    ] {
        assert_eq!(effect(rule), expected, "{rule}");
    }
}

#[test]
fn shown_values_are_judged() {
    let total = node(&[json!("items"), json!(0), json!("total")]);
    let number = |text: &str| Some(serde_json::from_str::<Json>(text).unwrap());
    let shown = [number("1.504"), number("1.5")];
    for (rule, expected) in [
        ("at: $..total, do: {round: 2}", Effect::Hidden),
        ("at: $..total, do: {round: 3}", Effect::Kept),
        ("at: $..total, do: {same: string}", Effect::Kept),
        ("at: $..total, do: {tolerance: {abs: 0.01}}", Effect::Hidden),
    ] {
        assert_eq!(
            effect(rule, &total, Kind::Value, Some(&shown)),
            expected,
            "{rule}"
        );
    }
    let header = Place::Header("x-id".to_owned());
    let shown = [Some(json!("1")), Some(json!("2"))];
    for (rule, expected) in [
        ("at: header.x-id, do: {same: any}", Effect::Hidden),
        ("at: header.x-other, do: {same: any}", Effect::Kept),
        ("at: $.x, do: ignore", Effect::Kept),
    ] {
        assert_eq!(
            effect(rule, &header, Kind::Value, Some(&shown)),
            expected,
            "{rule}"
        );
    }
}

#[test]
fn statuses_and_whole_bodies_are_judged() {
    let shown = [Some(json!(200)), Some(json!(203))];
    let stored = |rule: &str| {
        let preview = preview(&format!("rules: [{{id: r, why: w, {rule}}}]"));
        let hints = Hints::default();
        let stored = Example {
            statuses: [200, 203],
            content_types: [None; 2],
            ..mismatch(vec![ExampleDifference {
                shown: Some(&shown),
                ..difference(Some(&Place::Status), Kind::Status, &hints)
            }])
        };
        preview.effect(&stored, &mut [Hides::default()])
    };
    assert_eq!(
        stored("at: status, do: {status: {equal: [[200, 203]]}}"),
        Effect::Hidden
    );
    assert_eq!(
        stored("at: status, do: {status: {equal: [[200, 204]]}}"),
        Effect::Kept
    );
    let line = Place::Lines { first: 3, last: 4 };
    assert_eq!(
        effect("at: body, do: ignore", &line, Kind::Text, None),
        Effect::Hidden
    );
    assert_eq!(
        effect("at: body, do: {case: fold}", &line, Kind::Text, None),
        Effect::Unknown
    );
    assert_eq!(
        effect("at: $.x, do: ignore", &line, Kind::Text, None),
        Effect::Kept
    );
}

#[test]
fn mismatch_with_dropped_differences_is_never_hidden() {
    let preview = preview("rules: [{id: r, why: w, at: $.a, do: ignore}]");
    let (at, hints) = (node(&[json!("a")]), Hints::default());
    let placed = |at| ExampleDifference {
        class: "c",
        class_place: "",
        place: at,
        kind: Kind::Value,
        hints: &hints,
        shown: None,
        reported: [None; 2],
    };
    let stored = |count, at| Example {
        count,
        ..mismatch(vec![placed(at)])
    };
    assert_eq!(
        preview.effect(&stored(1, Some(&at)), &mut [Hides::default()]),
        Effect::Hidden
    );
    assert_eq!(
        preview.effect(&stored(2, Some(&at)), &mut [Hides::default()]),
        Effect::Unknown
    );
    assert_eq!(
        preview.effect(&stored(1, None), &mut [Hides::default()]),
        Effect::Unknown,
        "a masked name"
    );
    assert_eq!(
        preview.effect(&stored(0, None), &mut [Hides::default()]),
        Effect::Unknown
    );
}

/// The warnings about rules, given one mismatch at `$.items[3].total` with masked or shown values.
fn warnings(
    rules: &str,
    reported: [Option<&str>; 2],
    shown: Option<&[Option<Json>; 2]>,
) -> Vec<String> {
    let preview = preview(rules);
    let (at, hints) = (
        node(&[json!("items"), json!(3), json!("total")]),
        Hints::default(),
    );
    let headers = [("x-request-id".to_owned(), "string(4)".to_owned())];
    let stored = Example {
        headers: [&headers, &[]],
        ..mismatch(vec![ExampleDifference {
            class_place: "$.items[*].total",
            shown,
            reported,
            ..difference(Some(&at), Kind::Value, &hints)
        }])
    };
    let in_force = HashSet::new();
    let mut idle = Idle::new(
        &preview,
        ["get-item", "list-items"].map(str::to_owned).into_iter(),
        &in_force,
    );
    idle.look(&stored);
    idle.warnings()
}

/// A rule, and why it applies to nothing, for texts at `$.items[3].total`.
const IDLE: [(&str, Option<&str>); 14] = [
    ("at: '$.items[*].total', do: ignore", None),
    ("at: $..total, do: {case: fold}", None),
    ("at: $.items, do: {unordered: {key: id}}", None),
    ("at: body, do: ignore", None),
    (
        "when: {routes: [list-*, get-item]}, at: $..total, do: ignore",
        None,
    ),
    ("at: '$.items[?@.id == 1].total', do: ignore", None),
    (
        "when: {routes: [get-user, put-*]}, at: $..total, do: ignore",
        Some("no route is named get-user, put-*"),
    ),
    (
        "at: header.x-*, do: ignore",
        Some("no stored mismatch differs at header.x-* where its conditions hold"),
    ),
    (
        "at: header.etag, do: ignore",
        Some("no stored answer has header.etag"),
    ),
    (
        "at: $.total, do: ignore",
        Some("no stored mismatch differs at $.total where its conditions hold"),
    ),
    (
        "when: {status: [404]}, at: $..total, do: ignore",
        Some("no stored mismatch differs at $..total where its conditions hold"),
    ),
    (
        "at: $..total, do: {round: 2}",
        Some("`round` does not work on the type at $..total, string"),
    ),
    (
        "at: $..total, do: unordered",
        Some("`unordered` does not work on the type at $..total, string"),
    ),
    (
        "at: $.items, do: {time: {}}",
        Some("`time` does not work on the type at $.items, array"),
    ),
];

#[test]
fn rules_that_can_never_apply_are_named() {
    let masked = [Some("string(4)"), Some("string(5)")];
    for (rule, warning) in IDLE {
        let found = warnings(&format!("rules: [{{id: r, why: w, {rule}}}]"), masked, None);
        let expected = warning.map(|reason| format!("the rule `r` applies to nothing: {reason}"));
        assert_eq!(found, Vec::from_iter(expected), "{rule}");
    }
    let number = "rules: [{id: r, why: w, at: $..total, do: {case: fold}}]";
    assert_eq!(
        warnings(number, [Some("number(2)"), Some("number(3)#00ff")], None).len(),
        1
    );
    assert_eq!(
        warnings(
            number,
            [Some("17"), Some("19")],
            Some(&[Some(json!(17)), Some(json!(19))])
        )
        .len(),
        1
    );
    let parsed = "rules: [{id: p, why: w, at: $..total, do: {parse: number}},
                          {id: r, why: w, at: $..total, do: {round: 2}}]";
    assert_eq!(
        warnings(parsed, masked, None),
        [""; 0],
        "a text may become a number"
    );
}

#[test]
fn a_rule_that_an_earlier_one_makes_needless_still_applies() {
    let rules = "rules: [{id: a, why: w, at: $..total, do: ignore}, {id: b, why: w, at: $..total, do: ignore}]";
    assert_eq!(warnings(rules, [None; 2], None), [""; 0]);
}

#[test]
fn what_a_rule_hides_counts_where_other_differences_stay() {
    let preview = preview("rules: [{id: a, why: w, at: '$.items[*].a', do: ignore}]");
    let hints = Hints::default();
    let at = [("a", 0), ("a", 1), ("b", 1)]
        .map(|(name, index)| node(&[json!("items"), json!(index), json!(name)]));
    let stored = mismatch(
        at.iter()
            .map(|at| ExampleDifference {
                class: "c",
                class_place: "",
                place: Some(at),
                kind: Kind::Value,
                hints: &hints,
                shown: None,
                reported: [None; 2],
            })
            .collect(),
    );
    let mut hides = [Hides::default()];
    assert_eq!(preview.effect(&stored, &mut hides), Effect::Kept);
    assert_eq!(
        hides,
        [Hides {
            differences: 2,
            mismatches: 1,
            ..Hides::default()
        }]
    );
}

/// What rules hide of a mismatch, by their order.
fn hidden(rules: &str, stored: &Example<'_>) -> Vec<Hides> {
    let preview = preview(rules);
    let mut hides = vec![Hides::default(); preview.rules().rules().len()];
    preview.effect(stored, &mut hides);
    hides
}

#[test]
fn what_is_not_known_counts_for_each_rule_that_may_hide_it() {
    let hints = Hints::default();
    let at = [node(&[json!("total")]), Place::Header("x-id".to_owned())];
    let stored = mismatch(vec![
        difference(Some(&at[0]), Kind::Value, &hints),
        difference(Some(&at[1]), Kind::Value, &hints),
    ]);
    let rules = "rules: [{id: a, why: w, at: $.total, do: {round: 2}},
                         {id: b, why: w, at: $.other, do: {round: 2}},
                         {id: c, why: w, at: header.x-id, do: {case: fold}},
                         {id: d, why: w, at: header.x-id, do: {case: fold}, when: {status: [404]}}]";
    let unknown = |stored| {
        hidden(rules, stored)
            .iter()
            .map(|hides| hides.unknown)
            .collect::<Vec<_>>()
    };
    assert_eq!(unknown(&stored), [1, 0, 1, 0]);
    let cut = Example {
        count: 9,
        ..stored.clone()
    };
    assert_eq!(unknown(&cut), [1, 1, 1, 0], "more of the body differs");
}

#[test]
fn a_rule_for_a_header_that_old_varies_ends_noise() {
    let hints = Hints::default();
    let at = node(&[json!("total")]);
    let headers = [("x-id".to_owned(), "string(4)".to_owned())];
    let noise = ["header.x-id".to_owned()];
    let stored = Example {
        headers: [&headers, &headers],
        noise: &noise,
        ..mismatch(vec![difference(Some(&at), Kind::Value, &hints)])
    };
    let rules = "rules: [{id: a, why: w, at: header.x-*, do: {same: any}},
                         {id: b, why: w, at: header.y, do: {same: any}}]";
    let noise: Vec<_> = hidden(rules, &stored)
        .iter()
        .map(|hides| hides.noise)
        .collect();
    assert_eq!(noise, [1, 0]);
}

#[test]
fn a_rule_in_force_is_not_said_to_apply_to_nothing() {
    let preview = preview(
        "rules: [{id: a, why: w, at: $.a, do: ignore}, {id: b, why: w, at: $.b, do: ignore}]",
    );
    let hints = Hints::default();
    let at = node(&[json!("c")]);
    let in_force = HashSet::from(["a"]);
    let mut idle = Idle::new(&preview, std::iter::once("get-item".to_owned()), &in_force);
    idle.look(&mismatch(vec![difference(Some(&at), Kind::Value, &hints)]));
    let warnings = idle.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("`b`"), "{warnings:?}");
}
