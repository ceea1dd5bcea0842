//! `twinread set`: changes settings of a running twinread.

mod complete;

use super::{
    bad_input,
    client::{self, Address, Error},
    print::{Printable, complain, folded, width},
};
use crate::{config::setting_schemas, settings::Settings, spanned_yaml::Node};
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Map, Value};
use std::process::ExitCode;

/// Change settings of a running twinread, from the next request on
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
A list is replaced as a whole, so name all of its items:
`twinread set 'verdict.exempt=GET /files/{},get-report'`

Exit codes:
  0   all are in force
  64  wrong arguments, or refused: nothing has changed
  69  no twinread answers

Example:
  twinread set sample.rate=0.2 new.timeout=2s")]
pub(crate) struct Args {
    /// What to change, such as sample.rate=0.2 or recheck.after=1s,5s; NAME=null returns to the file's value
    #[arg(
        value_name = "NAME=VALUE",
        required = true,
        value_parser = change,
        add = ArgValueCompleter::new(complete::candidates)
    )]
    changes: Vec<Change>,
    #[command(flatten)]
    address: Address,
}

/// A setting by its dotted name, and its new value.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    name: String,
    value: Value,
}

/// Sends all changes as one patch: they are applied together or not at all.
pub(crate) fn run(args: Args) -> ExitCode {
    let patch = match patch(&args.changes) {
        Ok(patch) => patch,
        Err(contradiction) => return bad_input(contradiction),
    };
    match send(&args.address, &patch) {
        Ok(settings) => {
            for line in lines(&args.changes, &settings) {
                anstream::println!("{}", folded(&line, width(), 2));
            }
            for warning in &settings.warnings {
                complain(format!("warning: {}", Printable(warning)));
            }
            ExitCode::SUCCESS
        }
        Err(Error::Refused { status, detail, .. }) if status.is_client_error() => bad_input(detail),
        Err(error) => client::exit_code(Err(error)),
    }
}

fn send(address: &Address, patch: &Value) -> Result<Settings, Error> {
    let client = address.client()?;
    let reply = client.patch("/v1/settings", patch, None)?;
    let stored = reply.headers.get("twinread-stored");
    if stored.is_some_and(|stored| stored == "false") {
        anstream::eprintln!("in force, but not stored: it does not survive a restart");
    }
    client.read(reply)
}

/// Parses a value as in the configuration file, so that `5s`, `new` and `[1s, 5s]` need no quotes.
fn change(text: &str) -> Result<Change, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE, such as sample.rate=0.2")?;
    if name.split('.').any(str::is_empty) {
        return Err(format!("`{name}` is not the name of a setting"));
    }
    let value = match read(value) {
        Value::String(text) if is_list(name) => items(&text),
        value => value,
    };
    Ok(Change {
        name: name.to_owned(),
        value,
    })
}

/// Anything but JSON and lists is text, whatever else it might be in YAML.
fn read(value: &str) -> Value {
    if let Ok(json) = serde_json::from_str(value) {
        return json;
    }
    let is_list = value.trim_start().starts_with('[');
    let node = is_list.then(|| Node::parse(&"value".into(), value));
    match node {
        Some(Ok(list)) => list.to_json(),
        _ => Value::String(value.to_owned()),
    }
}

fn is_list(name: &str) -> bool {
    let mut settings = setting_schemas().into_iter();
    settings.any(|(own, schema)| own == name && schema["type"] == "array")
}

/// The items between commas; no text is no item.
fn items(text: &str) -> Value {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).collect()
}

/// # Errors
/// Why the changes form no patch.
fn patch(changes: &[Change]) -> Result<Value, String> {
    let mut patch = Value::Object(Map::new());
    for change in changes {
        let contradiction = || {
            let name = &change.name;
            format!("`{name}` is given twice, or is both a setting and a part of one")
        };
        let mut place = &mut patch;
        for name in path(&change.name) {
            let Value::Object(members) = place else {
                return Err(contradiction());
            };
            // New members are empty until the last name of this change is reached.
            place = members
                .entry(name)
                .or_insert_with(|| Value::Object(Map::new()));
        }
        if !matches!(place, Value::Object(members) if members.is_empty()) {
            return Err(contradiction());
        }
        *place = change.value.clone();
    }
    Ok(patch)
}

/// The members that lead to a setting. What follows a setting that is a map is one name, dots included.
fn path(name: &str) -> Vec<String> {
    let in_map = setting_schemas().into_iter().find_map(|(map, schema)| {
        let rest = name.strip_prefix(&map)?.strip_prefix('.')?;
        (schema["type"] == "object").then(|| (map, rest.to_owned()))
    });
    let (sections, last) = in_map.map_or((name.to_owned(), None), |(map, rest)| (map, Some(rest)));
    sections.split('.').map(str::to_owned).chain(last).collect()
}

/// The current values of the named settings, or of all settings of a named section.
fn lines(changes: &[Change], settings: &Settings) -> Vec<String> {
    let named = |name: &str| {
        changes.iter().any(|change| {
            let is_within = |inner: &str, outer: &str| {
                let rest = inner.strip_prefix(outer);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            is_within(name, &change.name) || is_within(&change.name, name)
        })
    };
    settings
        .settings
        .iter()
        .filter(|(name, _)| named(name))
        .map(|(name, setting)| {
            let value = match &setting.value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            format!("{name} = {value} ({})", setting.source)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Setting, Source};
    use serde_json::json;

    fn changes(texts: &[&str]) -> Vec<Change> {
        texts.iter().map(|text| change(text).unwrap()).collect()
    }

    #[test]
    fn changes_make_one_patch() {
        let changes = changes(&[
            "sample.rate=0.2",
            "sample.by=header:x-user",
            "new.timeout=5s",
            "serve.new=25",
            "paused=true",
            "queue.max_age=null",
            "recheck.after=[200ms, 1s]",
            "serve.routes.shop.v1/Get=7",
        ]);
        let expected = json!({
            "sample": {"rate": 0.2, "by": "header:x-user"},
            "new": {"timeout": "5s"},
            "serve": {"new": 25, "routes": {"shop.v1/Get": 7}},
            "paused": true,
            "queue": {"max_age": null},
            "recheck": {"after": ["200ms", "1s"]},
        });
        assert_eq!(patch(&changes).unwrap(), expected);
    }

    #[test]
    fn a_setting_that_is_a_list_takes_items_between_commas() {
        let changes = changes(&[
            "recheck.after=1s, 2s",
            "verdict.exempt=GET /files/{}",
            "sample.by=header:x-a,b",
        ]);
        let expected = json!({
            "recheck": {"after": ["1s", "2s"]},
            "verdict": {"exempt": ["GET /files/{}"]},
            "sample": {"by": "header:x-a,b"},
        });
        assert_eq!(patch(&changes).unwrap(), expected);
        assert_eq!(change("recheck.after=").unwrap().value, json!([]));
        assert_eq!(change("recheck.after=null").unwrap().value, Value::Null);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for texts in [
            ["sample=1", "sample.rate=1"],
            ["sample.rate=1", "sample=1"],
            ["sample.rate=1", "sample.rate=2"],
        ] {
            assert!(patch(&changes(&texts)).is_err(), "{texts:?}");
        }
        assert!(change("sample.rate").is_err());
        assert!(change("sample..rate=1").is_err());
        assert!(change("=1").is_err());
    }

    #[test]
    fn current_values_are_shown_with_their_source() {
        let setting = |value| Setting {
            value,
            source: Source::Api,
            hidden: None,
        };
        let settings = Settings {
            revision: 2,
            settings: [
                ("sample.rate".to_owned(), setting(json!(0.2))),
                ("samples".to_owned(), setting(json!(1))),
                ("sample.by".to_owned(), setting(json!("trace"))),
            ]
            .into(),
            warnings: Vec::new(),
        };
        let lines = lines(&changes(&["sample=null"]), &settings);
        assert_eq!(
            lines,
            ["sample.by = trace (api)", "sample.rate = 0.2 (api)"]
        );
    }
}
