//! Suggestions for headers, and for built-in rule files.

use super::*;
use http::{HeaderName, HeaderValue};

type Headers = [(&'static str, &'static str)];

fn sent(headers: &Headers) -> Answer {
    let mut answer = answer(&json!({"n": 1}));
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        answer.headers.append(name, HeaderValue::from_static(value));
    }
    answer
}

/// Two checks of two routes with these headers.
fn checked(old: &Headers, new: &Headers) -> Vec<Kept> {
    let routes = ["get-item", "list-items", "get-item", "list-items"]
        .into_iter()
        .enumerate();
    let checks = routes.map(|(id, route)| {
        let check = Check {
            route,
            old: sent(old),
            new: sent(new),
        };
        check.kept(id, usize::MAX)
    });
    checks.collect()
}

/// The suggestions and decisions as `at do note`, none of which names a route.
fn found(kept: &[Kept], values: Values) -> Vec<String> {
    let routes = kept.iter().map(|kept| kept.route).collect();
    let found = looked_at_of(kept, &routes, values);
    let found = found.suggestions.into_iter().chain(found.decisions);
    let found = found.map(|suggestion| {
        let rule = &suggestion.rule;
        assert_eq!(rule.get("when"), None, "{rule}");
        let note = suggestion.note.unwrap_or_default();
        format!("{} {} {note}", rule["at"].as_str().unwrap(), rule["do"])
    });
    found.collect()
}

#[test]
fn a_header_of_one_stack_is_one_rule_for_all_routes() {
    let kept = checked(&[("pragma", "no-cache")], &[("x-cache", "miss")]);
    assert_eq!(
        found(&kept, Values::Shown),
        [
            r#"header.x-cache {"optional":["miss"]} only new sends it"#,
            r#"header.pragma {"optional":["no-cache"]} a decision: callers see it from old only; caches go by it"#,
        ]
    );
    assert_eq!(
        found(&kept, Values::Masked),
        [
            r#"header.x-cache "ignore" only new sends it"#,
            r#"header.pragma "ignore" a decision: callers see it from old only; caches go by it"#,
        ]
    );
}

#[test]
fn a_header_that_callers_may_miss_needs_a_decision() {
    for (old, new, note) in [
        (
            &[("x-total-count", "7")][..],
            &[][..],
            "from old only; they may read it",
        ),
        (&[("vary", "accept")], &[], "from old only; caches go by it"),
        (
            &[],
            &[("cache-control", "max-age=9")],
            "from new only; caches go by it",
        ),
        (
            &[],
            &[("access-control-max-age", "9")],
            "from new only; browsers go by it",
        ),
    ] {
        let found = found(&checked(old, new), Values::Masked);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].ends_with(&format!("a decision: callers see it {note}")),
            "{found:?}"
        );
    }
}

#[test]
fn a_family_never_joins_what_needs_a_decision_and_what_does_not() {
    let old = [("x-acme-total", "7")];
    let new = [("x-acme-shard", "1"), ("x-acme-zone", "2")];
    let found = found(&checked(&old, &new), Values::Masked);
    let places: Vec<_> = found
        .iter()
        .map(|found| found.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "header.x-acme-shard",
            "header.x-acme-zone",
            "header.x-acme-total"
        ]
    );
}

#[test]
fn request_ids_that_never_repeat_need_no_further_readings() {
    let headers = |name, ids: [&'static str; 2]| {
        let checks = ids.into_iter().zip(["Z9", "Y8"]).enumerate();
        let checks = checks.map(|(id, (old, new))| {
            let check = Check {
                route: ["get-item", "list-items"][id],
                old: sent(&[(name, old)]),
                new: sent(&[(name, new)]),
            };
            check.kept(id, usize::MAX)
        });
        checks.collect::<Vec<_>>()
    };
    let distinct = headers("x-request-id", ["A1", "B2"]);
    assert_eq!(
        found(&distinct, Values::Masked),
        [
            r#"header.x-request-id {"same":"any"} named like the id of a request, and none of 2 values occurs twice"#
        ]
    );
    for kept in [
        headers("x-request-id", ["A1", "A1"]),
        headers("x-owner", ["A1", "B2"]),
        distinct
            .into_iter()
            .map(|kept| Kept {
                rechecks: 1,
                ..kept
            })
            .collect(),
    ] {
        assert_eq!(found(&kept, Values::Masked), [""; 0]);
    }
}

#[test]
fn headers_of_one_family_are_one_rule() {
    let cors = [
        ("access-control-allow-headers", "content-type"),
        ("access-control-allow-methods", "GET"),
        ("access-control-allow-origin", "*"),
    ];
    let kept = checked(&[], &cors);
    assert_eq!(
        found(&kept, Values::Shown),
        [
            r#"header.access-control-allow-* {"optional":["*","GET","content-type"]} a decision: callers see it from new only; browsers go by it"#
        ]
    );
    let both = checked(&cors[..1], &cors);
    assert_eq!(
        found(&both, Values::Masked),
        [
            r#"header.access-control-allow-methods "ignore" a decision: callers see it from new only; browsers go by it"#,
            r#"header.access-control-allow-origin "ignore" a decision: callers see it from new only; browsers go by it"#,
        ],
        "a family must not cover a header that both send"
    );
}

#[test]
fn a_header_that_callers_need_is_never_excused() {
    for name in [
        "set-cookie",
        "location",
        "x-content-type-options",
        "retry-after",
    ] {
        let kept = checked(&[(name, "value")], &[]);
        assert_eq!(found(&kept, Values::Shown), [""; 0], "{name}");
    }
    let kept = checked(
        &[("cache-control", "no-cache")],
        &[("cache-control", "max-age=60")],
    );
    assert_eq!(found(&kept, Values::Masked), [""; 0], "both send it");
}

#[test]
fn a_header_that_old_varies_needs_only_to_be_there() {
    let checks = [("a1", "z9"), ("b2", "y8"), ("c3", "x7")]
        .into_iter()
        .enumerate();
    let mut kept: Vec<_> = checks
        .map(|(id, (old, new))| {
            let route = ["get-item", "list-items"][id % 2];
            let headers = |value| [("x-acme-request", value)];
            let check = Check {
                route,
                old: sent(&headers(old)),
                new: sent(&headers(new)),
            };
            check.kept(id, usize::MAX)
        })
        .collect();
    assert_eq!(found(&kept, Values::Masked), [""; 0], "it may be a price");
    let rule = r#"header.x-acme-request {"same":"any"} old's own readings differ there; mismatches that show it: 3"#;
    let varies = |kept: &mut Kept| kept.noise = vec!["header.x-acme-request".to_owned()];
    kept.iter_mut().for_each(varies);
    assert_eq!(found(&kept, Values::Masked), [rule]);
    // Where something else differs as well, noise is no difference.
    kept.iter_mut().for_each(|kept| kept.differences.clear());
    assert_eq!(found(&kept, Values::Masked), [rule]);
}

#[test]
fn noise_counts_for_built_in_rules() {
    let headers = |id, sum| [("x-amzn-requestid", id), ("x-amz-crc32", sum)];
    let mut kept = checked(&headers("A", "12"), &headers("B", "34"));
    for kept in &mut kept {
        kept.noise = vec!["header.x-amzn-requestid".to_owned()];
        let is_sum = |place: &Place| *place == Place::Header("x-amz-crc32".to_owned());
        kept.differences
            .retain(|(difference, ..)| is_sum(&difference.place));
    }
    let suggestions = looked_at_of(&kept, &BTreeSet::new(), Values::Masked);
    assert_eq!(suggestions.builtin.len(), 1);
    assert!(
        suggestions.suggestions.is_empty(),
        "{:?}",
        suggestions.suggestions
    );
}

#[test]
fn etags_need_the_same_form() {
    let kept = checked(&[("etag", r#"W/"2-a""#)], &[("etag", r#""17""#)]);
    assert_eq!(
        found(&kept, Values::Masked),
        [
            r#"header.etag {"same":{"regex":"(W/)?\"[^\"]*\""}} a decision: callers see another value of it; caches go by it"#
        ]
    );
}

#[test]
fn built_in_rules_are_suggested_where_they_explain_much() {
    let aws = |id, sum| {
        [
            ("x-amzn-requestid", id),
            ("x-amz-crc32", sum),
            ("x-extra", "1"),
        ]
    };
    let mut kept = checked(&aws("A", "12"), &aws("B", "34")[..2]);
    let more = checked(&aws("C", "56"), &aws("D", "78")[..2]);
    kept.extend(more);
    let routes = kept.iter().map(|kept| kept.route).collect();
    let suggestions = looked_at_of(&kept, &routes, Values::Masked);
    let builtin = &suggestions.builtin;
    assert_eq!(builtin.len(), 1, "{builtin:?}");
    assert_eq!(builtin[0].name, "builtin:aws");
    assert_eq!(
        (builtin[0].explains, builtin[0].of, builtin[0].masks),
        (8, 8, 0)
    );
    assert_eq!(builtin[0].classes.len(), 4, "two headers on two routes");
    let together = Together {
        alone: 0,
        with_builtin: 0,
        with_decisions: 8,
    };
    assert_eq!(suggestions.together, together);
    assert!(suggestions.suggestions.is_empty());
    let rules: Vec<_> = suggestions
        .decisions
        .iter()
        .map(|found| &found.rule["at"])
        .collect();
    assert_eq!(
        rules,
        ["header.x-extra"],
        "what the file explains needs no rule"
    );
    assert_eq!(suggestions.unexplained, [""; 0]);

    let kept = checked(&[("x-request-id", "a")], &[("x-request-id", "b")]);
    let suggestions = looked_at_of(&kept, &BTreeSet::new(), Values::Masked);
    assert!(
        suggestions.builtin.is_empty(),
        "one place is no reason for a whole file"
    );
}
