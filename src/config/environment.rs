//! Replaces `${NAME}` and `${NAME:-default}` in scalars by environment variables.
//!
//! Works on the tree, not on the text: a value cannot add fields, and positions stay valid. A plain scalar stays plain,
//! so that `rate: ${RATE}` may be a number; a quoted one stays text.

use crate::spanned_yaml::{ConfigError, ConfigErrors, Data, Node};
use std::sync::Arc;

/// Looks up a variable, in the process's environment or a test's.
pub(crate) type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

struct Replacing<'r> {
    file: &'r Arc<str>,
    lookup: Lookup<'r>,
    faults: ConfigErrors,
}

/// A scalar with its variables replaced.
struct Expanded {
    text: String,
    /// A part of it came from the environment, and may be a secret.
    is_from_outside: bool,
}

/// The value of a variable.
enum Value<'v> {
    Set(String),
    Default(&'v str),
}

/// Replaces every variable in `node`. Faults show the variable instead of a value from the environment.
///
/// # Errors
/// Unset variables without a default, and braces that hold no name.
pub(super) fn replace(file: &Arc<str>, node: &mut Node, lookup: Lookup<'_>) -> ConfigErrors {
    let mut replacing = Replacing {
        file,
        lookup,
        faults: ConfigErrors::default(),
    };
    replacing.walk(node, "");
    replacing.faults
}

// === impl Replacing ===

impl Replacing<'_> {
    fn walk(&mut self, node: &mut Node, path: &str) {
        match &mut node.data {
            Data::Plain(text) | Data::Quoted(text) => match expand(text, self.lookup) {
                Ok(expanded) => {
                    if expanded.is_from_outside {
                        node.shown = Some(text.as_str().into());
                    }
                    *text = expanded.text;
                }
                Err(message) => {
                    let message = format!("{path}: {message}");
                    self.faults
                        .push(ConfigError::at(self.file, node.mark, message));
                }
            },
            Data::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"));
                }
            }
            Data::Map(entries) => {
                for (key, member) in entries {
                    let path = match path {
                        "" => key.name.clone(),
                        path => format!("{path}.{}", key.name),
                    };
                    self.walk(member, &path);
                }
            }
        }
    }
}

/// `$${` stands for `${`; a dollar sign before anything else is itself.
fn expand(text: &str, lookup: Lookup<'_>) -> Result<Expanded, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut is_from_outside = false;
    let mut rest = text;
    while let Some(begin) = rest.find("${") {
        let (before, variable) = rest.split_at(begin);
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &variable[2..];
            continue;
        }
        expanded.push_str(before);
        let Some(end) = variable.find('}') else {
            return Err("expected `}` after `${`; write `$${` for the characters".to_owned());
        };
        match value(&variable[2..end], lookup)? {
            Value::Set(value) => {
                is_from_outside = true;
                expanded.push_str(&value);
            }
            Value::Default(value) => expanded.push_str(value),
        }
        rest = &variable[end + 1..];
    }
    expanded.push_str(rest);
    Ok(Expanded {
        text: expanded,
        is_from_outside,
    })
}

/// As in a shell, a variable that is set but empty uses its default.
fn value<'v>(variable: &'v str, lookup: Lookup<'_>) -> Result<Value<'v>, String> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    if !is_name(name) {
        return Err(format!(
            "expected the name of a variable in `${{{variable}}}`; write `$${{` for the characters"
        ));
    }
    match (lookup(name), default) {
        (Some(value), None) => Ok(Value::Set(value)),
        (Some(value), Some(_)) if !value.is_empty() => Ok(Value::Set(value)),
        (_, Some(default)) => Ok(Value::Default(default)),
        (None, None) => Err(format!(
            "the variable `{name}` is not set; `${{{name}:-…}}` gives a default"
        )),
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(name: &str) -> Option<String> {
        match name {
            "RATE" => Some("0.5".to_owned()),
            "HOST" => Some("db: [1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_where_they_are_named() {
        let cases = [
            ("${RATE}", "0.5"),
            ("a${RATE}b${RATE}", "a0.5b0.5"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${GONE:-}", ""),
            ("${GONE:-a b}", "a b"),
            ("$${RATE}", "${RATE}"),
            ("$$${RATE}", "$${RATE}"),
            (r"^a$|\d+$", r"^a$|\d+$"),
            ("$.query", "$.query"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &variables).unwrap().text, expected, "{text}");
        }
    }

    #[test]
    fn faults_have_their_line_and_all_are_reported() {
        let file = Arc::from("f.yaml");
        let mut node = Node::parse(&file, "a: ${GONE}\nb:\n  - ${1}\n  - x${RATE\n").unwrap();
        let faults = replace(&file, &mut node, &variables);
        assert_eq!(
            faults.to_string(),
            "f.yaml:1:4: a: the variable `GONE` is not set; `${GONE:-…}` gives a default\n\
             f.yaml:3:5: b[0]: expected the name of a variable in `${1}`; write `$${` for the characters\n\
             f.yaml:4:5: b[1]: expected `}` after `${`; write `$${` for the characters"
        );
    }

    #[test]
    fn a_value_brings_in_no_structure_and_stays_what_it_was() {
        let file = Arc::from("f.yaml");
        let mut node =
            Node::parse(&file, "{a: '${HOST}', b: \"${RATE}\", c: \"${HOST}\"}").unwrap();
        assert!(replace(&file, &mut node, &variables).is_empty());
        assert_eq!(
            node.get("a").unwrap().data,
            Data::Quoted("db: [1".to_owned())
        );
        assert_eq!(node.get("b").unwrap().data, Data::Quoted("0.5".to_owned()));

        let mut node = Node::parse(&file, "rate: ${RATE}").unwrap();
        assert!(replace(&file, &mut node, &variables).is_empty());
        assert_eq!(
            node.get("rate").unwrap().data,
            Data::Plain("0.5".to_owned())
        );
    }
}
