//! Each action: what it makes equal, what remains different, and what is counted.

mod arrays;
mod ids;
mod judging;
mod outside;
mod together;
mod transforming;

use super::*;

/// The remaining differences of two JSON texts under one rule at `$.a`, each text the value of `a`.
fn left(old: &str, new: &str, action: &str) -> Vec<String> {
    let body = |value: &str| format!("{{\"a\":{value}}}");
    json_differences(&body(old), &body(new), &[("$.a", action)])
}

/// Pairs that one action makes equal, and others that stay as they are.
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
