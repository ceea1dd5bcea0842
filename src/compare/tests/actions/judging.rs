//! Actions that judge two values as they are.

use super::*;

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
        let reported = |kind: &str| {
            if is_masked {
                Vec::new()
            } else {
                vec![format!("$.a {kind}")]
            }
        };
        assert_eq!(json_differences(&with, without, &rule), reported("missing"));
        assert_eq!(json_differences(without, &with, &rule), reported("extra"));
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
fn a_pattern_may_end_in_a_comment() {
    let rule = "{same: {regex: '(?x) a | b # or )'}}";
    assert_eq!(left("\"a\"", "\"b\"", rule), [""; 0]);
    assert_eq!(left("\"a\"", "\"b\\n\"", rule), ["$.a value"]);
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
