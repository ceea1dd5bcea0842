//! Closes the seconds of the ledger, and detects a clock that was set back and a disk that hangs.
//!
//! The ledger's clock only advances, over restarts as well, so figures and soak time are unaffected. Timestamps of the
//! time of day then precede earlier ones; this is reported until the process ends.

use crate::{
    drain,
    ledger::{Clock, Gauges, Ledger},
    store::Database,
};
use jiff::SignedDuration;
use std::time::Duration;
use tokio::time::{self, MissedTickBehavior};

/// Closes the seconds of a ledger, and compares its clock with the time of day.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) ledger: Ledger,
    pub(super) wall: Clock,
    pub(super) database: Database,
    pub(super) gauges: Gauges,
}

/// A time of day this far behind the ledger's clock has been set back.
const SET_BACK: SignedDuration = SignedDuration::from_secs(60);

/// Interval at which checks become evidence.
const CLOSE: Duration = Duration::from_millis(100);

// === impl Watch ===

impl Watch {
    /// Runs until the drain. Checks that end after that are no evidence. A clock set back is reported once.
    pub(super) async fn run(&self, mut drain: drain::Watch) {
        let mut ticks = time::interval(CLOSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = drain.signaled() => return,
                _ = ticks.tick() => self.ledger.close_seconds(),
            }
            self.database.look_for_a_hanging_write();
            if self.gauges.clock_set_back.get() == 0
                && let Some(by) = self.set_back()
            {
                self.warn(by);
            }
        }
    }

    /// By how much the clock is behind its expected time.
    fn set_back(&self) -> Option<SignedDuration> {
        let by = self.ledger.now().duration_since(self.wall.now());
        (by > SET_BACK).then(|| SignedDuration::from_secs(by.as_secs()))
    }

    fn warn(&self, by: SignedDuration) {
        tracing::warn!(%by, "the clock was set back: figures and soak time go on by the time of before");
        self.gauges.clock_set_back.set(1u64);
        self.database.add_impairment(format!(
            "the clock was set back by {by:#}: figures and soak time go on by the time of before, \
             mismatches and changes of settings are stamped by the new one"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };

    #[test]
    fn clock_set_back_is_reported_and_a_corrected_one_is_not() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let second = Arc::new(AtomicI64::new(9_990));
        let read = second.clone();
        let gauges = Gauges::default();
        let watch = Watch {
            ledger: Ledger::with_clock(9, gauges.clone(), Clock::new(move || at(10_000))),
            wall: Clock::new(move || at(read.load(Ordering::Relaxed))),
            database: Database::open(None, gauges.clone()).unwrap(),
            gauges: gauges.clone(),
        };
        let (signal, drained) = drain::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            assert_eq!(watch.set_back(), None);
            let database = watch.database.clone();
            let running = tokio::spawn(async move { watch.run(drained).await });
            tokio::task::yield_now().await;
            assert_eq!(gauges.clock_set_back.get(), 0);
            second.store(2_800, Ordering::Relaxed);
            // Long enough for more than one comparison.
            time::sleep(3 * CLOSE).await;
            signal.drain().await;
            running.await.unwrap();
            let warned = database.impairments().join(" ");
            assert_eq!(warned.matches("was set back by 2h").count(), 1, "{warned}");
        });
        assert_eq!(gauges.clock_set_back.get(), 1);
    }
}
