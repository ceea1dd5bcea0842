//! Several rules at one place: the order in which they are looked at, and which one masks.

use super::*;

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
    // If no rule suffices, the original values are reported.
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
