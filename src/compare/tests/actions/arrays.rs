//! Actions below arrays whose order does not count.

use super::*;

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
fn keys_are_what_rules_make_of_the_elements() {
    for (old, new, rules) in [
        (
            r#"[{"id":1,"v":1},{"id":2,"v":2}]"#,
            r#"[{"k":2,"v":2},{"k":1,"v":9}]"#,
            [
                ("$", "{unordered: {key: k}}"),
                ("$[*].id", "{rename: {to: k, on: old}}"),
            ],
        ),
        (
            r#"["{\"k\":1,\"v\":1}","{\"k\":2,\"v\":2}"]"#,
            r#"["{\"v\":2,\"k\":2}","{\"v\":9,\"k\":1}"]"#,
            [("$", "{unordered: {key: k}}"), ("$[*]", "{parse: json}")],
        ),
    ] {
        assert_eq!(
            json_differences(old, new, &rules),
            ["$[0].v value"],
            "{old}"
        );
    }
}
