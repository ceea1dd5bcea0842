//! Actions outside documents: at headers, the status and whole bodies.

use super::*;

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
fn a_star_in_a_name_stands_for_a_family_of_headers() {
    let old = with(
        with(with(json("1"), "x-amzn-id", "a"), "x-amz-id", "a"),
        "x-b",
        "a",
    );
    let new = with(
        with(with(json("1"), "x-amzn-id", "b"), "x-amz-id", "b"),
        "x-b",
        "b",
    );
    for (at, left) in [
        ("header.x-*", vec![]),
        ("header.x-amz*", vec!["header.x-b value"]),
        ("header.x-amz*-id", vec!["header.x-b value"]),
        ("header.*", vec![]),
        (
            "header.y-*",
            vec![
                "header.x-amz-id value",
                "header.x-amzn-id value",
                "header.x-b value",
            ],
        ),
        (
            "trailer.x-*",
            vec![
                "header.x-amz-id value",
                "header.x-amzn-id value",
                "header.x-b value",
            ],
        ),
    ] {
        assert_eq!(differences(&old, &new, &[(at, "ignore")]), left, "{at}");
    }
    // In file order, however the names are spelled.
    let rules = [
        ("header.x-b", "{map: {table: {a: c}, on: old}}"),
        ("header.x-*", "{map: {table: {c: b}, on: old}}"),
    ];
    assert_eq!(differences(&old, &new, &rules).len(), 2);
    let turned = [rules[1], rules[0]];
    assert_eq!(differences(&old, &new, &turned).len(), 3);
}

#[test]
fn headers_are_judged_value_by_value() {
    for (old, new, action, is_equal) in HEADERS {
        let answer = |values: &[&'static str]| {
            values
                .iter()
                .fold(json("1"), |answer, value| with(answer, "x-a", value))
        };
        let rule = [("header.x-a", *action)];
        let reported = differences(&answer(old), &answer(new), &rule);
        assert_eq!(
            reported.is_empty(),
            *is_equal,
            "{action} {old:?} {new:?}: {reported:?}"
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
fn a_status_may_be_translated() {
    let (old, mut new) = (json("1"), json("1"));
    new.status = StatusCode::NON_AUTHORITATIVE_INFORMATION;
    let rule = [("status", "{map: {table: {203: 200}, on: new}}")];
    assert_eq!(differences(&old, &new, &rule), [""; 0]);
    assert_eq!(differences(&new, &old, &rule), ["status status"]);
}

type Rules = [(&'static str, &'static str)];

/// Old, new, the rules, and the remaining differences.
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
    // Equal under the other rules before the transform, but not after it.
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
