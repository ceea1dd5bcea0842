//! What became of the settings: each change, the newest first, within a bound.

use super::Setting;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::SocketAddr,
};
use utoipa::ToSchema;

/// One setting that got another value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SettingChange)]
pub struct Change {
    /// The revision of all settings that came by it. Changes with the same one came in force together.
    pub revision: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The dotted name, such as `sample.rate`.
    pub setting: String,
    pub from: Value,
    pub to: Value,
    pub source: Occasion,
    /// The address that the API was called from; null where it was not the API.
    #[schema(required)]
    pub caller: Option<String>,
}

/// What settings change by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// The process began with something else than the defaults.
    Start,
    /// A file was read anew.
    File,
    Api,
}

/// Who changes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Start,
    File,
    Api(SocketAddr),
}

/// Some changes, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SettingsHistory)]
pub struct Page {
    pub changes: Vec<Change>,
    /// The `cursor` of the next page; null: there is none.
    #[schema(required)]
    pub next: Option<String>,
    /// Older changes that are not kept any more.
    pub forgotten: u64,
}

/// The latest changes.
#[derive(Clone, Debug, Default)]
pub struct History {
    kept: VecDeque<Change>,
    forgotten: u64,
}

/// Changes kept.
const KEPT: usize = 1_000;

// === impl History ===

impl History {
    /// Notes each setting whose value is another one in `after`, and returns those.
    pub fn note(
        &mut self,
        (before, after): (&BTreeMap<String, Setting>, &BTreeMap<String, Setting>),
        (revision, at): (u64, Timestamp),
        by: By,
    ) -> Vec<Change> {
        let none = Value::Null;
        let value = |name: &String| before.get(name).map_or(&none, |setting| &setting.value);
        let changed = after
            .iter()
            .filter(|(name, setting)| *value(name) != setting.value);
        let changes: Vec<_> = changed
            .map(|(name, setting)| Change {
                revision,
                at,
                setting: name.clone(),
                from: value(name).clone(),
                to: setting.value.clone(),
                source: by.occasion(),
                caller: by.caller().map(|caller| caller.to_string()),
            })
            .collect();
        self.kept.extend(changes.iter().cloned());
        let excess = self.kept.len().saturating_sub(KEPT);
        self.kept.drain(..excess);
        self.forgotten += excess as u64;
        changes
    }

    /// At most `limit` changes, the newest first; of those before `cursor` if there is one.
    pub fn page(&self, limit: usize, cursor: Option<u64>) -> Page {
        // A change is numbered by how many there were before it, so that what comes meanwhile moves no page.
        let end = cursor.unwrap_or(u64::MAX).saturating_sub(self.forgotten);
        let end = usize::try_from(end).unwrap_or(usize::MAX);
        let end = end.min(self.kept.len());
        let begin = end.saturating_sub(limit);
        Page {
            changes: self.kept.range(begin..end).rev().cloned().collect(),
            next: (begin > 0).then(|| (self.forgotten + begin as u64).to_string()),
            forgotten: self.forgotten,
        }
    }
}

// === impl By ===

impl By {
    fn occasion(self) -> Occasion {
        match self {
            Self::Start => Occasion::Start,
            Self::File => Occasion::File,
            Self::Api(_) => Occasion::Api,
        }
    }

    fn caller(self) -> Option<SocketAddr> {
        match self {
            Self::Api(caller) => Some(caller),
            Self::Start | Self::File => None,
        }
    }
}

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

    fn settings(values: &[u64]) -> BTreeMap<String, Setting> {
        let settings = values.iter().enumerate().map(|(number, value)| {
            let setting = Setting {
                value: Value::from(*value),
                source: Source::Api,
            };
            (format!("s{number}"), setting)
        });
        settings.collect()
    }

    fn history(changes: u64) -> History {
        let mut history = History::default();
        for number in 0..changes {
            let (before, after) = (settings(&[number, 7]), settings(&[number + 1, 7]));
            let at = (number, Timestamp::UNIX_EPOCH);
            let noted = history.note((&before, &after), at, By::File);
            assert_eq!(noted.len(), 1, "the other one stayed");
        }
        history
    }

    fn revisions(page: &Page) -> Vec<u64> {
        page.changes.iter().map(|change| change.revision).collect()
    }

    #[test]
    fn pages_follow_one_another_whatever_comes_meanwhile() {
        let mut history = history(5);
        let first = history.page(2, None);
        assert_eq!(revisions(&first), [4, 3]);

        history.note(
            (&settings(&[5]), &settings(&[6])),
            (5, Timestamp::UNIX_EPOCH),
            By::Start,
        );

        let cursor = |page: &Page| page.next.as_ref().map(|next| next.parse().unwrap());
        let second = history.page(2, cursor(&first));
        assert_eq!(revisions(&second), [2, 1]);
        let third = history.page(2, cursor(&second));
        assert_eq!((revisions(&third), third.next), (vec![0], None));
    }

    #[test]
    fn the_oldest_go_and_are_counted() {
        let history = history(1_005);
        let page = history.page(10_000, None);
        assert_eq!(page.changes.len(), 1_000);
        assert_eq!(page.changes[999].revision, 5);
        assert_eq!((page.forgotten, page.next), (5, None));
        assert_eq!(history.page(9, Some(3)).changes, []);
        assert_eq!(revisions(&history.page(9, Some(7))), [6, 5]);
    }

    #[test]
    fn a_change_says_who_made_it() {
        let mut history = History::default();
        let caller = ([127, 0, 0, 1], 5_000).into();
        let at = (2, Timestamp::UNIX_EPOCH);
        history.note((&settings(&[1]), &settings(&[2])), at, By::Api(caller));
        let told = serde_json::to_value(history.page(1, None)).unwrap();
        let expected = serde_json::json!({
            "revision": 2, "at": "1970-01-01T00:00:00Z", "setting": "s0", "from": 1, "to": 2,
            "source": "api", "caller": "127.0.0.1:5000",
        });
        assert_eq!(told["changes"][0], expected);
    }
}
