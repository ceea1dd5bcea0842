//! Assesses one route under its limits: its rates with their bounds, and what prevents `safe`.

use super::{
    Checks, Code, Decision, Figures, Finding, Interval, Limits, Percent, Trials,
    change::Alarm,
    evidence::{Latency, Quantiles},
    proof::{Proof, Term},
};
use crate::outcome::{Mark, Outcome};
use jiff::SignedDuration;

/// One route's part of the verdict.
#[derive(Debug)]
pub struct Assessment<'e> {
    pub figures: &'e Figures,
    /// Undecided until it is judged.
    pub state: Decision,
    pub mismatch: Bounded,
    pub error: Bounded,
    pub transient: Bounded,
    pub noise: Bounded,
    pub uncompared: Bounded,
    limits: &'e Limits,
    checks: Checks,
    proof: Proof,
}

/// A rate with its bounds, which hold at every moment.
#[derive(Clone, Copy, Debug)]
pub struct Bounded {
    pub limit: f64,
    pub trials: Trials,
    pub interval: Interval,
    alpha: f64,
}

// === impl Assessment ===

impl<'e> Assessment<'e> {
    /// `rank` counts from 1, in the order in which routes became required.
    pub(super) fn new(figures: &'e Figures, limits: &'e Limits, rank: u64) -> Self {
        let checks = figures.evidence.checks();
        let alpha = limits.alpha();
        let open = figures.overdue + figures.evidence.cut;
        let bounded = |limit, trials: Trials, proven: Trials| {
            Bounded::new((limit, alpha), (trials, proven), open)
        };
        let plain = |limit, trials: Trials| bounded(limit, trials, trials);
        Self {
            state: Decision::Undecided,
            mismatch: bounded(
                limits.max_mismatch,
                checks.mismatch(),
                checks.confirmed_mismatch(),
            ),
            error: plain(limits.max_error, checks.error()),
            transient: plain(limits.transient(), checks.transient()),
            noise: plain(limits.max_noise, checks.noise()),
            uncompared: plain(limits.max_uncompared, checks.uncompared()),
            proof: Proof::new(figures, limits, rank),
            checks,
            figures,
            limits,
        }
    }

    pub(super) fn proof(&self) -> Proof {
        self.proof
    }

    /// What prevents `safe`. `is_by_key`: reads are sampled by key.
    pub(super) fn findings(&self, is_by_key: bool) -> Vec<Finding> {
        let findings = [
            self.mismatch_rate(),
            self.error_rate(),
            self.regressed(),
            self.transient_rate(),
            self.noise_rate(),
            self.uncompared(),
            self.too_little_compared(),
            self.latency(),
            self.mixed_builds(),
            if is_by_key { self.more_keys() } else { None },
            self.more_checks(),
        ];
        let route = &self.figures.route;
        let findings = findings.into_iter().flatten();
        findings.map(|finding| finding.of(route)).collect()
    }

    /// The finding for the limit that is proven to be exceeded.
    pub(super) fn proven(&self) -> Finding {
        let strongest = self.proof.strongest();
        let finding = match strongest.code {
            _ if self.figures.evidence.is_joined() => self.of_part(strongest),
            Code::ErrorRate => self.of_error(),
            _ => self.of_mismatch(),
        };
        finding.of(&self.figures.route)
    }

    /// The finding for one former route, because the pooled checks may hide what they prove.
    fn of_part(&self, term: Term) -> Finding {
        let what = match term.code {
            Code::ErrorRate => "were not answered by the new stack",
            _ => "mismatched",
        };
        let detail = format!(
            "{} of {} checks {what} under one of the names that this route had before; the limit is {}",
            term.trials.hits,
            term.trials.total,
            Percent(term.limit)
        );
        self.awaiting(term.code, self.checks_needed(), detail)
    }

    fn mismatch_rate(&self) -> Option<Finding> {
        self.mismatch.is_exceeded().then(|| self.of_mismatch())
    }

    fn of_mismatch(&self) -> Finding {
        let rate = &self.mismatch;
        let unconfirmed = match self
            .figures
            .outcomes
            .get(Outcome::Mismatch(Mark::Unconfirmed))
        {
            0 => String::new(),
            count => format!(" ({count} of them not confirmed by reading again)"),
        };
        let detail = format!(
            "{} of {} checks mismatched{unconfirmed}; at least {}, the limit is {}",
            rate.trials.hits,
            rate.trials.total,
            Percent(rate.interval.lower),
            Percent(rate.limit)
        );
        self.awaiting(Code::MismatchRate, self.checks_needed(), detail)
    }

    fn error_rate(&self) -> Option<Finding> {
        self.error.is_exceeded().then(|| self.of_error())
    }

    fn of_error(&self) -> Finding {
        let rate = &self.error;
        let detail = format!(
            "the new stack failed to answer {} of {} checks; the limit is {}",
            rate.trials.hits,
            rate.trials.total,
            Percent(rate.limit)
        );
        self.awaiting(Code::ErrorRate, self.checks_needed(), detail)
    }

    fn transient_rate(&self) -> Option<Finding> {
        let what = "differed and were equal when read again (replication lag, or a stack that errs by turns)";
        self.exceeded(Code::TransientRate, &self.transient, what)
    }

    fn noise_rate(&self) -> Option<Finding> {
        let what = "differed only where the old stack's own answers differ (noise); a rule is needed for what varies";
        self.exceeded(Code::NoiseRate, &self.noise, what)
    }

    fn uncompared(&self) -> Option<Finding> {
        let what = "could not be compared (too large, streaming, no memory, or an internal error)";
        self.exceeded(Code::Uncompared, &self.uncompared, what)
    }

    fn exceeded(&self, code: Code, rate: &Bounded, what: &str) -> Option<Finding> {
        rate.is_exceeded().then(|| {
            let detail = format!(
                "{} of {} checks {what}; the limit is {}",
                rate.trials.hits,
                rate.trials.total,
                Percent(rate.limit)
            );
            self.awaiting(code, self.checks_needed(), detail)
        })
    }

    /// A rate that rose above its limit, hidden by a clean record. It ends once the checks since then are within the
    /// limit.
    fn regressed(&self) -> Option<Finding> {
        let evidence = &self.figures.evidence;
        let watched = [
            (
                evidence.mismatch_change.alarm(),
                &self.mismatch,
                "mismatches",
            ),
            (evidence.error_change.alarm(), &self.error, "errors"),
        ];
        watched
            .into_iter()
            .find_map(|(alarm, rate, what)| self.of_alarm(alarm?, rate, what))
    }

    fn of_alarm(&self, alarm: Alarm, rate: &Bounded, what: &str) -> Option<Finding> {
        if rate.is_exceeded() {
            return None;
        }
        let since = rate.trials.since(alarm.before);
        let last = self.figures.evidence.record.last().unwrap_or(alarm.at);
        let soak = SignedDuration::try_from(self.limits.soak).unwrap_or(SignedDuration::MAX);
        let has_soaked = last.duration_since(alarm.at) >= soak;
        if has_soaked && since.is_within(rate.limit, rate.alpha) {
            return None;
        }
        let detail = format!(
            "{what} rose above the limit of {} at {:.0}; {} of {} checks since then",
            Percent(rate.limit),
            alarm.at,
            since.hits,
            since.total
        );
        let needed = since.checks_needed(rate.limit, rate.alpha);
        Some(self.awaiting(Code::Regressed, needed, detail))
    }

    fn too_little_compared(&self) -> Option<Finding> {
        let coverage = self.coverage()?;
        if coverage >= self.limits.min_coverage {
            return None;
        }
        let others = self.figures.outcomes.iter();
        let others = others.filter(|(outcome, _)| !outcome.is_compared());
        let most = others.max_by_key(|(_, count)| *count);
        let mut detail = format!(
            "{coverage:.3} of {} samples came to a comparison, {:.3} are asked for",
            self.checks.sampled(),
            self.limits.min_coverage,
        );
        if let Some((outcome, count)) = most {
            detail += &format!("; most others ended as {} ({count})", label(outcome));
        }
        Some(Finding::new(Code::Coverage, detail))
    }

    fn latency(&self) -> Option<Finding> {
        let limit = self.limits.max_latency_ratio?;
        let Latency { old, new } = self.figures.latency;
        let needed = answers_for_a_p99(self.limits.alpha());
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) if old.answers.min(new.answers) >= needed => (old, new),
            (old, new) => {
                let of = |stack: Option<Quantiles>| stack.map_or(0, |stack| stack.answers);
                let measured = of(old).min(of(new));
                let missing = needed - measured;
                let detail = format!(
                    "the p99 needs {missing} more answers of both stacks that are short enough to be timed alike, after {measured}"
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

    /// Whether the checks since another build answered suffice on their own.
    fn mixed_builds(&self) -> Option<Finding> {
        let alone = self.figures.evidence.alone?;
        let needed = alone.checks_needed(self.mismatch.limit, self.mismatch.alpha);
        if needed == Some(0) || self.checks_needed() != Some(0) {
            return None;
        }
        let detail = format!(
            "{} of {} checks mismatched since another build of the new stack, or one that is not named, answered",
            alone.hits, alone.total
        );
        Some(self.awaiting(Code::MixedBuilds, needed, detail))
    }

    fn more_keys(&self) -> Option<Finding> {
        let keys = self.figures.keys.unwrap_or_default();
        let (limit, alpha) = (self.limits.max_mismatch, self.limits.alpha());
        let needed = match keys.checks_needed(limit, alpha) {
            Some(0) => return None,
            needed => needed,
        };
        let more = needed.map_or("more".to_owned(), |needed| format!("{needed} more"));
        let detail = format!(
            "{more} distinct keys are needed after {}, with a mismatch at the first check of {}",
            keys.total, keys.hits
        );
        Some(Finding {
            checks_needed: needed,
            ..Finding::new(Code::MoreKeys, detail)
        })
    }

    /// The missing evidence. A rate that looks too high has its own finding.
    fn more_checks(&self) -> Option<Finding> {
        let needed = self.checks_needed();
        if needed == Some(0) || self.rates().into_iter().any(Bounded::is_exceeded) {
            return None;
        }
        let more = needed.map_or("more than can be waited for".to_owned(), |needed| {
            needed.to_string()
        });
        let detail = format!(
            "clean checks needed: {more}, after {} that were compared, with {} mismatches and {} errors",
            self.checks.compared(),
            self.mismatch.trials.hits,
            self.error.trials.hits
        );
        Some(self.awaiting(Code::MoreChecks, needed, detail))
    }

    /// Clean checks needed to bring all rates within their limits; `None` if there are too many to wait for.
    fn checks_needed(&self) -> Option<u64> {
        let mut most = 0;
        for rate in self.rates() {
            most = most.max(rate.checks_needed()?);
        }
        Some(most)
    }

    fn rates(&self) -> [&Bounded; 5] {
        [
            &self.mismatch,
            &self.error,
            &self.transient,
            &self.noise,
            &self.uncompared,
        ]
    }

    fn awaiting(&self, code: Code, needed: Option<u64>, detail: String) -> Finding {
        let pace = self.figures.pace;
        let eta = needed
            .filter(|_| pace > 0.0)
            .map(|needed| needed as f64 / pace)
            // More than a century is not an estimate.
            .filter(|seconds| *seconds < 3.2e9);
        Finding {
            checks_needed: needed,
            eta_seconds: eta.map(|seconds| seconds.ceil() as u64),
            ..Finding::new(code, detail)
        }
    }

    /// Share of the evidence that ended in a comparison; `None` without evidence.
    pub fn coverage(&self) -> Option<f64> {
        Trials::new(self.checks.sampled(), self.checks.compared()).estimate()
    }
}

// === impl Bounded ===

impl Bounded {
    /// `open` counts checks whose result is unknown, or not known in time. They count as hits for the upper bound and
    /// not for the lower one.
    fn new((limit, alpha): (f64, f64), (trials, proven): (Trials, Trials), open: u64) -> Self {
        let trials = Trials::new(trials.total + open, trials.hits + open);
        let proven = Trials::new(proven.total + open, proven.hits);
        Self {
            limit,
            alpha,
            trials,
            interval: Interval {
                lower: proven.lower(alpha),
                upper: trials.upper(alpha),
            },
        }
    }

    fn is_within(&self) -> bool {
        self.interval.upper <= self.limit
    }

    /// Whether the rate looks too high, proven or not.
    fn is_exceeded(&self) -> bool {
        let estimate = self.trials.estimate().unwrap_or(0.0);
        !self.is_within() && estimate > self.limit
    }

    /// At least 1 while the upper bound is above the limit.
    fn checks_needed(&self) -> Option<u64> {
        let needed = self.trials.checks_needed(self.limit, self.alpha);
        needed.map(|needed| needed.max(u64::from(!self.is_within())))
    }
}

/// Minimum number of answers such that, with confidence `1 - alpha`, the slowest exceeds the true p99: all `n` are
/// below it with probability `0.99^n`. Fewer measurements cannot bound a p99.
fn answers_for_a_p99(alpha: f64) -> u64 {
    (alpha.ln() / 0.99_f64.ln()).ceil() as u64
}

fn label(outcome: Outcome) -> String {
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
