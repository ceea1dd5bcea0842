//! What the rest of the process owes the admin API.

use super::{ClassRecheck, Preview, Rules, Suggestions};
use crate::{
    document::Faults,
    settings::{Change, Editor},
    telemetry::Ledger,
    verdict::Verdict,
};
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};

/// Everything that the calls read or change.
#[derive(Clone, Debug)]
pub struct Handles {
    pub ledger: Ledger,
    pub editor: Editor,
    pub changes: Arc<dyn History<Change>>,
    pub mismatches: Arc<dyn Mismatches>,
    pub advisor: Arc<dyn Advisor>,
    pub rechecker: Arc<dyn Rechecker>,
    /// The verdict as it stands.
    pub verdict: Ask<Verdict>,
    pub rules: Ask<Rules>,
    /// The metrics in Prometheus' text format 0.0.4.
    pub metrics: Ask<String>,
    pub readiness: Ask<Readiness>,
    /// JSON Schemas, by name, of what other parts own: `SettingsPatch`, and the answers of [`Mismatches`].
    pub schemas: Arc<BTreeMap<String, Value>>,
}

/// A question that another part of the process answers from memory, without waiting.
pub struct Ask<T>(Arc<dyn Fn() -> T + Send + Sync>);

/// Whether the process can do its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What is still missing, each in a sentence; empty: ready.
    pub missing: Vec<String>,
    /// What is not as it should be and does not keep the process from its work.
    pub impaired: Vec<String>,
}

/// Mismatch classes and stored examples. Answers from memory, without waiting.
pub trait Mismatches: fmt::Debug + Send + Sync + 'static {
    /// The document of `GET /v1/classes`: a `Classes`.
    fn classes(&self) -> Value;

    /// A `Class`.
    fn class(&self, id: &str) -> Option<Value>;

    /// The document of `GET /v1/mismatches`: a `MismatchPage`.
    ///
    /// # Errors
    /// The cursor is none that an earlier answer gave.
    fn mismatches(&self, query: &Query) -> Result<Value, UnknownCursor>;

    /// A `Mismatch`.
    fn mismatch(&self, id: &str) -> Option<Value>;
}

/// Judges rules by the stored mismatches. That takes time: it is asked where waiting holds nobody up.
pub trait Advisor: fmt::Debug + Send + Sync + 'static {
    fn suggestions(&self) -> Suggestions;

    /// What the rules of a file would hide.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    fn preview(&self, file: &str) -> Result<Preview, Faults>;
}

/// What was noted over time. That may wait for a disk: it is asked where waiting holds nobody up.
pub trait History<T>: fmt::Debug + Send + Sync + 'static {
    /// At most `limit`, the newest first; of those before `cursor` where there is one.
    ///
    /// # Errors
    /// It cannot be read for now.
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<Noted<T>, Unreadable>;
}

/// A page of a [`History`].
#[derive(Clone, Debug, PartialEq)]
pub struct Noted<T> {
    pub entries: Vec<T>,
    /// The cursor of the next page; `None`: there is none.
    pub next: Option<u64>,
}

/// Why a [`History`] cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct Unreadable(pub String);

/// Reads stored mismatches again on both stacks.
pub trait Rechecker: fmt::Debug + Send + Sync + 'static {
    /// Up to `limit` of a class, the newest first.
    ///
    /// # Errors
    /// [`NotRechecked`].
    fn recheck(&self, class: &str, limit: usize) -> Rechecking;
}

pub type Rechecking = Pin<Box<dyn Future<Output = Result<ClassRecheck, NotRechecked>> + Send>>;

/// Why nothing was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRechecked {
    #[error("there is no such class")]
    UnknownClass,
    #[error("another call is reading stored mismatches again: try again in a moment")]
    Busy,
    #[error("the process is ending")]
    Ending,
}

/// Which examples are asked for, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub route: Option<String>,
    /// The id of a class.
    pub class: Option<String>,
    /// The name of an outcome.
    pub outcome: Option<String>,
    /// None older than this.
    pub since: Option<Timestamp>,
    /// At most so many; from 1 to 1000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that an earlier page gave")]
pub struct UnknownCursor;

// === impl Ask ===

impl<T> Ask<T> {
    pub fn new(answer: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self(Arc::new(answer))
    }

    pub(super) fn get(&self) -> T {
        (self.0)()
    }
}

impl<T> Clone for Ask<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Ask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}
