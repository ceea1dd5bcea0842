//! Input of a verdict: the figures of one epoch, and other facts that affect the switch.

use super::{Requirement, RouteEvidence, Trials, Version};
use crate::outcome::{Outcome, Via};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// The name of the routes that are neither required nor exempt, which are judged together.
pub const REST: &str = "(rest)";

/// Everything that a verdict considers.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The figures of the epoch.
    pub tallies: Tallies,
    /// Routes declared `required: true`; `{name}` stands for any captured text.
    pub required: Vec<Arc<str>>,
    /// Rules that no longer apply.
    pub expired_rules: Vec<Arc<str>>,
    /// Whether checks are made at present.
    pub activity: Activity,
    /// Whether reads are sampled by key (`sample.by`).
    pub is_by_key: bool,
    /// Whether old and new are the same place (`allow_same_stack`).
    pub is_same_stack: bool,
}

/// Whether reads are sampled at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Reads are sampled and checked.
    Sampling,
    /// By `paused`, or by a rate of 0.
    Paused,
    /// Sampling is on, but the circuit breaker is open because the shadow has failed repeatedly.
    BreakerOpen,
}

/// The figures of one epoch.
#[derive(Clone, Debug)]
pub struct Tallies {
    /// The epoch that the figures are of.
    pub epoch: Epoch,
    /// How long ago another build of the new stack answered, if recently.
    pub mixed: Option<Duration>,
    /// In order of first appearance in the epoch.
    pub routes: Vec<Figures>,
    /// Routes that are neither required nor exempt, judged together.
    pub rest: Figures,
}

/// The span in which checks are comparable: same rules, same stacks, same new build.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Unique; later epochs sort after earlier ones.
    pub id: Arc<str>,
    /// A name that an operator gave it.
    pub label: Option<Arc<str>>,
    /// The new stack's build from its version header; `None` if no answer had one.
    pub version: Option<Version>,
    /// Why it began.
    pub cause: Cause,
    /// When it began.
    pub since: Timestamp,
    /// `None` for the present epoch.
    pub until: Option<Timestamp>,
}

/// Why an epoch began.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// The process started.
    Start,
    /// Other rules.
    Rules,
    /// Other comparison settings.
    Compare,
    /// Another url of a stack.
    Stacks,
    /// Another version header of the new stack.
    Version,
    /// Requested through the API.
    Asked,
}

/// The figures of one route in one epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// The name of the route.
    pub route: Arc<str>,
    /// How the verdict depends on it.
    pub requirement: Requirement,
    /// Live requests, reads and others.
    pub live: u64,
    /// Live requests that were reads.
    pub reads: u64,
    /// Reads that were taken for a check, forced ones included.
    pub sampled: u64,
    /// Samples that callers requested. They are no evidence.
    pub forced: u64,
    /// Samples that are not evidence yet.
    pub waiting: u64,
    /// Waiting samples that have been open for so long that the evidence no longer waits for them.
    pub overdue: u64,
    /// Ended checks that began later, because their record had just been written.
    pub delayed: u64,
    /// How all ended checks ended, forced ones included.
    pub outcomes: Outcomes,
    /// The checks that are evidence.
    pub evidence: RouteEvidence,
    /// The first check of each key if reads are sampled by key.
    pub keys: Option<Trials>,
    /// Current rate of matches that become evidence, per second.
    pub pace: f64,
    /// How long the answers of both stacks took.
    pub latency: Latency,
}

/// The count of each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes([u64; Outcome::ALL.len()]);

/// Durations of whole answers, from sending the request to the last byte. Covers checks in which both stacks were
/// measured alike; `None` without any.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// Of the old stack.
    pub old: Option<Quantiles>,
    /// Of the new stack.
    pub new: Option<Quantiles>,
}

/// Quantiles of one stack's durations, in milliseconds, each within 1 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// Number of measurements.
    pub answers: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
}

// === impl Cause ===

impl Cause {
    /// Its name in documents and in the store.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

// === impl Figures ===

impl Figures {
    /// A route without any figures yet.
    pub fn new(route: impl Into<Arc<str>>) -> Self {
        Self {
            route: route.into(),
            ..Self::default()
        }
    }

    /// Merges the figures of another route.
    pub fn join(&mut self, other: &Self) {
        self.requirement = self.requirement.stronger(other.requirement);
        self.live += other.live;
        self.reads += other.reads;
        self.sampled += other.sampled;
        self.forced += other.forced;
        self.waiting += other.waiting;
        self.overdue += other.overdue;
        self.delayed += other.delayed;
        self.pace += other.pace;
        for (outcome, count) in other.outcomes.iter() {
            self.outcomes.add(outcome, count);
        }
        self.evidence.join(&other.evidence);
        // A key that both have seen counts once, and each hit of either counts.
        let keys = |one: Trials, other: Trials| {
            let hits = one.hits + other.hits;
            Trials::new(one.total.max(other.total).max(hits), hits)
        };
        self.keys = match (self.keys, other.keys) {
            (Some(one), Some(other)) => Some(keys(one, other)),
            (one, other) => one.or(other),
        };
        // Latencies of two routes are not mixed; those with more answers win.
        let answers = |latency: &Latency| latency.new.map_or(0, |quantiles| quantiles.answers);
        if answers(&other.latency) > answers(&self.latency) {
            self.latency = other.latency;
        }
    }
}

// === impl Outcomes ===

impl Outcomes {
    /// How many checks ended so.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome.index()]
    }

    /// Counts `count` more checks that ended so.
    pub fn add(&mut self, outcome: Outcome, count: u64) {
        self.0[outcome.index()] += count;
    }

    /// Each outcome that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let counts = Outcome::ALL.into_iter().zip(self.0);
        counts.filter(|(_, count)| *count > 0)
    }

    /// The number of ended checks.
    pub fn ended(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Checks in which two answers were compared to the end.
    pub fn compared(&self) -> u64 {
        self.sum(Outcome::is_compared)
    }

    /// Checks whose answers were equal, with or without rules.
    pub fn matches(&self) -> u64 {
        self.get(Outcome::Match(Via::Exact)) + self.get(Outcome::Match(Via::Rules))
    }

    /// Mismatches, whatever their mark.
    pub fn mismatches(&self) -> u64 {
        self.sum(|outcome| matches!(outcome, Outcome::Mismatch(_)))
    }

    /// Checks that the shadow did not answer, whatever the kind.
    pub fn shadow_errors(&self) -> u64 {
        self.sum(|outcome| matches!(outcome, Outcome::ShadowError(_)))
    }

    fn sum(&self, is_meant: impl Fn(Outcome) -> bool) -> u64 {
        self.iter()
            .filter(|(outcome, _)| is_meant(*outcome))
            .map(|(_, count)| count)
            .sum()
    }
}

impl FromIterator<(Outcome, u64)> for Outcomes {
    fn from_iter<I: IntoIterator<Item = (Outcome, u64)>>(counts: I) -> Self {
        let mut outcomes = Self::default();
        for (outcome, count) in counts {
            outcomes.add(outcome, count);
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Mark, ShadowError};

    #[test]
    fn compared_and_uncompared_are_separate() {
        let outcomes = Outcomes::from_iter([
            (Outcome::Match(Via::Exact), 5),
            (Outcome::Match(Via::Rules), 4),
            (Outcome::Mismatch(Mark::Auth), 2),
            (Outcome::Noise, 1),
            (Outcome::ShadowError(ShadowError::Reset), 3),
        ]);
        assert_eq!(outcomes.ended(), 15);
        assert_eq!(outcomes.compared(), 12);
        assert_eq!(outcomes.matches(), 9);
        assert_eq!(outcomes.mismatches(), 2);
        assert_eq!(outcomes.shadow_errors(), 3);
        assert_eq!(outcomes.iter().count(), 5);
    }
}
