//! Rules: what they mask, and what they do not.

use super::*;

const DIFFER: (&str, &str) = (
    r#"{"id":1,"at":"x","items":[{"sku":"a","n":1.00},{"sku":"b","n":2}]}"#,
    r#"{"id":2,"at":"y","items":[{"sku":"a","n":3},{"sku":"b","n":2.01}]}"#,
);

#[test]
fn without_rules_everything_is_reported() {
    let (old, new) = DIFFER;
    assert_eq!(json_differences(old, new, &[]).len(), 4);
}

#[test]
fn ignore_masks_its_place_and_everything_below() {
    for (at, left) in [
        ("$.id", 3),
        ("$['at']", 3),
        ("$['id','at']", 2),
        ("$..id", 3),
        ("$.*", 0),
        ("$", 0),
        ("body", 0),
        ("$.items", 2),
        ("$.items[*].n", 2),
        ("$.items[:1]", 3),
        ("$.nothing", 4),
        ("$..*", 0),
    ] {
        let (old, new) = DIFFER;
        assert_eq!(
            json_differences(old, new, &[(at, "ignore")]).len(),
            left,
            "{at}"
        );
    }
}

#[test]
fn absence_is_ignored_too() {
    let rule = [("$.a", "ignore")];
    assert_eq!(json_differences(r#"{"a":1}"#, "{}", &rule), [""; 0]);
    assert_eq!(json_differences("{}", r#"{"a":1}"#, &rule), [""; 0]);
    assert_eq!(
        json_differences(r#"{"a":1,"b":1}"#, "{}", &rule),
        ["$.b missing"]
    );
}

#[test]
fn unordered_members_are_paired_and_what_is_left_is_reported() {
    let rule = [("$", "unordered")];
    for (old, new, expected) in [
        ("[1,2,3]", "[3,1,2]", vec![]),
        ("[1,1,2]", "[2,1,1.0]", vec![]),
        ("[1,1,2]", "[1,2,2]", vec!["$[1] value"]),
        ("[1,2,3]", "[3,2]", vec!["$[0] missing"]),
        ("[3,2]", "[1,2,3]", vec!["$[0] extra"]),
        (
            r#"[{"a":1},{"a":2,"b":3}]"#,
            r#"[{"b":4,"a":2},{"a":1}]"#,
            vec!["$[1].b value"],
        ),
    ] {
        assert_eq!(json_differences(old, new, &rule), expected, "{old} {new}");
    }
}

#[test]
fn unordered_members_are_paired_by_their_key() {
    let rule = [("$.items", "{unordered: {key: sku}}")];
    let old = r#"{"items":[{"sku":"a","n":1.00},{"sku":"b","n":2}]}"#;
    let new = r#"{"items":[{"sku":"b","n":2.01},{"sku":"a","n":1}]}"#;
    assert_eq!(json_differences(old, new, &rule), ["$.items[1].n value"]);
    assert_eq!(accounts(old, new, &rule), [(0, 1, 1)]);
    let old = r#"{"items":[{"sku":1},{"sku":2},{"sku":2}]}"#;
    let new = r#"{"items":[{"sku":3},{"sku":2}]}"#;
    let expected = [
        "$.items[0] missing",
        "$.items[2] missing",
        "$.items[0] extra",
    ];
    assert_eq!(json_differences(old, new, &rule), expected);
}

#[test]
fn rules_below_an_unordered_array_apply_to_its_members() {
    let rules = [("$", "unordered"), ("$[*].at", "ignore")];
    let old = r#"[{"id":1,"at":5},{"id":2,"at":6}]"#;
    let new = r#"[{"id":2,"at":7},{"id":1}]"#;
    assert_eq!(json_differences(old, new, &rules), [""; 0]);
    assert_eq!(accounts(old, new, &rules), [(0, 1, 1), (1, 2, 2)]);
}

#[test]
fn elements_find_each_other_under_the_rules() {
    let rules = [("$[*].at", "ignore")];
    let old = r#"[{"id":1,"at":5},{"id":2,"at":6},{"id":3,"at":7}]"#;
    let new = r#"[{"id":0,"at":1},{"id":1,"at":2},{"id":2,"at":3},{"id":3,"at":4}]"#;
    assert_eq!(json_differences(old, new, &rules), ["$[0] extra"]);
    assert_eq!(accounts(old, new, &rules), [(0, 3, 3)]);
}

#[test]
fn tolerance_is_exact_and_only_for_numbers() {
    let rule = [("$.n", "{tolerance: {abs: 0.01}}")];
    for (old, new, equal) in [
        ("1.00", "1.01", true),
        ("1.00", "1.010000000000000000000001", false),
        ("1", "\"1\"", false),
        ("\"a\"", "\"b\"", false),
    ] {
        let body = |n: &str| format!("{{\"n\":{n}}}");
        assert_eq!(
            json_differences(&body(old), &body(new), &rule).is_empty(),
            equal,
            "{old} {new}"
        );
    }
    assert_eq!(json_differences(r#"{"n":1}"#, "{}", &rule), ["$.n missing"]);
}

#[test]
fn elements_near_each_other_are_aligned() {
    let rule = [("$[*]", "{tolerance: {abs: 0.1}}")];
    assert_eq!(
        json_differences("[1,2,3]", "[2.05,3]", &rule),
        ["$[0] missing"]
    );
    assert_eq!(
        json_differences("[1,2,3,9]", "[0,1.1,2.1,2.9]", &rule),
        ["$[0] extra", "$[3] missing"]
    );
    let rules = [("$[*]", "{tolerance: {abs: 0.1}}"), ("$", "unordered")];
    assert_eq!(
        json_differences("[1.0,1.1,5]", "[5,1.2,1.05]", &rules),
        [""; 0]
    );
    assert_eq!(
        json_differences("[1.0,1.1,5]", "[5,1.3,1.05]", &rules),
        ["$[1] value"]
    );
}

#[test]
fn a_difference_counts_for_the_first_rule_that_suffices() {
    let (old, new) = (r#"{"a":{"n":1}}"#, r#"{"a":{"n":2}}"#);
    let tolerance = ("$.a.n", "{tolerance: {abs: 5}}");
    assert_eq!(
        accounts(old, new, &[("$.a", "ignore"), tolerance]),
        [(0, 1, 1)]
    );
    assert_eq!(
        accounts(old, new, &[tolerance, ("$.a", "ignore")]),
        [(0, 1, 1)]
    );
    let narrow = ("$.a.n", "{tolerance: {abs: 0.5}}");
    assert_eq!(
        accounts(old, new, &[narrow, ("body", "ignore")]),
        [(0, 1, 0), (1, 1, 1)]
    );
    assert_eq!(accounts(old, new, &[narrow]), [(0, 1, 0)]);
}

#[test]
fn equal_by_rules_only_where_a_rule_masked() {
    let rules = [("$.a", "ignore"), ("$.b", "ignore")];
    let via = |old: &str, new: &str| compared(&json(old), &json(new), &rules).result;
    assert_eq!(via(r#"{"a":1}"#, r#"{"a":2}"#), Compared::Equal(Via::Rules));
    assert_eq!(
        via(r#"{"a":1}"#, r#"{ "a":1.0}"#),
        Compared::Equal(Via::Exact)
    );
    assert_eq!(
        via(r#"{"a":[1,{"c":2}]}"#, r#"{ "a":[1,{"c":2}]}"#),
        Compared::Equal(Via::Exact)
    );
    assert_eq!(
        accounts(r#"{"a":[1,{"c":2}]}"#, r#"{"a":[1,{"c":3}, 4]}"#, &rules),
        [(0, 2, 2)]
    );
}

#[test]
fn selectors_that_are_looked_for_apply_like_the_others() {
    for (at, left) in [
        ("$.items[-1]", 3),
        ("$.items[?@.sku=='a'].n", 3),
        ("$.items[?@.n>1.5 && @.sku!='a'].n", 3),
        ("$.items[::-1]", 2),
        ("$[?match(@, '[xy]')]", 3),
    ] {
        let (old, new) = DIFFER;
        assert_eq!(
            json_differences(old, new, &[(at, "ignore")]).len(),
            left,
            "{at}"
        );
    }
}

#[test]
fn an_expired_rule_does_not_apply() {
    let text = "rules: [{id: a, why: w, at: $.a, do: ignore, expires: 2026-11-21}]";
    let files = [("f.yaml".into(), text.to_owned())];
    let (rules, warnings) = RuleSet::compile(&files, today()).unwrap();
    assert_eq!(
        warnings[0].to_string(),
        "f.yaml:1:14: the rule `a` expired on 2026-11-21 and does not apply"
    );
    let comparing = CompareConfig {
        rules: rules.into(),
        ..CompareConfig::default()
    };
    let (old, new) = (json(r#"{"a":1}"#), json(r#"{"a":2}"#));
    assert_eq!(
        reported(&compare(&old, &new, &context(), &comparing)),
        ["$.a value"]
    );
    let last_day = Context {
        today: jiff::civil::date(2026, 11, 21),
        ..context()
    };
    assert_eq!(
        reported(&compare(&old, &new, &last_day, &comparing)),
        [""; 0]
    );
}

#[test]
fn conditions_decide_whether_a_rule_applies() {
    for (when, applies) in [
        ("{routes: [get-*]}", true),
        ("{routes: [put-*, get-item]}", true),
        ("{routes: [put-*]}", false),
        ("{methods: [GET]}", true),
        ("{methods: [POST]}", false),
        ("{status: [200]}", true),
        ("{status: [404]}", false),
        ("{content_type: application/json}", true),
        ("{content_type: 'application/*+json'}", false),
        ("{routes: [get-*], methods: [POST]}", false),
    ] {
        let text = format!("rules: [{{id: a, why: w, at: $.a, do: ignore, when: {when}}}]");
        let (rules, _) = RuleSet::compile(&[("f.yaml".into(), text)], today()).unwrap();
        let comparing = CompareConfig {
            rules: rules.into(),
            ..CompareConfig::default()
        };
        let comparison = compare(
            &json(r#"{"a":1}"#),
            &json(r#"{"a":2}"#),
            &context(),
            &comparing,
        );
        assert_eq!(reported(&comparison).is_empty(), applies, "{when}");
    }
}

#[test]
fn nested_unordered_arrays_take_no_exponential_time() {
    let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(127), "]".repeat(127));
    let rules = [
        ("$..*", "unordered"),
        ("$", "unordered"),
        ("$..*", "{tolerance: {abs: 0.1}}"),
    ];
    let place = format!("${} value", "[0]".repeat(127));
    assert_eq!(json_differences(&deep("1"), &deep("2"), &rules), [place]);
    assert_eq!(json_differences(&deep("1"), &deep("1.1"), &rules), [""; 0]);
    let bushy = |leaf: i32| {
        (0..10).fold(leaf.to_string(), |inner, level| {
            format!("[{inner},[{inner},{level}.05]]")
        })
    };
    assert_eq!(json_differences(&bushy(1), &bushy(1), &rules), [""; 0]);
    assert!(!json_differences(&bushy(1), &bushy(2), &rules).is_empty());
}

#[test]
fn masked_differences_are_kept_where_that_is_asked_for() {
    let (old, new) = DIFFER;
    let rules = [("$.id", "ignore"), ("$.items[*].n", "ignore")];
    let mut comparing = ruled(&rules);
    comparing.options.explain = Explain::Places;
    let masked = |comparing: &CompareConfig| -> Vec<_> {
        let masked = compare(&json(old), &json(new), &context(), comparing).masked;
        let masked = masked.into_iter();
        masked
            .map(|masked| (masked.rule, masked.difference.place.to_string()))
            .collect()
    };
    let place = |rule, place: &str| (rule, place.to_owned());
    assert_eq!(
        masked(&comparing),
        [
            place(0, "$.id"),
            place(1, "$.items[0].n"),
            place(1, "$.items[1].n")
        ]
    );
    comparing.options.max_differences = 1;
    assert_eq!(masked(&comparing), [place(0, "$.id")]);
    assert_eq!(masked(&ruled(&rules)), []);
}
