//! A circuit breaker; callers pass in the time.

use crate::spanned_yaml::settings;
use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

settings! {
    /// The section `breaker` of a stack.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Limits: Default {
        /// Failures in a row that open it.
        #[setting(default: "10", range: "1..1000000")]
        pub failures: NonZeroU32,
        /// How long it stays open before one probe.
        #[setting(default: "10s", range: "1ms..1d")]
        pub cool_down: Duration,
    }
}

/// Protects a failing stack from requests.
#[derive(Debug)]
pub(super) struct Breaker(State);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        since: Instant,
    },
    /// The next request is a probe.
    Ripe,
    Probing,
}

/// A permission to send one request. Each must be [settled](Breaker::settle).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Ordinary,
    Probe,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Answered,
    Failed,
    /// It was not sent, or we gave it up for reasons of our own.
    Abandoned,
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new() -> Self {
        Self(State::Closed { failures: 0 })
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.0, State::Closed { .. })
    }

    /// Admits a request now; `None` while open.
    pub(super) fn admit(&mut self, now: Instant, limits: &Limits) -> Option<Pass> {
        match self.0 {
            State::Closed { .. } => return Some(Pass::Ordinary),
            State::Open { since } if now.saturating_duration_since(since) < limits.cool_down => {
                return None;
            }
            State::Probing => return None,
            // ## (Open | Ripe) => Probing
            State::Open { .. } | State::Ripe => {}
        }
        self.0 = State::Probing;
        Some(Pass::Probe)
    }

    /// Records how an admitted request ended.
    pub(super) fn settle(&mut self, pass: Pass, end: End, now: Instant, limits: &Limits) {
        let reopened = State::Open { since: now };
        self.0 = match (self.0, pass, end) {
            // ## Probing => (Closed | Open | Ripe)
            (_, Pass::Probe, End::Answered) => State::Closed { failures: 0 },
            (_, Pass::Probe, End::Failed) => reopened,
            // The probe gave no result.
            (_, Pass::Probe, End::Abandoned) => State::Ripe,
            (State::Closed { .. }, Pass::Ordinary, End::Answered) => State::Closed { failures: 0 },
            // ## Closed => (Closed | Open)
            (State::Closed { failures }, Pass::Ordinary, End::Failed) => {
                if failures + 1 >= limits.failures.get() {
                    reopened
                } else {
                    State::Closed {
                        failures: failures + 1,
                    }
                }
            }
            // Sent before it opened: only the probe decides.
            (state, Pass::Ordinary, _) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOL_DOWN: Duration = Duration::from_secs(10);

    fn limits(failures: u32) -> Limits {
        Limits {
            failures: NonZeroU32::new(failures).unwrap(),
            cool_down: COOL_DOWN,
        }
    }

    #[test]
    fn breaker_opens_after_failures_and_probes_after_cool_down() {
        let mut breaker = Breaker::new();
        let begin = Instant::now();
        for end in [End::Failed, End::Answered, End::Failed, End::Failed] {
            let pass = breaker.admit(begin, &limits(2)).unwrap();
            assert_eq!(pass, Pass::Ordinary);
            breaker.settle(pass, end, begin, &limits(2));
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(begin + COOL_DOWN / 2, &limits(2)), None);

        let later = begin + COOL_DOWN;
        assert_eq!(breaker.admit(later, &limits(2)), Some(Pass::Probe));
        assert_eq!(breaker.admit(later, &limits(2)), None);
        breaker.settle(Pass::Ordinary, End::Answered, later, &limits(2));
        assert_eq!(
            breaker.admit(later, &limits(2)),
            None,
            "a late answer is no probe"
        );

        breaker.settle(Pass::Probe, End::Failed, later, &limits(2));
        assert_eq!(breaker.admit(later + COOL_DOWN / 2, &limits(2)), None);
        assert_eq!(
            breaker.admit(later + COOL_DOWN, &limits(2)),
            Some(Pass::Probe)
        );
        breaker.settle(Pass::Probe, End::Answered, later, &limits(2));
        assert!(!breaker.is_open());
    }

    #[test]
    fn changed_cool_down_holds_for_an_open_breaker() {
        let mut breaker = Breaker::new();
        let begin = Instant::now();
        breaker.settle(Pass::Ordinary, End::Failed, begin, &limits(1));
        let later = begin + COOL_DOWN / 10;
        assert_eq!(breaker.admit(later, &limits(1)), None);
        let shorter = Limits {
            cool_down: COOL_DOWN / 10,
            ..limits(1)
        };
        assert_eq!(breaker.admit(later, &shorter), Some(Pass::Probe));
    }

    #[test]
    fn an_abandoned_probe_leaves_its_turn_to_the_next() {
        let mut breaker = Breaker::new();
        let begin = Instant::now();
        breaker.settle(Pass::Ordinary, End::Failed, begin, &limits(1));
        let later = begin + COOL_DOWN;
        assert_eq!(breaker.admit(later, &limits(2)), Some(Pass::Probe));
        breaker.settle(Pass::Probe, End::Abandoned, later, &limits(1));
        assert_eq!(breaker.admit(later, &limits(2)), Some(Pass::Probe));
    }

    proptest! {
        /// Requests begin and end in any order, at any rate, with any result.
        #[test]
        fn while_open_at_most_one_request_is_let_through_in_a_cool_down(
            failures in 1u32..5,
            steps in prop::collection::vec((0u64..8_000, 0usize..4, 0usize..8), 1..300),
        ) {
            let limits = limits(failures);
            let mut breaker = Breaker::new();
            let mut now = Instant::now();
            let mut sent: Vec<Pass> = Vec::new();
            let mut last_failed_probe = None;
            for (wait, end, which) in steps {
                now += Duration::from_millis(wait);
                let was_open = breaker.is_open();
                if let Some(pass) = breaker.admit(now, &limits) {
                    prop_assert_eq!(pass == Pass::Probe, was_open);
                    if let (Pass::Probe, Some(last)) = (pass, last_failed_probe) {
                        prop_assert!(now >= last + COOL_DOWN);
                    }
                    sent.push(pass);
                }
                let probes = sent.iter().filter(|pass| **pass == Pass::Probe).count();
                prop_assert!(probes <= 1);
                if end < 3 && !sent.is_empty() {
                    let pass = sent.swap_remove(which % sent.len());
                    let end = [End::Answered, End::Failed, End::Abandoned][end];
                    breaker.settle(pass, end, now, &limits);
                    match (pass, end) {
                        (Pass::Probe, End::Failed) => last_failed_probe = Some(now),
                        (Pass::Probe, _) => last_failed_probe = None,
                        _ => {}
                    }
                }
            }
        }

        #[test]
        fn that_many_failures_in_a_row_open_it_and_fewer_do_not(failures in 1u32..50) {
            let limits = limits(failures);
            let mut breaker = Breaker::new();
            let now = Instant::now();
            for _ in 1..failures {
                breaker.settle(Pass::Ordinary, End::Failed, now, &limits);
                prop_assert!(!breaker.is_open());
            }
            breaker.settle(Pass::Ordinary, End::Failed, now, &limits);
            prop_assert!(breaker.is_open());
        }
    }
}
