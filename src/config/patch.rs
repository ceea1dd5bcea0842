//! JSON merge patches (RFC 7396) over the runtime settings.

use super::{
    layers::{self, Change},
    tree::{self, Path},
};
use crate::document::{Fault, Faults, Node, closest};
use serde_json::{Map, Value};

/// Lays `patch` upon what the API has changed so far. A null takes a change back.
pub(super) fn merge(api: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *api = patch.clone();
        return;
    };
    if !api.is_object() {
        *api = Value::Object(Map::new());
    }
    let Value::Object(target) = api else { return };
    for (name, value) in members {
        match value {
            Value::Null => {
                target.remove(name);
            }
            value => merge(target.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}

/// Refuses what cannot be changed while the process runs, by name. What is a setting but wrong, or
/// no field at all, is for the sections to refuse.
pub(super) fn check(patch: &Value) -> Result<(), Faults> {
    if !patch.is_object() {
        return Err(Fault::bare("expected an object of settings").into());
    }
    let default = layers::defaults();
    let mut faults = Faults::default();
    let mut path = Path::new();
    walk(patch, &default, &mut path, &mut faults);
    faults.into_result(())
}

fn walk(patch: &Value, default: &Node, path: &mut Path, faults: &mut Faults) {
    if let Value::Object(members) = patch {
        for (name, value) in members {
            path.push(name.clone());
            walk(value, default, path, faults);
            path.pop();
        }
        return;
    }
    let is_known = tree::find(default, &path[..1]).is_some();
    let settings = layers::runtime_settings(default);
    let is_setting = settings
        .iter()
        .any(|(setting, _)| setting.starts_with(path));
    let name = path.join(".");
    let refused = match Change::of(path) {
        _ if is_setting => return,
        Change::File => format!("{name}: change the file"),
        Change::Restart if is_known => format!("{name} needs a restart"),
        // No section sees a null, so nobody else would say that there is nothing to return to.
        _ if patch.is_null() => unknown(&name, &settings),
        _ => return,
    };
    faults.push(Fault::bare(refused));
}

fn unknown(name: &str, settings: &[(Path, &Node)]) -> String {
    let names: Vec<_> = settings.iter().map(|(path, _)| path.join(".")).collect();
    match closest(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("unknown setting `{name}`, did you mean `{meant}`?"),
        None => format!("unknown setting `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, that have an object for a patch.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ];
        for (mut api, patch, expected) in cases {
            merge(&mut api, &patch);
            assert_eq!(api, expected, "{patch}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_refused_by_name() {
        let cases = [
            (json!({"listen": "x"}), "listen needs a restart"),
            (
                json!({"new": {"url": "x", "timeout": "1s"}}),
                "new.url needs a restart",
            ),
            (
                json!({"old": {"timeout": null}}),
                "old.timeout needs a restart",
            ),
            (json!({"rules": []}), "rules: change the file"),
            (
                json!({"compare": {"headers": "none"}}),
                "compare.headers: change the file",
            ),
            (
                json!({"sample": {"rat": null}}),
                "unknown setting `sample.rat`, did you mean `sample.rate`?",
            ),
            (json!([]), "expected an object of settings"),
        ];
        for (patch, expected) in cases {
            assert_eq!(check(&patch).unwrap_err().to_string(), expected);
        }
        for patch in [
            json!({}),
            json!({"sample": null}),
            json!({"verdict": {"soak": "1d"}}),
        ] {
            assert!(check(&patch).is_ok(), "{patch}");
        }
    }
}
