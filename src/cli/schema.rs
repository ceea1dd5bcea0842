//! `twinread schema`: prints the JSON Schema of the files that operators write, so that editors complete and check
//! them.
//!
//! That of the configuration comes from its settings. Those of rules are written by hand, as the parsers are; a test
//! holds both to the same fields. This module adds what every field accepts in addition to its own values.

use crate::{config, spanned_yaml::Node};
use serde_json::{Map, Value, json};
use std::{process::ExitCode, sync::Arc};

/// Print a JSON Schema (2020-12), for editors
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   printed
  64  wrong arguments

Example:
  twinread schema config > twinread.schema.json")]
pub(crate) struct Args {
    /// What it describes
    what: Described,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Described {
    /// Rule files
    Rules,
    /// Tests of rule files, NAME.test.yaml
    RuleTests,
    /// The configuration
    Config,
}

/// What a document may hold in place of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variables {
    /// `${NAME}`
    Replaced,
    /// Nothing else.
    Kept,
}

pub(crate) fn run(args: Args) -> ExitCode {
    anstream::println!("{:#}", schema(args.what));
    ExitCode::SUCCESS
}

fn schema(what: Described) -> Value {
    let (mut schema, variables) = match what {
        Described::Rules => (read(include_str!("schema/rules.yaml")), Variables::Kept),
        Described::RuleTests => (
            read(include_str!("schema/rule-tests.yaml")),
            Variables::Kept,
        ),
        Described::Config => (config::schema(), Variables::Replaced),
    };
    variables.relax(&mut schema);
    schema
}

fn read(text: &str) -> Value {
    let node = Node::parse(&Arc::from("schema"), text);
    let node = node.expect("a schema that is compiled in must be a document");
    node.to_json()
}

// === impl Variables ===

impl Variables {
    /// Lets every optional field be null, and every scalar a variable.
    fn relax(self, schema: &mut Value) {
        let Value::Object(schema) = schema else {
            return;
        };
        let required = schema.get("required").cloned().unwrap_or_default();
        // Where one of several is chosen, it must have a value.
        let is_choice = schema.get("maxProperties") == Some(&json!(1));
        let is_required = |name: &str| {
            let mut names = required.as_array().into_iter().flatten();
            is_choice || names.any(|required| required == name)
        };
        for (keyword, below) in schema {
            match (keyword.as_str(), below) {
                ("properties", Value::Object(fields)) => {
                    for (name, field) in fields {
                        self.admit(field, !is_required(name));
                    }
                }
                ("$defs", Value::Object(types)) => {
                    let types = types.iter_mut().filter(|(name, _)| *name != "variable");
                    types.for_each(|(_, described)| self.admit(described, false));
                }
                ("anyOf", Value::Array(branches)) => branches
                    .iter_mut()
                    .for_each(|branch| self.admit(branch, false)),
                ("items" | "additionalProperties", item) => self.admit(item, false),
                _ => {}
            }
        }
    }

    /// Accepts variables, and null for an optional field, in addition to the schema of a value.
    fn admit(self, schema: &mut Value, is_optional: bool) {
        self.relax(schema);
        let Value::Object(members) = schema else {
            return;
        };
        let mut others = Vec::new();
        if is_optional && members.get("type") != Some(&json!("null")) {
            others.push(json!({"type": "null"}));
        }
        if self == Self::Replaced && is_scalar(members) {
            others.push(json!({"$ref": "#/$defs/variable"}));
        }
        if others.is_empty() {
            return;
        }
        if let Some(kind) = members.get_mut("type").filter(|kind| **kind == "object") {
            *kind = json!(["object", "null"]);
            return;
        }
        let mut whole = Map::new();
        for (keyword, value) in members.clone() {
            let is_annotation =
                ["description", "default", "examples", "writeOnly"].contains(&keyword.as_str());
            if is_annotation || keyword.starts_with("x-twinread") {
                members.shift_remove(&keyword);
                whole.insert(keyword, value);
            }
        }
        others.insert(0, std::mem::take(schema));
        whole.insert("anyOf".to_owned(), Value::Array(others));
        *schema = Value::Object(whole);
    }
}

/// Whether it describes a scalar itself; what is behind a `$ref` is handled at its definition.
fn is_scalar(schema: &Map<String, Value>) -> bool {
    let kind = schema.get("type").and_then(Value::as_str);
    let is_any_text = schema.len() == 1 && kind == Some("string");
    schema.contains_key("enum")
        || schema.contains_key("const")
        || matches!(kind, Some("string" | "integer" | "number" | "boolean")) && !is_any_text
}
