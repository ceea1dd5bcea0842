//! Renumbered ids.

use super::*;
use proptest::prelude::*;

#[test]
fn a_bijection_takes_ids_that_always_meet_the_same_ones() {
    let rule = [("$[*]", "{bijection: check}")];
    for (old, new, reported) in [
        ("[5,6,5]", "[7,8,7]", vec![]),
        ("[5,6,5]", "[7,8,8]", vec!["$[2] value"]),
        ("[5,6]", "[7,7]", vec!["$[1] value"]),
        ("[5,5]", "[5,7]", vec!["$[1] value"]),
        ("[5,5.0]", "[\"x\",\"x\"]", vec![]),
        ("[5,null]", "[7,1]", vec!["$[1] type"]),
    ] {
        assert_eq!(json_differences(old, new, &rule), reported, "{old} {new}");
    }
    // Equal ids are pairs too, at any place.
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
        reported(&compare_within(
            (&body(old), &body(new)),
            &context(),
            &comparing,
            &mut epoch,
        ))
    };
    assert_eq!(left(5, 7), [""; 0]);
    assert_eq!(left(5, 8), ["$.id value"]);
    assert_eq!(left(6, 7), ["$.id value"]);
    // Equal to the byte, but recorded as pairs.
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
        reported(&compare_within(
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

/// Old, new, and the rules under which they are equal.
type Alike = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const RENUMBERED: &[Alike] = &[
    // Later ids resolve which element is which.
    (
        r#"{"ids":[1,2,3],"items":[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]}"#,
        r#"{"ids":[13,11,12],"items":[{"id":11,"n":"a"},{"id":12,"n":"b"},{"id":13,"n":"c"}]}"#,
        &[
            ("$.ids", "unordered"),
            ("$.ids[*]", ID),
            ("$.items[*].id", ID),
        ],
    ),
    (
        r#"{"ids":[1,2,3],"items":[{"id":1,"n":"a"},{"id":2,"n":"b"},{"id":3,"n":"c"}]}"#,
        r#"{"ids":[13,11,12],"items":[{"id":12,"n":"b"},{"id":13,"n":"c"},{"id":11,"n":"a"}]}"#,
        &[
            ("$.*", "unordered"),
            ("$.ids[*]", ID),
            ("$.items[*].id", ID),
        ],
    ),
    (
        r#"{"keys":[{"k":1},{"k":2}],"x":1}"#,
        r#"{"keys":[{"k":11},{"k":12}],"x":12}"#,
        &[
            ("$.keys", "{unordered: {key: k}}"),
            ("$.keys[*].k", ID),
            ("$.x", ID),
        ],
    ),
    // An id on both sides proves little.
    (
        r#"{"ids":[1,2,3],"x":1}"#,
        r#"{"ids":[1,5,6],"x":6}"#,
        &[("$.ids", "unordered"), ("$.ids[*]", ID), ("$.x", ID)],
    ),
    (
        r#"{"p":"{\"ids\":[1,2,3],\"x\":1}"}"#,
        r#"{"p":"{\"ids\":[11,12,13],\"x\":13}"}"#,
        &[
            ("$.p", "{parse: json}"),
            ("$.p.ids", "unordered"),
            ("$.p.ids[*]", ID),
            ("$.p.x", ID),
        ],
    ),
];

const ID: &str = "{bijection: {scope: check, name: id}}";

#[test]
fn arrays_without_order_wait_for_what_distinguishes_their_ids() {
    for (old, new, rules) in RENUMBERED {
        assert_eq!(json_differences(old, new, rules), [""; 0], "{old} {new}");
        assert_eq!(json_differences(new, old, rules), [""; 0], "{new} {old}");
    }
    let rules = [("$.ids", "unordered"), ("$.ids[*]", ID), ("$.*.x", ID)];
    let reported = json_differences(
        r#"{"ids":[1,2,3],"o":{"x":1}}"#,
        r#"{"ids":[13,11,12],"o":{"x":14}}"#,
        &rules,
    );
    assert_eq!(reported, ["$.ids[0] value"]);
}

#[test]
fn elements_differing_by_ids_alone_pair_so_that_ids_agree() {
    let rules = [("$", "unordered"), ("$[*].*", ID)];
    let trees = [
        (
            r#"[{"id":1,"parent":2},{"id":2,"parent":1},{"id":3,"parent":1}]"#,
            r#"[{"id":"c","parent":"a"},{"id":"a","parent":"b"},{"id":"b","parent":"a"}]"#,
        ),
        (
            r#"[{"id":1,"parent":1},{"id":2,"parent":1},{"id":3,"parent":2},{"id":4,"parent":3}]"#,
            r#"[{"id":40,"parent":30},{"id":30,"parent":20},{"id":20,"parent":10},{"id":10,"parent":10}]"#,
        ),
    ];
    for (old, new) in trees {
        assert_eq!(json_differences(old, new, &rules), [""; 0], "{old} {new}");
        assert_eq!(json_differences(new, old, &rules), [""; 0], "{new} {old}");
        let wrong = new
            .replace(r#""parent":"b""#, r#""parent":"z""#)
            .replace("\"parent\":20", "\"parent\":99");
        assert!(!json_differences(old, &wrong, &rules).is_empty(), "{wrong}");
    }
    // A ring of this many elements, each with the id of the next.
    let ring = |by: usize, turn: usize| {
        let element = |at: usize| {
            let at = (at + turn) * 23 % 64;
            format!("{{\"id\":{},\"parent\":{}}}", at + by, (at + 1) % 64 + by)
        };
        format!("[{}]", (0..64).map(element).collect::<Vec<_>>().join(","))
    };
    assert_eq!(
        json_differences(&ring(0, 0), &ring(1_000, 7), &rules),
        [""; 0]
    );
}

proptest! {
    #[test]
    fn a_renumbered_tree_in_any_order_is_the_same_tree(
        parents in prop::collection::vec(0usize..64, 1..20),
        turn in 0usize..64,
    ) {
        let count = parents.len();
        let tree = |by: usize, turn: usize| {
            let element = |at: usize| {
                let at = (at + turn) % count;
                format!("{{\"id\":{},\"parent\":{}}}", at + by, parents[at] % count + by)
            };
            let elements: Vec<_> = (0..count).map(element).collect();
            format!("[{}]", elements.join(","))
        };
        let rules = [("$", "unordered"), ("$[*].*", ID)];
        let reported = json_differences(&tree(0, 0), &tree(1_000, turn), &rules);
        prop_assert_eq!(reported, [""; 0]);
    }
}

#[test]
fn equal_ids_pair_if_nothing_else_is_known() {
    let rules = [("$.*", "unordered"), ("$.*[*]", ID)];
    let (old, new) = (r#"{"a":[1,2,3],"b":[1,2]}"#, r#"{"a":[3,1,2],"b":[2,1]}"#);
    let used = compared(&json(old), &json(new), &rules).rules;
    let counts: Vec<_> = used.iter().map(|used| (used.rule, used.masked)).collect();
    assert_eq!(counts, [(0, 2)]);
}
