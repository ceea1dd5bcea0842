//! What a configuration may say and hardly means.

use super::{Folder, STACKS};
use crate::support::run_in;

/// The warnings, with paths relative to the folder.
fn warnings(folder: &Folder) -> String {
    let loaded = folder.load().unwrap_or_else(|faults| panic!("{faults}"));
    let warnings = loaded.warnings();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let warnings = warnings.join("\n");
    warnings.replace(&format!("{}/", folder.path().display()), "")
}

/// The warnings about a third line below [`STACKS`].
fn about(line: &str) -> String {
    warnings(&Folder::with(&format!("{STACKS}{line}\n")))
}

#[test]
fn an_entry_that_no_request_reaches_is_named() {
    let blank = "no request gets here: a path begins with `/`, and has no `?`, `#` or blank";
    for (line, expected) in [
        (
            r"routes: [{name: a, path: '^users/\d+$'}]",
            format!("10: routes[0]: {blank}"),
        ),
        (
            r"routes: [{name: a, path: '^/search\?q='}]",
            format!("10: routes[0]: {blank}"),
        ),
        (
            "routes: [{name: a, path: '/a b/{id}'}]",
            format!("10: routes[0]: {blank}"),
        ),
        (
            r"reads: [{methods: [GET], path: '^GET /'}]",
            format!("9: reads[0]: {blank}"),
        ),
        (
            "routes: [{name: ws, header: {upgrade: websocket}}]",
            "10: routes[0]: no request gets here, because twinread removes `upgrade` before it names requests"
                .to_owned(),
        ),
        (
            "routes: [{name: all, path: '/users/*'}, {name: a, methods: [GET], path: '/users/{id}'}]",
            "41: routes[1]: no request gets here, because routes[0] takes all of them".to_owned(),
        ),
    ] {
        assert_eq!(about(line), format!("twinread.yaml:3:{expected}"), "{line}");
    }
    for line in [
        r"routes: [{name: a, path: '^users|/\d+$'}, {name: b, path: '^/(a|b)?'}, {name: c, path: '^(x|/y)'}]",
        r"routes: [{name: a, path: '^(?i)/\w+/\bx'}, {name: b, path: '/café/{id}'}]",
        "routes: [{name: a, path: '/users/{id}'}, {name: b, path: '/users/*'}]",
        "routes: [{name: a, methods: [GET], path: /a}, {name: b, path: /a}]",
        "routes: [{name: a, path: /a, header: {x-a: b}}, {name: b, path: /a}]",
    ] {
        assert_eq!(about(line), "", "{line}");
    }
}

#[test]
fn a_required_route_that_is_never_checked_is_named() {
    for (route, more, expected) in [
        (
            "sample: 0",
            "",
            "required, but `sample: 0` checks nothing of it, so the verdict is never safe",
        ),
        (
            "methods: [PUT]",
            "",
            "required, but `reads` declares none of its methods, so the verdict is never safe",
        ),
        (
            "sample: 1",
            "verdict: {exempt: ['c*']}",
            "required, but verdict.exempt names it, so it is not",
        ),
    ] {
        let line =
            format!("routes: [{{name: cart, path: /cart, required: true, {route}}}]\n{more}");
        let expected = format!("twinread.yaml:3:10: routes[0]: {expected}");
        assert_eq!(about(&line), expected, "{line}");
    }
    let required = "routes: [{name: cart, path: /cart, required: true}]";
    assert_eq!(about(required), "");
    assert_eq!(about("routes: [{name: cart, path: /cart, sample: 0}]"), "");
}

#[test]
fn an_exempt_name_that_no_route_has_is_named() {
    let routes = "routes: [{name: get-cart, path: /cart}, {name: 'op {op}', path: '/ops/{op}'}, \
                  {name: GET /items/42, path: /items/42}]";
    let about = |exempt: &str| about(&format!("verdict: {{exempt: ['{exempt}']}}\n{routes}"));
    for (exempt, hint) in [
        ("get-crat", ", did you mean `get-cart`?"),
        ("GET /orders/{id}", ", did you mean `GET /orders/{}`?"),
        ("GET /orders/4711", ", did you mean `GET /orders/{}`?"),
        ("GET /items/43", ", did you mean `GET /items/42`?"),
        ("set-*", ""),
        ("/orders", ""),
        ("(rest)", ""),
    ] {
        let expected = format!("verdict.exempt[0]: no route has the name `{exempt}`{hint}");
        assert_eq!(about(exempt), format!("twinread.yaml:3:20: {expected}"));
    }
    for exempt in [
        "get-*",
        "*",
        "op Get*",
        "GET /orders/{}",
        "GET /a/*/b",
        "P*",
        "other",
    ] {
        assert_eq!(about(exempt), "", "{exempt}");
    }
}

#[test]
fn a_rule_for_what_cannot_occur_is_named() {
    let routes = "routes: [{name: get-cart, path: /cart}]\n";
    let about = |rule: &str, more: &str| {
        let folder = Folder::with(&format!("{STACKS}{routes}rules: [own.yaml]\n{more}"));
        let rules = format!("rules:\n  - {{id: a, why: clocks, {rule}}}\n");
        folder.write("own.yaml", &rules);
        warnings(&folder)
    };
    for (rule, more, expected) in [
        (
            "when: {routes: [get-crat]}, at: $.a, do: ignore",
            "",
            "42: rules[0].when.routes[0]: no route has the name `get-crat`, did you mean `get-cart`?",
        ),
        (
            "when: {methods: [PUT]}, at: $.a, do: ignore",
            "",
            "42: rules[0].when.methods: never holds, because `reads` declares none of these methods",
        ),
        (
            "at: header.connection, do: ignore",
            "",
            "30: rules[0].at: `connection` belongs to one connection or message, and is never compared",
        ),
        (
            "at: header.x-a, do: ignore",
            "compare: {headers: {listed: [date]}}",
            "30: rules[0].at: `compare.headers` leaves `x-a` out, so this rule does nothing",
        ),
        (
            "when: {content_type: text/html}, at: $.a, do: ignore",
            "",
            "63: rules[0].at: no answer of the type `text/html` has such a place",
        ),
    ] {
        assert_eq!(
            about(rule, more),
            format!("own.yaml:2:{expected}"),
            "{rule}"
        );
    }
    for rule in [
        "when: {routes: [get-*, 'GET /users/{}'], methods: [GET, PUT]}, at: $.a, do: ignore",
        "when: {content_type: '*/json'}, at: $.a, do: ignore",
        "at: header.x-a, do: ignore",
    ] {
        assert_eq!(about(rule, ""), "", "{rule}");
    }
}

#[test]
fn what_only_leaves_out_is_warned_of() {
    assert_eq!(
        about("compare: {only: [$.id]}"),
        "twinread.yaml:3:17: compare.only: nothing else of a body is compared; `compare.only` counts as a rule that \
         masks what is left out"
    );
}

#[test]
fn networks_of_proxies_mean_nothing_on_a_unix_socket() {
    assert_eq!(about("proxy_protocol: [10.0.0.0/8]"), "");
    assert_eq!(
        about("proxy_protocol: [10.0.0.0/8]\nlisten: unix:/run/twinread.sock"),
        "twinread.yaml:3:17: proxy_protocol: callers of a unix socket are in no network, so that no header is read"
    );
}

#[test]
fn built_in_rules_are_not_warned_of() {
    assert_eq!(about("compare: {headers: none}"), "");
}

#[test]
fn only_declared_routes_and_none_of_them_is_named() {
    let line = "verdict: {required: declared}";
    let expected = "twinread.yaml:3:21: verdict.required: no route is declared with `required: true`, so the verdict is \
                    never safe";
    assert_eq!(about(line), expected);
    let declared = "routes: [{name: a, path: /a, required: true}]";
    assert_eq!(about(&format!("{declared}\n{line}")), "");
}

#[test]
fn strict_refuses_what_is_only_warned_of() {
    let folder = Folder::with(&format!("{STACKS}verdict: {{exempt: [carts]}}\n"));
    let run = |arguments: &[&str]| {
        let output = run_in(folder.path(), arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap();
        (code, text(output.stdout), text(output.stderr))
    };
    let warning = "twinread.yaml:3:20: warning: verdict.exempt[0]: no route has the name `carts`\n";
    let (code, stdout, stderr) = run(&["check", "twinread.yaml"]);
    assert_eq!((code, &*stderr), (0, warning));
    assert_eq!(
        stdout,
        "twinread.yaml: valid, 0 routes, 7 rules, 1 warning\n"
    );
    let (code, stdout, stderr) = run(&["check", "--strict", "twinread.yaml"]);
    let refused = format!("{warning}twinread.yaml: refused by --strict\n");
    assert_eq!((code, &*stdout, &*stderr), (64, "", &*refused));
    folder.write("twinread.yaml", STACKS);
    assert_eq!(run(&["check", "--strict", "twinread.yaml"]).0, 0);
}
