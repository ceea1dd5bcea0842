//! Hears one route: its rates with their bounds, and what speaks against it.

use super::{
    Code, Counts, Figures, Finding, Interval, Limits, Mark, Outcome, RouteVerdict, Sequence,
    evidence::{Latency, Quantiles},
    interval::share_of,
    judge::decide,
    told::Rate,
};

/// One route beside its limits, at its level.
pub(super) struct Hearing<'e> {
    figures: &'e Figures,
    limits: &'e Limits,
    /// What the route's findings may be wrong by.
    alpha: f64,
    mismatch: Bounded,
    error: Bounded,
    /// Of what differed and was equal a moment later, which is lag while it is rare.
    transient: Bounded,
}

/// A rate with its confidence sequence.
struct Bounded {
    limit: f64,
    trials: u64,
    hits: u64,
    sequence: Sequence,
    interval: Interval,
}

// === impl Hearing ===

impl<'e> Hearing<'e> {
    /// `rank`: from 1, the route's place among those that were required, in the order in which they became so.
    pub(super) fn new(figures: &'e Figures, limits: &'e Limits, rank: u64) -> Self {
        let alpha = share_of(limits.alpha(), rank);
        let outcomes = &figures.outcomes;
        let mismatches = outcomes.mismatches();
        let errors = outcomes.shadow_errors();
        let transients = outcomes.get(Outcome::Transient);
        // What may go uncompared may lag.
        let max_transient = (1.0 - limits.min_coverage).max(limits.max_error);
        let judged = outcomes.matches().saturating_sub(figures.unattributed) + mismatches;
        let answered = outcomes.compared().saturating_sub(figures.unattributed) + errors;
        Self {
            figures,
            limits,
            alpha,
            mismatch: Bounded::new(limits.max_mismatch, alpha, judged, mismatches),
            error: Bounded::new(limits.max_error, alpha, answered, errors),
            transient: Bounded::new(max_transient, alpha, outcomes.compared(), transients),
        }
    }

    pub(super) fn verdict(&self, required: bool, findings: &[Finding]) -> RouteVerdict {
        RouteVerdict {
            route: self.figures.route.clone(),
            required,
            state: decide(findings),
            counts: Counts::from(self.figures),
            mismatch_rate: self.mismatch.told(),
            error_rate: self.error.told(),
            coverage: self.coverage(),
            latency: self.figures.latency,
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let findings = [
            self.mismatch_rate(),
            self.error_rate(),
            self.too_much_lag(),
            self.too_little_compared(),
            self.latency(),
            self.more_checks(),
        ];
        let route = &self.figures.route;
        let findings = findings.into_iter().flatten();
        findings.map(|finding| finding.of(route)).collect()
    }

    fn mismatch_rate(&self) -> Option<Finding> {
        let rate = &self.mismatch;
        let outcomes = &self.figures.outcomes;
        let unconfirmed = match outcomes.get(Outcome::Mismatch(Mark::Unconfirmed)) {
            0 => String::new(),
            count => format!(" ({count} of them not confirmed by reading again)"),
        };
        (rate.interval.lower > rate.limit).then(|| {
            let detail = format!(
                "{} of {} checks mismatched{unconfirmed}: at least {:.2e}, the limit is {:.2e}",
                rate.hits, rate.trials, rate.interval.lower, rate.limit
            );
            Finding::new(Code::MismatchRate, detail)
        })
    }

    fn error_rate(&self) -> Option<Finding> {
        let rate = &self.error;
        if rate.is_within() || rate.estimate()? <= rate.limit {
            return None;
        }
        let detail = format!(
            "the shadow failed to answer {} of {} checks; the limit is {:.2e}",
            rate.hits, rate.trials, rate.limit
        );
        Some(self.awaiting(Code::ErrorRate, rate.checks_needed(), detail))
    }

    /// Where lag is proven to be that frequent, it may be a stack that errs by turns.
    fn too_much_lag(&self) -> Option<Finding> {
        let rate = &self.transient;
        (rate.interval.lower > rate.limit).then(|| {
            let detail = format!(
                "{} of {} checks differed, and were equal when read again (transient): at least {:.2e}, the limit is {:.2e}",
                rate.hits, rate.trials, rate.interval.lower, rate.limit
            );
            Finding::new(Code::Coverage, detail)
        })
    }

    fn too_little_compared(&self) -> Option<Finding> {
        let coverage = self.coverage()?;
        if coverage >= self.limits.min_coverage {
            return None;
        }
        let outcomes = &self.figures.outcomes;
        let others = outcomes
            .iter()
            .filter(|(outcome, _)| !outcome.is_compared());
        let most = others.max_by_key(|(_, count)| *count);
        let on_their_way = self.figures.sampled.saturating_sub(outcomes.ended());
        let mut detail = format!(
            "{coverage:.3} of {} samples came to a comparison, {:.3} are asked for",
            self.sampled(),
            self.limits.min_coverage,
        );
        if let Some((outcome, count)) = most.filter(|(_, count)| *count > 0) {
            detail += &format!("; most others ended as {} ({count})", told_outcome(outcome));
        }
        if on_their_way > 0 {
            detail += &format!("; {on_their_way} are on their way");
        }
        Some(Finding::new(Code::Coverage, detail))
    }

    fn latency(&self) -> Option<Finding> {
        let limit = self.limits.max_latency_ratio?;
        let Latency { old, new } = self.figures.latency;
        let needed = answers_for_a_p99(self.alpha);
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) if old.answers.min(new.answers) >= needed => (old, new),
            (old, new) => {
                let of = |stack: Option<Quantiles>| stack.map_or(0, |stack| stack.answers);
                let measured = of(old).min(of(new));
                let missing = needed - measured;
                let detail = format!(
                    "{missing} more answers of both stacks, not too long to be measured alike, after {measured}, for a p99 to be told"
                );
                return Some(self.awaiting(Code::Latency, Some(missing), detail));
            }
        };
        if new.p99_ms <= limit * old.p99_ms {
            return None;
        }
        let detail = format!(
            "p99 is {:.1} ms on the new stack and {:.1} ms on the old; the ratio may be {limit}",
            new.p99_ms, old.p99_ms
        );
        Some(Finding::new(Code::Latency, detail))
    }

    /// What evidence is missing. A rate that is proven too high, or an error rate that is
    /// seen to be, has its own finding.
    fn more_checks(&self) -> Option<Finding> {
        let proven = self.mismatch.interval.lower > self.mismatch.limit;
        let waits_for_mismatch = !proven && !self.mismatch.is_within();
        let failing = self.error_rate().is_some();
        let waits_for_error = !failing && !self.error.is_within();
        let needed = match (waits_for_mismatch, waits_for_error) {
            (false, false) => return None,
            (true, false) => self.mismatch.checks_needed(),
            (false, true) => self.error.checks_needed(),
            (true, true) => {
                let error = self.error.checks_needed();
                self.mismatch
                    .checks_needed()
                    .zip(error)
                    .map(|(one, other)| one.max(other))
            }
        };
        let detail = match needed {
            // Mismatches are none of its business: no number of clean checks is said to make up for them.
            Some(needed) if !waits_for_mismatch => format!(
                "{needed} more checks without an error after {}, with {} errors, to bound the error rate",
                self.error.trials, self.error.hits
            ),
            Some(needed) => format!(
                "{needed} more clean checks after {}, with {} mismatches and {} errors",
                self.error.trials - self.error.hits,
                self.mismatch.hits,
                self.error.hits
            ),
            None => "more clean checks than can be waited for".to_owned(),
        };
        Some(self.awaiting(Code::MoreChecks, needed, detail))
    }

    fn awaiting(&self, code: Code, needed: Option<u64>, detail: String) -> Finding {
        let pace = self.figures.pace;
        let eta = needed
            .filter(|_| pace > 0.0)
            .map(|needed| needed as f64 / pace)
            // Further away than a century is not an estimate.
            .filter(|seconds| *seconds < 3.2e9);
        Finding {
            checks_needed: needed,
            eta_seconds: eta.map(|seconds| seconds.ceil() as u64),
            ..Finding::new(code, detail)
        }
    }

    /// What is on its way is not compared yet.
    fn coverage(&self) -> Option<f64> {
        share(self.figures.outcomes.compared(), self.sampled())
    }

    /// Told without a lock, more may have ended than had been sampled a moment before.
    fn sampled(&self) -> u64 {
        self.figures.sampled.max(self.figures.outcomes.ended())
    }
}

// === impl Bounded ===

impl Bounded {
    fn new(limit: f64, alpha: f64, trials: u64, hits: u64) -> Self {
        let sequence = Sequence::new(limit, alpha);
        Self {
            limit,
            trials,
            hits,
            sequence,
            interval: sequence.interval(trials, hits),
        }
    }

    fn estimate(&self) -> Option<f64> {
        share(self.hits, self.trials)
    }

    fn is_within(&self) -> bool {
        self.interval.upper <= self.limit
    }

    /// At least 1, as it is asked for only while the upper end is above the limit.
    fn checks_needed(&self) -> Option<u64> {
        let needed = self.sequence.checks_needed(self.trials, self.hits);
        needed.map(|needed| needed.max(1))
    }

    fn told(&self) -> Rate {
        Rate {
            limit: self.limit,
            lower: self.interval.lower,
            estimate: self.estimate(),
            upper: self.interval.upper,
        }
    }
}

/// The fewest answers of which the slowest lies, with confidence `1 - alpha`, beyond the latency that 1 % exceed:
/// all `n` lie below it with probability `0.99^n`. With fewer, nothing that was measured bounds a p99.
fn answers_for_a_p99(alpha: f64) -> u64 {
    (alpha.ln() / 0.99_f64.ln()).ceil() as u64
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn told_outcome(outcome: Outcome) -> String {
    match outcome.detail() {
        "" => outcome.name().to_owned(),
        detail => format!("{}{{{detail}}}", outcome.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p99_takes_as_many_answers_as_the_confidence_asks_for() {
        assert_eq!(answers_for_a_p99(0.05), 299);
        assert_eq!(answers_for_a_p99(0.025), 368);
        let missed = |answers: i32| 0.99_f64.powi(answers);
        assert!(missed(299) <= 0.05 && missed(298) > 0.05);
    }
}
