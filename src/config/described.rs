//! JSON Schemas of the configuration file, and of patches at runtime.

use super::{layers::Change, tree::Path};
use crate::spanned_yaml::Node;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The JSON Schema of the configuration source: without defaults, and with `<<`.
pub fn schema() -> Value {
    let node = Node::parse(&Arc::from("schema"), include_str!("schema.yaml"));
    let node = node.expect("a schema that is compiled in must be a document");
    node.to_json()
}

/// The JSON Schema of a patch: that of the configuration, reduced to the settings that change at runtime. Every part
/// may be null, because a null returns to the file's value.
pub fn patch_schema() -> Value {
    let schema = schema();
    let whole = inlined(&schema, &schema["$defs"]);
    let mut patch = cut(&whole, &mut Path::new()).expect("some settings change at runtime");
    patch["type"] = json!("object");
    patch["description"] =
        json!("A JSON merge patch (RFC 7396); null returns to the value of the file");
    patch
}

/// Every runtime setting by its dotted name, with the JSON Schema of its value.
pub fn setting_schemas() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect(&patch_schema(), &mut Path::new(), &mut found);
    found
}

/// Whether `path` is a field, or is within one.
pub(super) fn is_field(path: &Path) -> bool {
    let schema = schema();
    let whole = inlined(&schema, &schema["$defs"]);
    let mut field = &whole;
    for name in path {
        let Some(fields) = field["properties"].as_object() else {
            return true;
        };
        match fields.get(name).or_else(|| fields.get("<<")?.get(name)) {
            Some(found) => field = found,
            None => return false,
        }
    }
    true
}

fn collect(schema: &Value, path: &mut Path, found: &mut Vec<(String, Value)>) {
    let Some(fields) = schema["properties"].as_object() else {
        return found.push((path.join("."), schema.clone()));
    };
    for (name, field) in fields {
        path.push(name.clone());
        collect(field, path, found);
        path.pop();
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

/// The part of the schema at `path` that describes runtime settings; `None` if there are none.
fn cut(schema: &Value, path: &mut Path) -> Option<Value> {
    let description = schema.get("description");
    let Some(fields) = schema["properties"].as_object() else {
        let mut setting = schema.clone();
        let members = setting.as_object_mut()?;
        let description = members.shift_remove("description");
        let or_null = json!({"description": description, "anyOf": [setting, {"type": "null"}]});
        return (Change::of(path) == Change::Api).then(|| without_nulls(or_null));
    };
    let mut left = Map::new();
    for (name, field) in fields {
        path.push(name.clone());
        left.extend(cut(field, path).map(|field| (name.clone(), field)));
        path.pop();
    }
    let section = json!({
        "description": description,
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": left,
    });
    let is_empty = section["properties"] == json!({});
    (!is_empty).then(|| without_nulls(section))
}

fn without_nulls(mut schema: Value) -> Value {
    if let Value::Object(members) = &mut schema {
        members.retain(|_, member| !member.is_null());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{layers, tree};

    #[test]
    fn a_patch_may_hold_every_runtime_setting_and_nothing_else() {
        let described = setting_schemas().into_iter();
        let mut described: Vec<_> = described.map(|(name, _)| name).collect();
        described.sort();
        let default = layers::defaults();
        let settings = layers::runtime_settings(&default);
        let mut names: Vec<_> = settings.iter().map(|(path, _)| path.join(".")).collect();
        names.sort();
        assert_eq!(described, names);
        assert!(tree::leaves(&default).len() > names.len());
    }

    #[test]
    fn fields_are_told_from_what_is_none() {
        let path = |name: &str| name.split('.').map(str::to_owned).collect();
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
}
