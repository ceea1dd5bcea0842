//! JSON merge patches (RFC 7396) over the runtime settings.

use super::{
    described::{change_of, is_field, runtime_settings},
    tree::Path,
};
use crate::spanned_yaml::{Change, ConfigError, ConfigErrors, closest};
use serde_json::{Map, Value};

/// Merges `patch` into the changes made through the API. A null reverts a change.
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

/// Returns the part of `patch` that sections may validate. Rejects by name what cannot change at runtime, and unknown
/// settings.
pub(super) fn admit(patch: &Value) -> (Value, ConfigErrors) {
    let mut faults = ConfigErrors::default();
    if !patch.is_object() {
        faults.push(ConfigError::bare("expected an object of settings"));
        return (Value::Object(Map::new()), faults);
    }
    let admitted = walk(patch, &mut Path::new(), &mut faults);
    (
        admitted.unwrap_or_else(|| Value::Object(Map::new())),
        faults,
    )
}

fn walk(patch: &Value, path: &mut Path, faults: &mut ConfigErrors) -> Option<Value> {
    if let Value::Object(members) = patch
        && !members.is_empty()
    {
        let mut admitted = Map::new();
        for (name, value) in members {
            path.push(name.clone());
            let value = walk(value, path, faults);
            path.pop();
            admitted.extend(value.map(|value| (name.clone(), value)));
        }
        return (!admitted.is_empty()).then_some(Value::Object(admitted));
    }
    // The section validates what is within a setting.
    let is_of = |setting: &Path| setting.starts_with(path) || path.starts_with(setting);
    if runtime_settings().any(|(setting, _)| is_of(setting)) {
        return Some(patch.clone());
    }
    let name = path.join(".");
    faults.push(ConfigError::bare(match change_of(path) {
        Change::File => format!("{name}: change the file"),
        Change::Restart if is_field(path) => format!("{name} needs a restart"),
        _ => unknown(path),
    }));
    None
}

fn unknown(path: &Path) -> String {
    let name = path.join(".");
    let names: Vec<_> = runtime_settings().map(|(path, _)| path.join(".")).collect();
    if let Some(meant) = closest(&name, names.iter().map(String::as_str)) {
        return format!("unknown setting `{name}`, did you mean `{meant}`?");
    }
    let section = format!("{}.", path[0]);
    let siblings: Vec<_> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(&section))
        .collect();
    let expected = if siblings.is_empty() {
        names.join(", ")
    } else {
        siblings.join(", ")
    };
    format!("unknown setting `{name}`, expected one of {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, in which the patch is an object.
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
    fn what_is_refused_hides_no_other_fault() {
        let patch =
            json!({"listen": "x", "new": {"url": "y", "timeout": "1s"}, "sample": {"rate": 7}});
        let (admitted, faults) = admit(&patch);
        assert_eq!(
            admitted,
            json!({"new": {"timeout": "1s"}, "sample": {"rate": 7}})
        );
        assert_eq!(faults.iter().count(), 2);
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
                json!({"old": {"connect_timeout": null}}),
                "old.connect_timeout needs a restart",
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
            (
                json!({"queue": {"something": 1}}),
                "unknown setting `queue.something`, expected one of queue.max_length, queue.max_age",
            ),
            // Maps that say nothing.
            (
                json!({"old": {"headers": {}}}),
                "old.headers needs a restart",
            ),
            (json!({"compare": {}}), "compare: change the file"),
            (json!([]), "expected an object of settings"),
        ];
        for (patch, expected) in cases {
            assert_eq!(admit(&patch).1.to_string(), expected);
        }
        for patch in [
            json!({}),
            json!({"sample": null}),
            json!({"sample": {}, "new": {"breaker": {}}}),
            json!({"verdict": {"soak": "1d"}}),
        ] {
            assert_eq!(admit(&patch).0, patch);
            assert!(admit(&patch).1.is_empty(), "{patch}");
        }
    }
}
