//! A rate with its limit and its bounds, which hold at every moment.

use super::{Checks, Code, Figures, Interval, Limits, Trials};

/// See [`super::bounds`].
#[derive(Clone, Copy, Debug)]
pub struct BoundedRate {
    /// The finding of a rate that looks too high.
    pub(super) code: Code,
    /// The accepted rate, between 0 and 1.
    pub limit: f64,
    /// The checks that the rate is about, and the hits among them. Checks of unknown result count as hits.
    pub trials: Trials,
    /// The bounds of the true rate. Each end is wrong at some moment with a probability of at most `1 - confidence`.
    pub interval: Interval,
    alpha: f64,
}

// === impl BoundedRate ===

impl BoundedRate {
    /// Mismatches, errors, transients, noise and uncompared checks.
    pub(super) fn all(figures: &Figures, checks: Checks, limits: &Limits) -> [Self; 5] {
        let mismatch = (checks.mismatch(), checks.confirmed_mismatch());
        let rates = [
            (Code::MismatchRate, limits.max_mismatch, mismatch),
            (Code::ErrorRate, limits.max_error, twice(checks.error())),
            (
                Code::TransientRate,
                limits.transient(),
                twice(checks.transient()),
            ),
            (Code::NoiseRate, limits.max_noise, twice(checks.noise())),
            (
                Code::Uncompared,
                limits.max_uncompared,
                twice(checks.uncompared()),
            ),
        ];
        // The result of these is unknown, or not known in time. They are hits for the upper bound and not for the lower.
        let open = figures.overdue + figures.evidence.cut;
        let alpha = limits.alpha();
        rates.map(|(code, limit, (trials, proven))| {
            let trials = Trials::new(trials.total + open, trials.hits + open);
            let proven = Trials::new(proven.total + open, proven.hits);
            Self {
                code,
                limit,
                trials,
                interval: Interval {
                    lower: proven.lower(alpha),
                    upper: trials.upper(alpha),
                },
                alpha,
            }
        })
    }

    fn is_within(&self) -> bool {
        self.interval.upper <= self.limit
    }

    /// Whether the rate looks too high, proven or not.
    pub(super) fn is_exceeded(&self) -> bool {
        let estimate = self.trials.estimate().unwrap_or(0.0);
        !self.is_within() && estimate > self.limit
    }

    /// At least 1 while the upper bound is above the limit.
    pub(super) fn checks_needed(&self) -> Option<u64> {
        let needed = self.needed_after(self.trials);
        needed.map(|needed| needed.max(u64::from(!self.is_within())))
    }

    /// Clean checks needed after `trials`, if only these count.
    pub(super) fn needed_after(&self, trials: Trials) -> Option<u64> {
        trials.checks_needed(self.limit, self.alpha)
    }
}

fn twice(trials: Trials) -> (Trials, Trials) {
    (trials, trials)
}
