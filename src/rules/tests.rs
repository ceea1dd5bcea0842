//! Rule files: what they mean, and what is wrong with them.

mod compliance;

use super::*;

fn compile(text: &str) -> Result<(RuleSet, Vec<ConfigError>), ConfigErrors> {
    let files = [("r.yaml".into(), text.to_owned())];
    RuleSet::compile(&files, jiff::civil::date(2026, 11, 22))
}

/// The faults of one rule with the given fields next to `id` and `why`.
fn faults(fields: &str) -> Vec<String> {
    let text = format!("rules:\n  - {{id: a, why: w, {fields}}}\n");
    match compile(&text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_rules_that_come_along_are_valid() {
    let files = RuleSet::BUILTIN.map(|(name, text)| (name.into(), text.to_owned()));
    // Compiled together, to check that their ids do not clash.
    let (_, warnings) = RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).unwrap();
    assert!(warnings.is_empty());
    assert_eq!(RuleSet::builtin("nothing"), None);
}

#[test]
fn a_rule_says_what_it_was_given() {
    let (set, _) = compile(
        "rules:
  - id: price
    why: the new stack rounds
    owner: payments
    expires: 2027-03-01
    when: {routes: [get-*], methods: [GET], status: [200], content_type: application/json}
    at: $.items[*].price
    do: {tolerance: {abs: 0.01, rel: 1e-9}}
  - {id: order, why: w, at: $.items, do: {unordered: {key: sku}}}
  - {id: status, why: w, at: status, do: {status: {equal: [[200, 203]]}}}
",
    )
    .unwrap();
    let reported: Vec<_> = set
        .rules()
        .iter()
        .map(|rule| format!("{} {} {}", rule.id, rule.at, rule.action))
        .collect();
    assert_eq!(
        reported,
        [
            "price $.items[*].price {tolerance: {abs: 0.01, rel: 1e-9}}",
            "order $.items {unordered: {key: sku}}",
            "status status {status: {equal: [[200, 203]]}}",
        ]
    );
    let price = &set.rules()[0];
    assert_eq!(price.owner.as_deref(), Some("payments"));
    assert_eq!(price.expires, Some(jiff::civil::date(2027, 3, 1)));
}

#[test]
fn every_fault_is_reported_at_once_and_with_its_line() {
    let text = "rules:
  - {id: a, at: $.a, do: ignore}
  - {id: a, why: w, at: $.b, do: ignor}
  - {id: b, why: ' ', at: '$.b[', do: ignore}
  - {id: c, why: w, at: header.a b, do: ignore, whn: {}}
  - {id: d, why: w, at: $.d, do: ignore, expires: someday, when: {status: [99], method: GET, methods: [get]}}
";
    let faults = compile(text).unwrap_err();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    for expected in [
        "r.yaml:2:5: rules[0]: `why` is missing",
        "r.yaml:3:34: rules[1].do: unknown action `ignor`, did you mean `ignore`?",
        "r.yaml:4:18: rules[2].why: expected a text that says something, found \" \"",
        "r.yaml:5:25: rules[3].at: `a b` is not the name of a header",
        "r.yaml:5:49: rules[3]: unknown field `whn`, did you mean `when`?",
        "r.yaml:6:51: rules[4].expires: expected a date such as 2027-03-01, found `someday`",
        "r.yaml:6:76: rules[4].when.status[0]: expected a whole number from 100 to 599, found `99`",
        "r.yaml:6:104: rules[4].when.methods[0]: methods are written in capitals, found `get`, did you mean `GET`?",
        "r.yaml:6:81: rules[4].when: unknown field `method`, did you mean `methods`?",
    ] {
        assert!(
            faults.iter().any(|fault| fault == expected),
            "{expected}\n{faults:#?}"
        );
    }
    let in_path =
        "r.yaml:4:32: rules[2].at: not a JSONPath (RFC 9535), see its column 5: expected ";
    assert!(
        faults.iter().any(|fault| fault.starts_with(in_path)),
        "{faults:#?}"
    );
}

const REFUSED: &[(&str, &str)] = &[
    (
        "{tolerence: {abs: 1}}",
        "unknown action `tolerence`, did you mean `tolerance`?",
    ),
    ("tolerance", "`tolerance` needs to be told more"),
    ("{tolerance: {}}", "expected `abs`, `rel` or both"),
    ("{tolerance: {abs: -1}}", "expected a number of 0 or more"),
    ("{tolerance: {abs: NaN}}", "expected a number of 0 or more"),
    ("{unordered: {by: sku}}", "`key` is missing"),
    ("{ignore: true}", "`ignore` takes nothing"),
    ("[ignore]", "expected an action"),
    ("{ignore: 1, unordered: 2}", "expected one action"),
    ("{round: 1.5}", "expected a whole number of decimal places"),
    ("{round: 1001}", "expected a whole number of decimal places"),
    ("round", "`round` needs to be told more, as in `{round: 2}`"),
    ("{time: {formats: []}}", "expected at least one format"),
    (
        "{time: {formats: [iso]}}",
        "expected rfc3339, rfc9110, unix, unix_ms or a pattern such as '%d/%m/%Y'",
    ),
    (
        "{time: {formats: ['%H']}}",
        "the pattern does not tell a date",
    ),
    ("{time: {within: soon}}", "expected a duration"),
    (
        "{same: guid}",
        "expected uuid, rfc3339, number, string, any or",
    ),
    (
        "{same: {regex: '('}}",
        "not a regular expression, see its column 1: unclosed group",
    ),
    ("{bijection: day}", "expected check or epoch"),
    ("{bijection: {name: a}}", "`scope` is missing"),
    ("{bijection: {scope: check, nam: a}}", "unknown field `nam`"),
    ("{rename: {on: old}}", "`to` is missing"),
    ("{rename: {to: a, on: left}}", "expected old or new or both"),
    (
        "{parse: xml}",
        "expected json or base64 or number or url or query",
    ),
    ("{replace: {regex: '['}}", "not a regular expression"),
    ("{replace: {regex: a}}", "`with` is missing"),
    (
        "{map: {table: {}}}",
        "expected at least one value to translate",
    ),
    (
        "{map: {table: {a: [1]}}}",
        "expected null, a boolean, a number, a text, [] or {}",
    ),
    ("{map: {table: {a: 1}, onn: old}}", "unknown field `onn`"),
    ("{case: upper}", "expected fold"),
    ("{space: trim}", "expected collapse"),
    ("{unicode: nfd}", "expected nfc or nfkc"),
    ("{optional: null}", "expected a list"),
    (
        "whatever",
        "unknown action `whatever`, expected one of ignore, optional, tolerance, round, time",
    ),
];

#[test]
fn an_id_is_taken_by_a_faulty_rule_too() {
    let text = "rules:
  - {id: a, why: w, at: '$.b[', do: ignore}
  - {id: a, why: '', at: $.c, do: ignore}
";
    let faults = compile(text).unwrap_err();
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert_eq!(
        faults[1],
        "r.yaml:3:10: the id `a` is taken, see r.yaml:2:10"
    );
}

#[test]
fn actions_are_refused_by_name() {
    for (action, reported) in REFUSED {
        let faults = faults(&format!("at: $.a, do: {action}"));
        assert!(
            faults.iter().any(|fault| fault.contains(reported)),
            "{action}: {faults:?}"
        );
    }
}

const MEANINGLESS: &[(&str, &str)] = &[
    (
        "at: body, do: {tolerance: {abs: 1}}",
        "`tolerance` serves at a JSONPath, a header, a trailer or a form field only",
    ),
    (
        "at: status, do: {same: any}",
        "`same` serves at a JSONPath, a header",
    ),
    (
        "at: body, do: {parse: url}",
        "`parse` serves with `number` and `url` at a JSONPath",
    ),
    (
        "at: body, do: {map: {table: {a: b}}}",
        "`map` serves at `status`, a JSONPath",
    ),
    (
        "at: header.a, do: {rename: {to: b}}",
        "`rename` serves only at a JSONPath whose last step is a name",
    ),
    (
        "at: '$.a[0]', do: {rename: {to: b}}",
        "`rename` serves only at a JSONPath whose last step is a name",
    ),
    (
        "at: $, do: {rename: {to: b}}",
        "`rename` serves only at a JSONPath whose last step is a name",
    ),
    (
        "at: status, do: {case: fold}",
        "`case` serves at a JSONPath, a header, a trailer, a form field or `body` only",
    ),
    (
        "at: $.a, do: {status: {equal: [[200, 203]]}}",
        "`status` serves at `status` only",
    ),
    (
        "at: status, do: {status: {equal: [[200]]}}",
        "expected at least two statuses",
    ),
    (
        "at: body, do: unordered",
        "`unordered` serves at a JSONPath",
    ),
    (
        "at: header.a, do: {unordered: {key: b}}",
        "`unordered` serves at a JSONPath",
    ),
    ("at: items, do: ignore", "expected `status`, `header.NAME`"),
    (
        "at: '$.a[?b(@)]', do: ignore",
        "not a JSONPath (RFC 9535), see its column 6: unknown function `b`, expected one of",
    ),
];

#[test]
fn combinations_without_a_meaning_are_refused() {
    for (fields, reported) in MEANINGLESS {
        let faults = faults(fields);
        assert!(
            faults.iter().any(|fault| fault.contains(reported)),
            "{fields}: {faults:?}"
        );
    }
}

#[test]
fn ids_are_unique_over_all_files() {
    let text = "rules: [{id: a, why: w, at: $.a, do: ignore}]".to_owned();
    let files = [("one.yaml".into(), text.clone()), ("two.yaml".into(), text)];
    let faults = RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "two.yaml:1:14: the id `a` is taken, see one.yaml:1:14"
    );
}

#[test]
fn the_fingerprint_changes_with_what_rules_do_and_only_then() {
    let fingerprint = |text: &str| compile(text).unwrap().0.fingerprint();
    let one = fingerprint("rules: [{id: a, why: w, at: $.a, do: ignore}]");
    assert_eq!(
        one,
        fingerprint("# with a word\nrules:\n- {do: ignore, id: a, at: $.a, why: better}\n")
    );
    for other in [
        "rules: []",
        "rules: [{id: b, why: w, at: $.a, do: ignore}]",
        "rules: [{id: a, why: w, at: $.b, do: ignore}]",
        "rules: [{id: a, why: w, at: $.a, do: unordered}]",
        "rules: [{id: a, why: w, at: $.a, do: ignore, when: {routes: [x]}}]",
        "rules: [{id: a, why: w, at: $.a, do: ignore, expires: 2030-01-01}]",
    ] {
        assert_ne!(one, fingerprint(other), "{other}");
    }
}

#[test]
fn every_action_says_what_it_was_given() {
    for (written, said) in [
        ("ignore", "ignore"),
        ("optional", "{optional: [null, \"\", []]}"),
        (
            "{optional: [~, 'null', 1.0, false, {}]}",
            "{optional: [null, \"null\", 1.0, false, {}]}",
        ),
        ("{round: -2}", "{round: -2}"),
        ("time", "{time: {within: 0ns, formats: [rfc3339]}}"),
        (
            "{time: {within: 2s, formats: [unix_ms, '%d/%m/%Y']}}",
            "{time: {within: 2s, formats: [unix_ms, \"%d/%m/%Y\"]}}",
        ),
        ("{same: uuid}", "{same: uuid}"),
        ("{same: {regex: 'a|b'}}", "{same: {regex: \"a|b\"}}"),
        ("{bijection: epoch}", "{bijection: epoch}"),
        (
            "{bijection: {scope: check, name: order-id}}",
            "{bijection: {scope: check, name: \"order-id\"}}",
        ),
        (
            "{rename: {to: userName, on: old}}",
            "{rename: {to: \"userName\", on: old}}",
        ),
        ("{parse: base64}", "{parse: base64}"),
        (
            "{replace: {regex: 'a+', with: '$0', on: new}}",
            "{replace: {regex: \"a+\", with: \"$0\", on: new}}",
        ),
        (
            "{map: {table: {A: active, 1: null}}}",
            "{map: {table: {\"A\": \"active\", \"1\": null}, on: both}}",
        ),
        ("{case: fold}", "{case: fold}"),
        ("{space: collapse}", "{space: collapse}"),
        ("{unicode: nfkc}", "{unicode: nfkc}"),
    ] {
        let text = format!("rules: [{{id: a, why: w, at: $.a, do: {written}}}]");
        let (set, _) = compile(&text).unwrap_or_else(|faults| panic!("{written}: {faults}"));
        assert_eq!(set.rules()[0].action.to_string(), said);
    }
}

#[test]
fn a_substitution_takes_groups_that_there_are() {
    let replace = |with: &str| {
        faults(&format!(
            "at: $.a, do: {{replace: {{regex: '(a)(?<b>c)', with: '{with}'}}}}"
        ))
    };
    for with in ["$0 $1 $2 $b ${1}x ${b}x", "$$9 $ $$", "x"] {
        assert_eq!(replace(with), [""; 0], "{with}");
    }
    for (with, group) in [("$3", "3"), ("$1x", "1x"), ("$$$c", "c"), ("${d}", "d")] {
        let reported = replace(with);
        assert!(
            reported[0].contains(&format!("takes the group `{group}`")),
            "{reported:?}"
        );
    }
}

#[test]
fn a_file_with_nothing_but_comments_has_no_rules() {
    for text in ["", "\n", "# nothing to suggest\n", "rules: []"] {
        let (set, warnings) = compile(text).unwrap();
        assert!(set.rules().is_empty() && warnings.is_empty(), "{text:?}");
    }
    assert!(compile("{}").is_err());
}

#[test]
fn no_rule_has_the_id_of_what_compare_only_leaves_out() {
    let faults = compile("rules: [{id: compare.only, why: w, at: $.a, do: ignore}]").unwrap_err();
    let expected = "the id `compare.only` is taken, see the setting of that name";
    assert!(faults.to_string().ends_with(expected), "{faults}");
}
