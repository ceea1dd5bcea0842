//! A route's checks as evidence: pure counts, in the order in which the checks were sampled.
//!
//! The caller of [`RouteEvidence::enter`] decides when a check becomes evidence; nothing is buffered or forgotten here.

use super::{ChangeDetector, DistinctKeys, Limits, SoakClock, Trials};
use crate::{
    outcome::{Mark, Outcome, Reason},
    stack::Stack,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{ops::Add, sync::Arc};

/// One ended check that becomes evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// How it ended.
    pub outcome: Outcome,
    /// The stack that answered the caller.
    pub primary: Stack,
    /// The hash of the key that it was sampled by, if any.
    pub key: Option<u64>,
    /// When it was sampled.
    pub sampled: Timestamp,
}

/// The evidence of one route in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteEvidence {
    /// By primary, old first.
    roles: [Checks; 2],
    /// Detects mismatches that begin after a clean record. Unconfirmed ones are no hits.
    pub mismatch_change: ChangeDetector,
    /// Detects errors that begin after a clean record.
    pub error_change: ChangeDetector,
    /// Times of the checks, for the soak time.
    pub record: SoakClock,
    /// When the last mismatch was sampled, confirmed or not.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    pub last_mismatch: Option<Timestamp>,
    /// Checks that the end of a process cut off before their outcome was known.
    pub cut: u64,
    /// Matches and mismatches since another build answered a check of the route, if one did.
    pub alone: Option<Trials>,
    /// Since when the verdict depends on the route.
    pub required: Option<Required>,
    /// For a merged route, what each of its parts has proven, because pooled checks prove less.
    #[serde(skip)]
    joined: Vec<Claim>,
    /// Stored separately. Copies of the evidence share them.
    #[serde(skip)]
    pub keys: Option<Arc<DistinctKeys>>,
}

/// Counts of checks that are evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// The answers were equal, with or without rules.
    pub matched: u64,
    /// Confirmed by a re-check, or without need for one.
    pub mismatched: u64,
    /// Mismatches that could not be read again to the end, such as past `recheck.max_per_second`.
    pub unconfirmed: u64,
    /// First different, then equal on a re-check.
    pub transient: u64,
    /// Different only where the old stack's own answers differ.
    pub noise: u64,
    /// Failures of the new stack, as primary or shadow.
    pub errors: u64,
    /// Those of `errors` for which the new stack was not asked, because its circuit breaker was open.
    #[serde(default)]
    pub unasked: u64,
    /// Not compared for a cause in the answer or in twinread itself.
    pub uncompared: u64,
    /// Everything else that was not compared, including failures of the old stack.
    pub others: u64,
}

/// A route that the verdict depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// From 2 on, in the order in which routes became required; 1 is the rank of the rest.
    pub rank: u64,
    /// All checks until then.
    pub before: Checks,
}

/// A route's checks since the verdict depends on it; only these can prove `unsafe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    required: Required,
    checks: Checks,
}

/// The category of a check for the rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Matched,
    Mismatched,
    Unconfirmed,
    Transient,
    Noise,
    Error,
    Uncompared,
    Other,
}

// === impl Entry ===

impl Entry {
    /// Whether it counts against a limit.
    pub fn is_hit(&self) -> bool {
        !matches!(
            Kind::of(self.outcome, self.primary),
            Kind::Matched | Kind::Other
        )
    }
}

// === impl RouteEvidence ===

impl RouteEvidence {
    /// Records the next check, in the order of sampling.
    pub fn enter(&mut self, entry: &Entry, limits: &Limits) {
        let kind = Kind::of(entry.outcome, entry.primary);
        let counts = &mut self.roles[entry.primary as usize];
        *counts.count(kind) += 1;
        let is_unasked = entry.outcome == Outcome::NotCompared(Reason::BreakerOpen);
        counts.unasked += u64::from(is_unasked && kind == Kind::Error);
        let (all, at) = (self.checks(), entry.sampled);
        if kind.is_compared() {
            self.record.check(at);
        }
        if kind.is_mismatch() {
            self.last_mismatch = self.last_mismatch.max(Some(at));
        }
        if kind == Kind::Matched || kind.is_mismatch() {
            let is_hit = kind == Kind::Mismatched;
            let watch = limits.watch(limits.max_mismatch);
            self.mismatch_change
                .check(is_hit, all.mismatch(), at, watch);
            if let Some(alone) = &mut self.alone {
                alone.total += 1;
                alone.hits += u64::from(kind.is_mismatch());
            }
            if let Some(key) = entry.key {
                let keys = Arc::make_mut(self.keys.get_or_insert_default());
                keys.check(key, kind.is_mismatch());
            }
        }
        if kind.is_compared() || kind == Kind::Error {
            let watch = limits.watch(limits.max_error);
            let is_hit = kind == Kind::Error;
            self.error_change.check(is_hit, all.error(), at, watch);
        }
    }

    /// Records that another build of the new stack answered a check of the route.
    pub fn another_answered(&mut self) {
        self.alone = Some(Trials::default());
    }

    /// Checks of both roles.
    pub fn checks(&self) -> Checks {
        let [old, new] = self.roles;
        old + new
    }

    /// Whether it merges several routes.
    pub fn is_joined(&self) -> bool {
        !self.joined.is_empty()
    }

    /// What may prove `unsafe`, each at its own rank.
    pub fn claims(&self) -> Vec<Claim> {
        let own = || {
            self.required
                .map(|required| Claim::new(required, self.checks()))
        };
        if self.is_joined() {
            self.joined.clone()
        } else {
            own().into_iter().collect()
        }
    }

    /// Merges the evidence of another route. Takes the times of the route that was checked last.
    pub fn join(&mut self, other: &Self) {
        let (own, others) = (self.checks(), other.checks());
        // Checks of a route that began after an alarm of the other came after that alarm.
        let (own_first, others_first) = (self.record.first(), other.record.first());
        let had = |first: Option<Timestamp>, at: Timestamp, trials: Trials| match first {
            Some(first) if first <= at => trials,
            _ => Trials::default(),
        };
        self.mismatch_change.join(
            &other.mismatch_change,
            |at| had(own_first, at, own.mismatch()),
            |at| had(others_first, at, others.mismatch()),
        );
        self.error_change.join(
            &other.error_change,
            |at| had(own_first, at, own.error()),
            |at| had(others_first, at, others.error()),
        );
        let is_later = other.record.last() > self.record.last();
        if self.alone.is_some() || other.alone.is_some() {
            let later = if is_later { other } else { &*self };
            self.alone = later.alone.or(Some(later.checks().mismatch()));
        }
        if is_later {
            self.record = other.record.clone();
        }
        self.last_mismatch = self.last_mismatch.max(other.last_mismatch);
        self.cut += other.cut;
        self.joined = [self.claims(), other.claims()].concat();
        let required = self.required.into_iter().chain(other.required);
        self.required = required.min_by_key(|required| required.rank);
        let [old, new] = self.roles;
        self.roles = [old + other.roles[0], new + other.roles[1]];
    }

    /// Makes the verdict depend on the route until the epoch ends.
    pub fn require(&mut self, rank: u64) {
        if self.required.is_none() {
            self.required = Some(Required {
                rank,
                before: self.checks(),
            });
        }
    }
}

// === impl Claim ===

impl Claim {
    /// `checks` are all checks of the route in the epoch.
    pub fn new(required: Required, checks: Checks) -> Self {
        Self { required, checks }
    }

    /// The route's rank, from 2 on; 1 is that of the rest.
    pub fn rank(self) -> u64 {
        self.required.rank
    }

    /// Confirmed mismatches among the compared checks since then.
    pub fn mismatch(self) -> Trials {
        let before = self.required.before.confirmed_mismatch();
        self.checks.confirmed_mismatch().since(before)
    }

    /// Failures of the new stack among compared checks and failures since then.
    pub fn error(self) -> Trials {
        self.checks.error().since(self.required.before.error())
    }
}

// === impl Checks ===

impl Checks {
    fn count(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Matched => &mut self.matched,
            Kind::Mismatched => &mut self.mismatched,
            Kind::Unconfirmed => &mut self.unconfirmed,
            Kind::Transient => &mut self.transient,
            Kind::Noise => &mut self.noise,
            Kind::Error => &mut self.errors,
            Kind::Uncompared => &mut self.uncompared,
            Kind::Other => &mut self.others,
        }
    }

    /// All checks that are evidence.
    pub fn sampled(&self) -> u64 {
        self.compared() + self.errors + self.uncompared + self.others
    }

    /// Checks in which two answers were compared to the end.
    pub fn compared(&self) -> u64 {
        self.matched + self.mismatches() + self.transient + self.noise
    }

    /// Mismatches, confirmed or not.
    pub fn mismatches(&self) -> u64 {
        self.mismatched + self.unconfirmed
    }

    /// Mismatches among the compared checks.
    pub fn mismatch(&self) -> Trials {
        Trials::new(self.matched + self.mismatches(), self.mismatches())
    }

    /// The same for proving a rate above the limit: unconfirmed mismatches prove nothing.
    pub fn confirmed_mismatch(&self) -> Trials {
        Trials::new(self.matched + self.mismatches(), self.mismatched)
    }

    /// Failures of the new stack, of compared checks and failures together.
    pub fn error(&self) -> Trials {
        Trials::new(self.compared() + self.errors, self.errors)
    }

    /// Transient differences among the compared checks.
    pub fn transient(&self) -> Trials {
        Trials::new(self.compared(), self.transient)
    }

    /// Checks that ended as noise among the compared checks.
    pub fn noise(&self) -> Trials {
        Trials::new(self.compared(), self.noise)
    }

    /// Uncompared checks among all that are evidence.
    pub fn uncompared(&self) -> Trials {
        Trials::new(self.sampled(), self.uncompared)
    }
}

impl Add for Checks {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            matched: self.matched + other.matched,
            mismatched: self.mismatched + other.mismatched,
            unconfirmed: self.unconfirmed + other.unconfirmed,
            transient: self.transient + other.transient,
            noise: self.noise + other.noise,
            errors: self.errors + other.errors,
            unasked: self.unasked + other.unasked,
            uncompared: self.uncompared + other.uncompared,
            others: self.others + other.others,
        }
    }
}

// === impl Kind ===

impl Kind {
    fn of(outcome: Outcome, primary: Stack) -> Self {
        match outcome {
            Outcome::Match(_) => Self::Matched,
            Outcome::Mismatch(Mark::Unconfirmed) => Self::Unconfirmed,
            Outcome::Mismatch(_) => Self::Mismatched,
            Outcome::Transient => Self::Transient,
            Outcome::Noise => Self::Noise,
            Outcome::ShadowError(_) if primary == Stack::Old => Self::Error,
            Outcome::ShadowError(_) => Self::Other,
            Outcome::NotCompared(reason) => match (reason, primary) {
                (Reason::BreakerOpen, Stack::Old) | (Reason::PrimaryError, Stack::New) => {
                    Self::Error
                }
                // Callers also give up on a new stack that hangs.
                (Reason::ClientGone, Stack::New)
                | (
                    Reason::BodyTooLarge
                    | Reason::NothingSelected
                    | Reason::Streaming
                    | Reason::MemoryFull
                    | Reason::Internal,
                    _,
                ) => Self::Uncompared,
                _ => Self::Other,
            },
        }
    }

    fn is_mismatch(self) -> bool {
        matches!(self, Self::Mismatched | Self::Unconfirmed)
    }

    fn is_compared(self) -> bool {
        self.is_mismatch() || matches!(self, Self::Matched | Self::Transient | Self::Noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ShadowError, Via};

    fn evidence(outcomes: &[(Outcome, Stack)]) -> RouteEvidence {
        let mut evidence = RouteEvidence::default();
        for (outcome, primary) in outcomes {
            let entry = Entry {
                outcome: *outcome,
                primary: *primary,
                key: None,
                sampled: Timestamp::UNIX_EPOCH,
            };
            evidence.enter(&entry, &Limits::default());
        }
        evidence
    }

    #[test]
    fn every_outcome_counts_once_in_either_role() {
        for primary in [Stack::Old, Stack::New] {
            for outcome in Outcome::ALL {
                let evidence = evidence(&[(outcome, primary)]);
                assert_eq!(evidence.checks().sampled(), 1, "{outcome:?}");
                assert_eq!(
                    evidence.checks().compared() == 1,
                    outcome.is_compared(),
                    "{outcome:?}"
                );
            }
        }
    }

    #[test]
    fn new_failures_are_errors_in_either_role_and_old_ones_are_not() {
        let connect = Outcome::ShadowError(ShadowError::Connect);
        let breaker = Outcome::NotCompared(Reason::BreakerOpen);
        let primary = Outcome::NotCompared(Reason::PrimaryError);
        let new_fails = [
            (connect, Stack::Old),
            (breaker, Stack::Old),
            (primary, Stack::New),
        ];
        let old_fails = [
            (connect, Stack::New),
            (breaker, Stack::New),
            (primary, Stack::Old),
        ];
        assert_eq!(evidence(&new_fails).checks().error(), Trials::new(3, 3));
        let unasked = [&new_fails, &old_fails].map(|fails| evidence(fails).checks().unasked);
        assert_eq!(unasked, [1, 0]);
        assert_eq!(evidence(&old_fails).checks().error(), Trials::new(0, 0));
        assert_eq!(evidence(&old_fails).checks().others, 3);
    }

    #[test]
    fn callers_that_give_up_are_bounded_while_new_answers_them() {
        let gone = Outcome::NotCompared(Reason::ClientGone);
        let checks = |primary| evidence(&[(gone, primary)]).checks();
        assert_eq!(checks(Stack::New).uncompared(), Trials::new(1, 1));
        assert_eq!(checks(Stack::Old).uncompared(), Trials::new(1, 0));
    }

    #[test]
    fn unconfirmed_mismatch_counts_against_safe_and_proves_nothing() {
        let checks = evidence(&[
            (Outcome::Match(Via::Exact), Stack::Old),
            (Outcome::Mismatch(Mark::Unconfirmed), Stack::Old),
        ]);
        assert_eq!(checks.checks().mismatch(), Trials::new(2, 1));
        assert_eq!(checks.checks().confirmed_mismatch(), Trials::new(2, 0));
        assert!(checks.last_mismatch.is_some());
    }

    #[test]
    fn what_counts_before_a_route_is_required_is_kept_apart() {
        let mut evidence = evidence(&[(Outcome::Mismatch(Mark::Plain), Stack::Old)]);
        evidence.require(2);
        evidence.require(3);
        let required = evidence.required.unwrap();
        assert_eq!(required.rank, 2);
        assert_eq!(required.before.mismatched, 1);
    }

    #[test]
    fn alarm_of_a_part_ends_with_the_checks_of_the_whole() {
        let limits = Limits::default();
        let check = |evidence: &mut RouteEvidence, outcome, second| {
            let entry = Entry {
                outcome,
                primary: Stack::Old,
                key: None,
                sampled: Timestamp::from_second(second).unwrap(),
            };
            evidence.enter(&entry, &limits);
        };
        let (mut part, mut whole) = (RouteEvidence::default(), RouteEvidence::default());
        for _ in 0..20 {
            check(&mut part, Outcome::Mismatch(Mark::Plain), 10);
        }
        for _ in 0..5_000 {
            check(&mut whole, Outcome::Match(Via::Exact), 20);
        }
        let last = part.mismatch_change.alarm().unwrap();
        for (mut one, other) in [(part.clone(), &whole), (whole.clone(), &part)] {
            one.join(other);
            assert_eq!(one.mismatch_change.alarm(), Some(last));
            let since = one.checks().mismatch().since(last.before);
            assert_eq!(since.total, 5_000 + 20 - last.before.total);
        }
    }

    #[test]
    fn evidence_survives_the_store() {
        let mut evidence = evidence(&[
            (Outcome::Match(Via::Exact), Stack::Old),
            (Outcome::Mismatch(Mark::Plain), Stack::New),
        ]);
        evidence.require(5);
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(
            serde_json::from_str::<RouteEvidence>(&text).unwrap(),
            evidence
        );
    }
}
