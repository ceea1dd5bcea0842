//! Actions that transform values first.

use super::*;

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
    for (old, new, reported) in [
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
        assert_eq!(json_differences(old, new, &rules), reported, "{old} {new}");
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
        &[
            ("\"http://A.b:80/x?p=1&q=2\"", "\"http://a.b/x?q=2&p=1\""),
            ("\"/x?p=1&q=%32\"", "\"/%78?q=2&p=1\""),
        ],
        &[("\"http://[::1\"", "\"http://[::2\"", "value")],
    );
    assert_eq!(left("\"/x\"", "\"/y\"", "{parse: url}"), ["$.a.path value"]);
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
    // No rule treats two lone surrogates as equal.
    assert_eq!(
        left(r#""\ud800""#, r#""\ud801""#, "{case: fold}"),
        ["$.a value"]
    );
}

#[test]
fn parsed_text_is_reported_and_masked_at_its_own_place() {
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
    // Pairs of ids inside it count.
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
