//! `twinread schema`: the schemas accept exactly what the program accepts.

use crate::support::run_in;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use tempfile::TempDir;
use twinread::testing::spanned_yaml::Node;

/// What a schema describes, and the command that reads it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    /// The required file name, and the command that reads it.
    file: &'static str,
    command: &'static [&'static str],
}

const RULES: Kind = Kind {
    name: "rules",
    file: "f.yaml",
    command: &["rules", "check"],
};
const RULE_TESTS: Kind = Kind {
    name: "rule-tests",
    file: "f.test.yaml",
    command: &["rules", "test"],
};
const CONFIG: Kind = Kind {
    name: "config",
    file: "f.yaml",
    command: &["check"],
};

/// A step on the path from a document's root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    FirstElement,
}

impl Kind {
    fn schema(self) -> Value {
        let output = run_in(Path::new("/"), &["schema", self.name]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn validator(self) -> Validator {
        jsonschema::validator_for(&self.schema()).unwrap()
    }

    /// The program's message if it rejects a document.
    fn refusal(self, text: &str) -> Option<String> {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("f.yaml"), "rules: []").unwrap();
        fs::write(folder.path().join(self.file), text).unwrap();
        let output = run_in(folder.path(), &[self.command, &[self.file]].concat());
        let is_refused = output.status.code() == Some(64);
        is_refused.then(|| String::from_utf8(output.stderr).unwrap())
    }
}

fn json_of(text: &str) -> Value {
    let node = Node::parse(&"f.yaml".into(), text).unwrap_or_else(|faults| panic!("{faults}"));
    node.to_json()
}

/// The first error of a schema in a document.
fn objection(validator: &Validator, text: &str) -> Option<String> {
    let document = json_of(text);
    let mut errors = validator.iter_errors(&document);
    errors
        .next()
        .map(|error| format!("{}: {error}", error.instance_path()))
}

fn here(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).unwrap()
}

#[test]
fn the_schemas_are_schemas() {
    for kind in [RULES, RULE_TESTS, CONFIG] {
        let schema = kind.schema();
        let dialect = "https://json-schema.org/draft/2020-12/schema";
        assert_eq!(schema["$schema"], dialect);
        assert!(jsonschema::meta::is_valid(&schema), "{}", kind.name);
    }
}

#[test]
fn what_comes_along_is_valid() {
    let (rules, tests) = (RULES.validator(), RULE_TESTS.validator());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let validator = if path.to_str().unwrap().ends_with(".test.yaml") {
            &tests
        } else {
            &rules
        };
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(objection(validator, &text), None, "{}", path.display());
    }
}

const STACKS: &str = "\nold: {url: 'http://old:1'}\nnew: {url: 'http://new:2'}\n";

#[test]
fn the_defaults_and_the_examples_of_the_documents_are_valid() {
    let config = CONFIG.validator();
    let mut defaults = twinread::testing::config::defaults().to_json();
    for stack in ["old", "new"] {
        defaults[stack]["url"] = json!("http://stack:1");
    }
    assert_eq!(objection(&config, &defaults.to_string()), None);

    let pages = documents();
    let examples = pages
        .iter()
        .flat_map(|page| page.split("```yaml\n").skip(1));
    let mut count = 0;
    for example in examples.map(|rest| rest.split("```").next().unwrap()) {
        let objection = match example.lines().next().unwrap() {
            // A manifest of Kubernetes and the alerts of Prometheus are not part of our schemas.
            first if first.starts_with("apiVersion:") => continue,
            "# alerts.yaml" => continue,
            "# rules.yaml" => objection(&RULES.validator(), example),
            "# rules.test.yaml" => objection(&RULE_TESTS.validator(), example),
            _ if example.contains("new:") => objection(&config, example),
            _ => objection(&config, &format!("{STACKS}{example}")),
        };
        assert_eq!(objection, None, "{example}");
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

/// The README, and the pages in `docs`.
fn documents() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let pages = files.filter(|file| file.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|page| fs::read_to_string(page).unwrap());
    pages.chain([here("README.md")]).collect()
}

#[test]
fn schema_of_the_configuration_has_every_default() {
    let schema = CONFIG.schema();
    let default = |path: &str| {
        let mut field = &schema;
        for name in path.split('.') {
            field = &field["properties"][name];
        }
        field["default"].clone()
    };
    assert_eq!(default("listen"), "127.0.0.1:8080");
    assert_eq!(default("new.breaker.cool_down"), "10s");
    assert_eq!(default("rules"), json!(["builtin:http"]));
    assert_eq!(default("sample.rate").to_string(), "0.05");
    assert_eq!(default("telemetry.otlp.headers"), json!({}));
}

/// The names that a schema knows, by path.
#[derive(Debug, Default)]
struct Vocabulary {
    /// The fields of each section.
    fields: BTreeMap<Vec<Step>, BTreeSet<String>>,
    /// The words of each choice.
    choices: BTreeMap<Vec<Step>, BTreeSet<String>>,
}

impl Vocabulary {
    fn of(schema: &Value) -> Self {
        let mut vocabulary = Self::default();
        vocabulary.visit(schema, schema, &mut Vec::new());
        vocabulary
    }

    fn visit(&mut self, root: &Value, schema: &Value, path: &mut Vec<Step>) {
        if let Some(reference) = schema["$ref"].as_str() {
            self.visit(root, root.pointer(&reference[1..]).unwrap(), path);
        }
        for branch in schema["anyOf"].as_array().into_iter().flatten() {
            self.visit(root, branch, path);
        }
        if schema.get("items").is_some() {
            path.push(Step::FirstElement);
            self.visit(root, &schema["items"], path);
            path.pop();
        }
        let words = schema["enum"].as_array().into_iter().flatten();
        for word in words.filter_map(Value::as_str) {
            let choice = self.choices.entry(path.clone()).or_default();
            choice.insert(word.to_owned());
        }
        let Some(fields) = schema["properties"].as_object() else {
            return;
        };
        assert_eq!(schema["additionalProperties"], false, "{path:?}");
        let names = self.fields.entry(path.clone()).or_default();
        names.extend(fields.keys().cloned());
        for (name, field) in fields {
            path.push(Step::Member(name.clone()));
            self.visit(root, field, path);
            path.pop();
        }
    }
}

/// The program's message, from "expected" on, for a document that holds only `strange`.
fn expected(kind: Kind, path: &[Step], strange: Value) -> BTreeSet<String> {
    let document = path.iter().rev().fold(strange, |below, step| match step {
        Step::Member(name) => Value::Object(Map::from_iter([(name.clone(), below)])),
        Step::FirstElement => json!([below]),
    });
    let refusal = kind.refusal(&document.to_string()).unwrap();
    let line = |words: &str| refusal.lines().find(|line| line.contains(words));
    // A few values are not repeated; the message only gives their position.
    let reported = line("strangest-of-all").or_else(|| line("[0]: expected "));
    let reported = reported.unwrap_or_else(|| panic!("{path:?}: {refusal}"));
    let (_, expected) = reported.split_once("expected ").unwrap();
    let (expected, _) = expected.split_once(", found").unwrap_or((expected, ""));
    let expected = expected.strip_prefix("one of ").unwrap_or(expected);
    let words = expected.split(", ").flat_map(|words| words.split(" or "));
    // Words may be mixed with values, which are described.
    let words = words.filter(|word| !word.contains([' ', '{', '[']));
    words.map(str::to_owned).collect()
}

#[test]
fn schemas_and_readers_know_the_same_fields() {
    for (kind, least) in [(RULES, 10), (RULE_TESTS, 4), (CONFIG, 20)] {
        let fields = Vocabulary::of(&kind.schema()).fields;
        assert!(fields.len() >= least, "{fields:?}");
        for (path, fields) in fields {
            let mut known = expected(kind, &path, json!({"strangest-of-all": 1}));
            if path.last() == Some(&Step::Member("do".to_owned())) {
                assert!(known.remove("ignore"), "an action, but no field");
            }
            assert_eq!(fields, known, "{} {path:?}", kind.name);
        }
    }
}

#[test]
fn schemas_and_readers_know_the_same_words() {
    for (kind, least) in [(RULES, 8), (RULE_TESTS, 1), (CONFIG, 7)] {
        let choices = Vocabulary::of(&kind.schema()).choices;
        assert!(choices.len() >= least, "{choices:?}");
        for (path, words) in choices {
            let known = expected(kind, &path, json!("strangest-of-all"));
            assert_eq!(words, known, "{} {path:?}", kind.name);
        }
    }
}

#[track_caller]
fn agree_to_refuse(kind: Kind, documents: &[String]) {
    let validator = kind.validator();
    for text in documents {
        assert!(kind.refusal(text).is_some(), "the program admits {text}");
        assert!(
            objection(&validator, text).is_some(),
            "the schema admits {text}"
        );
    }
}

#[track_caller]
fn agree_to_admit(kind: Kind, documents: &[String]) {
    let validator = kind.validator();
    for text in documents {
        assert_eq!(kind.refusal(text), None, "{text}");
        assert_eq!(objection(&validator, text), None, "{text}");
    }
}

fn rule(fields: &[&str]) -> Vec<String> {
    let rule = |fields: &&str| format!("rules: [{{id: a, why: w, {fields}}}]");
    fields.iter().map(rule).collect()
}

const WRONG_RULES: &[&str] = &[
    "at: $.a",
    "do: ignore",
    "at: a.b, do: ignore",
    "at: 'header.a b', do: ignore",
    "at: $.a, do: ignor",
    "at: $.a, do: {}",
    "at: $.a, do: []",
    "at: $.a, do: {ignore: 1, unordered: {key: a}}",
    "at: $.a, do: {tolerance: {}}",
    "at: $.a, do: {tolerance: {abs: -1}}",
    "at: $.a, do: {tolerance: {by: 1}}",
    "at: $.a, do: {unordered: null}",
    "at: $.a, do: {status: {equal: [[200, 203]]}}",
    "at: status, do: {status: {equal: [[200]]}}",
    "at: status, do: {status: {equal: [[200, 99]]}}",
    "at: status, do: {tolerance: {abs: 1}}",
    "at: body, do: unordered",
    "at: body, do: {parse: url}",
    "at: body, do: {map: {table: {a: b}}}",
    "at: header.a, do: {rename: {to: b}}",
    "at: $.a, do: same",
    "at: $.a, do: {same: guid}",
    "at: $.a, do: {same: {}}",
    "at: $.a, do: {optional: null}",
    "at: $.a, do: {optional: [[1]]}",
    "at: $.a, do: {round: 1.5}",
    "at: $.a, do: {round: 1001}",
    "at: $.a, do: {time: {within: soon}}",
    "at: $.a, do: {time: {formats: []}}",
    "at: $.a, do: {time: {formats: [iso]}}",
    "at: $.a, do: {bijection: always}",
    "at: $.a, do: {bijection: {name: a}}",
    "at: $.a, do: {bijection: {scope: check, name: ''}}",
    "at: $.a, do: {replace: {regex: a}}",
    "at: $.a, do: {replace: {regex: a, with: b, on: left}}",
    "at: $.a, do: {map: {table: {}}}",
    "at: $.a, do: {map: {table: {a: [1]}}}",
    "at: $.a, do: {rename: {}}",
    "at: $.a, do: {parse: yaml}",
    "at: $.a, do: {case: upper}",
    "at: $.a, do: {space: trim}",
    "at: $.a, do: {unicode: nfd}",
    "at: $.a, do: ignore, owner: ''",
    "at: $.a, do: ignore, expires: soon",
    "at: $.a, do: ignore, whn: {}",
    "at: $.a, do: ignore, when: {methods: GET}",
    "at: $.a, do: ignore, when: {routes: []}",
    "at: $.a, do: ignore, when: {status: []}",
    "at: $.a, do: ignore, when: {methods: ['a b']}",
    "at: $.a, do: ignore, when: {status: [20]}",
    "at: $.a, do: ignore, when: {content_type: json}",
    "at: $.a, do: ignore, when: {content_type: text/plain;charset=x}",
];

#[test]
fn wrong_rules_are_refused_by_both() {
    agree_to_refuse(
        RULES,
        &[
            "{}",
            "rules: {}",
            "rules: ''",
            "rules: [a]",
            "rules: [{why: w, at: $.a, do: ignore}]",
            "rules: [{id: '', why: w, at: $.a, do: ignore}]",
            "rules: [{id: null, why: w, at: $.a, do: ignore}]",
            "rules: [{id: a, why: ' ', at: $.a, do: ignore}]",
            "{rules: [], more: 1}",
        ]
        .map(str::to_owned),
    );
    agree_to_refuse(RULES, &rule(WRONG_RULES));
}

const GOOD_RULES: &[&str] = &[
    "at: $.a, do: ignore, owner: null, expires: null, when: null",
    "at: '$[?@.c > 1].d', do: unordered, expires: 2999-12-31",
    "at: trailer.x-sum, do: ignore, when: {routes: ['get-*'], methods: [GET, PURGE], status: [200], content_type: '*/json'}",
    "at: $..a, do: {tolerance: {abs: 0.01, rel: 1e-9}}",
    "at: status, do: {status: {equal: [[200, 203], [301, 308]]}}",
    "at: status, do: ignore",
    "at: body, do: ignore",
    "at: body, do: {parse: query}",
    "at: status, do: {map: {table: {201: 200}, on: new}}",
    "at: $.a, do: optional",
    "at: $.a, do: {optional: [null, false, 0, '', [], {}]}",
    "at: $.a, do: {round: -2}",
    "at: $.a, do: time",
    "at: header.date, do: {time: {within: 1.5s, formats: [rfc3339, rfc9110, unix, unix_ms, '%d/%m/%Y']}}",
    "at: $.a, do: {time: {}}",
    "at: $.a, do: {same: uuid}",
    "at: $.a, do: {same: {regex: '[0-9]+'}}",
    "at: $.a, do: {bijection: check}",
    "at: $.a, do: {bijection: {scope: epoch, name: order}}",
    "at: $.a, do: {replace: {regex: '[0-9]+', with: '', on: null}}",
    "at: $.a, do: {rename: {to: b, on: old}}",
    "at: $.a, do: {parse: base64}",
    "at: $.a, do: {case: fold}",
    "at: body, do: {space: collapse}",
    "at: $.a, do: {unicode: nfkc}",
];

#[test]
fn good_rules_are_admitted_by_both() {
    agree_to_admit(RULES, &rule(GOOD_RULES));
}

#[test]
fn rule_tests_are_read_alike_by_both() {
    let case = |fields: &[&str]| -> Vec<String> {
        let case = |fields: &&str| format!("cases: [{{name: a, {fields}}}]");
        fields.iter().map(case).collect()
    };
    agree_to_refuse(
        RULE_TESTS,
        &case(&[
            "old: {}, new: {}",
            "old: {}, differences: []",
            "old: null, new: {}, differences: {}",
            "old: {body: a, json: 1}, new: {}, differences: []",
            "old: {status: 600}, new: {}, differences: []",
            "old: {headers: {a b: c}}, new: {}, differences: []",
            "old: {headers: {a: {b: c}}}, new: {}, differences: []",
            "old: {}, new: {}, differences: [{place: $}]",
            "old: {}, new: {}, differences: [{place: $, kind: values}]",
            "old: {}, new: {}, differences: [], masked: {a: 0}",
            "old: {}, new: {}, differences: [], method: 'a b'",
            "old: {}, new: {}, differences: [], rout: a",
        ]),
    );
    agree_to_refuse(
        RULE_TESTS,
        &["cases: []", "{}", "{cases: [], rules: a}"].map(str::to_owned),
    );
    let mut good = case(&[
        "old: {}, new: {}, differences: []",
        "route: null, method: POST, old: {status: 404, json: null}, new: {status: 404, json: null}, differences: [], masked: {}",
        "old: {type: a/b, body: 7}, new: {headers: {content-type: a/b}, body: '7'}, differences: []",
        "old: {headers: {a: 1, b: [c, d]}, trailers: {x: y}}, new: {headers: {a: 1, b: [c, d]}, trailers: {x: y}}, differences: []",
    ]);
    good.push(
        "{rules: ['builtin:http'], cases: [{name: 1, old: {}, new: {}, differences: []}]}"
            .to_owned(),
    );
    agree_to_admit(RULE_TESTS, &good);
}

fn config(lines: &[&str]) -> Vec<String> {
    lines
        .iter()
        .map(|line| format!("{STACKS}{line}\n"))
        .collect()
}

const WRONG_CONFIGURATIONS: &[&str] = &[
    "lisen: 127.0.0.1:1",
    "listen: 127.0.0.1",
    "listen: localhost:80",
    "mirror: {listen: localhost:80}",
    "admin_token: 'two words'",
    "live_token: 'two words'",
    "allow_same_stack: maybe",
    "serve: {writes: both}",
    "paused: maybe",
    "limits: {connections: 0}",
    "limits: {headers: many}",
    "limits: {head_timeout: 10}",
    "limits: {streams: 0}",
    "max_routes: 0",
    "sample: 0.5",
    "sample: {rate: -0.1}",
    "sample: {rate: lots}",
    "sample: {per_route_floor: 1}",
    "sample: {max_per_second: 0}",
    "sample: {by: weather}",
    "sample: {force_header: 'a b'}",
    "capture: {max_body: 0}",
    "capture: {max_body: 1MB}",
    "queue: {max_length: 1.5}",
    "queue: {max_age: 30}",
    "recheck: {after: [200]}",
    "recheck: {after: 200ms}",
    "recheck: {max_per_second: 0}",
    "conditional: again",
    "control: {url: 'ftp://old:2'}",
    "reads: [{path: /a}]",
    "reads: [{methods: []}]",
    "reads: [{methods: [get]}]",
    "reads: [{methods: [DELETE]}]",
    "compare: {only: []}",
    "compare: {only: $.items}",
    "compare: {only: [items]}",
    "compare: {only: [$.items, $.items]}",
    "reads: [{methods: [GET], path: a}]",
    "reads: [{methods: [GET], name: a}]",
    "reads: [{methods: [POST], graphql: mutation}]",
    "routes: [{name: a, path: /a, graphql: query}]",
    "routes: [{path: /a}]",
    "routes: [{name: a}]",
    "routes: [{name: other, path: /a}]",
    "routes: [{name: a, path: /a, required: yes}]",
    "routes: [{name: a, path: /a, sample: 2}]",
    "routes: [{name: a, json: {query: a}}]",
    "rules: builtin:http",
    "compare: {headers: some}",
    "compare: {headers: {listed: a}}",
    "compare: {headers: {except: ['x-*-id']}}",
    "compare: {headers: {listed: [a], except: [b]}}",
    "compare: {numbers: exact}",
    "compare: {max_depth: 2000}",
    "redact: {values: some}",
    "redact: {max_value: 0}",
    "telemetry: {trace: own}",
    "telemetry: {otlp: {protocol: http}}",
    "telemetry: {service_name: ''}",
    "log: {level: loud}",
    "store: {path: ''}",
    "store: {keep: never}",
    "store: {max_bytes: 0}",
    "verdict: {confidence: 1}",
    "verdict: {max_mismatch: 0}",
    "verdict: {soak: never}",
    "epoch: {version_header: 'x build'}",
    "epoch: {label: [a]}",
    "drain: {grace: 10}",
];

#[test]
fn wrong_configurations_are_refused_by_both() {
    let stacks = [
        "{}",
        "old: {url: 'http://old:1'}",
        "{old: {}, new: {url: 'http://new:2'}}",
        "{old: null, new: {url: 'http://new:2'}}",
        "{old: {url: 'ftp://old:1'}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://a@old:1'}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://old:1/?q'}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://old:1', timeout: 1}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://old:1', http2: maybe}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://old:1', tls: {ca: []}}, new: {url: 'http://new:2'}}",
        "{old: {url: 'http://old:1'}, new: {url: 'http://new:2', timeout: 5}}",
        "{old: {url: 'http://old:1'}, new: {url: 'http://new:2', breaker: {failures: 0}}}",
        "{old: {url: 'http://old:1', headers: {set: {a b: c}}}, new: {url: 'http://new:2'}}",
    ];
    agree_to_refuse(CONFIG, &stacks.map(str::to_owned));
    agree_to_refuse(CONFIG, &config(WRONG_CONFIGURATIONS));
}

#[test]
fn good_configurations_are_admitted_by_both() {
    agree_to_admit(
        CONFIG,
        &config(&[
            "",
            "admin: '[::1]:9900'",
            "live_token: ${TOKEN:-a}\nallow_same_stack: true",
            "limits: {connections: 20, header_bytes: 8KiB, headers: 200, head_timeout: 1s, idle_timeout: 1m, body_stall: 10s, streams: 200}",
            "{}".trim_matches(['{', '}']),
            "sample: {rate: '${RATE:-0.5}', by: 'header:x-tenant', per_route_floor: 30/m, force_header: null}",
            "sample: {rate: 1, by: null}\nrecheck: {after: []}\ncontrol: {url: null}\nconditional: null",
            "recheck: {after: [200ms, 2s], max_per_second: 0.5}\ncontrol: {url: 'http://old:2/base'}\nconditional: skip",
            "reads: [{methods: [POST], path: /graphql, json: {$.query: '^\\s*(query|\\{)'}}]",
            "reads: [{methods: [GET, POST], path: /graphql, graphql: query}]",
            "routes: [{name: 'op {op}', header: {x-amz-target: '\\.(?<op>\\w+)$'}}, {name: a, path: ^/a, required: true, sample: 1.0}]",
            "compare: {headers: {listed: [etag]}, numbers: lexical, max_decoded: 1024}",
            "compare: {headers: {except: [date, 'X-Internal-*', '*']}, only: [$.id, '$.items[*].total']}",
            "compare: null\nredact: {fields: [], values: '${VALUES:-shown}'}",
            "telemetry: {otlp: {endpoint: 'http://127.0.0.1:4317', headers: {x-key: 7}}, resource: {a.b: c}}",
            "verdict: {max_mismatch: 1e-3, max_latency_ratio: null, soak: 7d}",
            "epoch: {label: 812, version_header: x-build}\nlog: {level: '${LEVEL:-debug}'}\nmax_routes: ${ROUTES:-20}",
        ]),
    );
}
