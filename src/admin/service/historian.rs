//! When the verdict changed, and why.

use crate::{
    admin::documents::{Finding, Verdict, VerdictChange},
    verdict::Decision,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::VecDeque, sync::Arc};

/// Records changes of the verdict: each of them while they are few. Of a verdict that flaps, it records the state from
/// time to time, with the number of changes in between.
#[derive(Clone, Debug, Default)]
pub(super) struct Historian {
    /// The last recorded verdict.
    noted: Option<Decision>,
    /// The verdict at the last look.
    seen: Option<Seen>,
    skipped: u64,
    /// When the newest changes were recorded.
    recent: VecDeque<Timestamp>,
}

#[derive(Clone, Debug)]
struct Seen {
    decision: Decision,
    epoch: Arc<str>,
    reasons: Vec<Finding>,
}

/// At most `MANY` changes are recorded within `SPAN`.
const MANY: usize = 10;
const SPAN: SignedDuration = SignedDuration::from_mins(10);

/// Maximum number of appeared, and of gone, reasons kept with a change.
const REASONS: usize = 20;

// === impl Historian ===

impl Historian {
    /// Continues after the last recorded change, if any.
    pub(super) fn resume(last: Option<&VerdictChange>) -> Self {
        Self {
            noted: last.map(|change| change.to),
            // The earlier reasons are unknown, so all reasons of the next change will have appeared.
            seen: last.map(|change| Seen {
                decision: change.to,
                epoch: change.epoch.clone(),
                reasons: Vec::new(),
            }),
            ..Self::default()
        }
    }

    /// Compares the verdict with the previous one at `now`. Returns the change to record, if any.
    pub(super) fn look(&mut self, verdict: &Verdict, now: Timestamp) -> Option<VerdictChange> {
        let to = verdict.verdict;
        let seen = self.seen.replace(Seen {
            decision: to,
            epoch: verdict.epoch.id.clone(),
            reasons: verdict.reasons.clone(),
        });
        let has_changed = seen.as_ref().is_none_or(|seen| seen.decision != to);
        let is_first = self.noted.is_none();
        // The entry itself stands for one of them.
        self.skipped += u64::from(has_changed && !is_first);
        if self.noted == Some(to) || !self.has_room(now) {
            return None;
        }
        self.recent.push_back(now);
        let before = seen.as_ref().map_or(&[][..], |seen| &seen.reasons);
        let is_new = seen
            .as_ref()
            .is_none_or(|seen| seen.epoch != verdict.epoch.id);
        Some(VerdictChange {
            at: now,
            epoch: verdict.epoch.id.clone(),
            epoch_began: is_new.then_some(verdict.epoch.cause),
            from: self.noted.replace(to),
            to,
            appeared: without(&verdict.reasons, before),
            gone: without(before, &verdict.reasons),
            skipped: std::mem::take(&mut self.skipped).saturating_sub(1),
        })
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        let is_past = |at: &Timestamp| now.duration_since(*at) >= SPAN;
        while self.recent.front().is_some_and(is_past) {
            self.recent.pop_front();
        }
        self.recent.len() < MANY
    }
}

/// The first of `reasons` that are not in `others`, by code and route: their figures change all the time.
fn without(reasons: &[Finding], others: &[Finding]) -> Vec<Finding> {
    let is_other = |reason: &Finding| {
        let is_same = |other: &Finding| (other.code, &other.route) == (reason.code, &reason.route);
        others.iter().any(is_same)
    };
    let only = reasons.iter().filter(|reason| !is_other(reason));
    only.take(REASONS).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        admin::documents::{Epoch, verdict::Soak},
        verdict::{Cause, Code},
    };
    use Decision::{Safe, Undecided, Unsafe};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn verdict(decision: Decision, epoch: &str, codes: &[Code]) -> Verdict {
        let reasons = codes.iter().map(|code| Finding {
            code: *code,
            route: None,
            checks_needed: None,
            eta_seconds: None,
            detail: "of a time".to_owned(),
        });
        Verdict {
            verdict: decision,
            epoch: Epoch {
                id: epoch.into(),
                label: None,
                version: None,
                cause: Cause::Version,
                since: at(0),
                until: None,
            },
            confidence: 0.95,
            reasons: reasons.collect(),
            soak: Soak {
                required_seconds: 0,
                clean_seconds: 0,
            },
            evidence: Vec::new(),
            routes: Vec::new(),
        }
    }

    fn codes(findings: &[Finding]) -> Vec<Code> {
        findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_change_is_recorded_with_what_appeared_and_what_went() {
        let mut historian = Historian::default();
        let mut look = |decision, epoch: &str, codes: &[Code], second| {
            historian.look(&verdict(decision, epoch, codes), at(second))
        };
        let first = look(Undecided, "1", &[Code::Soak, Code::MoreChecks], 0).unwrap();
        assert_eq!((first.from, first.to), (None, Undecided));
        assert_eq!(codes(&first.appeared), [Code::Soak, Code::MoreChecks]);
        assert_eq!(look(Undecided, "1", &[Code::MoreChecks], 1), None);

        let second = look(Safe, "1", &[], 2).unwrap();
        assert_eq!((second.from, second.to), (Some(Undecided), Safe));
        assert_eq!(codes(&second.gone), [Code::MoreChecks]);
        assert_eq!(second.epoch_began, None);

        let third = look(Unsafe, "2", &[Code::MismatchRate], 3).unwrap();
        assert_eq!(third.epoch_began, Some(Cause::Version));
        assert_eq!(codes(&third.appeared), [Code::MismatchRate]);
        assert_eq!((third.at, third.skipped), (at(3), 0));
    }

    #[test]
    fn flapping_verdict_is_recorded_at_intervals_and_fully_counted() {
        let mut historian = Historian::default();
        let mut noted = Vec::new();
        let mut last = None;
        let mut changes = 0;
        for second in 0..3_600 {
            let decision = [Safe, Undecided, Undecided, Unsafe][second as usize % 4];
            changes += u64::from(last.replace(decision).is_some_and(|last| last != decision));
            noted.extend(historian.look(&verdict(decision, "1", &[]), at(second)));
        }
        assert!((50..=70).contains(&noted.len()), "{}", noted.len());
        let pairs = noted.windows(2);
        assert!(
            pairs
                .into_iter()
                .all(|pair| pair[1].from == Some(pair[0].to))
        );
        let counted: u64 = noted.iter().map(|change| change.skipped + 1).sum();
        assert_eq!(counted - 1 + historian.skipped, changes);
    }

    #[test]
    fn after_a_restart_it_goes_on_from_what_was_noted_last() {
        let first = Historian::default().look(&verdict(Safe, "1", &[]), at(0));
        let mut resumed = Historian::resume(first.as_ref());
        assert_eq!(resumed.look(&verdict(Safe, "1", &[]), at(9)), None);
        let change = resumed.look(&verdict(Unsafe, "1", &[]), at(10)).unwrap();
        assert_eq!((change.from, change.skipped), (Some(Safe), 0));
        assert_eq!(change.epoch_began, None);

        let mut resumed = Historian::resume(first.as_ref());
        let change = resumed.look(&verdict(Undecided, "2", &[]), at(9)).unwrap();
        assert_eq!((change.from, change.skipped), (Some(Safe), 0));
        assert_eq!(change.epoch_began, Some(Cause::Version));
    }
}
