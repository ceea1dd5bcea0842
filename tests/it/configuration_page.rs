//! The table of all fields in `docs/configuration.md`, which is made from the printed schema.

use crate::support::run_in;
use serde_json::Value;
use std::{env, fmt::Write, fs, path::Path};

/// With this variable set, the test writes the table instead of comparing it.
const WRITE: &str = "TWINREAD_WRITE_DOCS";

const BEGIN: &str = "<!-- fields -->\n";
const END: &str = "<!-- /fields -->";

/// One field of the configuration, as it stands in the table.
struct Row {
    field: String,
    default: String,
    values: String,
    meaning: String,
}

#[test]
fn the_page_lists_every_field_with_its_default_and_range() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = table(&schema());
    if env::var_os(WRITE).is_some() {
        fs::write(&page, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        found == expected,
        "docs/configuration.md is out of date: {WRITE}=1 cargo test --test it configuration_page"
    );
}

#[test]
fn every_field_has_a_meaning_and_values() {
    for Row {
        field,
        values,
        meaning,
        ..
    } in rows(&schema())
    {
        assert!(!meaning.is_empty(), "{field} has no description");
        assert!(!values.is_empty(), "{field} has no range");
    }
}

fn schema() -> Value {
    let printed = run_in(Path::new("."), &["schema", "config"]);
    serde_json::from_slice(&printed.stdout).unwrap()
}

fn table(schema: &Value) -> String {
    let mut table = "| field | default | values | meaning |\n|---|---|---|---|\n".to_owned();
    for row in rows(schema) {
        let Row {
            field,
            default,
            values,
            meaning,
        } = row;
        writeln!(table, "| `{field}` | {default} | {values} | {meaning} |").unwrap();
    }
    table
}

fn rows(schema: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    add_members(schema, "", &mut rows);
    rows
}

fn add_members(object: &Value, path: &str, rows: &mut Vec<Row>) {
    let required = object["required"].as_array();
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|own| own == name));
    for (name, field) in object["properties"].as_object().unwrap() {
        let path = format!("{path}{name}");
        if field["description"] != "Not available yet." {
            add(field, &path, is_required(name), rows);
        }
    }
}

fn add(field: &Value, path: &str, is_required: bool, rows: &mut Vec<Row>) {
    let forms = forms(field);
    let is_section = |form: &&Value| form["properties"].is_object();
    if let [form] = forms[..]
        && is_section(&form)
    {
        return add_members(form, &format!("{path}."), rows);
    }
    let values: Vec<_> = forms.iter().map(|form| values(form)).collect();
    let meaning = field["description"].as_str().or_else(|| {
        let mut forms = forms.iter();
        forms.find_map(|form| form["description"].as_str())
    });
    rows.push(Row {
        field: path.to_owned(),
        default: match &field["default"] {
            Value::Null if is_required => "required".to_owned(),
            Value::Null => "none".to_owned(),
            Value::String(text) => format!("`{}`", escaped(text)),
            other => format!("`{}`", escaped(&other.to_string())),
        },
        values: values.join(", or "),
        meaning: escaped(meaning.unwrap_or_default()),
    });
    for item in forms.iter().map(|form| &form["items"]) {
        if item["properties"].is_object() {
            add_members(item, &format!("{path}[]."), rows);
        }
    }
}

/// What a field may be, apart from `null` and a variable.
fn forms(field: &Value) -> Vec<&Value> {
    match field["anyOf"].as_array() {
        Some(any) if field["properties"].is_null() => any.iter().flat_map(forms).collect(),
        _ if field["type"] == "null" || field["$ref"] == "#/$defs/variable" => Vec::new(),
        _ if field["type"].is_null() && field["enum"].is_null() && field["$ref"].is_null() => {
            Vec::new()
        }
        _ => vec![field],
    }
}

fn article(name: &str) -> &'static str {
    if name == "address" { "an" } else { "a" }
}

/// The range of a duration or a size.
fn ends(form: &Value) -> String {
    match (form["x-minimum"].as_str(), form["x-maximum"].as_str()) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        _ => String::new(),
    }
}

fn values(form: &Value) -> String {
    if let Some(name) = form["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        return match name {
            "share" => "0 to 1".to_owned(),
            "header" => "a header's name".to_owned(),
            "stack_url" => "a url or `unix:/path`".to_owned(),
            "header_or_start" => "a header's name, or `x-*`".to_owned(),
            "pairs" => "texts by header name".to_owned(),
            "pattern" => "a regular expression".to_owned(),
            name => format!("{} {name}{}", article(name), ends(form)),
        };
    }
    if let Some(words) = form["enum"].as_array() {
        let words: Vec<_> = words
            .iter()
            .map(|word| format!("`{}`", word.as_str().unwrap()))
            .collect();
        return words.join(", ");
    }
    let types = match &form["type"] {
        Value::String(name) => vec![name.as_str()],
        names => names
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
    };
    let kinds = types
        .iter()
        .filter(|name| **name != "null")
        .map(|name| match *name {
            "array" => {
                let items: Vec<_> = forms(&form["items"]).into_iter().map(values).collect();
                format!("a list of: {}", items.join(", or "))
            }
            "object" if form["properties"].is_object() => {
                let members = form["properties"].as_object().unwrap().keys();
                let members: Vec<_> = members.map(|name| format!("`{name}`")).collect();
                format!("a map with {}", members.join(", "))
            }
            "object" => "a map".to_owned(),
            "string" => "a text".to_owned(),
            "boolean" => "`true`, `false`".to_owned(),
            kind => match (form["minimum"].as_number(), form["maximum"].as_number()) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => match form["exclusiveMaximum"].as_number() {
                    Some(most) => format!("from {least} to below {most}"),
                    None => format!("from {least}"),
                },
                _ => format!("a {kind}"),
            },
        });
    kinds.collect::<Vec<_>>().join(", or ")
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
