//! Reads both stacks again: after a difference, to tell lag and noise from a mismatch, and instead of an answer that the
//! caller had already.
//!
//! Each reading of both is one of `recheck.max_per_second`, and passes the guards of both ways; it waits for its turn, but
//! not long, for who is not read again must not hold what others need. A check whose readings could not be made to the
//! end stays a mismatch, marked `unconfirmed`: what differed is never taken back for want of a second look. So it ends
//! also when the process drains.

use super::{
    Conditional,
    bench::{Bench, Memory},
    check::{Check, Finding, Reading},
    lane::{Lane, Passage},
    lanes::Instance,
    replay::{self, Failure, Purpose, Room},
};
use crate::{
    budget::Held,
    compare::{Answer, Compared, Comparing, Later, Standing, Suspects},
    drain,
    stack::Stack,
    telemetry::Bound,
    verdict::{Mark, Outcome, Reason},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// How long the first reading waits for its turn in the budget. Those that follow wait for as long as it takes others to
/// go by: what was begun should come to its end before something new begins.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Differences kept of a later comparison at least: what is not kept cannot be told from noise.
const KEPT: usize = 2_000;

/// Bytes that a place takes while its check waits, roughly.
const PLACE: usize = 200;

/// Places of noise that are told.
const TOLD: usize = 100;

/// By which way a stack is read.
enum Way<'l> {
    /// It asks for leave first.
    Asks(&'l Arc<Lane>),
    Granted(Passage),
}

/// Why both stacks could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obstacle {
    /// A guard refused.
    Refused(Reason),
    Failed(Stack, Failure),
}

/// What one reading has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// There is nothing more to find out.
    Settled,
    /// Some place differed again.
    Differs,
    /// It could not be made, or not be compared.
    Missed,
}

/// The re-checks of one check.
struct Series<'c> {
    check: &'c Check,
    /// Old's first.
    first: (&'c Answer, &'c Answer),
    compared: &'c Compared,
    /// Known from the first reading on.
    suspects: Option<Suspects>,
    /// For later comparisons of both stacks.
    comparing: Comparing,
    /// For those of the old one with itself; known from the first on.
    own: Option<Comparing>,
    held: Held,
    found: Instant,
    lag: Option<Duration>,
    count: u32,
}

/// Reads both stacks without the conditions of a read that got 304, and gives the shadow's answer.
pub(super) async fn without_conditions(
    check: &mut Check,
    passage: Passage,
) -> Result<Reading, Outcome> {
    let not_compared = |reason| Err(Outcome::NotCompared(reason));
    let settings = check.settings.clone();
    if settings.conditional == Conditional::Skip {
        return not_compared(Reason::OverBudget);
    }
    let Some(wait) = check.bench.lanes.book(&settings, PATIENCE[0]) else {
        return not_compared(Reason::OverBudget);
    };
    time::sleep(wait).await;
    check.drop_conditions();
    let mut held = check.sample.held.beside();
    let primary = check.sample.primary;
    let [to_old, to_new] = check.bench.lanes.again(primary, Instance::Own);
    let ways = match primary {
        Stack::Old => [Way::Asks(to_old), Way::Granted(passage)],
        Stack::New => [Way::Granted(passage), Way::Asks(to_new)],
    };
    let nothing = [&check.sample.answer, &check.sample.answer];
    let read = both(check, ways, nothing, &mut held).await;
    let [old, new] = match read {
        Ok(read) => read,
        Err(obstacle) => return Err(obstacle.outcome(primary)),
    };
    let (own, shadow) = match primary {
        Stack::Old => (old, new),
        Stack::New => (new, old),
    };
    check.sample.held.merge(held);
    check.sample.answer = own.answer;
    check.sample.took = own.took;
    Ok(shadow)
}

/// Reads both stacks again after each delay, and corrects the finding by what they say.
pub(super) async fn confirm(
    check: &Check,
    shadow: &Reading,
    finding: &mut Finding,
    drain: &Arc<drain::Watch>,
) {
    let bytes = check.sample.held.bytes();
    let bounds = &check.settings.recheck;
    let Some(_waits) = check.bench.waiting.enter(bytes, bounds) else {
        check.bench.gauges.bound_reached(Bound::Rechecks);
        finding.unconfirmed();
        return;
    };
    let mut series = Series::new(check, shadow, &finding.compared);
    let mut drain = drain::Watch::clone(drain);
    let last = tokio::select! {
        biased;
        () = drain.signaled() => Look::Missed,
        last = series.run() => last,
    };
    let Series {
        suspects,
        lag,
        count,
        ..
    } = series;
    finding.rechecked.count = count;
    if let Some(suspects) = suspects {
        finding.correct(&suspects, lag);
    }
    if last == Look::Missed {
        finding.unconfirmed();
    }
}

/// Reads both stacks at the same moment, old first in what comes. What is kept of them is taken from `held`.
async fn both(
    check: &Check,
    [old, new]: [Way<'_>; 2],
    expected: [&Answer; 2],
    held: &mut Held,
) -> Result<[Reading; 2], Obstacle> {
    let bench: &Bench = &check.bench;
    let current = &bench.settings;
    let _place = bench
        .places
        .take(|| current.get().max_in_flight.get())
        .await;
    let now = std::time::Instant::now();
    let admit = |way| match way {
        Way::Granted(passage) => Ok(passage),
        Way::Asks(lane) => lane.admit(now, &check.settings).map_err(Obstacle::Refused),
    };
    let (old, new) = (admit(old)?, admit(new)?);
    let mut shares = [held.beside(), held.beside()];
    let [of_old, of_new] = &mut shares;
    let (old, new) = tokio::join!(
        one(check, old, expected[0], of_old),
        one(check, new, expected[1], of_new)
    );
    let old = old.map_err(|failure| Obstacle::Failed(Stack::Old, failure))?;
    let new = new.map_err(|failure| Obstacle::Failed(Stack::New, failure))?;
    shares.into_iter().for_each(|share| held.merge(share));
    Ok([old, new])
}

async fn one(
    check: &Check,
    passage: Passage,
    expected: &Answer,
    held: &mut Held,
) -> Result<Reading, Failure> {
    let begun = Instant::now();
    let read = &check.sample.request;
    let target = passage.lane().client().target();
    let request = replay::request(read, target, &check.span.own, Purpose::Recheck);
    let room = Room {
        max_body: check.settings.max_body,
        held,
        expected: expected.body.clone(),
    };
    let answer = replay::send(passage, request, room, check.settings.timeout).await?;
    Ok(Reading {
        answer,
        took: begun.elapsed(),
    })
}

// === impl Series ===

impl<'c> Series<'c> {
    fn new(check: &'c Check, shadow: &'c Reading, compared: &'c Compared) -> Self {
        let mut comparing = Comparing::clone(&check.sample.comparing);
        let kept = &mut comparing.options.max_differences;
        *kept = KEPT.max(*kept);
        Self {
            check,
            first: check.sides(&shadow.answer),
            compared,
            suspects: None,
            own: None,
            comparing,
            held: check.sample.held.beside(),
            found: Instant::now(),
            lag: None,
            count: 0,
        }
    }

    /// Ends with what the last reading showed.
    async fn run(&mut self) -> Look {
        let mut last = Look::Missed;
        for (index, delay) in self.check.settings.recheck.after.iter().enumerate() {
            time::sleep_until(self.found + *delay).await;
            let patience = PATIENCE[index.min(1)];
            let Some(wait) = self.check.bench.lanes.book(&self.check.settings, patience) else {
                return Look::Missed;
            };
            time::sleep(wait).await;
            last = self.look().await;
            if last == Look::Settled {
                break;
            }
        }
        last
    }

    async fn look(&mut self) -> Look {
        let (old, new) = self.first;
        let mut held = self.held.beside();
        let lanes = &self.check.bench.lanes;
        let ways = lanes.again(self.check.sample.primary, Instance::Control);
        let read = both(self.check, ways.map(Way::Asks), [old, new], &mut held).await;
        let [later_old, later_new] = match read {
            Ok(read) => read.map(|reading| reading.answer),
            Err(obstacle) => {
                tracing::debug!(?obstacle, "a re-check could not be made");
                return Look::Missed;
            }
        };
        self.count += 1;
        let Some(standing) = self.hear(&later_old, &later_new) else {
            return Look::Missed;
        };
        match standing {
            Standing::Open => Look::Differs,
            Standing::Lag => {
                self.lag = Some(self.found.elapsed());
                Look::Settled
            }
            Standing::Noise => Look::Settled,
        }
    }

    /// Compares the later answers; `None` where that cannot be done.
    fn hear(&mut self, old: &Answer, new: &Answer) -> Option<Standing> {
        let both = self.compare(old, new)?;
        let first = self.first.0;
        let own = [self.compare_own(first, old), self.compare_own(old, first)];
        let suspects = match &mut self.suspects {
            Some(suspects) => suspects,
            None => {
                let suspects = self.suspect()?;
                self.suspects.insert(suspects)
            }
        };
        suspects.hear(Later {
            own: [&own[0], &own[1]],
            both: &both,
        });
        Some(suspects.standing())
    }

    /// The places that differed at first, more of them than a report keeps.
    fn suspect(&mut self) -> Option<Suspects> {
        if self.compared.count() == self.compared.differences().len() {
            return Some(Suspects::new(self.compared));
        }
        let (old, new) = self.first;
        let suspects = Suspects::new(&self.compare(old, new)?);
        self.held.grow(suspects.len() * PLACE).then_some(suspects)
    }

    fn compare(&self, old: &Answer, new: &Answer) -> Option<Compared> {
        let bench = &self.check.bench;
        let compared = bench.compare(self.check, (old, new), &self.comparing, Memory::Known);
        let compared = compared.ok()?.result;
        (!matches!(compared, Compared::NotCompared(_))).then_some(compared)
    }

    /// Two answers of the old stack. Where they cannot be compared nothing is known to be noise.
    fn compare_own(&mut self, one: &Answer, other: &Answer) -> Compared {
        let comparing = &self.comparing;
        let own = self.own.get_or_insert_with(|| Comparing {
            rules: comparing.rules.between_readings_of_old().into(),
            options: comparing.options.clone(),
        });
        let bench = &self.check.bench;
        match bench.compare(self.check, (one, other), own, Memory::Blank) {
            Ok(comparison) => comparison.result,
            Err(_) => Compared::NotCompared(Reason::Internal),
        }
    }
}

// === impl Obstacle ===

impl Obstacle {
    /// How a check ends whose first answers could not be read.
    fn outcome(self, primary: Stack) -> Outcome {
        match self {
            Self::Refused(reason) => Outcome::NotCompared(reason),
            Self::Failed(stack, Failure::Shadow(_)) if stack == primary => {
                Outcome::NotCompared(Reason::PrimaryError)
            }
            Self::Failed(_, failure) => failure.outcome(),
        }
    }
}

// === impl Finding ===

impl Finding {
    /// What differed was not read again to the end. That a credential was refused is told all the same.
    fn unconfirmed(&mut self) {
        if self.outcome == Outcome::Mismatch(Mark::Plain) {
            self.outcome = Outcome::Mismatch(Mark::Unconfirmed);
        }
    }

    fn correct(&mut self, suspects: &Suspects, lag: Option<Duration>) {
        match suspects.standing() {
            Standing::Open => {}
            Standing::Lag => self.outcome = Outcome::Transient,
            Standing::Noise => self.outcome = Outcome::Noise,
        }
        if let Compared::Different { differences, count } = &mut self.compared {
            suspects.tell(differences, count);
        }
        self.rechecked.lag = lag;
        self.rechecked.noise = suspects.noise().iter().take(TOLD).cloned().collect();
    }
}
