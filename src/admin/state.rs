//! What the calls read and change.

use super::{
    problem::Problem,
    service::{readiness::Readiness, recheck::Rechecks, verdict::VerdictSource},
};
use crate::{
    config::Running,
    export::Metrics,
    ledger::{Gauges, Ledger},
    pipeline::Recorder,
    store::{Database, Store},
};
use http::{HeaderName, StatusCode};
use std::{sync::Arc, time::Duration};
use tokio::task;

/// Everything that the calls read or change. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminState {
    pub ledger: Ledger,
    pub gauges: Gauges,
    pub running: Arc<Running>,
    pub database: Database,
    pub store: Store,
    pub verdict: VerdictSource,
    pub rechecks: Arc<Rechecks>,
    pub metrics: Metrics,
    pub readiness: Readiness,
    pub recorder: Recorder,
}

const STORED: HeaderName = HeaderName::from_static("twinread-stored");

/// How long a call that changes something waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

// === impl AdminState ===

impl AdminState {
    /// Waits until a call's change is stored. Returns a header that says whether it is.
    pub(super) async fn stored(&self) -> (HeaderName, String) {
        let database = self.database.clone();
        // `blocking` has logged why it failed.
        let is_stored = blocking(move || database.keeps(PATIENCE)).await;
        (STORED, is_stored.unwrap_or(false).to_string())
    }
}

/// Runs `work` on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a query of the store panicked");
        let detail = "a query of the store failed";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}
