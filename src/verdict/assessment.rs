//! Assesses one route under its limits: its rates with their bounds, and what prevents `safe`.

use super::{
    BoundedRate, Checks, Code, Counted, Decision, Figures, Finding, Limits, Percent, Trials,
    change::Alarm,
    evidence::{Latency, Quantiles},
    proof::{Proof, Term},
};
use crate::outcome::Outcome;
use jiff::SignedDuration;

/// One route's part of the verdict.
#[derive(Debug)]
pub struct Assessment<'e> {
    /// The figures that were assessed.
    pub figures: &'e Figures,
    /// Undecided until it is judged.
    pub state: Decision,
    /// Of mismatches, errors, transients, noise and uncompared checks.
    pub rates: [BoundedRate; 5],
    limits: &'e Limits,
    checks: Checks,
    pub(super) proof: Proof,
}

// === impl Assessment ===

impl<'e> Assessment<'e> {
    /// `rank` counts from 1, in the order in which routes became required.
    pub(super) fn new(figures: &'e Figures, limits: &'e Limits, rank: u64) -> Self {
        let checks = figures.evidence.checks();
        Self {
            state: Decision::Undecided,
            rates: BoundedRate::all(figures, checks, limits),
            proof: Proof::new(figures, limits, rank),
            checks,
            figures,
            limits,
        }
    }

    /// What prevents `safe`. `is_by_key`: reads are sampled by key.
    pub(super) fn findings(&self, is_by_key: bool) -> Vec<Finding> {
        let exceeded = self.rates.iter().filter(|rate| rate.is_exceeded());
        let others = [
            self.regressed(),
            self.too_little_compared(),
            self.latency(),
            self.mixed_builds(),
            if is_by_key { self.more_keys() } else { None },
            self.more_checks(),
        ];
        let exceeded = exceeded.map(|rate| self.of_rate(rate));
        let findings = exceeded.chain(others.into_iter().flatten());
        findings
            .map(|finding| finding.of(&self.figures.route))
            .collect()
    }

    /// The finding for the limit that is proven to be exceeded.
    pub(super) fn proven(&self) -> Finding {
        let strongest = self.proof.strongest;
        let [mismatch, error, ..] = &self.rates;
        let finding = match strongest.code {
            _ if self.figures.evidence.is_joined() => self.of_part(strongest),
            Code::ErrorRate => self.of_rate(error),
            _ => self.of_rate(mismatch),
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
            "{} of {} {what} under one of the names that this route had before; the limit is {}",
            term.trials.hits,
            Counted(term.trials.total, "check"),
            Percent(term.limit)
        );
        self.awaiting(term.code, self.checks_needed(), detail)
    }

    /// The finding for a rate that is above its limit.
    fn of_rate(&self, rate: &BoundedRate) -> Finding {
        let Trials { total, hits } = rate.trials;
        let checks = Counted(total, "check");
        let what = match rate.code {
            Code::MismatchRate => self.what_mismatched(rate),
            Code::ErrorRate => self.what_failed(hits, &checks.to_string()),
            Code::TransientRate => format!(
                "{hits} of {checks} differed and were equal when read again (replication lag, or a stack that errs by turns);"
            ),
            Code::NoiseRate => format!(
                "{hits} of {checks} differed only where the old stack's own answers differ (noise); \
                 a rule is needed for what varies;"
            ),
            _ => format!("{hits} of {checks} could not be compared{};", self.why()),
        };
        let detail = format!("{what} the limit is {}", Percent(rate.limit));
        self.awaiting(rate.code, self.checks_needed(), detail)
    }

    fn what_failed(&self, hits: u64, checks: &str) -> String {
        match self.checks.unasked {
            0 => format!("the new stack failed to answer {hits} of {checks};"),
            unasked => format!(
                "the new stack failed to answer {} of {checks}, and was not asked in {unasked} more because its circuit \
                 breaker was open;",
                hits - unasked
            ),
        }
    }

    fn what_mismatched(&self, rate: &BoundedRate) -> String {
        let unconfirmed = match self.checks.unconfirmed {
            0 => String::new(),
            count => format!(" ({count} of them not confirmed by reading again)"),
        };
        format!(
            "{} of {} mismatched{unconfirmed}; at least {},",
            rate.trials.hits,
            Counted(rate.trials.total, "check"),
            Percent(rate.interval.lower)
        )
    }

    /// A rate that rose above its limit, hidden by a clean record. It ends once the checks since then are within the
    /// limit.
    fn regressed(&self) -> Option<Finding> {
        let [mismatch, error, ..] = &self.rates;
        let evidence = &self.figures.evidence;
        let alarm = evidence.mismatch_change.alarm();
        let mismatches = alarm.and_then(|alarm| self.of_alarm(alarm, mismatch, "mismatches"));
        mismatches.or_else(|| self.of_alarm(evidence.error_change.alarm()?, error, "errors"))
    }

    fn of_alarm(&self, alarm: Alarm, rate: &BoundedRate, what: &str) -> Option<Finding> {
        if rate.is_exceeded() {
            return None;
        }
        let since = rate.trials.since(alarm.before);
        let last = self.figures.evidence.record.last().unwrap_or(alarm.at);
        let soak = SignedDuration::try_from(self.limits.soak).unwrap_or(SignedDuration::MAX);
        let has_soaked = last.duration_since(alarm.at) >= soak;
        let needed = rate.needed_after(since);
        if has_soaked && needed == Some(0) {
            return None;
        }
        let detail = format!(
            "{what} rose above the limit of {} at {:.0}; {} of {} since then",
            Percent(rate.limit),
            alarm.at,
            since.hits,
            Counted(since.total, "check")
        );
        Some(self.awaiting(Code::Regressed, needed, detail))
    }

    /// The cause of most checks that could not be compared.
    fn why(&self) -> String {
        let obstacle = self.obstacle();
        obstacle.map_or(String::new(), |obstacle| format!(" ({obstacle})"))
    }

    pub(super) fn is_covered_too_little(&self) -> bool {
        self.coverage()
            .is_some_and(|coverage| coverage < self.limits.min_coverage)
    }

    fn too_little_compared(&self) -> Option<Finding> {
        if !self.is_covered_too_little() {
            return None;
        }
        let mut detail = format!(
            "{} of {} came to a comparison; at least {} have to",
            self.checks.compared(),
            Counted(self.checks.sampled(), "sample"),
            Percent(self.limits.min_coverage),
        );
        let outcomes = self.figures.outcomes.iter();
        let others = outcomes.filter(|(outcome, _)| !outcome.is_compared());
        if let Some((outcome, count)) = others.max_by_key(|(_, count)| *count) {
            detail += &format!("; most others ended as {} ({count})", label(outcome));
        }
        detail.extend(self.obstacle().map(|obstacle| format!("; {obstacle}")));
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
                    "the p99 needs {} of both stacks that are short enough to be timed alike, after {measured}",
                    Counted(missing, "more answer")
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
        let [mismatch, ..] = &self.rates;
        let needed = mismatch.needed_after(alone);
        if needed == Some(0) || self.checks_needed() != Some(0) {
            return None;
        }
        let detail = format!(
            "{} of {} mismatched since another build of the new stack, or one that is not named, answered",
            alone.hits,
            Counted(alone.total, "check")
        );
        Some(self.awaiting(Code::MixedBuilds, needed, detail))
    }

    fn more_keys(&self) -> Option<Finding> {
        let keys = self.figures.keys.unwrap_or_default();
        let [mismatch, ..] = &self.rates;
        let needed = mismatch.needed_after(keys);
        if needed == Some(0) {
            return None;
        }
        let more = needed.map_or("more distinct keys".to_owned(), |needed| {
            Counted(needed, "more distinct key").to_string()
        });
        let detail = format!(
            "needs {more}, after {}, with a mismatch at the first check of {}",
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
        if needed == Some(0) || self.rates.iter().any(BoundedRate::is_exceeded) {
            return None;
        }
        let [mismatch, error, ..] = &self.rates;
        let more = match needed {
            Some(needed) => Counted(needed, "more clean check").to_string(),
            None => "more clean checks than can be waited for".to_owned(),
        };
        let detail = format!(
            "needs {more}, after {} with {} and {}",
            Counted(self.checks.compared(), "comparison"),
            Counted(mismatch.trials.hits, "mismatch"),
            Counted(error.trials.hits, "error")
        );
        Some(self.awaiting(Code::MoreChecks, needed, detail))
    }

    /// Clean checks needed to bring all rates within their limits; `None` if there are too many to wait for.
    fn checks_needed(&self) -> Option<u64> {
        let mut rates = self.rates.iter();
        rates.try_fold(0, |most, rate| Some(most.max(rate.checks_needed()?)))
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
