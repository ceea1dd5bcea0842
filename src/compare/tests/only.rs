//! `compare.only`: what lies outside some places is left out and counted.

use super::{properties::places, *};
use crate::{
    rules::Query,
    stack::Stack,
    value::{json::Document, tests::generated::documents},
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

/// Nothing of two bodies that differ is compared.
const NOTHING: Compared = Compared::NotCompared(Reason::NothingSelected);

fn queries(places: &[&str]) -> Vec<Query> {
    let parsed = places.iter().map(|place| Query::parse(place).unwrap());
    parsed.collect()
}

fn confined(places: &[&str], rules: &[(&str, &str)]) -> CompareConfig {
    let options = Options {
        only: Some(queries(places).into()),
        explain: Explain::Places,
        ..Options::default()
    };
    CompareConfig::new(ruled(rules).rules, options)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The differences, and how many others were left out.
fn of_answers(
    [old, new]: [&Answer; 2],
    places: &[&str],
    rules: &[(&str, &str)],
) -> (Vec<String>, u64) {
    let comparing = confined(places, rules);
    let comparison = compare(old, new, &context(), &comparing);
    let counts = comparison.masked_counts(&comparing.rules);
    let left_out = counts.iter().find(|(id, _)| *id == RuleSet::ONLY);
    let left_out = left_out.map_or(0, |(_, count)| *count);
    if comparison.result.count() == 0 && left_out > 0 {
        let results = [Compared::Equal(Via::Rules), NOTHING];
        assert!(results.contains(&comparison.result), "{comparison:?}");
    }
    (reported(&comparison), left_out)
}

fn only([old, new]: [&str; 2], places: &[&str], rules: &[(&str, &str)]) -> (Vec<String>, u64) {
    of_answers([&json(old), &json(new)], places, rules)
}

/// Places, old and new, the differences, and how many others are left out.
type Case = (
    &'static [&'static str],
    [&'static str; 2],
    &'static [&'static str],
    u64,
);

const CASES: [Case; 16] = [
    (
        &["$.id"],
        [r#"{"id":1,"x":1}"#, r#"{"id":1,"x":2}"#],
        &[],
        1,
    ),
    (
        &["$.id"],
        [r#"{"id":1}"#, r#"{"id":2,"x":1}"#],
        &["$.id value"],
        1,
    ),
    (&["$.id"], [r#"{"id":1}"#, "{}"], &["$.id missing"], 0),
    (&["$.id"], ["{}", r#"{"id":null}"#], &["$.id extra"], 0),
    (
        &["$.id"],
        [r#"{"id":1}"#, r#"{"id":"1"}"#],
        &["$.id type"],
        0,
    ),
    (&["$.id"], [r#"{"x":1}"#, r#"{"x":1.0}"#], &[], 0),
    (
        &["$.id"],
        [r#"{"x":[1,2]}"#, r#"{"x":[3,4,5]}"#],
        &["nothing_selected"],
        1,
    ),
    (
        &["$.id"],
        [r#"{"x":{"id":1}}"#, r#"{"x":{"id":2}}"#],
        &["nothing_selected"],
        1,
    ),
    (
        &["$..id"],
        [r#"{"x":{"id":1}}"#, r#"{"x":{"id":2}}"#],
        &["$.x.id value"],
        0,
    ),
    (
        &["$..id"],
        [r#"{"x":{"n":1}}"#, r#"{"x":{"n":2}}"#],
        &["nothing_selected"],
        1,
    ),
    (
        &["$.a", "$.b.c"],
        [
            r#"{"a":[1],"b":{"c":1,"d":1}}"#,
            r#"{"a":[2],"b":{"c":2,"d":2}}"#,
        ],
        &["$.a[0] value", "$.b.c value"],
        1,
    ),
    (
        &["$.nowhere"],
        [r#"{"x":1}"#, r#"{"x":2}"#],
        &["nothing_selected"],
        1,
    ),
    (
        &["$.nowhere", "$.y"],
        [r#"{"x":1,"y":1}"#, r#"{"x":2,"y":1}"#],
        &[],
        1,
    ),
    (&["$.nowhere"], ["1", "2"], &["nothing_selected"], 1),
    (
        &["$[?@.k=='a'].v"],
        [
            r#"[{"k":"a","v":1},{"k":"b","v":1}]"#,
            r#"[{"k":"a","v":2},{"k":"b","v":2}]"#,
        ],
        &["$[0].v value"],
        1,
    ),
    (&["$[-1]"], ["[1,2,3]", "[0,2,4]"], &["$[2] value"], 1),
];

#[test]
fn what_lies_outside_is_counted_by_its_topmost_members() {
    for (places, bodies, expected, left_out) in CASES {
        let found = only(bodies, places, &[]);
        assert_eq!(found, (texts(expected), left_out), "{places:?} {bodies:?}");
    }
}

#[test]
fn below_a_node_of_one_side_only_what_is_selected_differs() {
    let places = ["$.o.items[*].total"];
    let whole = r#"{"o":{"items":[{"total":1,"x":1},{"total":2}],"y":2}}"#;
    let missing = ["$.o.items[0].total missing", "$.o.items[1].total missing"];
    for (other, left_out) in [
        ("{}", 2),
        (r#"{"o":null}"#, 2),
        (r#"{"o":{"items":[],"y":2}}"#, 1),
        (r#"{"o":{"items":{},"y":2}}"#, 1),
        ("[]", 2),
    ] {
        let found = only([whole, other], &places, &[]);
        assert_eq!(found, (texts(&missing), left_out), "{other}");
        let extra = missing.map(|text| text.replace("missing", "extra"));
        assert_eq!(
            only([other, whole], &places, &[]),
            (extra.to_vec(), left_out)
        );
    }
    for other in [
        r#"{"o":{"items":[]}}"#,
        r#"{"o":[]}"#,
        r#"{"o":{"items":7}}"#,
        "null",
    ] {
        let nothing = texts(&["nothing_selected"]);
        assert_eq!(only(["{}", other], &places, &[]), (nothing, 1), "{other}");
    }
}

#[test]
fn elements_are_paired_by_what_is_selected_of_them() {
    let places = ["$[*].id"];
    let old = r#"[{"id":1,"at":5},{"id":2,"at":6},{"id":3,"at":7}]"#;
    let new = r#"[{"id":0,"at":1},{"id":1},{"id":2,"at":3},{"id":3,"at":4,"x":{}}]"#;
    assert_eq!(
        only([old, new], &places, &[]),
        (vec!["$[0].id extra".into()], 5)
    );
    let permuted = r#"[{"id":2,"at":0},{"id":3,"at":0},{"id":1,"at":0}]"#;
    assert_eq!(
        only([old, permuted], &places, &[]),
        (vec!["$ order".into()], 3)
    );
    assert_eq!(
        only([old, permuted], &places, &[("$", "unordered")]),
        (vec![], 3)
    );
}

#[test]
fn a_key_outside_still_says_which_elements_belong_together() {
    let old = r#"[{"sku":"a","n":1,"x":1},{"sku":"b","n":2}]"#;
    let new = r#"[{"sku":"b","n":1},{"sku":"a","n":2,"x":2}]"#;
    let rule = [("$", "{unordered: {key: sku}}")];
    let expected = texts(&["$[0].n value", "$[1].n value"]);
    assert_eq!(only([old, new], &["$[*].n"], &rule), (expected, 1));
}

#[test]
fn a_rule_that_parses_no_document_excuses_nothing() {
    let [old, new] = [json(r#"{"x":1}"#), json(r#"{"x":2}"#)];
    for (at, parse, expected) in [
        ("header.x-count", "{parse: number}", NOTHING),
        ("$.n", "{parse: number}", NOTHING),
        ("header.x-a", "{parse: json}", NOTHING),
        ("$.payload", "{parse: json}", Compared::Equal(Via::Rules)),
    ] {
        let comparing = confined(&["$.id"], &[(at, parse)]);
        let comparison = compare(&old, &new, &context(), &comparing);
        assert_eq!(comparison.result, expected, "{at} {parse}");
    }
}

#[test]
fn rules_apply_inside_and_on_the_way() {
    let parse = [("$.payload", "{parse: json}")];
    let text = |id: u8, n: u8| format!(r#"{{"payload":"{{\"id\":{id},\"n\":{n}}}"}}"#);
    let places = ["$.payload.id"];
    let found = only([&text(1, 1), &text(1, 2)], &places, &parse);
    assert_eq!(found, (vec![], 1));
    let found = only([&text(1, 1), &text(2, 1)], &places, &parse);
    assert_eq!(found.0, ["$.payload.id value"]);
    let found = only([&text(1, 1), "{}"], &places, &parse);
    assert_eq!(found, (vec!["$.payload.id missing".into()], 1));
    let found = only(
        [r#"{"payload":"x"}"#, r#"{"payload":"y"}"#],
        &places,
        &parse,
    );
    assert_eq!(found, (vec![], 1));

    let rename = [("$.u.user_name", "{rename: {to: name, on: old}}")];
    let old = r#"{"u":{"user_name":"x"}}"#;
    assert_eq!(
        only([old, r#"{"u":{"name":"y"}}"#], &["$.u.name"], &rename).0,
        ["$.u.name value"]
    );
    assert_eq!(
        only([old, "{}"], &["$.u.name"], &rename).0,
        ["$.u.name missing"]
    );

    let ignore = [("$.a.b", "ignore"), ("$.x", "ignore")];
    let comparing = confined(&["$.a"], &ignore);
    let (old, new) = (
        json(r#"{"a":{"b":1},"x":1}"#),
        json(r#"{"a":{"b":2},"x":2}"#),
    );
    let comparison = compare(&old, &new, &context(), &comparing);
    let counts = comparison.masked_counts(&comparing.rules);
    assert_eq!(counts, [("r0", 1), (RuleSet::ONLY, 1)]);
    let places: Vec<_> = comparison
        .masked
        .iter()
        .map(|masked| masked.difference.place.to_string())
        .collect();
    assert_eq!(places, ["$.a.b", "$.x"]);
}

#[test]
fn readings_of_one_stack_are_confined_alike() {
    let mut comparing = confined(&["$.id"], &[]);
    comparing.rules = comparing.rules.between_readings_of(Stack::Old).into();
    let (old, new) = (json(r#"{"id":1,"x":1}"#), json(r#"{"id":2,"x":2}"#));
    let comparison = compare(&old, &new, &context(), &comparing);
    assert_eq!(reported(&comparison), ["$.id value"]);
}

#[test]
fn ids_outside_are_not_paired() {
    let rule = [("$..id", "{bijection: check}")];
    let old = r#"{"id":1,"a":[{"id":1}],"b":{"id":1}}"#;
    let new = r#"{"id":5,"a":[{"id":5}],"b":{"id":6}}"#;
    assert_eq!(json_differences(old, new, &rule), ["$.b.id value"]);
    assert_eq!(only([old, new], &["$.b"], &rule), (vec![], 2));
}

#[test]
fn records_and_xml_are_confined_and_other_bodies_are_not() {
    let both = |kind, old: &'static str, new: &'static str, place: &str| {
        of_answers([&answer(kind, old), &answer(kind, new)], &[place], &[])
    };
    let (old, new) = (
        "{\"a\":1,\"b\":1}\n{\"a\":1}\n",
        "{\"a\":1,\"b\":2}\n{\"a\":2}\n",
    );
    let found = both("application/x-ndjson", old, new, "$[*].a");
    assert_eq!(found, (vec!["$[1].a value".into()], 1));
    let (old, new) = ("<o v='1'><n>1</n></o>", "<o v='2'><n>2</n></o>");
    let found = both("application/xml", old, new, "$.o['@v']");
    assert_eq!(found, (vec!["$.o['@v'] value".into()], 1));
    let found = both("application/x-www-form-urlencoded", "a=1", "a=2", "$.b");
    assert_eq!(found, (vec!["form.a value".into()], 0));
    assert_eq!(
        both("text/plain", "a", "b", "$.b"),
        (vec!["line 1 text".into()], 0)
    );
    assert_eq!(
        both("application/json", "{}", "{", "$.b"),
        (vec!["body undecodable".into()], 0)
    );
    assert_eq!(
        both("application/json", "{}", "", "$.b"),
        (vec!["body missing".into()], 0)
    );
    let (old, new) = (with(json("{}"), "x-a", "1"), json("[]"));
    let found = of_answers([&old, &new], &["$.b"], &[]);
    assert_eq!(found, (vec!["header.x-a missing".into()], 1));
    let found = of_answers([&json("{}"), &answer("text/plain", "x")], &["$.b"], &[]).0;
    assert!(found.contains(&"body format".to_owned()), "{found:?}");
}

/// The document, and the steps of all nodes that are selected.
struct Selecting<'d> {
    document: &'d Document<'d>,
    ids: Vec<u32>,
}

impl Selecting<'_> {
    fn has(&self, steps: &[Step]) -> bool {
        self.document
            .find(steps)
            .is_some_and(|id| self.ids.contains(&id))
    }

    /// The places of a value that are selected, as of a class: the indices of two paired nodes may differ.
    fn classes(&self, value: &Json) -> Vec<String> {
        let mut all = Vec::new();
        places(value, &[], &mut all);
        all.retain(|steps| self.has(steps));
        all.into_iter().map(class).collect()
    }

    /// What is selected of a value; `None` if nothing is.
    fn part(&self, value: &Json, at: &[Step]) -> Option<Json> {
        if self.has(at) {
            return Some(value.clone());
        }
        let part = |step: Step, value: &Json| self.part(value, &[at, &[step]].concat());
        match value {
            Json::Array(items) => {
                let items = items.iter().enumerate();
                let items: Vec<_> = items
                    .filter_map(|(at, item)| part(Step::Index(at), item))
                    .collect();
                (!items.is_empty()).then_some(Json::Array(items))
            }
            Json::Object(members) => {
                let members = members.iter();
                let members: Map<_, _> = members
                    .filter_map(|(name, value)| {
                        Some((name.clone(), part(Step::Name(name.clone()), value)?))
                    })
                    .collect();
                (!members.is_empty()).then_some(Json::Object(members))
            }
            _ => None,
        }
    }
}

/// None of them selects by an index or by other members: such a place is selected if it is on one side.
const PLACES: [&str; 8] = [
    "$.a[*].b",
    "$.a",
    "$..a",
    "$[*].b",
    "$.*",
    "$.a[*]",
    "$['a','b'].c",
    "$..b.*",
];

fn class(steps: Vec<Step>) -> String {
    Place::Node(steps).class_text()
}

/// Lists whose elements resemble each other, and other documents.
fn lists() -> impl Strategy<Value = Json> {
    let row = prop::collection::vec(("[a-c]", 0..3u8), 0..4);
    let row = row.prop_map(|members| {
        let members = members.into_iter();
        let members = members.map(|(name, value)| (name, value.into()));
        Json::Object(members.collect())
    });
    let rows = prop::collection::vec(row, 0..6).prop_map(Json::from);
    let nested = rows.clone().prop_map(|rows| json!({"a": rows}));
    prop_oneof![documents(), rows, nested]
}

proptest! {
    #[test]
    fn the_root_confines_nothing(old in documents(), new in documents()) {
        let (old, new) = (json(old.to_string()), json(new.to_string()));
        let whole = compared(&old, &new, &[]);
        prop_assert_eq!(compare(&old, &new, &context(), &confined(&["$"], &[])), whole);
    }

    #[test]
    fn what_is_selected_is_compared_and_nothing_else(
        old in lists(), new in lists(), picked in prop::collection::vec(0..PLACES.len(), 1..3),
    ) {
        let places: Vec<_> = picked.iter().map(|at| PLACES[*at]).collect();
        let texts = [old.to_string(), new.to_string()];
        let read = texts.each_ref().map(|text| Document::parse(text.as_bytes(), 128).unwrap());
        let selecting = read.each_ref().map(|document| {
            let ids = queries(&places).iter().flat_map(|query| query.select(document)).collect();
            Selecting { document, ids }
        });
        let [old, new] = [&old, &new];
        let are_equal = selecting[0].part(old, &[]) == selecting[1].part(new, &[]);
        let [one, other] = texts.each_ref().map(|text| json(text.as_str()));
        let comparison = compare(&one, &other, &context(), &confined(&places, &[]));
        let is_equal = comparison.result.count() == 0;
        prop_assert!(are_equal || !is_equal, "hidden: {comparison:?}");
        prop_assert!(!are_equal || is_equal, "reported: {comparison:?}");
        let classes = [selecting[0].classes(old), selecting[1].classes(new)].concat();
        for difference in comparison.differences() {
            let Place::Node(steps) = &difference.place else {
                panic!("{difference:?} is not in the document");
            };
            let is_selected = (0..=steps.len()).any(|length| classes.contains(&class(steps[..length].to_vec())));
            let own = class(steps.clone());
            let is_order = difference.kind == Kind::Order && classes.iter().any(|class| class.starts_with(&own));
            prop_assert!(is_selected || is_order, "{}", own);
        }
    }
}
