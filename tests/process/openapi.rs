//! Every answer of the admin API matches its own description, down to the last member.

use crate::support::{Answer, Caller, Sidecar, Stack, eventually};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The description, and the calls that were checked against it.
struct Held<'s> {
    sidecar: &'s Sidecar,
    document: Value,
    /// Such as `GET /v1/verdict 200`.
    met: BTreeSet<String>,
}

// === impl Held ===

impl<'s> Held<'s> {
    fn to(sidecar: &'s Sidecar) -> Self {
        let mut document = sidecar.ask("/v1/openapi.json");
        let schemas = document["components"]["schemas"].take();
        document["components"]["schemas"] = closed(&schemas);
        Self {
            sidecar,
            document,
            met: BTreeSet::new(),
        }
    }

    fn get(&mut self, described: &str, path: &str) -> Value {
        self.call("GET", described, path, "")
    }

    /// Sends a call, with `rest` after the request line, and checks the answer against the description.
    fn call(&mut self, method: &str, described: &str, path: &str, rest: &str) -> Value {
        let rest = if rest.is_empty() { "\r\n" } else { rest };
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{rest}");
        let answer = Caller::connect(self.sidecar.admin).send(&request);
        let shown = format!("{method} {described} {}", answer.status);
        let operation = &self.document["paths"][described][method.to_lowercase()];
        let response = &operation["responses"][answer.status.to_string()];
        let content = response["content"].as_object();
        let (kind, content) = content.and_then(|kinds| kinds.iter().next()).expect(&shown);
        assert!(
            media_type(&answer).starts_with(kind.as_str()),
            "{shown}: {}",
            answer.head
        );
        let body = if kind.ends_with("/json") || kind.ends_with("+json") {
            serde_json::from_slice(&answer.body).expect(&shown)
        } else {
            Value::String(String::from_utf8(answer.body).unwrap())
        };
        self.validate(&shown, &content["schema"], &body);
        self.met.insert(shown);
        body
    }

    fn validate(&self, shown: &str, schema: &Value, body: &Value) {
        let mut root = schema.clone();
        // A part of another schema is closed only where it is the whole.
        if root.get("$ref").is_some() {
            root["unevaluatedProperties"] = json!(false);
        }
        root["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&root).expect(shown);
        let faults: Vec<_> = validator.iter_errors(body).collect();
        assert!(faults.is_empty(), "{shown}: {faults:#?}\n{body:#}");
    }

    /// Described calls that were never checked.
    fn missed(&self) -> Vec<String> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path} 2", method.to_uppercase()))
        });
        let is_met = |call: &str| self.met.iter().any(|met| met.starts_with(call));
        operations.filter(|call| !is_met(call)).collect()
    }
}

fn media_type(answer: &Answer) -> &str {
    let mut lines = answer.head.lines();
    let kind = lines.find_map(|line| line.strip_prefix("content-type: "));
    kind.unwrap_or_default()
}

/// Schemas that reject unknown members; for a part of another (`allOf`), the whole rejects them.
fn closed(schemas: &Value) -> Value {
    let text = schemas.to_string();
    let is_part = |name: &str| {
        text.contains(&format!(
            r##""allOf":[{{"$ref":"#/components/schemas/{name}""##
        ))
    };
    let schemas = schemas.as_object().unwrap().iter();
    let closed = schemas.map(|(name, schema)| {
        let mut schema = schema.clone();
        let has_members = schema.get("properties").is_some() || schema.get("allOf").is_some();
        if has_members && !is_part(name) {
            schema["unevaluatedProperties"] = json!(false);
        }
        (name.clone(), schema)
    });
    Value::Object(closed.collect::<Map<_, _>>())
}

const NO_BODY: &str = "content-length: 0\r\n\r\n";

fn with_body(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[test]
fn every_answer_is_as_described() {
    let (old, new) = (Stack::json(crate::ONE), Stack::json(crate::OTHER));
    let more = "routes: [{name: item, methods: [GET], path: '/items/{id}', required: true}]\n";
    let sidecar = Sidecar::start(old.addr, new.addr, more);
    for _ in 0..3 {
        sidecar.caller().get("/items/17?a=1");
    }
    sidecar.quiet(3);
    eventually("the examples are kept", || {
        let page = sidecar.ask("/v1/mismatches");
        (page["mismatches"].as_array()?.len() == 3).then_some(())
    });
    let mut held = Held::to(&sidecar);

    shown(&mut held);
    changed(&mut held);
    refused(&mut held);

    assert_eq!(held.missed(), [""; 0]);
}

fn shown(held: &mut Held<'_>) {
    for path in [
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/verdict",
        "/v1/verdict/history",
        "/v1/routes",
        "/v1/epochs",
        "/v1/settings",
        "/v1/settings/history",
        "/v1/rules",
        "/v1/rules/suggestions",
        "/v1/openapi.json",
    ] {
        held.get(path, path);
    }
    let classes = held.get("/v1/classes", "/v1/classes");
    let class = classes["classes"][0]["id"].as_str().unwrap();
    held.get("/v1/classes/{id}", &format!("/v1/classes/{class}"));
    let recheck = format!("/v1/classes/{class}/recheck");
    let described = "/v1/classes/{id}/recheck";
    let recheck = held.call("POST", described, &recheck, NO_BODY);
    assert_eq!(recheck["not_judged"], 3, "the query is masked: {recheck}");
    held.call("POST", described, "/v1/classes/none/recheck", NO_BODY);
    let query = format!("/v1/mismatches?limit=2&class={class}&outcome=mismatch");
    let page = held.get("/v1/mismatches", &query);
    let example = page["mismatches"][0]["id"].as_str().unwrap();
    held.get("/v1/mismatches/{id}", &format!("/v1/mismatches/{example}"));
    let next = page["next"]
        .as_str()
        .expect("three do not go on a page of two");
    let rest = held.get("/v1/mismatches", &format!("{query}&cursor={next}"));
    assert_eq!(rest["mismatches"].as_array().unwrap().len(), 1);
    held.get("/v1/verdict", "/v1/verdict?format=gate");
}

fn changed(held: &mut Held<'_>) {
    let epoch = with_body("application/json", r#"{"label": "build 812"}"#);
    held.call("POST", "/v1/epoch", "/v1/epoch", &epoch);
    let patch = with_body(
        "application/merge-patch+json",
        r#"{"sample": {"rate": 0.5}}"#,
    );
    held.call("PATCH", "/v1/settings", "/v1/settings", &patch);
    let history = held.get("/v1/settings/history", "/v1/settings/history");
    assert_eq!(history["changes"][0]["setting"], "sample.rate");
    let rules = "rules: [{id: prices, why: a test, at: $.price, do: ignore}]";
    let rules = with_body("application/yaml", rules);
    let path = "/v1/rules/preview?epoch=all";
    let preview = held.call("POST", "/v1/rules/preview", path, &rules);
    assert_eq!(preview["hidden"]["count"], 3);
    held.get("/v1/epochs", "/v1/epochs");
    held.get("/v1/rules", "/v1/rules");
    evidence(held);
    let second = with_body("application/json", r#"{"seconds": 1}"#);
    held.call("POST", "/v1/record", "/v1/record", &second);
    let none = with_body("application/json", r#"{"seconds": 0}"#);
    held.call("POST", "/v1/record", "/v1/record", &none);
}

/// Of a sweep and of a replay, whose summary has a verdict in it.
fn evidence(held: &mut Held<'_>) {
    let class =
        json!({"id": "c1", "route": "item", "place": "$.price", "kind": "value", "count": 1});
    let sweep = json!({
        "source": "sweep", "route": "item", "keys": 9, "read": 9, "equal": 1, "differs": 1, "only_in_old": 1,
        "only_in_new": 1, "absent": 1, "transient": 1, "noise": 1, "error": 1, "skipped": 1, "upper_keys": 5,
        "confidence": 0.95, "verdict": "unsafe", "classes": [class],
        "examples": [{"key": "7", "result": "only_in_old", "class": null}, {"key": {"a": "7"}, "result": "differs", "class": "c1"}],
    });
    let judged = held.get("/v1/verdict", "/v1/verdict");
    let replay = json!({
        "source": "replay", "verdict": "undecided", "recorded": 2, "read": 1, "duplicates": 0, "against_recorded": false,
        "unusable": [{"reason": "not_a_read", "count": 1, "first": "access.log:2: DELETE /"}], "classes": [class],
        "examples": [{"method": "GET", "path": "/items/17", "outcome": "mismatch", "class": "c1"}], "judged": judged,
    });
    for (source, summary) in [("sweep", sweep), ("replay", replay)] {
        let given =
            json!({"rules": "r1", "build": null, "at": "2026-12-01T13:20:09Z", "summary": summary});
        let body = with_body("application/json", &given.to_string());
        let path = format!("/v1/evidence/{source}");
        let kept = held.call("PUT", "/v1/evidence/{source}", &path, &body);
        assert_eq!(kept["given"]["summary"], summary);
        assert_eq!(
            (&kept["source"], &kept["current"]),
            (&json!(source), &json!(false))
        );
    }
    held.get("/v1/evidence", "/v1/evidence");
    held.get("/v1/verdict", "/v1/verdict");
}

fn refused(held: &mut Held<'_>) {
    for (described, path) in [
        ("/v1/verdict", "/v1/verdict?format=door"),
        ("/v1/mismatches", "/v1/mismatches?limit=0"),
        ("/v1/mismatches/{id}", "/v1/mismatches/none"),
        ("/v1/classes/{id}", "/v1/classes/none"),
        ("/v1/classes/{id}", "/v1/classes/%ff"),
        ("/v1/settings/history", "/v1/settings/history?cursor=x"),
        ("/v1/verdict/history", "/v1/verdict/history?limit=0"),
    ] {
        held.get(described, path);
    }
    let foreign = "origin: http://evil.example\r\n";
    let refusals = [
        ("POST", "/v1/epoch", foreign, "application/json", "{}"),
        (
            "POST",
            "/v1/epoch",
            "",
            "application/json",
            r#"{"name": 1}"#,
        ),
        ("POST", "/v1/epoch", "", "application/json", "{"),
        ("PATCH", "/v1/settings", foreign, "application/json", "{}"),
        (
            "PATCH",
            "/v1/settings",
            "",
            "application/json",
            r#"{"sample": {"rate": 7}}"#,
        ),
        (
            "PATCH",
            "/v1/settings",
            "if-match: \"99\"\r\n",
            "application/json",
            "{}",
        ),
        ("PATCH", "/v1/settings", "", "text/plain", "{}"),
        (
            "POST",
            "/v1/rules/preview",
            "",
            "application/yaml",
            "rules: 7",
        ),
    ];
    for (method, path, head, kind, body) in refusals {
        held.call(
            method,
            path,
            path,
            &format!("{head}{}", with_body(kind, body)),
        );
    }
    for status in [400, 403, 404, 412, 415, 422] {
        let is_met = |met: &String| met.ends_with(&status.to_string());
        assert!(held.met.iter().any(is_met), "{status}");
    }
}
