//! Completes `NAME=VALUE`: the names of settings, and their values if there are few.

use crate::config::setting_schemas;
use clap_complete::engine::CompletionCandidate;
use serde_json::Value;
use std::{env, ffi::OsStr};

/// The candidates that begin with `current`.
pub(super) fn candidates(current: &OsStr) -> Vec<CompletionCandidate> {
    let words: Vec<_> = env::args_os().collect();
    let words = words.iter().filter_map(|word| word.to_str());
    let current = current.to_str().unwrap_or_default();
    let found = found(current, &words.collect::<Vec<_>>());
    let begins = |(text, _): &(String, Option<String>)| text.starts_with(current);
    let found = found.into_iter().filter(begins);
    found
        .map(|(text, help)| CompletionCandidate::new(text).help(help.map(Into::into)))
        .collect()
}

/// The candidates with their descriptions; `words` is the whole command line.
fn found(current: &str, words: &[&str]) -> Vec<(String, Option<String>)> {
    let settings = setting_schemas();
    let named = |name: &str| settings.iter().find(|(own, _)| own == name);
    if let Some((name, _)) = current.split_once('=') {
        let values = named(name).map(|(_, schema)| values(schema));
        let values = values.unwrap_or_default().into_iter();
        return values
            .map(|value| (format!("{name}={value}"), None))
            .collect();
    }
    // bash treats `=` as a word of its own, so a bare name before the cursor's word asks for its values.
    let name = words.iter().rev().skip(1).find(|word| **word != "=");
    if let Some((_, schema)) = name.and_then(|name| named(name)) {
        return values(schema)
            .into_iter()
            .map(|value| (value, None))
            .collect();
    }
    let names = settings.into_iter();
    names
        .map(|(name, schema)| (format!("{name}="), text(&schema["description"])))
        .collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The values that can be listed; `null` is always one.
fn values(schema: &Value) -> Vec<String> {
    let words = match &schema["enum"] {
        Value::Array(words) => words.iter().filter_map(text).collect(),
        _ if schema["type"] == "boolean" => vec!["true".to_owned(), "false".to_owned()],
        _ => Vec::new(),
    };
    words.into_iter().chain(["null".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(current: &str, words: &[&str]) -> Vec<String> {
        found(current, words)
            .into_iter()
            .map(|(text, _)| text)
            .collect()
    }

    #[test]
    fn names_are_found_and_values_where_there_are_few() {
        let names = texts("", &["twinread", "set", ""]);
        assert!(names.contains(&"sample.rate=".to_owned()), "{names:?}");
        assert!(
            names.contains(&"new.breaker.failures=".to_owned()),
            "{names:?}"
        );
        let whole = ["twinread", "set", "serve.writes=o"];
        let values = ["serve.writes=old", "serve.writes=new", "serve.writes=null"];
        assert_eq!(texts("serve.writes=o", &whole), values);
        assert_eq!(
            texts("sample.rate=", &["sample.rate="]),
            ["sample.rate=null"]
        );
        assert!(texts("nonsense=", &["nonsense="]).is_empty());
    }

    #[test]
    fn a_name_that_a_shell_has_cut_off_is_seen() {
        for words in [vec!["set", "paused", "=", "t"], vec!["set", "paused", ""]] {
            let current = words.last().unwrap();
            assert_eq!(texts(current, &words), ["true", "false", "null"]);
        }
        let names = texts("", &["set", "paused", "=", "true", ""]);
        assert!(names.contains(&"paused=".to_owned()), "{names:?}");
    }
}
