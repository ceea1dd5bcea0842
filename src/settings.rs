//! Values that change while the process runs: one writer, many readers, one snapshot per unit of work.

mod history;
mod sections;

pub use history::SettingChange;
pub(crate) use history::{By, changes};
pub(crate) use sections::Drain;
pub use sections::{Capture, Checks, ListenerLimits, QueueLimits};

use crate::spanned_yaml::ConfigErrors;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;
use utoipa::ToSchema;

/// Reads the current value. Cheap to clone; never waits.
#[derive(Debug)]
pub struct Current<T>(watch::Receiver<Arc<T>>);

/// The only handle that may change the value.
#[derive(Debug)]
pub struct Publisher<T>(watch::Sender<Arc<T>>);

/// Where a setting's value comes from.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    ToSchema,
    strum::Display,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Source {
    Default,
    File,
    Flag,
    Api,
}

/// One runtime setting with its current value.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Setting {
    pub value: serde_json::Value,
    pub source: Source,
    /// Where the API set the value: that of flag, file or default, to which null returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<serde_json::Value>,
}

/// Every runtime setting by its dotted name (`sample.rate`), and the revision of all of them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Settings {
    pub revision: u64,
    pub settings: BTreeMap<String, Setting>,
    /// Of a change, which is made nevertheless: what is probably a mistake, each in a sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Why a change was refused. Nothing was changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// `If-Match` did not name this current revision.
    #[error("the settings are at revision {0}")]
    Stale(u64),
    #[error("{0}")]
    Invalid(ConfigErrors),
}

pub fn channel<T>(initial: T) -> (Publisher<T>, Current<T>) {
    let publisher = Publisher::new(initial);
    let current = publisher.reader();
    (publisher, current)
}

// === impl Current ===

impl<T> Current<T> {
    /// Returns the current value. One unit of work must use one value throughout.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Waits for the next change and returns the new value; `None` when the publisher is gone.
    pub async fn changed(&mut self) -> Option<Arc<T>> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().clone())
    }
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl Publisher ===

impl<T> Publisher<T> {
    pub(crate) fn new(initial: T) -> Self {
        Self(watch::Sender::new(Arc::new(initial)))
    }

    pub(crate) fn reader(&self) -> Current<T> {
        Current(self.0.subscribe())
    }

    /// Publishes `next` for the next unit of work.
    pub fn publish(&self, next: T) {
        self.0.send_replace(Arc::new(next));
    }

    /// The current value.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }
}
