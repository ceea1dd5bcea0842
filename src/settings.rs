//! Values that change while the process runs: one writer, many readers, one snapshot per unit of work.

mod history;

pub use history::{By, Change, Occasion, changes};

use crate::spanned_yaml::ConfigErrors;
use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};
use tokio::sync::watch;
use utoipa::ToSchema;

/// Reads the value in force. Cheap to clone, never waits.
#[derive(Debug)]
pub struct Current<T>(watch::Receiver<Arc<T>>);

/// The only handle that may change the value.
#[derive(Debug)]
pub struct Publisher<T>(watch::Sender<Arc<T>>);

/// Where a setting got its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Default,
    File,
    Flag,
    Api,
}

/// One runtime setting as it stands.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Setting {
    pub value: serde_json::Value,
    pub source: Source,
}

/// Every runtime setting by its dotted name (`sample.rate`), and the revision of the whole.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct Settings {
    pub revision: u64,
    pub settings: BTreeMap<String, Setting>,
}

/// Why a change was refused; nothing of it is in force.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// `If-Match` named another revision than this current one.
    #[error("the settings are at revision {0}")]
    Stale(u64),
    #[error("{0}")]
    Invalid(ConfigErrors),
}

/// Reads and changes the settings of the running process.
pub trait Edit: Send + Sync + 'static {
    fn settings(&self) -> Settings;

    /// Applies a JSON merge patch (RFC 7396) whole or not at all; `null` returns to the file's value.
    /// `caller` asks for it, which the log and the history tell.
    ///
    /// # Errors
    /// [`Refused`], and then nothing has changed.
    fn patch(
        &self,
        patch: &serde_json::Value,
        if_match: Option<u64>,
        caller: SocketAddr,
    ) -> Result<Settings, Refused>;
}

/// A handle on the settings. Cheap to clone.
#[derive(Clone)]
pub struct Editor(pub Arc<dyn Edit>);

pub fn channel<T>(initial: T) -> (Publisher<T>, Current<T>) {
    let (tx, rx) = watch::channel(Arc::new(initial));
    (Publisher(tx), Current(rx))
}

// === impl Current ===

impl<T> Current<T> {
    /// Takes the value in force. One unit of work must use one value throughout.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Ends at the next change, with the new value; `None` when the publisher is gone.
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
    /// Puts `next` in force for the next unit of work.
    pub fn publish(&self, next: T) {
        self.0.send_replace(Arc::new(next));
    }

    /// The value in force.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }
}

// === impl Editor ===

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Editor")
    }
}
