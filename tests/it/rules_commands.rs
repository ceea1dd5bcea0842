//! `twinread rules` on the command line: what it prints, where, and its exit codes.

use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Exit code, stdout, stderr.
fn run(folder: &Path, line: &str) -> (i32, String, String) {
    let arguments: Vec<_> = line.split(' ').collect();
    let output = crate::support::run_in(folder, &arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

const RULES: &str = "rules:
  - {id: clock, why: each stack tells its own time, at: $.at, do: ignore}
  - {id: tags, why: tags have no order, when: {routes: [get-*], methods: [POST]}, at: $.tags, do: unordered}
  - {id: date, why: each stack has a clock, at: header.date, do: ignore}
";

const GOOD: &str = "cases:
  - name: clocks and tags
    route: get-tags
    method: POST
    old: {headers: {date: [Sun, Mon]}, json: {at: 1, tags: [1, 2]}}
    new: {headers: {date: Tue}, json: {at: null, tags: [2, 1]}}
    differences: []
    masked: {clock: 1, tags: 1, date: 1}
  - name: another method
    old: {status: 404, type: text/plain, body: \"one\\ntwo\\n\", trailers: {x-sum: a}}
    new: {type: text/plain, body: \"one\\n2\\n\", trailers: {x-sum: b}}
    differences:
      - {place: line 2, kind: text}
      - {place: status, kind: status}
      - {place: trailer.x-sum, kind: value}
";

#[test]
fn a_suggestion_without_a_reason_is_refused() {
    let rules = "rules:\n  - id: price\n    why: \"say why\"\n    at: $.price\n    do: ignroe\n";
    let folder = folder(&[("r.yaml", rules)]);
    let (code, _, stderr) = run(folder.path(), "rules check r.yaml");
    assert_eq!(
        (code, &*stderr),
        (
            64,
            "r.yaml:5:9: rules[0].do: unknown action `ignroe`, did you mean `ignore`?\n\
             r.yaml:3:10: rules[0].why: `say why` is what `twinread rules suggest` writes: \
             give the reason why the two may differ\n"
        )
    );
}

#[test]
fn tests_that_hold_pass() {
    let folder = folder(&[("r.yaml", RULES), ("r.test.yaml", GOOD)]);
    for path in [".", "r.test.yaml"] {
        let (code, stdout, stderr) = run(folder.path(), &format!("rules test {path}"));
        assert_eq!(
            (code, &*stdout),
            (0, "2 cases, 2 passed, 0 failed\n"),
            "{stderr}"
        );
        assert!(stderr.starts_with("testing "), "{stderr}");
    }
}

const BAD: &str = "rules: [rules/r.yaml, 'builtin:http']
cases:
  - name: too much is expected
    old: {json: {at: 1, n: 1}}
    new: {json: {at: 2, n: 2}}
    differences: [{place: $.at, kind: value}, {place: $.n, kind: value}]
  - name: too little is expected
    old: {headers: {date: a, server: a}, json: {n: 1.50}}
    new: {headers: {date: b, server: b}, json: {n: \"x\"}}
    differences: []
    masked: {clock: 1, http-server: 1}
  - {name: good, old: {json: 1}, new: {json: 1.0}, differences: []}
";

#[test]
fn what_fails_is_reported_by_case_and_difference() {
    let rules = RULES.replace("header.date", "header.x-date");
    let folder = folder(&[("rules/r.yaml", &rules), ("bad.yaml", BAD)]);
    let (code, stdout, _) = run(folder.path(), "rules test bad.yaml");
    let expected = "\
failed too much is expected  bad.yaml:3:11
  not found: $.at value
failed too little is expected  bad.yaml:7:11
  not expected: $.n type
    - 1.50
    + \"x\"
  masked by clock: expected 1, found 0
  masked by http-date: expected 0, found 1
bad.yaml: note: no case tests the rule `tags`
bad.yaml: note: no case tests the rule `date`
3 cases, 1 passed, 2 failed
";
    assert_eq!((code, &*stdout), (1, expected));

    let (code, stdout, _) = run(folder.path(), "rules test bad.yaml --json");
    let reported: Value = serde_json::from_str(&stdout).unwrap();
    let n = json!({"place": "$.n", "kind": "type", "old": serde_json::from_str::<Value>("1.50").unwrap(), "new": "x"});
    let expected = json!({
        "passed": 1,
        "failed": 2,
        "files": [{
            "file": "bad.yaml",
            "cases": [
                {"name": "too much is expected", "line": 3, "passed": false, "not_compared": null,
                 "unexpected": [], "not_found": [{"place": "$.at", "kind": "value"}], "masked": []},
                {"name": "too little is expected", "line": 7, "passed": false, "not_compared": null,
                 "unexpected": [n], "not_found": [],
                 "masked": [{"rule": "clock", "expected": 1, "found": 0}, {"rule": "http-date", "expected": 0, "found": 1}]},
                {"name": "good", "line": 12, "passed": true, "not_compared": null,
                 "unexpected": [], "not_found": [], "masked": []},
            ],
            "untested": ["tags", "date"],
        }],
    });
    assert_eq!((code, reported), (1, expected));
}

/// Every kind of fault at once.
const WRONG: &str = "rules: [good, 'builtin:no']
cases:
  - {nam: a, old: {json: 1, body: x}, new: {status: 99, headers: {a b: 1, x: [1, {}]}, tipe: a}}
  - {name: b, old: {}, new: {headers: {content-type: a/b}, type: c/d}, differences: [{place: $, kind: valeu}], masked: {a: 0}}
";

const WRONG_REPORT: &str = "\
wrong.test.yaml:3:5: cases[0]: `name` is missing
wrong.test.yaml:3:5: cases[0]: `differences` is missing
wrong.test.yaml:3:6: cases[0]: unknown field `nam`, did you mean `name`?
wrong.test.yaml:3:19: cases[0].old: expected `body` or `json`, found both
wrong.test.yaml:3:53: cases[0].new.status: expected a whole number from 100 to 599, found `99`
wrong.test.yaml:3:72: cases[0].new.headers.a b: expected the name of a header
wrong.test.yaml:3:82: cases[0].new.headers.x[1]: expected a text, found a map
wrong.test.yaml:3:88: cases[0].new: unknown field `tipe`, did you mean `type`?
wrong.test.yaml:4:66: cases[1].new.type: `content-type` stands in `headers` already
wrong.test.yaml:4:103: cases[1].differences[0].kind: unknown kind `valeu`, did you mean `value`?
wrong.test.yaml:4:124: cases[1].masked.a: expected a whole number of at least 1, found `0`
";

/// Paths, with the complete message for them.
const REFUSED: &[(&str, &str)] = &[
    (
        "good lonely.test.yaml",
        "cannot read lonely.yaml: No such file or directory (os error 2)\n",
    ),
    (
        "gone.test.yaml",
        "cannot read gone.test.yaml: No such file or directory (os error 2)\n",
    ),
    ("empty", "empty holds no tests of rules (*.test.yaml)\n"),
    (
        "plain.yaml",
        "plain.yaml: expected `rules`, because the file is not named NAME.test.yaml\n",
    ),
    (
        "ids.test.yaml",
        "ids.test.yaml:2:63: there is no rule `clok`, did you mean `clock`?\n",
    ),
    (
        "none.test.yaml",
        "none.test.yaml:1:8: cases: expected at least one case\n",
    ),
    (
        "builtin.test.yaml",
        "builtin.test.yaml:1:9: there are no built-in rules `no`, expected one of http, json-api, aws, graphql, grpc, demo\n",
    ),
    ("wrong.test.yaml", WRONG_REPORT),
    (
        "broken.test.yaml",
        "broken.yaml:1:31: rules[0].at: not a JSONPath (RFC 9535), see its column 3: expected `*` or a name, found its end\n",
    ),
];

#[test]
fn what_cannot_be_read_is_reported_whole_and_nothing_is_run() {
    let ids =
        "rules: [good]\ncases: [{name: a, old: {}, new: {}, differences: [], masked: {clok: 1}}]\n";
    let builtin = GOOD.replacen("cases:", "rules: ['builtin:no']\ncases:", 1);
    let folder = folder(&[
        ("good/r.yaml", RULES),
        ("good/r.test.yaml", GOOD),
        ("lonely.test.yaml", GOOD),
        ("plain.yaml", GOOD),
        ("empty/x.yaml", RULES),
        ("wrong.test.yaml", WRONG),
        ("ids.test.yaml", ids),
        ("none.test.yaml", "cases: []"),
        ("builtin.test.yaml", &builtin),
        ("broken.test.yaml", GOOD),
        (
            "broken.yaml",
            "rules: [{id: a, why: w, at: $., do: ignore}]",
        ),
    ]);
    for (paths, reported) in REFUSED {
        let (code, stdout, stderr) = run(folder.path(), &format!("rules test {paths}"));
        assert_eq!((code, &*stdout, &*stderr), (64, "", *reported), "{paths}");
    }
}

#[test]
fn rule_files_are_checked_together() {
    let folder = folder(&[
        ("rules/a.yaml", RULES),
        (
            "rules/b.yml",
            "rules: [{id: clock, why: w, at: '$.a[', do: ignor}]",
        ),
        ("rules/a.test.yaml", "not: rules"),
        (
            "old.yaml",
            "rules: [{id: old, why: w, expires: 2020-01-01, at: $.a, do: ignore}]",
        ),
        ("empty/x.txt", ""),
    ]);
    let (code, stdout, stderr) = run(
        folder.path(),
        "rules check rules gone.yaml empty builtin:htp",
    );
    let expected = "\
cannot read gone.yaml: No such file or directory (os error 2)
empty holds no rules (*.yaml)
there are no built-in rules `htp`, expected one of http, json-api, aws, graphql, grpc, demo
rules/b.yml:1:14: the id `clock` is taken, see rules/a.yaml:2:10
rules/b.yml:1:38: rules[0].at: not a JSONPath (RFC 9535), see its column 5: expected a quoted name, an index, a slice, `*`, `?` with a condition, found its end
rules/b.yml:1:45: rules[0].do: unknown action `ignor`, did you mean `ignore`?
";
    assert_eq!((code, &*stdout, &*stderr), (64, "", expected));

    let (code, stdout, stderr) = run(
        folder.path(),
        "rules check rules/a.yaml old.yaml builtin:http",
    );
    assert_eq!(
        (code, &*stdout),
        (0, "valid, 11 rules, 1 warning\n"),
        "{stderr}"
    );
    assert_eq!(
        stderr,
        "old.yaml:1:14: warning: the rule `old` expired on 2020-01-01 and does not apply\n"
    );
}

#[test]
fn the_rules_that_come_along_pass_their_tests() {
    let (code, stdout, stderr) = run(Path::new(env!("CARGO_MANIFEST_DIR")), "rules test rules");
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(!stdout.contains("note: "), "{stdout}");
}

#[test]
fn every_action_is_in_the_schema_and_on_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/rules.md")).unwrap();
    let schema = fs::read_to_string(root.join("src/cli/schema/rules.yaml")).unwrap();
    for name in twinread::rules::Action::names() {
        let is_in_table =
            page.contains(&format!("| `{name}`")) || page.contains(&format!("`{{{name}: "));
        assert!(is_in_table, "{name} is not in the table of docs/rules.md");
        let is_in_schema =
            schema.contains(&format!("const: {name}")) || schema.contains(&format!(" {name}:"));
        assert!(is_in_schema, "{name} is not in the schema");
    }
}

#[test]
fn compare_counts_what_only_leaves_out() {
    let (old, new) = (
        r#"{"id": 1, "at": 1, "n": {"x": 1, "y": 1}}"#,
        r#"{"id": 1, "at": 2, "n": {"x": 1, "y": [2, 3]}}"#,
    );
    let folder = folder(&[("old.json", old), ("new.json", new)]);
    let compared = |more: &str| {
        let (code, reported, _) = run(folder.path(), &format!("compare old.json new.json {more}"));
        (code, reported)
    };
    let places = "--only $.id --only $.n.x";
    let equal = "masked by compare.only: 2\nequal under rules\n";
    assert_eq!(compared(places), (0, equal.to_owned()));
    let (_, reported) = compared(&format!("{places} --json"));
    let reported: Value = serde_json::from_str(&reported).unwrap();
    assert_eq!(reported["via"], "rules");
    let masked = json!([{"rule": "compare.only", "count": 2}]);
    assert_eq!(reported["masked"], masked);
    let (_, reported) = compared(&format!("{places} --explain"));
    let why = "    masked by compare.only: compare.only names other places\n";
    assert!(reported.contains(why), "{reported}");
    assert!(reported.contains("$.n.y  type\n"), "{reported}");

    let (code, reported) = compared("--only $.at");
    assert_eq!(code, 1);
    let end = "masked by compare.only: 1\n1 difference\n";
    assert!(reported.ends_with(end), "{reported}");
    assert_eq!(compared("--only id").0, 64);
}
