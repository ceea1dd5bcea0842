//! Remembers differences between the old stack's own readings, by place and kind, for later checks of the same route.
//!
//! A check that reads two answers a few times may miss variation. A difference is excused if at least [`FEWEST`]
//! earlier checks of its epoch have shown it. It is excused no more often than the old stack's own readings have shown
//! it.

use super::{check::Check, context::Subject};
use crate::{
    compare::{Excuses, RecheckState, Variation},
    ledger::Bound,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The newest epochs, by id, oldest first.
#[derive(Debug, Default)]
pub(super) struct KnownNoise(Mutex<VecDeque<(Arc<str>, Epoch)>>);

/// The known noise, applied to one check.
#[derive(Debug)]
struct Excuse<'n> {
    noise: &'n KnownNoise,
    subject: Subject<'n>,
    sampled: Instant,
    /// Whether an excuse uses up earlier noise. A check that is no evidence must not take an excuse from one that is.
    is_evidence: bool,
}

/// Known noise by route.
#[derive(Debug, Default)]
struct Epoch {
    routes: HashMap<Arc<str>, HashMap<Variation, Known>>,
    count: usize,
}

/// What is known of one kind at one place.
#[derive(Debug, Default)]
struct Known {
    /// Checks in which the old stack's own readings differed, oldest first.
    shown: VecDeque<Run>,
    /// Checks in which the difference was excused because of the others.
    excused: u64,
}

/// Checks that ended within one second.
#[derive(Debug)]
struct Run {
    first: Instant,
    last: Instant,
    checks: u64,
}

/// A check may still run in the previous epoch.
const EPOCHS: usize = 2;

/// How many checks must show it.
const FEWEST: u64 = 5;

/// Kinds at places that are remembered per epoch, and per route.
const MAX: usize = 1_000;
const MAX_OF_ROUTE: usize = 100;

/// No check in progress was sampled longer ago than this many runs.
const RUNS: usize = 128;

const RUN: Duration = Duration::from_secs(1);

// === impl KnownNoise ===

impl KnownNoise {
    /// Returns those of `variations` that may be excused in a check sampled at `sampled`.
    fn known(
        &self,
        subject: &Subject<'_>,
        mut variations: HashSet<Variation>,
        sampled: Instant,
    ) -> HashSet<Variation> {
        self.within(subject, |epoch| {
            let route = epoch.routes.get(subject.route);
            variations.retain(|variation| {
                let known = route.and_then(|route| route.get(variation));
                known.is_some_and(|known| known.may_excuse(sampled))
            });
            variations
        })
    }

    /// Records what a check that ends now has shown. Returns how many variations had no room.
    fn learn(&self, subject: &Subject<'_>, shown: Vec<Variation>, now: Instant) -> u64 {
        self.within(subject, |epoch| {
            let mut refused = 0;
            for variation in shown {
                match epoch.entry(subject.route, variation) {
                    Some(known) => known.show(now),
                    None => refused += 1,
                }
            }
            refused
        })
    }

    fn within<T>(&self, subject: &Subject<'_>, act: impl FnOnce(&mut Epoch) -> T) -> T {
        let mut epochs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = epochs.iter().position(|(id, _)| id == subject.epoch);
        let index = known.unwrap_or_else(|| {
            if epochs.len() == EPOCHS {
                epochs.pop_front();
            }
            epochs.push_back((subject.epoch.clone(), Epoch::default()));
            epochs.len() - 1
        });
        act(&mut epochs[index].1)
    }
}

impl Excuses for Excuse<'_> {
    /// Counts what is evidence at once, so that concurrent checks do not all take the last excuse.
    fn excuse(&self, variation: &Variation) -> bool {
        self.noise.within(&self.subject, |epoch| {
            let route = epoch.routes.get_mut(self.subject.route);
            let known = route.and_then(|route| route.get_mut(variation));
            let known = known.filter(|known| known.may_excuse(self.sampled));
            let counted = u64::from(self.is_evidence);
            known.map(|known| known.excused += counted).is_some()
        })
    }
}

// === impl Check ===

impl Check {
    /// Which differences of this check earlier checks have shown to be noise.
    pub(super) fn known_noise(&self, suspects: &RecheckState) -> HashSet<Variation> {
        let noise = &self.context.noise;
        noise.known(&self.subject(), suspects.left(), self.sample.offered)
    }

    /// What earlier checks excuse in this one.
    pub(super) fn excuse(&self) -> impl Excuses {
        Excuse {
            noise: &self.context.noise,
            subject: self.subject(),
            sampled: self.sample.offered,
            is_evidence: self.sample.meta.ticket.is_evidence(),
        }
    }

    /// Remembers what this check has shown for later ones.
    pub(super) fn learn_noise(&self, suspects: &RecheckState) {
        if !self.sample.meta.ticket.is_evidence() {
            return;
        }
        let (shown, now) = (suspects.variations(), Instant::now());
        let refused = self.context.noise.learn(&self.subject(), shown, now);
        let gauges = &self.context.handles.gauges;
        gauges.bound_reached_times(Bound::Noise, refused);
    }
}

// === impl Epoch ===

impl Epoch {
    /// `None` if there is no room for another.
    fn entry(&mut self, route: &str, variation: Variation) -> Option<&mut Known> {
        if !self.routes.contains_key(route) {
            self.routes.insert(route.into(), HashMap::new());
        }
        let known = self.routes.get_mut(route)?;
        if !known.contains_key(&variation) {
            if self.count >= MAX || known.len() >= MAX_OF_ROUTE {
                return None;
            }
            self.count += 1;
        }
        Some(known.entry(variation).or_default())
    }
}

// === impl Known ===

impl Known {
    fn show(&mut self, now: Instant) {
        match self.shown.back_mut() {
            Some(run) if now.duration_since(run.first) < RUN => {
                run.last = now;
                run.checks += 1;
            }
            _ => self.shown.push_back(Run {
                first: now,
                last: now,
                checks: 1,
            }),
        }
        if self.shown.len() > RUNS
            && let Some(oldest) = self.shown.pop_front()
        {
            self.shown[0].checks += oldest.checks;
        }
    }

    fn may_excuse(&self, sampled: Instant) -> bool {
        let evidence = self.shown.iter();
        let evidence = evidence.filter(|run| is_evidence(run, sampled));
        let shown: u64 = evidence.map(|run| run.checks).sum();
        shown >= FEWEST && shown >= self.excused
    }
}

/// Whether all these checks had ended when the other check was sampled, so that they are evidence for it.
fn is_evidence(run: &Run, sampled: Instant) -> bool {
    run.last <= sampled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Kind, Place};
    use http::Method;

    fn subject<'s>(route: &'s str, epoch: &'s Arc<str>) -> Subject<'s> {
        Subject {
            route,
            epoch,
            method: &Method::GET,
            message_type: None,
        }
    }

    fn status() -> Variation {
        Variation::of(&Place::Status, Kind::Status)
    }

    fn header(number: usize) -> Variation {
        Variation::of(&Place::Header(format!("x-{number}")), Kind::Value)
    }

    #[test]
    fn noise_excuses_after_five_checks_ended_before_the_sample() {
        let (noise, begun) = (KnownNoise::default(), Instant::now());
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let (first, second) = ("1".into(), "2".into());
        let [own, other_route, other_epoch] = [("a", &first), ("b", &first), ("a", &second)]
            .map(|(route, epoch)| subject(route, epoch));
        for second in 1..=5 {
            noise.learn(&own, vec![status()], at(second));
        }
        let known = |subject: &Subject<'_>, sampled| {
            let known = noise.known(subject, HashSet::from([status(), header(1)]), sampled);
            known == HashSet::from([status()])
        };
        assert!(!known(&own, at(4)));
        assert!(known(&own, at(5)));
        assert!(!known(&other_route, at(5)));
        assert!(!known(&other_epoch, at(5)));
    }

    #[test]
    fn noise_excuses_no_more_often_than_it_was_shown() {
        let (noise, now) = (KnownNoise::default(), Instant::now());
        let epoch = "1".into();
        let own = subject("a", &epoch);
        let excuse = Excuse {
            noise: &noise,
            subject: own,
            sampled: now,
            is_evidence: true,
        };
        let excused = || excuse.excuse(&status());
        assert!(!excused());
        for _ in 0..5 {
            noise.learn(&own, vec![status()], now);
        }
        // None of the concurrent checks has ended.
        let times = (0..100).filter(|_| excused()).count();
        assert_eq!(
            times, 6,
            "as many as were shown, and the one that goes past it"
        );
        noise.learn(&own, vec![status()], now);
        assert!(excused() && !excused());
    }

    #[test]
    fn memory_of_noise_is_bounded_and_what_finds_no_room_is_counted() {
        let (noise, now) = (KnownNoise::default(), Instant::now());
        let epoch = "1".into();
        let mut refused = 0;
        for route in 0..20 {
            let route = route.to_string();
            let shown = (0..150).map(header).collect();
            refused += noise.learn(&subject(&route, &epoch), shown, now);
        }
        assert_eq!(refused, 20 * 150 - 1_000);
    }

    #[test]
    fn runs_of_checks_are_bounded_and_none_is_forgotten() {
        let (mut known, begun) = (Known::default(), Instant::now());
        let at = |second: u64| begun + Duration::from_secs(second);
        (0..1_000).for_each(|second| known.show(at(second)));
        assert_eq!(known.shown.len(), RUNS);
        known.excused = 1_000;
        assert!(known.may_excuse(at(999)));
        assert!(!known.may_excuse(at(998)));
    }
}
