//! What the admin API needs from the rest of the process.

use super::{ClassRecheck, Preview, Rules, Suggestions, problem::Problem};
use crate::{
    ledger::{Gauges, Ledger},
    settings::{Change, Editor},
    spanned_yaml::ConfigErrors,
    verdict::{self, Verdict},
};
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, pin::Pin, sync::Arc};
use tokio::task;
use utoipa::ToSchema;

/// Everything that the calls read or change.
#[derive(Clone, Debug)]
pub struct AdminState {
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub editor: Editor,
    pub changes: Arc<dyn History<Change>>,
    /// Changes of the verdict.
    pub verdicts: Arc<dyn History<verdict::history::Change>>,
    pub mismatches: Arc<dyn Mismatches>,
    pub advisor: Arc<dyn Advisor>,
    pub rechecker: Arc<dyn Rechecker>,
    pub keeper: Arc<dyn Keeper>,
    /// The current verdict.
    pub verdict: Ask<Verdict>,
    pub rules: Ask<Rules>,
    /// The metrics in Prometheus' text format 0.0.4.
    pub metrics: Ask<String>,
    pub readiness: Ask<Readiness>,
    /// JSON Schemas, by name, of documents that other modules own: `SettingsPatch`, and the answers of [`Mismatches`].
    pub schemas: Arc<BTreeMap<String, Value>>,
}

/// A query that another module answers from memory, without blocking.
pub struct Ask<T>(Arc<dyn Fn() -> T + Send + Sync>);

/// Whether the process can do its work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// What is missing, each in a sentence; empty if ready.
    pub missing: Vec<String>,
    /// Faults that do not stop the process from working.
    pub impaired: Vec<String>,
}

/// Mismatch classes and stored examples. May block on disk I/O; call it from `spawn_blocking`.
pub trait Mismatches: fmt::Debug + Send + Sync + 'static {
    /// The document of `GET /v1/classes`: a `Classes`.
    ///
    /// # Errors
    /// An invalid cursor; an unreadable store.
    fn classes(&self, query: &ClassQuery) -> Result<Value, QueryError>;

    /// A `Class`.
    ///
    /// # Errors
    /// An unreadable store.
    fn class(&self, id: &str) -> Result<Option<Value>, QueryError>;

    /// The document of `GET /v1/mismatches`: a `MismatchPage`.
    ///
    /// # Errors
    /// An invalid cursor; an unreadable store.
    fn mismatches(&self, query: &Query) -> Result<Value, QueryError>;

    /// A `Mismatch`.
    ///
    /// # Errors
    /// An unreadable store.
    fn mismatch(&self, id: &str) -> Result<Option<Value>, QueryError>;
}

/// Evaluates rules on the stored mismatches. Takes long; call it from `spawn_blocking`.
pub trait Advisor: fmt::Debug + Send + Sync + 'static {
    /// # Errors
    /// An unreadable store.
    fn suggestions(&self) -> Result<Suggestions, QueryError>;

    /// What the rules of a file would hide.
    ///
    /// # Errors
    /// Every fault of the file; an unreadable store.
    fn preview(&self, file: &str) -> Result<Preview, QueryError>;
}

/// Which classes to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassQuery {
    pub order: Order,
    /// Page size, from 1 to 1000.
    pub limit: usize,
    /// The `next` of the previous page.
    pub cursor: Option<String>,
}

/// Order of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Most checks first.
    #[default]
    Frequent,
    /// Most recently seen first.
    Recent,
}

/// A journal of changes. May block on disk I/O; call it from `spawn_blocking`.
pub trait History<T>: fmt::Debug + Send + Sync + 'static {
    /// Up to `limit` entries, the newest first; only those before `cursor` if given.
    ///
    /// # Errors
    /// The store is unreadable at present.
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<JournalPage<T>, Unreadable>;
}

/// A page of a [`History`].
#[derive(Clone, Debug, PartialEq)]
pub struct JournalPage<T> {
    pub entries: Vec<T>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<u64>,
    /// Entries of this page that are left out because they cannot be read.
    pub unreadable: u64,
}

/// Why a [`History`] cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct Unreadable(pub String);

/// Persists changes. May block on disk I/O; call it from `spawn_blocking`.
pub trait Keeper: fmt::Debug + Send + Sync + 'static {
    /// Waits until all earlier changes are stored, or for a short time limit.
    fn keep(&self) -> Stored;
}

/// Whether a change is persisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Yes,
    No,
}

/// Re-reads stored mismatches on both stacks.
pub trait Rechecker: fmt::Debug + Send + Sync + 'static {
    /// Re-reads up to `limit` mismatches of a class, the newest first.
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
    #[error("stored data cannot be read")]
    Unreadable,
    #[error("the process is ending")]
    Ending,
}

/// Which examples to return, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub route: Option<String>,
    pub class: Option<String>,
    pub outcome: Option<String>,
    /// Excludes older ones.
    pub since: Option<Timestamp>,
    /// Page size, from 1 to 1000.
    pub limit: usize,
    /// The `next` of the previous page.
    pub cursor: Option<String>,
}

/// Why a query of the store has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the cursor is not one that an earlier page gave")]
    Cursor,
    #[error("nothing was looked at, for what is wrong with the rules")]
    Rules(ConfigErrors),
    #[error("stored data cannot be read")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

const STORED: HeaderName = HeaderName::from_static("twinread-stored");

// === impl AdminState ===

impl AdminState {
    /// Queries the store on a blocking thread.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Mismatches) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Problem> {
        let mismatches = self.mismatches.clone();
        aside(move || ask(&*mismatches))
            .await?
            .map_err(Problem::from)
    }

    /// Waits until a call's change is stored. Returns a header that says whether it is.
    pub(super) async fn store(&self) -> (HeaderName, HeaderValue) {
        let keeper = self.keeper.clone();
        // `aside` has logged why it failed.
        let told = match aside(move || keeper.keep()).await {
            Ok(Stored::Yes) => "true",
            Ok(Stored::No) | Err(_) => "false",
        };
        (STORED, HeaderValue::from_static(told))
    }
}

/// Runs `work` on a blocking thread.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a query of the store panicked");
        let detail = "a query of the store failed";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

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
