//! Records each change of the verdict, whether or not anyone queries it.

use super::{history::Kept, verdict_source::VerdictSource};
use crate::{
    admin::History,
    drain,
    ledger::Ledger,
    verdict::{
        Finding,
        history::{Change, Historian},
    },
};
use std::time::Duration;
use tokio::{
    task,
    time::{self, MissedTickBehavior},
};

pub(super) type Verdicts = Kept<Change>;

/// Interval between two looks; a new epoch is looked at immediately.
const LOOK: Duration = Duration::from_secs(1);

/// Interval at which checks become evidence.
const CLOSE: Duration = Duration::from_millis(100);

/// Closes the seconds of the ledger until the drain. Checks that end after that are no evidence.
pub(super) async fn close(ledger: Ledger, mut drain: drain::Watch) {
    let mut ticks = time::interval(CLOSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = drain.signaled() => return,
            _ = ticks.tick() => ledger.close_seconds(),
        }
    }
}

/// Records changes of the verdict until the drain.
pub(super) async fn watch(standing: VerdictSource, verdicts: Verdicts, mut drain: drain::Watch) {
    let mut epochs = standing.ledger.epochs_begun();
    let mut looks = time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut historian = Historian::resume(last(verdicts.clone()).await.as_ref());
    loop {
        let verdict = standing.verdict();
        if let Some(change) = historian.look(&verdict, standing.ledger.now()) {
            tell(&change);
            verdicts.note(change.at, &change);
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
async fn last(verdicts: Verdicts) -> Option<Change> {
    let page = task::spawn_blocking(move || verdicts.page(1, None)).await;
    let told = match page {
        Ok(Ok(page)) => return page.entries.into_iter().next(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        error = told,
        "the last verdict cannot be read: its history begins anew"
    );
    None
}

fn tell(change: &Change) {
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
