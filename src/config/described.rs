//! What the declarations of the settings say: the JSON Schema of the configuration file, that of patches at runtime,
//! the defaults, and how each setting can change.

use super::{
    sections::Sections,
    tree::{self, Path},
};
use crate::spanned_yaml::{Change, Node, Section, definitions};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// One field of the configuration.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) path: Path,
    pub(super) schema: Value,
    pub(super) change: Change,
}

/// Every field, a section before its members.
static FIELDS: LazyLock<Vec<Described>> = LazyLock::new(|| {
    let mut fields = Vec::new();
    gather(
        &Sections::schema(),
        &mut Path::new(),
        Change::Restart,
        &mut fields,
    );
    fields
});

/// The JSON Schema of the configuration source.
pub(crate) fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "twinread configuration",
    });
    let sections = Sections::schema();
    for (keyword, value) in sections.as_object().into_iter().flatten() {
        schema[keyword] = value.clone();
    }
    schema["$defs"] = definitions();
    schema
}

/// The JSON Schema of a patch: that of the configuration, reduced to the settings that change at runtime. Every part
/// may be null, because a null returns to the file's value.
pub(crate) fn patch_schema() -> Value {
    let mut patch = json!({
        "description": "A JSON merge patch (RFC 7396); null returns to the value of the file",
        "type": "object",
        "additionalProperties": false,
        "properties": {},
    });
    for field in FIELDS.iter().filter(|field| field.is_setting()) {
        let (name, sections) = field.path.split_last().expect("a field has a name");
        let mut place = &mut patch;
        for depth in 0..sections.len() {
            let section = described(&field.path[..=depth]);
            let members = place["properties"].as_object_mut();
            let members = members.expect("a section has properties");
            place = members.entry(&field.path[depth]).or_insert_with(|| {
                json!({
                    "description": section.map(|section| &section.schema["description"]),
                    "type": ["object", "null"],
                    "additionalProperties": false,
                    "properties": {},
                })
            });
        }
        place["properties"][name] = json!({
            "description": field.schema["description"],
            "anyOf": [field.values(), {"type": "null"}],
        });
    }
    patch
}

/// Every runtime setting by its dotted name, with its description and the JSON Schema of its value.
pub(crate) fn setting_schemas() -> Vec<(String, Value)> {
    let settings = FIELDS.iter().filter(|field| field.is_setting());
    let settings = settings.map(|field| (field.path.join("."), field.schema.clone()));
    settings.collect()
}

/// The tree of all defaults.
pub fn defaults() -> Node {
    let mut tree = Node::from(&json!({}));
    for field in FIELDS.iter() {
        let default = field.schema.get("default").map(Node::from);
        tree::put(&mut tree, &field.path, default);
    }
    tree
}

/// The runtime settings with their defaults.
pub(super) fn runtime_settings() -> impl Iterator<Item = (&'static Path, &'static Value)> {
    let settings = FIELDS.iter().filter(|field| field.is_setting());
    settings.map(|field| (&field.path, &field.schema["default"]))
}

/// Secrets, and sections that hold secrets: a section that is mistakenly a text may contain them as well.
pub(super) fn secrets() -> impl Iterator<Item = &'static Path> {
    let secrets = FIELDS
        .iter()
        .filter(|field| field.schema["writeOnly"] == true);
    secrets.map(|field| &field.path)
}

/// Fields of which a null in the file is its own value, not the default.
pub(super) fn with_own_null() -> impl Iterator<Item = &'static Path> {
    let fields = FIELDS
        .iter()
        .filter(|field| field.schema.get("x-twinread-null").is_some());
    fields.map(|field| &field.path)
}

/// How the setting at `path` can change, or the one that it is within.
pub(super) fn change_of(path: &[String]) -> Change {
    let around = FIELDS.iter().rfind(|field| path.starts_with(&field.path));
    around.map_or(Change::Restart, |field| field.change)
}

/// Whether `path` is a field, or is within one that is no section.
pub(super) fn is_field(path: &[String]) -> bool {
    let is_within = |field: &Described| field.is_leaf() && path.starts_with(&field.path);
    described(path).is_some() || FIELDS.iter().any(is_within)
}

fn described(path: &[String]) -> Option<&'static Described> {
    FIELDS.iter().find(|field| field.path == path)
}

fn gather(section: &Value, path: &mut Path, around: Change, fields: &mut Vec<Described>) {
    for (name, schema) in section["properties"].as_object().into_iter().flatten() {
        path.push(name.clone());
        let change = match schema["x-twinread-change"].as_str() {
            Some("runtime") => Change::Runtime,
            Some("file") => Change::File,
            _ => around,
        };
        fields.push(Described {
            path: path.clone(),
            schema: schema.clone(),
            change,
        });
        gather(schema, path, change, fields);
        path.pop();
    }
}

// === impl Described ===

impl Described {
    fn is_leaf(&self) -> bool {
        self.schema.get("properties").is_none()
    }

    /// Whether it can change at runtime.
    fn is_setting(&self) -> bool {
        self.is_leaf() && self.change == Change::Runtime
    }

    /// The schema of its values alone, with their range and without references. It has no default: what a patch leaves
    /// out stays as it is.
    fn values(&self) -> Value {
        let mut schema = inlined(&self.schema, &definitions());
        if let Value::Object(members) = &mut schema {
            members.retain(|keyword, _| {
                !matches!(keyword.as_str(), "description" | "default" | "writeOnly")
                    && !keyword.starts_with("x-twinread-")
            });
        }
        schema
    }
}

/// Replaces references by the types that they refer to.
fn inlined(schema: &Value, types: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut all = Map::new();
            for (name, member) in members {
                let reference = member.as_str().filter(|_| name == "$ref");
                match reference.and_then(|reference| reference.strip_prefix("#/$defs/")) {
                    Some(name) => {
                        let members = inlined(&types[name], types);
                        all.extend(members.as_object().cloned().unwrap_or_default());
                    }
                    None => drop(all.insert(name.clone(), inlined(member, types))),
                }
            }
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| inlined(item, types)).collect(),
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_settings_are_the_leaves_of_their_sections() {
        let names: Vec<_> = runtime_settings().map(|(path, _)| path.join(".")).collect();
        let expected = "serve.new serve.by serve.salt serve.routes serve.writes serve.rescue.enabled serve.rescue.timeout serve.header paused old.timeout old.max_in_flight old.max_per_second \
            old.breaker.failures old.breaker.cool_down new.timeout new.max_in_flight new.max_per_second \
            new.breaker.failures new.breaker.cool_down sample.rate sample.per_route_floor \
            sample.max_per_second sample.by sample.force_header capture.max_body capture.max_total \
            queue.max_length queue.max_age recheck.after recheck.max_per_second redact.values log.level verdict.max_mismatch \
            verdict.max_error verdict.max_transient verdict.max_noise verdict.max_uncompared verdict.confidence \
            verdict.min_share verdict.required verdict.exempt verdict.min_coverage verdict.soak verdict.max_gap \
            verdict.max_latency_ratio verdict.change_run";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn fields_are_known_from_other_names() {
        let path = |name: &str| -> Path { name.split('.').map(str::to_owned).collect() };
        for name in [
            "listen",
            "new.url",
            "old.tls",
            "compare.headers",
            "reads.0.path",
        ] {
            assert!(is_field(&path(name)), "{name}");
        }
        for name in ["lisen", "new.urll", "queue.length.x"] {
            assert!(!is_field(&path(name)), "{name}");
        }
    }

    #[test]
    fn nothing_refers_to_what_is_not_there() {
        let patch = patch_schema();
        assert!(!patch.to_string().contains("$ref"), "{patch:#}");
        let timeout = &patch["properties"]["new"]["properties"]["timeout"];
        assert_eq!(timeout["anyOf"][0]["type"], "string");
        assert_eq!(timeout["anyOf"][1]["type"], "null");
    }

    #[test]
    fn a_patch_has_ranges_and_no_defaults() {
        let patch = patch_schema();
        let value = |section: &str, name: &str| {
            patch["properties"][section]["properties"][name]["anyOf"][0].clone()
        };
        assert_eq!(value("new", "timeout")["x-maximum"], "1h");
        assert_eq!(value("capture", "max_body")["x-maximum"], "64GiB");
        assert_eq!(value("queue", "max_length")["maximum"], 1_000_000);
        assert!(!patch.to_string().contains("\"default\""), "{patch:#}");
    }

    /// Each setting says what it means, what it is at first, and what it may be.
    #[test]
    fn every_setting_has_a_description_a_default_and_a_range() {
        for field in FIELDS.iter() {
            let name = field.path.join(".");
            let schema = &field.schema;
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(!description.is_empty(), "{name} has no description");
            let is_required = ["old.url", "new.url"].contains(&name.as_str());
            let has_default = schema.get("default").is_some();
            assert_eq!(
                has_default,
                field.is_leaf() && !is_required,
                "{name}: its default"
            );
            if matches!(schema["type"].as_str(), Some("integer" | "number")) {
                let is_bounded = schema["minimum"].is_number() && schema["maximum"].is_number();
                assert!(is_bounded, "{name} has no range");
            }
            let names = schema.as_object().unwrap().keys();
            let mut forms = names
                .filter(|name| ["type", "enum", "const", "anyOf", "$ref"].contains(&name.as_str()));
            assert!(forms.next().is_some(), "{name} may be anything");
        }
    }

    #[test]
    fn the_patch_holds_every_setting() {
        let patch = patch_schema();
        for (name, _) in setting_schemas() {
            let pointer = name.replace('.', "/properties/");
            assert!(
                patch.pointer(&format!("/properties/{pointer}")).is_some(),
                "{name}"
            );
        }
    }
}
