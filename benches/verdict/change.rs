//! The change detector: checks until an alarm.

use super::simulation::gap;
use jiff::Timestamp;
use rand::rngs::StdRng;
use twinread::verdict::{ChangeDetector, Trials, change};

/// What the detector watches for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) limit: f64,
    /// Its threshold: `verdict.change_run`.
    pub(crate) run: f64,
}

/// Number of clean checks between two tests of whether the detector still changes.
const STRIDE: u64 = 256;

impl Watch {
    /// A detector after any number of clean checks; the first one already gives this state.
    pub(crate) fn after_clean_checks(self) -> ChangeDetector {
        let mut detector = ChangeDetector::default();
        self.check(&mut detector, false);
        detector
    }

    /// Checks until `detector` raises an alarm, at a true rate of `rate`.
    pub(crate) fn checks_until_alarm(
        self,
        mut detector: ChangeDetector,
        rate: f64,
        chance: &mut StdRng,
    ) -> u64 {
        let settled = self.after_clean_checks();
        let mut checks = 0;
        loop {
            let gap = gap(rate, chance);
            self.pass_clean(&mut detector, gap - 1, &settled);
            self.check(&mut detector, true);
            checks += gap;
            // A check without a hit raises no alarm: it only lowers a value below the threshold.
            if detector.alarm().is_some() {
                return checks;
            }
        }
    }

    /// Records clean checks, and skips those that no longer change anything.
    fn pass_clean(self, detector: &mut ChangeDetector, checks: u64, settled: &ChangeDetector) {
        let mut left = checks;
        while left > 0 && detector != settled {
            for _ in 0..left.min(STRIDE) {
                self.check(detector, false);
            }
            left = left.saturating_sub(STRIDE);
        }
    }

    fn check(self, detector: &mut ChangeDetector, is_hit: bool) {
        let (so_far, at) = (Trials::default(), Timestamp::UNIX_EPOCH);
        let watch = change::Watch {
            limit: self.limit,
            run: self.run,
        };
        detector.check(is_hit, so_far, at, watch);
    }
}
