//! Each action: what it makes equal, what it leaves, and what is counted.

use super::*;

/// What is left of two JSON texts under one rule at `$.a`, each text the value of `a`.
fn left(old: &str, new: &str, action: &str) -> Vec<String> {
    let body = |value: &str| format!("{{\"a\":{value}}}");
    json_differences(&body(old), &body(new), &[("$.a", action)])
}

/// Pairs that one action makes equal, and others that stay as unlike as they are.
fn table(action: &str, equal: &[(&str, &str)], unlike: &[(&str, &str, &str)]) {
    for (old, new) in equal {
        assert_eq!(left(old, new, action), [""; 0], "{action}: {old} {new}");
        assert_eq!(left(new, old, action), [""; 0], "{action}: {new} {old}");
        let body = |value: &str| json(format!("{{\"a\":{value}}}"));
        let comparison = compared(&body(old), &body(new), &[("$.a", action)]);
        assert_eq!(comparison.result, Compared::Equal(Via::Rules), "{action}");
        let account = RuleUse {
            rule: 0,
            applied: 1,
            masked: 1,
        };
        assert_eq!(comparison.rules, [account], "{action}: {old} {new}");
    }
    for (old, new, kind) in unlike {
        let expected = [format!("$.a {kind}")];
        assert_eq!(left(old, new, action), expected, "{action}: {old} {new}");
        assert_eq!(left(new, old, action), expected, "{action}: {new} {old}");
    }
}

#[test]
fn optional_masks_what_counts_as_absent_where_it_is_missing() {
    for (value, action, is_masked) in [
        ("null", "optional", true),
        ("\"\"", "optional", true),
        ("[]", "optional", true),
        ("{}", "optional", false),
        ("0", "optional", false),
        ("\" \"", "optional", false),
        ("{}", "{optional: [{}]}", true),
        ("[]", "{optional: [{}]}", false),
        ("0.0", "{optional: [0, false]}", true),
        ("false", "{optional: [0, false]}", true),
        ("\"0\"", "{optional: [0, false]}", false),
        ("\"0\"", "{optional: ['0']}", true),
    ] {
        let (with, without) = (format!("{{\"a\":{value}}}"), "{}");
        let rule = [("$.a", action)];
        let told = |kind: &str| match is_masked {
            true => Vec::new(),
            false => vec![format!("$.a {kind}")],
        };
        assert_eq!(json_differences(&with, without, &rule), told("missing"));
        assert_eq!(json_differences(without, &with, &rule), told("extra"));
    }
    table(
        "optional",
        &[],
        &[("null", "\"\"", "type"), ("[]", "[1]", "x")][..1],
    );
    assert_eq!(
        json_differences("[1,null,2]", "[1,2]", &[("$[*]", "optional")]),
        [""; 0]
    );
}

#[test]
fn round_takes_numbers_at_their_decimal_places() {
    table(
        "{round: 2}",
        &[
            ("1.234", "1.2300001"),
            ("1.005", "1.01"),
            ("-0.001", "0"),
            ("1e-9", "2e-9"),
        ],
        &[
            ("1.004", "1.005", "value"),
            ("1", "\"1\"", "type"),
            ("\"1.001\"", "\"1.002\"", "value"),
        ],
    );
    table(
        "{round: -2}",
        &[("1249", "1150")],
        &[("1249", "1250", "value")],
    );
}

#[test]
fn time_takes_instants_however_they_are_spelled() {
    table(
        "{time: {within: 2s, formats: [rfc3339, unix_ms, unix, '%d/%m/%Y']}}",
        &[
            (
                "\"2025-11-24T16:00:00Z\"",
                "\"2025-11-24T17:00:02.000+01:00\"",
            ),
            ("\"2025-11-24T16:00:00Z\"", "1764000001999"),
            ("\"2025-11-24T16:00:00Z\"", "\"1764000001\""),
            ("\"2025-11-24T00:00:01Z\"", "\"24/11/2025\""),
        ],
        &[
            (
                "\"2025-11-24T16:00:00Z\"",
                "\"2025-11-24T16:00:02.000000001Z\"",
                "value",
            ),
            ("\"2025-11-24T16:00:00Z\"", "null", "type"),
            ("\"soon\"", "\"later\"", "value"),
        ],
    );
    table(
        "time",
        &[("\"2025-11-24T16:00:00Z\"", "\"2025-11-24T15:00:00-01:00\"")],
        &[(
            "\"2025-11-24T16:00:00Z\"",
            "\"2025-11-24T16:00:00.1Z\"",
            "value",
        )],
    );
}

#[test]
fn same_takes_two_values_of_one_shape() {
    let (one, other) = (
        "\"8c2f4a6e-0000-4000-8000-0123456789ab\"",
        "\"9c2f4a6e-0000-4000-8000-0123456789AB\"",
    );
    table(
        "{same: uuid}",
        &[(one, other)],
        &[(one, "\"x\"", "value"), (one, "1", "type")],
    );
    table("{same: number}", &[("1", "2e9")], &[("1", "\"1\"", "type")]);
    table(
        "{same: string}",
        &[("\"1\"", "\"\"")],
        &[("null", "\"\"", "type")],
    );
    table("{same: any}", &[("1", "null"), ("{}", "\"\"")], &[]);
    table(
        "{same: {regex: 'v[0-9]+'}}",
        &[("\"v1\"", "\"v22\"")],
        &[("\"v1\"", "\"v1b\"", "value")],
    );
    assert_eq!(
        left("{\"b\":1}", "{\"b\":2,\"c\":3}", "{same: any}"),
        [""; 0]
    );
    let any = [("$.a", "{same: any}")];
    assert_eq!(json_differences(r#"{"a":1}"#, "{}", &any), ["$.a missing"]);
}

#[test]
fn a_bijection_takes_ids_that_always_meet_the_same_ones() {
    let rule = [("$[*]", "{bijection: check}")];
    for (old, new, told) in [
        ("[5,6,5]", "[7,8,7]", vec![]),
        ("[5,6,5]", "[7,8,8]", vec!["$[2] value"]),
        ("[5,6]", "[7,7]", vec!["$[1] value"]),
        ("[5,5]", "[5,7]", vec!["$[1] value"]),
        ("[5,5.0]", "[\"x\",\"x\"]", vec![]),
        ("[5,null]", "[7,1]", vec!["$[1] type"]),
    ] {
        assert_eq!(json_differences(old, new, &rule), told, "{old} {new}");
    }
    // What is spelled alike has met as well, wherever it stands.
    let rules = [
        ("$..id", "{bijection: {scope: check, name: ids}}"),
        ("$.next", "{bijection: {scope: check, name: ids}}"),
    ];
    let old = r#"{"a":[{"id":5},{"id":6}],"next":5}"#;
    let new = r#"{"a":[{"id":5},{"id":6}],"next":9}"#;
    assert_eq!(json_differences(old, new, &rules), ["$.next value"]);
    let own = [
        ("$..id", "{bijection: check}"),
        ("$.next", "{bijection: check}"),
    ];
    assert_eq!(json_differences(old, new, &own), [""; 0]);
    assert_eq!(accounts(old, new, &own), [(1, 1, 1)]);
}

#[test]
fn ids_that_were_renumbered_do_not_hide_which_element_is_which() {
    let rules = [("$", "unordered"), ("$[*].id", "{bijection: check}")];
    let old = r#"[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]"#;
    let new = r#"[{"id":"z","n":"c"},{"id":"x","n":"a"},{"id":"y","n":"b"}]"#;
    assert_eq!(json_differences(old, new, &rules), [""; 0]);
    assert_eq!(accounts(old, new, &rules), [(0, 1, 1), (1, 3, 3)]);
}

#[test]
fn pairs_are_remembered_across_checks_where_a_rule_says_so() {
    let comparing = ruled(&[("$.id", "{bijection: epoch}")]);
    let mut epoch = Bijections::default();
    let mut left = |old: u32, new: u32| {
        let body = |id: u32| json(format!("{{\"id\":{id}}}"));
        told(&compare_within(
            (&body(old), &body(new)),
            &context(),
            &comparing,
            &mut epoch,
        ))
    };
    assert_eq!(left(5, 7), [""; 0]);
    assert_eq!(left(5, 8), ["$.id value"]);
    assert_eq!(left(6, 7), ["$.id value"]);
    // Equal to the byte, and yet they have met.
    assert_eq!(left(9, 9), [""; 0]);
    assert_eq!(left(9, 10), ["$.id value"]);
    assert_eq!(left(5, 5), [""; 0]);
    assert_eq!(left(5, 7), [""; 0]);
}

#[test]
fn a_full_table_is_counted_and_makes_nothing_equal() {
    let comparing = ruled(&[("$[*]", "{bijection: epoch}")]);
    let mut epoch = Bijections::default();
    let ids = |from: usize| {
        let ids: Vec<_> = (from..from + 50_000).map(|id| id.to_string()).collect();
        json(format!("[{}]", ids.join(",")))
    };
    for from in [0, 50_000] {
        compare_within((&ids(from), &ids(from)), &context(), &comparing, &mut epoch);
    }
    assert_eq!(epoch.refused(), 0);
    let mut left = |old: &str, new: &str| {
        let (old, new) = (json(old.to_owned()), json(new.to_owned()));
        told(&compare_within(
            (&old, &new),
            &context(),
            &comparing,
            &mut epoch,
        ))
    };
    assert_eq!(left("[1000000]", "[1000001]"), ["$[0] value"]);
    assert_eq!(left("[1]", "[2]"), ["$[0] value"]);
    assert_eq!(epoch.refused(), 1);
}

#[test]
fn replace_compares_what_is_left_after_it() {
    table(
        "{replace: {regex: '(\\d+)-v\\d+', with: '$1', on: both}}",
        &[("\"7-v1\"", "\"7-v22\""), ("\"7-v1\"", "\"7\"")],
        &[("\"7-v1\"", "\"8-v1\"", "value"), ("7", "\"7-v1\"", "type")],
    );
    let new = "{replace: {regex: '^x', with: '', on: new}}";
    assert_eq!(left("\"a\"", "\"xa\"", new), [""; 0]);
    assert_eq!(left("\"xa\"", "\"a\"", new), ["$.a value"]);
    assert_eq!(left("\"xa\"", "\"xa\"", new), [""; 0]);
}

#[test]
fn map_translates_values() {
    let old = "{map: {table: {A: active, 1: active, true: 'yes', N: null, D: 2}, on: old}}";
    for value in ["\"A\"", "1", "1.0", "\"1\""] {
        assert_eq!(left(value, "\"active\"", old), [""; 0], "{value}");
        assert_eq!(left("\"active\"", value, old).len(), 1, "{value}");
    }
    assert_eq!(left("true", "\"yes\"", old), [""; 0]);
    assert_eq!(left("\"N\"", "null", old), [""; 0]);
    assert_eq!(left("\"D\"", "2.0", old), [""; 0]);
    assert_eq!(left("\"D\"", "\"2\"", old), ["$.a value"]);
    assert_eq!(left("\"B\"", "\"active\"", old), ["$.a value"]);
}

#[test]
fn a_renamed_member_counts_by_its_new_name() {
    let rules = [
        ("$.user_name", "{rename: {to: userName, on: old}}"),
        ("$.userName.at", "ignore"),
    ];
    for (old, new, told) in [
        (r#"{"user_name":1}"#, r#"{"userName":1}"#, vec![]),
        (
            r#"{"user_name":1}"#,
            r#"{"userName":2}"#,
            vec!["$.userName value"],
        ),
        (r#"{"user_name":1}"#, "{}", vec!["$.userName missing"]),
        (
            r#"{"userName":1}"#,
            r#"{"user_name":1}"#,
            vec!["$.userName missing", "$.user_name extra"],
        ),
        (r#"{"user_name":1}"#, r#"{"user_name":1.0}"#, vec![]),
        (
            r#"{"user_name":1}"#,
            r#"{"user_name":1,"userName":1}"#,
            vec!["$.userName extra"],
        ),
        (
            r#"{"user_name":1,"userName":2}"#,
            r#"{"userName":2}"#,
            vec!["$.user_name missing"],
        ),
        (
            r#"{"user_name":{"at":1,"n":1}}"#,
            r#"{"userName":{"at":2,"n":1}}"#,
            vec![],
        ),
    ] {
        assert_eq!(json_differences(old, new, &rules), told, "{old} {new}");
    }
    let (old, new) = (
        r#"{"user_name":{"at":1,"n":1}}"#,
        r#"{"userName":{"at":2,"n":2}}"#,
    );
    assert_eq!(accounts(old, new, &rules), [(0, 1, 1), (1, 1, 1)]);
    assert_eq!(accounts(r#"{"user_name":1}"#, "{}", &rules), [(0, 1, 0)]);
}

#[test]
fn parse_reads_texts_as_what_is_in_them() {
    table(
        "{parse: json}",
        &[
            (r#""{\"b\":1,\"c\":[2]}""#, r#""{\"c\":[2.0],\"b\":1}""#),
            (r#""{\"b\":1}""#, r#"{"b":1.0}"#),
            ("\"1\"", "\"1.0\""),
            ("\" null\"", "null"),
        ],
        &[
            ("\"{\"", "\"{ \"", "value"),
            ("\"1\"", "\"2\"", "value"),
            (r#""[1]""#, r#""{}""#, "value"),
        ],
    );
    table(
        "{parse: number}",
        &[("\"9.90\"", "\"9.9\""), ("\"9.90\"", "9.9")],
        &[("\"a\"", "\"b\"", "value")],
    );
    table(
        "{parse: base64}",
        &[
            ("\"aGk=\"", "\"aGk\""),
            ("\"+/8=\"", "\"-_8\""),
            ("\"aGk=\"", "\"hi\""),
        ],
        &[("\"aGk=\"", "\"aGo=\"", "value")],
    );
    table(
        "{parse: url}",
        &[("\"http://A.b:80/x?p=1&q=2\"", "\"http://a.b/x?q=2&p=1\"")],
        &[("\"/x\"", "\"/y\"", "value")],
    );
    assert_eq!(
        left("\"http://a/x?p=1\"", "\"http://a/y?p=2\"", "{parse: url}"),
        ["$.a.path value", "$.a.query.p value"]
    );
    table("{parse: query}", &[("\"a=1&b=%20\"", "\"b=+&a=1\"")], &[]);
}

#[test]
fn case_space_and_unicode_are_matters_of_spelling() {
    table(
        "{case: fold}",
        &[("\"STRASSE\"", "\"straße\"")],
        &[("\"a\"", "\"b\"", "value")],
    );
    table(
        "{space: collapse}",
        &[(r#"" a\n\tb""#, "\"a b \"")],
        &[("\"ab\"", "\"a b\"", "value")],
    );
    table(
        "{unicode: nfc}",
        &[("\"é\"", "\"e\u{301}\"")],
        &[("\"ﬁ\"", "\"fi\"", "value")],
    );
    table(
        "{unicode: nfkc}",
        &[("\"ﬁ\"", "\"fi\"")],
        &[("\"é\"", "\"e\"", "value")],
    );
    // No rule takes two surrogates that stand alone for one another.
    assert_eq!(
        left(r#""\ud800""#, r#""\ud801""#, "{case: fold}"),
        ["$.a value"]
    );
}

#[test]
fn what_is_in_a_parsed_text_is_told_and_masked_at_its_own_place() {
    let rules = [
        ("$.p", "{parse: json}"),
        ("$.p.ts", "ignore"),
        ("$.p.tags", "unordered"),
    ];
    let body = |inner: &str| format!("{{\"p\":{}}}", serde_json::Value::from(inner));
    let old = body(r#"{"ts":1,"n":1,"tags":[1,2]}"#);
    let new = body(r#"{"ts":2,"n":1,"tags":[2,1]}"#);
    assert_eq!(
        accounts(&old, &new, &rules),
        [(0, 1, 1), (1, 1, 1), (2, 1, 1)]
    );
    let new = body(r#"{"ts":2,"n":3,"tags":[2,1]}"#);
    assert_eq!(
        accounts(&old, &new, &rules),
        [(0, 1, 0), (1, 1, 1), (2, 1, 1)]
    );
    assert_eq!(json_differences(&old, &new, &rules), ["$.p.n value"]);
    // A text within a text.
    let twice = |n: &str| body(&body(n));
    let rules = [("$.p", "{parse: json}"), ("$.p.p", "{parse: json}")];
    assert_eq!(
        json_differences(&twice("{\"a\":1}"), &twice("{\"a\":2}"), &rules),
        ["$.p.p.a value"]
    );
    assert_eq!(
        accounts(&twice("{\"a\":1}"), &twice("{\"a\":1.0}"), &rules),
        [(0, 1, 1), (1, 1, 1)]
    );
    // Ids that met in it count.
    let rules = [
        ("$.p", "{parse: json}"),
        ("$.p.id", "{bijection: {scope: check, name: i}}"),
        ("$.q", "{bijection: {scope: check, name: i}}"),
    ];
    let both =
        |inner: &str, q: u32| format!("{{\"p\":{},\"q\":{q}}}", serde_json::Value::from(inner));
    let inner = r#"{"id":5}"#;
    assert_eq!(
        json_differences(&both(inner, 5), &both(inner, 6), &rules),
        ["$.q value"]
    );
}

#[test]
fn texts_within_texts_are_read_so_deep_and_no_deeper() {
    let nested = |depth: usize, leaf: &str| {
        (0..depth).fold(leaf.to_owned(), |inner, _| {
            format!("[{}]", serde_json::Value::from(inner))
        })
    };
    let rules = [("$..*", "{parse: json}")];
    let (old, new) = (nested(8, "[1]"), nested(8, "[2]"));
    let place = format!("${}", "[0]".repeat(9));
    assert_eq!(
        json_differences(&old, &new, &rules),
        [format!("{place} value")]
    );
    let (old, new) = (nested(9, "[1]"), nested(9, "[1.0]"));
    assert_eq!(
        json_differences(&old, &new, &rules),
        [format!("{place} value")]
    );
}

#[test]
fn rules_that_make_other_values_go_before_those_that_judge() {
    let (old, new) = (r#"{"a":" 1,001"}"#, r#"{"a":"1.002"}"#);
    let rules = [
        ("$.a", "{tolerance: {abs: 0.01}}"),
        ("$.a", "{replace: {regex: ',', with: '.', on: old}}"),
        ("$.a", "{parse: number}"),
    ];
    assert_eq!(json_differences(old, new, &rules), [""; 0]);
    assert_eq!(
        accounts(old, new, &rules),
        [(0, 1, 1), (1, 1, 0), (2, 1, 0)]
    );
    // What does not suffice tells the values as they came.
    let far = r#"{"a":"2"}"#;
    let comparison = compared(&json(old), &json(far), &rules);
    assert_eq!(
        comparison.result,
        Compared::Different {
            differences: vec![Difference {
                place: Place::Node(vec![Step::Name("a".into())]),
                kind: Kind::Value,
                old: Some(Value::Json(" 1,001".into())),
                new: Some(Value::Json("2".into())),
            }],
            count: 1
        }
    );
}

#[test]
fn the_rule_after_whose_turn_the_values_are_equal_has_masked() {
    for (old, new, expected) in [
        ("A b", "a b", vec![(0, 1, 1)]),
        ("A  b", "a b", vec![(0, 1, 0), (1, 1, 1)]),
        ("A  b", "a c", vec![(0, 1, 0), (1, 1, 0), (2, 1, 1)]),
        (
            "A  b",
            "1",
            vec![(0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 1)],
        ),
    ] {
        let rules = [
            ("$.a", "{case: fold}"),
            ("$.a", "{space: collapse}"),
            ("$.a", "{same: {regex: 'a.*'}}"),
            ("$.a", "ignore"),
        ];
        let body = |text: &str| format!("{{\"a\":\"{text}\"}}");
        assert_eq!(
            accounts(&body(old), &body(new), &rules),
            expected,
            "{old} {new}"
        );
    }
}

const REORDERED: &[(&str, &str, &str, &str)] = &[
    (
        "$[*].a",
        "{round: 1}",
        r#"[{"a":1.01,"n":1},{"a":2.01,"n":1}]"#,
        r#"[{"a":2.02,"n":1},{"a":1,"n":1}]"#,
    ),
    (
        "$[*].a",
        "optional",
        r#"[{"a":null,"n":1},{"n":2}]"#,
        r#"[{"a":"","n":2},{"n":1}]"#,
    ),
    (
        "$[*].a",
        "optional",
        r#"[{"a":null},{"a":""}]"#,
        r#"[{"a":""},{"a":null}]"#,
    ),
    (
        "$[*].a",
        "{map: {table: {A: B, B: C}, on: old}}",
        r#"[{"a":"A"},{"a":"B"}]"#,
        r#"[{"a":"C"},{"a":"B"}]"#,
    ),
    (
        "$[*].a",
        "{map: {table: {A: x}, on: old}}",
        r#"[{"a":"A"},{"a":"x"}]"#,
        r#"[{"a":"x"},{"a":"A"}]"#,
    ),
    (
        "$[*].a",
        "{map: {table: {A: x}, on: old}}",
        r#"[{"a":"A"},{"a":"B"}]"#,
        r#"[{"a":"B"},{"a":"A"}]"#,
    ),
    (
        "$[*].b",
        "{rename: {to: a, on: old}}",
        r#"[{"b":1},{"b":2}]"#,
        r#"[{"a":2},{"a":1}]"#,
    ),
    (
        "$[*].b",
        "{rename: {to: a, on: old}}",
        r#"[{"b":1},{"b":2}]"#,
        r#"[{"b":2},{"b":1}]"#,
    ),
    (
        "$[*].a",
        "{parse: json}",
        r#"[{"a":"[1]"},{"a":"[2]"}]"#,
        r#"[{"a":"[2.0]"},{"a":"[1.0]"}]"#,
    ),
    (
        "$[*].a",
        "{same: number}",
        r#"[{"a":1,"n":1},{"a":2,"n":2}]"#,
        r#"[{"a":7,"n":2},{"a":8,"n":1}]"#,
    ),
    (
        "$[*].a",
        "{same: any}",
        r#"[{"a":[1],"n":1},{"a":2,"n":2}]"#,
        r#"[{"a":7,"n":2},{"a":{},"n":1}]"#,
    ),
    (
        "$[*].a",
        "time",
        r#"[{"a":"2025-11-24T16:00:00Z"},{"a":"2025-11-25T16:00:00Z"}]"#,
        r#"[{"a":"2025-11-25T17:00:00+01:00"},{"a":"2025-11-24T17:00:00+01:00"}]"#,
    ),
    (
        "$[*].a",
        "{time: {within: 5s}}",
        r#"[{"a":"2025-11-24T16:00:00Z"},{"a":"2025-11-25T16:00:00Z"}]"#,
        r#"[{"a":"2025-11-25T16:00:04Z"},{"a":"2025-11-24T16:00:03Z"}]"#,
    ),
    (
        "$[*].a",
        "{case: fold}",
        r#"[{"a":"x"},{"a":"y"}]"#,
        r#"[{"a":"Y"},{"a":"X"}]"#,
    ),
];

#[test]
fn members_of_unordered_arrays_find_each_other_under_every_action() {
    for (at, action, old, new) in REORDERED {
        let rules = [("$", "unordered"), (*at, *action)];
        assert_eq!(
            json_differences(old, new, &rules),
            [""; 0],
            "{action} {old} {new}"
        );
        let mirrored = action.replace("on: old", "on: new");
        let rules = [("$", "unordered"), (*at, &*mirrored)];
        assert_eq!(
            json_differences(new, old, &rules),
            [""; 0],
            "{mirrored} {new} {old}"
        );
    }
}

#[test]
fn members_with_the_same_key_are_not_paired_at_random() {
    let rule = [("$", "{unordered: {key: k}}")];
    for (old, new, told) in [
        // Equal ones belong together.
        (
            r#"[{"k":1,"v":1},{"k":1,"v":2}]"#,
            r#"[{"k":1,"v":2},{"k":1,"v":1}]"#,
            vec![],
        ),
        // What is the only one left on both sides, too.
        (
            r#"[{"k":1,"v":1},{"k":1,"v":2}]"#,
            r#"[{"k":1,"v":2},{"k":1,"v":3}]"#,
            vec!["$[0].v value"],
        ),
        // Of several, nobody can tell.
        (
            r#"[{"k":1,"v":1},{"k":1,"v":2}]"#,
            r#"[{"k":1,"v":3},{"k":1,"v":4}]"#,
            vec!["$[0] missing", "$[1] missing", "$[0] extra", "$[1] extra"],
        ),
        (
            r#"[{"k":1,"v":1},{"k":1,"v":2}]"#,
            r#"[{"k":1,"v":2}]"#,
            vec!["$[0] missing"],
        ),
        (
            r#"[{"k":1,"v":2}]"#,
            r#"[{"k":1,"v":1},{"k":1,"v":2}]"#,
            vec!["$[0] extra"],
        ),
        // Without a key, as a whole.
        (
            r#"[{"v":1},{"v":2}]"#,
            r#"[{"v":2},{"v":3}]"#,
            vec!["$[0] missing", "$[1] extra"],
        ),
    ] {
        let told_here = json_differences(old, new, &rule);
        assert_eq!(told_here, told, "{old} {new}");
    }
}

const HEADERS: &[(&[&str], &[&str], &str, bool)] = &[
    (
        &["Mon, 24 Nov 2025 16:00:00 GMT"],
        &["Mon, 24 Nov 2025 16:00:01 GMT"],
        "{time: {within: 2s, formats: [rfc9110]}}",
        true,
    ),
    (
        &["Mon, 24 Nov 2025 16:00:00 GMT"],
        &["Mon, 24 Nov 2025 16:00:09 GMT"],
        "{time: {within: 2s, formats: [rfc9110]}}",
        false,
    ),
    (&["1.50"], &["1.5"], "{parse: number}", true),
    (
        &["{\"a\":[1]}"],
        &["{ \"a\": [1.0] }"],
        "{parse: json}",
        true,
    ),
    (
        &["{\"a\":[1]}"],
        &["{ \"a\": [2] }"],
        "{parse: json}",
        false,
    ),
    (&["A"], &["a"], "{case: fold}", true),
    (&["a", "b"], &["A", "B"], "{case: fold}", true),
    (&["a", "b"], &["A", "C"], "{case: fold}", false),
    (&["a", "b"], &["A"], "{case: fold}", false),
    (&["a=1"], &["a=2"], "{same: string}", true),
    (&["a=1", "b"], &["a=2"], "{same: string}", false),
    (&[""], &[], "optional", true),
    (&["", ""], &[], "optional", true),
    (&["x"], &[], "optional", false),
    (&["a", "b"], &["c", "d"], "{bijection: check}", true),
    (&["a", "a"], &["c", "d"], "{bijection: check}", false),
    (&["a", "b"], &["c", "c"], "{bijection: check}", false),
    (&["7"], &["8"], "{tolerance: {abs: 5}}", false),
    (
        &["no"],
        &["off"],
        "{map: {table: {'no': 'off'}, on: old}}",
        true,
    ),
    (
        &["v1"],
        &["v2"],
        "{replace: {regex: '[0-9]', with: ''}}",
        true,
    ),
];

#[test]
fn headers_are_judged_value_by_value() {
    for (old, new, action, is_equal) in HEADERS {
        let answer = |values: &[&'static str]| {
            values
                .iter()
                .fold(json("1"), |answer, value| with(answer, "x-a", value))
        };
        let rule = [("header.x-a", *action)];
        let told = differences(&answer(old), &answer(new), &rule);
        assert_eq!(
            told.is_empty(),
            *is_equal,
            "{action} {old:?} {new:?}: {told:?}"
        );
    }
    let two = |one, other| with(with(json("1"), "x-a", one), "x-a", other);
    let rules = [("header.x-a", "unordered"), ("header.x-a", "{case: fold}")];
    let comparison = compared(&two("a", "b"), &two("B", "A"), &rules);
    assert_eq!(comparison.result, Compared::Equal(Via::Rules));
    assert_eq!(
        comparison
            .rules
            .iter()
            .map(|r| (r.rule, r.applied, r.masked))
            .collect::<Vec<_>>(),
        [(0, 1, 1), (1, 1, 0)]
    );
}

#[test]
fn ids_in_headers_and_bodies_share_a_table() {
    let rules = [
        ("header.x-id", "{bijection: {scope: check, name: id}}"),
        ("$.id", "{bijection: {scope: check, name: id}}"),
    ];
    let answer = |header, body: &str| with(json(body.to_owned()), "x-id", header);
    let (old, new) = (answer("a", r#"{"id":"a"}"#), answer("a", r#"{"id":"b"}"#));
    assert_eq!(differences(&old, &new, &rules), ["$.id value"]);
    let new = answer("b", r#"{"id":"b"}"#);
    assert_eq!(differences(&old, &new, &rules), [""; 0]);
}

#[test]
fn a_status_may_be_translated() {
    let (old, mut new) = (json("1"), json("1"));
    new.status = StatusCode::NON_AUTHORITATIVE_INFORMATION;
    let rule = [("status", "{map: {table: {203: 200}, on: new}}")];
    assert_eq!(differences(&old, &new, &rule), [""; 0]);
    assert_eq!(differences(&new, &old, &rule), ["status status"]);
}

type Rules = [(&'static str, &'static str)];

/// Old, new, the rules, and what is left.
const BODIES: &[(&str, &str, &Rules, &[&str])] = &[
    ("A\nb", "a\nB", &[("body", "{case: fold}")], &[]),
    (
        "A\nb",
        "a\nc",
        &[("body", "{case: fold}")],
        &["line 2 text"],
    ),
    ("a  b\n", "a b", &[("body", "{space: collapse}")], &[]),
    ("é", "e\u{301}", &[("body", "{unicode: nfc}")], &[]),
    (
        "id=7\nx",
        "id=8\nx",
        &[("body", "{replace: {regex: 'id=\\d+', with: 'id'}}")],
        &[],
    ),
    (
        "id=7\nx",
        "id=8\ny",
        &[("body", "{replace: {regex: 'id=\\d+', with: 'id'}}")],
        &["line 2 text"],
    ),
    (
        r#"{"a":1,"t":1}"#,
        r#"{ "t":2,"a":1.0}"#,
        &[("body", "{parse: json}"), ("$.t", "ignore")],
        &[],
    ),
    (
        r#"{"a":1,"t":1}"#,
        r#"{ "t":2,"a":2}"#,
        &[("body", "{parse: json}"), ("$.t", "ignore")],
        &["$.a value"],
    ),
    ("{", "}", &[("body", "{parse: json}")], &["line 1 text"]),
    ("a=1&b=2", "b=2&a=1", &[("body", "{parse: query}")], &[]),
    (
        "a=1&b=2",
        "b=2&a=3",
        &[("body", "{parse: query}")],
        &["$.a value"],
    ),
    (
        "eyJhIjoxfQ==\n",
        "eyJhIjoxLjB9",
        &[("body", "{parse: base64}"), ("body", "{parse: json}")],
        &[],
    ),
    (
        "/+8=",
        "_-4=",
        &[("body", "{parse: base64}")],
        &["byte 1 bytes"],
    ),
    (
        "a",
        "b",
        &[("body", "{case: fold}"), ("body", "ignore")],
        &[],
    ),
    // Equal under the other rules as it is, and not afterwards.
    (
        "a",
        "a",
        &[("body", "{replace: {regex: a, with: b, on: old}}")],
        &[],
    ),
];

#[test]
fn a_whole_body_is_compared_as_rules_make_it() {
    let text = |text: &str| answer("text/plain", text.to_owned());
    for (old, new, rules, left) in BODIES {
        assert_eq!(
            differences(&text(old), &text(new), rules),
            *left,
            "{old:?} {new:?}"
        );
    }
    let rules = [("body", "{replace: {regex: '1', with: '2', on: old}}")];
    assert_eq!(
        json_differences(r#"{"a":1,"b":0}"#, r#"{"b":0,"a":1}"#, &rules),
        [""; 0]
    );
    assert_eq!(
        json_differences(r#"{"a":1,"b":0}"#, r#"{"b":0,"a":2}"#, &rules),
        [""; 0]
    );
    let rules = [
        ("body", "{case: fold}"),
        ("body", "{space: collapse}"),
        ("body", "ignore"),
    ];
    let accounts = |old: &str, new: &str| -> Vec<_> {
        let used = compared(&text(old), &text(new), &rules).rules;
        used.iter()
            .map(|used| (used.rule, used.applied, used.masked))
            .collect()
    };
    assert_eq!(accounts("A", "a"), [(0, 1, 1)]);
    assert_eq!(accounts("A  b", "a b"), [(0, 1, 0), (1, 1, 1)]);
    assert_eq!(accounts("A  b", "a c"), [(0, 1, 0), (1, 1, 0), (2, 1, 1)]);
}

#[test]
fn many_members_near_each_other_are_paired_whatever_their_order() {
    let spelled = |by: i64, members: fn(i64) -> String| {
        let numbers = (0..1_000i64).map(|at| at * 617 % 1_000 * 10 + by);
        let members: Vec<_> = numbers.map(members).collect();
        format!("[{}]", members.join(","))
    };
    let reversed = |body: &str| {
        let mut members: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
        members.reverse();
        serde_json::Value::from(members).to_string()
    };
    let number = |number: i64| number.to_string();
    let object = |number: i64| format!("{{\"n\":{number},\"m\":1}}");
    let instant = |second: i64| format!("\"{}\"", jiff::Timestamp::from_second(second).unwrap());
    for (at, action, members) in [
        (
            "$[*]",
            "{tolerance: {abs: 10}}",
            number as fn(i64) -> String,
        ),
        ("$[*].n", "{tolerance: {abs: 10}}", object),
        ("$[*]", "{time: {within: 10s}}", instant),
        ("$[*]", "{bijection: check}", number),
    ] {
        let rules = [("$", "unordered"), (at, action)];
        let (old, new) = (spelled(0, members), reversed(&spelled(10, members)));
        assert_eq!(json_differences(&old, &new, &rules), [""; 0], "{action}");
        assert_eq!(json_differences(&new, &old, &rules), [""; 0], "{action}");
    }
    let rules = [("$", "unordered"), ("$[*]", "{tolerance: {abs: 10}}")];
    let old = spelled(0, number);
    let new = reversed(&spelled(10, number)).replacen("10,", "99999,", 1);
    assert_eq!(json_differences(&old, &new, &rules).len(), 1);
}

#[test]
fn ids_that_have_met_find_each_other_in_arrays_without_order() {
    let ids = |by: usize, turn: usize| {
        let id = |at: usize| (at * 617 % 200 + by).to_string();
        let items: Vec<_> = (0..200).map(id).collect();
        let mut unordered = items.clone();
        unordered.rotate_left(turn);
        let (items, unordered) = (items.join(","), unordered.join(","));
        format!("{{\"items\":[{items}],\"unordered\":[{unordered}]}}")
    };
    let rules = [
        ("$.unordered", "unordered"),
        ("$.*[*]", "{bijection: check}"),
    ];
    assert_eq!(
        json_differences(&ids(0, 0), &ids(1_000, 7), &rules),
        [""; 0]
    );
    assert_eq!(json_differences(&ids(0, 7), &ids(100, 3), &rules), [""; 0]);
}
