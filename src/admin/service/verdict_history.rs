//! Judges every second, shows the verdict in the metrics, and records each change of it.

use super::{historian::Historian, verdict::VerdictSource};
use crate::{
    admin::documents::{Finding, VerdictChange},
    drain,
    store::Journal,
};
use std::time::Duration;
use tokio::{
    task,
    time::{self, MissedTickBehavior},
};

/// Interval between two looks; a new epoch is looked at immediately.
const LOOK: Duration = Duration::from_secs(1);

/// Shows and records the verdict until the drain.
pub(crate) async fn watch(source: VerdictSource, journal: Journal, mut drain: drain::Watch) {
    let mut epochs = source.ledger.epochs_begun();
    let mut looks = time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut historian = Historian::resume(last(journal.clone()).await.as_ref());
    loop {
        let verdict = source.verdict();
        source.show(&verdict);
        if let Some(change) = historian.look(&verdict, source.ledger.now()) {
            log(&change);
            journal.append(change.at, &change);
        }
        tokio::select! {
            biased;
            () = drain.signaled() => return,
            // Cannot fail, because the `VerdictSource` holds the ledger.
            _ = epochs.changed() => {}
            _ = looks.tick() => {}
        }
    }
}

/// Blocks on disk I/O, on a blocking thread.
async fn last(journal: Journal) -> Option<VerdictChange> {
    let page = task::spawn_blocking(move || journal.page(None, 1)).await;
    let error = match page {
        Ok(Ok(page)) => return page.entries.into_iter().next(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        error,
        "the last verdict cannot be read: its history starts again"
    );
    None
}

fn log(change: &VerdictChange) {
    let from = change.from.map(|from| from.name());
    let codes = |findings: &[Finding]| {
        let codes = findings.iter().map(ToString::to_string);
        codes.collect::<Vec<_>>().join(", ")
    };
    tracing::info!(
        from,
        to = change.to.name(),
        epoch = %change.epoch,
        appeared = codes(&change.appeared),
        gone = codes(&change.gone),
        skipped = change.skipped,
        "the verdict changed"
    );
}
