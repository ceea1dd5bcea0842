//! The history of the settings: each change, and who made it.

use super::{Setting, Source};
use crate::transport::Peer;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt};
use utoipa::ToSchema;

/// One setting whose value or source changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SettingChange)]
pub struct SettingChange {
    /// The revision of all settings after the change. Changes with the same revision took effect together.
    pub revision: u64,
    /// When the change took effect.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The dotted name, such as `sample.rate`.
    pub setting: String,
    pub from: Value,
    pub to: Value,
    /// Where the previous value came from; null if there was none.
    #[schema(required)]
    pub from_source: Option<Source>,
    /// Where the new value comes from.
    #[schema(required)]
    pub to_source: Option<Source>,
    /// The occasion of the change.
    pub source: Occasion,
    /// The address that called the API, or `a unix socket`; null if it was not the API.
    #[schema(required)]
    pub caller: Option<String>,
}

/// Why settings change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// The process started with values other than the defaults.
    Start,
    /// A file was read again.
    File,
    Api,
}

/// Who changed settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Start,
    File,
    Api(Peer),
}

/// Each setting whose value or source differs in `after`.
pub(crate) fn changes(
    (before, after): (&BTreeMap<String, Setting>, &BTreeMap<String, Setting>),
    (revision, at): (u64, Timestamp),
    by: By,
) -> Vec<SettingChange> {
    let none = Value::Null;
    let (source, caller) = match by {
        By::Start => (Occasion::Start, None),
        By::File => (Occasion::File, None),
        By::Api(caller) => (Occasion::Api, Some(caller.to_string())),
    };
    let changed = after.iter().filter_map(|(name, setting)| {
        let before = before.get(name);
        let is_same = before.is_some_and(|before| {
            before.source == setting.source && is_same(&before.value, &setting.value)
        });
        (!is_same).then_some((name, before, setting))
    });
    let changes = changed.map(|(name, before, setting)| SettingChange {
        revision,
        at,
        setting: name.clone(),
        from: before.map_or(&none, |before| &before.value).clone(),
        to: setting.value.clone(),
        from_source: before.map(|before| before.source),
        to_source: Some(setting.source),
        source,
        caller: caller.clone(),
    });
    changes.collect()
}

/// Numbers are equal whatever their notation.
fn is_same(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Number(before), Value::Number(after)) => before.as_f64() == after.as_f64(),
        _ => before == after,
    }
}

// === impl By ===

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the start"),
            Self::File => f.write_str("the configuration"),
            Self::Api(caller) => write!(f, "api from {caller}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;
    use serde_json::json;

    fn settings(values: &[(&str, u64)]) -> BTreeMap<String, Setting> {
        let settings = values.iter().map(|(name, value)| {
            let setting = Setting {
                value: Value::from(*value),
                source: Source::Api,
                hidden: None,
            };
            ((*name).to_owned(), setting)
        });
        settings.collect()
    }

    #[test]
    fn what_stayed_is_no_change_and_a_change_says_who_made_it() {
        let (before, after) = (
            settings(&[("a", 1), ("b", 7)]),
            settings(&[("a", 2), ("b", 7)]),
        );
        let at = (2, Timestamp::UNIX_EPOCH);
        let changes = changes(
            (&before, &after),
            at,
            By::Api(Peer::Tcp(([127, 0, 0, 1], 5_000).into())),
        );
        let expected = json!([{
            "revision": 2, "at": "1970-01-01T00:00:00Z", "setting": "a", "from": 1, "to": 2,
            "from_source": "api", "to_source": "api", "source": "api", "caller": "127.0.0.1:5000",
        }]);
        assert_eq!(serde_json::to_value(changes).unwrap(), expected);
    }

    #[test]
    fn a_setting_that_was_not_known_before_was_nothing() {
        let after = settings(&[("a", 2)]);
        let at = (1, Timestamp::UNIX_EPOCH);
        let changes = changes((&BTreeMap::new(), &after), at, By::Start);
        assert_eq!(
            (&changes[0].from, changes[0].source),
            (&Value::Null, Occasion::Start)
        );
        assert_eq!(changes[0].caller, None);
        assert_eq!(changes[0].from_source, None);
    }

    #[test]
    fn other_source_is_a_change_and_another_spelling_is_none() {
        let setting = |number: &str, source| {
            let value = serde_json::from_str(number).unwrap();
            BTreeMap::from([(
                "a".to_owned(),
                Setting {
                    value,
                    source,
                    hidden: None,
                },
            )])
        };
        let changed = |before, after| {
            let at = (1, Timestamp::UNIX_EPOCH);
            changes((&before, &after), at, By::File)
        };
        let spelled = changed(
            setting("1e-3", Source::File),
            setting("0.001", Source::File),
        );
        assert_eq!(spelled, []);
        let pinned = changed(setting("1e-3", Source::File), setting("0.001", Source::Api));
        assert_eq!(
            (pinned[0].from_source, pinned[0].to_source),
            (Some(Source::File), Some(Source::Api))
        );
    }
}
