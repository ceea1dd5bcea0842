//! What the rest of the process owes the admin API.

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
    /// The changes of the verdict.
    pub verdicts: Arc<dyn History<verdict::history::Change>>,
    pub mismatches: Arc<dyn Mismatches>,
    pub advisor: Arc<dyn Advisor>,
    pub rechecker: Arc<dyn Rechecker>,
    pub keeper: Arc<dyn Keeper>,
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

/// Mismatch classes and stored examples. Answers from the disk: it is asked where waiting holds nobody up.
pub trait Mismatches: fmt::Debug + Send + Sync + 'static {
    /// The document of `GET /v1/classes`: a `Classes`.
    ///
    /// # Errors
    /// The cursor is none that an earlier answer gave; what is stored cannot be read.
    fn classes(&self, query: &ClassQuery) -> Result<Value, QueryError>;

    /// A `Class`.
    ///
    /// # Errors
    /// What is stored cannot be read.
    fn class(&self, id: &str) -> Result<Option<Value>, QueryError>;

    /// The document of `GET /v1/mismatches`: a `MismatchPage`.
    ///
    /// # Errors
    /// The cursor is none that an earlier answer gave; what is stored cannot be read.
    fn mismatches(&self, query: &Query) -> Result<Value, QueryError>;

    /// A `Mismatch`.
    ///
    /// # Errors
    /// What is stored cannot be read.
    fn mismatch(&self, id: &str) -> Result<Option<Value>, QueryError>;
}

/// Judges rules by the stored mismatches. That takes time: it is asked where waiting holds nobody up.
pub trait Advisor: fmt::Debug + Send + Sync + 'static {
    /// # Errors
    /// What is stored cannot be read.
    fn suggestions(&self) -> Result<Suggestions, QueryError>;

    /// What the rules of a file would hide.
    ///
    /// # Errors
    /// Everything that is wrong with the file; what is stored cannot be read.
    fn preview(&self, file: &str) -> Result<Preview, QueryError>;
}

/// Which classes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassQuery {
    pub order: Order,
    /// At most so many; from 1 to 1000.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which classes come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Those that most checks showed.
    #[default]
    Frequent,
    /// Those seen last.
    Recent,
}

/// What was noted over time. That may wait for a disk: it is asked where waiting holds nobody up.
pub trait History<T>: fmt::Debug + Send + Sync + 'static {
    /// At most `limit`, the newest first; of those before `cursor` where there is one.
    ///
    /// # Errors
    /// It cannot be read for now.
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<JournalPage<T>, Unreadable>;
}

/// A page of a [`History`].
#[derive(Clone, Debug, PartialEq)]
pub struct JournalPage<T> {
    pub entries: Vec<T>,
    /// The cursor of the next page; `None`: there is none.
    pub next: Option<u64>,
    /// Entries of this page that are left out, for they cannot be read.
    pub unreadable: u64,
}

/// Why a [`History`] cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct Unreadable(pub String);

/// Where changes outlive the process. That waits for a disk: it is asked where waiting holds nobody up.
pub trait Keeper: fmt::Debug + Send + Sync + 'static {
    /// Waits until everything that was changed before is stored, as far as that comes soon.
    fn keep(&self) -> Stored;
}

/// Whether a change outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    Yes,
    No,
}

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
    #[error("what is stored cannot be read")]
    Unreadable,
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

/// Why a question about what is stored has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the cursor is not one that an earlier page gave")]
    Cursor,
    #[error("nothing was looked at, for what is wrong with the rules")]
    Rules(ConfigErrors),
    #[error("what is stored cannot be read")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

const STORED: HeaderName = HeaderName::from_static("twinread-stored");

// === impl AdminState ===

impl AdminState {
    /// Asks for what is stored, where waiting holds nobody up.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Mismatches) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, Problem> {
        let mismatches = self.mismatches.clone();
        aside(move || ask(&*mismatches))
            .await?
            .map_err(Problem::from)
    }

    /// Waits until what a call has changed is stored, and tells in a header whether it is.
    pub(super) async fn store(&self) -> (HeaderName, HeaderValue) {
        let keeper = self.keeper.clone();
        // Why it could not be asked was logged.
        let told = match aside(move || keeper.keep()).await {
            Ok(Stored::Yes) => "true",
            Ok(Stored::No) | Err(_) => "false",
        };
        (STORED, HeaderValue::from_static(told))
    }
}

/// Works on a thread where waiting holds nobody up.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "looking at what is stored panicked");
        let detail = "looking at what is stored failed";
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
