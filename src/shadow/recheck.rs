//! Reads both stacks again after a difference, to distinguish lag and noise from a mismatch.
//!
//! Each reading of both counts against `recheck.max_per_second` and passes both guards. It waits only briefly for its
//! turn, because a check that is not read again must not hold what others need. A check whose readings could not all be
//! made stays a mismatch, marked `unconfirmed`: a difference is never withdrawn because a re-check was missing. A check
//! still waiting when the process drains ends as `shutting_down`, because lag had no time to disappear.
//!
//! If all remaining differences are known noise, a few more readings follow the last delay. Two stacks that both vary
//! may each agree with themselves for as long as the delays last.

use super::{
    check::{Check, Finding},
    context::{ComparisonOutput, IdMemory},
    dual_read::StackAccess,
    guarded_client::Instance,
};
use crate::{
    budget::Held,
    compare::{
        Answer, Classification, CompareConfig, Compared, Earlier, IdPairs, Later, RecheckState,
        Variation,
    },
    drain,
    ledger::Bound,
    outcome::{Mark, Outcome, Reason},
    pipeline::TimedAnswer,
    stack::Stack,
};
use http::StatusCode;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// How long the first reading waits for its turn in the budget. Later readings wait longer, because a check that has
/// begun should finish before a new one begins.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Readings after the last delay if only known noise is left, and the pause before each. Two stacks that each return
/// one of two answers at random show it in all but one of 4096 checks.
const MORE: usize = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// Differences kept of a later comparison, at least. One that is not kept cannot be distinguished from noise. They use
/// about 5 MiB while answers are compared.
const KEPT: usize = 16_000;

/// Approximate bytes that a place takes while its check waits.
const PLACE: usize = 200;

/// The result of one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// More readings cannot change the result.
    Settled,
    /// Some place differed again.
    Differs,
    /// It could not be made or compared, too much differed, or a stack refused or failed to answer.
    Missed,
}

/// The re-checks of one check.
struct Series<'c> {
    check: &'c Check,
    /// The old stack's first.
    first: (&'c Answer, &'c Answer),
    compared: &'c Compared,
    /// Set by the first reading.
    suspects: Option<RecheckState>,
    /// For later comparisons of both stacks.
    comparing: CompareConfig,
    /// For comparing each stack with itself; set at the first use.
    own: [Option<CompareConfig>; 2],
    /// What earlier checks have shown of the differing places.
    known: HashSet<Variation>,
    held: Held,
    found: Instant,
    lag: Option<Duration>,
    /// Why the bodies of the last reading were not compared.
    uncompared: Option<Reason>,
    /// Ids paired in the last reading.
    met: IdPairs,
    count: u32,
}

/// Reads both stacks again after each delay, and corrects the finding accordingly.
pub(super) async fn confirm(check: &Check, finding: &mut Finding, drain: &Arc<drain::Watch>) {
    let Some(TimedAnswer { answer: shadow, .. }) = &check.shadow else {
        return;
    };
    let bytes = check.sample.meta.held.bytes();
    let Some(_wait) = check.context.waiting.enter(bytes, &check.settings) else {
        check.context.handles.gauges.bound_reached(Bound::Rechecks);
        finding.unconfirmed();
        return;
    };
    let mut series = Series::new(check, shadow, &finding.compared);
    let mut drain = drain::Watch::clone(drain);
    let last = tokio::select! {
        biased;
        () = drain.signaled() => None,
        last = series.run() => Some(last),
    };
    let suspects = last.and(series.suspects.as_ref());
    let reported = suspects.map(|suspects| series.reported(suspects));
    let Series {
        suspects,
        lag,
        uncompared,
        met,
        count,
        ..
    } = series;
    match last {
        None => *finding = Finding::from(Outcome::NotCompared(Reason::ShuttingDown)),
        Some(last) => {
            if let Some((suspects, reported)) = suspects.zip(reported) {
                check.learn_noise(&suspects);
                finding.compared = reported;
                finding.correct(&suspects, lag);
                finding.met.intersect(&met);
            }
            if is_failure(check.sides(shadow)) {
                finding.failed();
            }
            if last == Look::Missed {
                finding.unconfirmed();
            }
        }
    }
    finding.rechecked.count = count;
    finding.excuse_nothing(uncompared);
}

// === impl Series ===

impl<'c> Series<'c> {
    fn new(check: &'c Check, shadow: &'c Answer, compared: &'c Compared) -> Self {
        let mut comparing = CompareConfig::clone(&check.sample.meta.comparing);
        let kept = &mut comparing.options.max_differences;
        *kept = KEPT.max(*kept);
        Self {
            check,
            first: check.sides(shadow),
            compared,
            suspects: None,
            own: [None, None],
            known: HashSet::new(),
            comparing,
            held: check.sample.meta.held.empty_share(),
            found: Instant::now(),
            lag: None,
            uncompared: None,
            met: IdPairs::default(),
            count: 0,
        }
    }

    /// Returns the result of the last reading.
    async fn run(&mut self) -> Look {
        let mut last = Look::Missed;
        for (index, delay) in self.check.settings.recheck.after.iter().enumerate() {
            time::sleep_until(self.found + *delay).await;
            match self.turn(PATIENCE[index.min(1)]).await {
                Some(look) => last = look,
                None => return Look::Missed,
            }
            if last == Look::Settled {
                break;
            }
        }
        self.run_on(last).await
    }

    /// Continues reading while all that differs is known noise.
    async fn run_on(&mut self, mut last: Look) -> Look {
        for _ in 0..MORE {
            let suspects = self.suspects.as_ref();
            if last != Look::Differs || !suspects.is_some_and(|all| all.are_known(&self.known)) {
                break;
            }
            time::sleep(PAUSE).await;
            last = self.turn(PATIENCE[0]).await.unwrap_or(Look::Missed);
        }
        last
    }

    /// Reads both once more when the budget allows; `None` if that takes longer than `patience`.
    async fn turn(&mut self, patience: Duration) -> Option<Look> {
        let check = self.check;
        let wait = check.context.clients.book(&check.settings, patience)?;
        time::sleep(wait).await;
        Some(self.look().await)
    }

    async fn look(&mut self) -> Look {
        let (old, new) = self.first;
        let mut held = self.held.empty_share();
        let clients = &self.check.context.clients;
        let accesses = clients.again(self.check.sample.meta.ticket.primary(), Instance::Control);
        let expected = [old.body.kept(), new.body.kept()];
        let check = self.check;
        let read = check.read_both(accesses.map(StackAccess::Asks), expected, &mut held);
        let [later_old, later_new] = match read.await {
            Ok(read) => read.map(|reading| reading.answer),
            Err(obstacle) => {
                tracing::debug!(?obstacle, "a re-check failed");
                return Look::Missed;
            }
        };
        self.count += 1;
        let (first_old, first_new) = self.first;
        let is_new_away =
            is_turned_away(first_new, &later_new) && !fails_still(first_new, &later_new);
        if is_turned_away(first_old, &later_old) || is_new_away {
            let (old, new) = (later_old.status, later_new.status);
            tracing::debug!(%old, %new, "a stack rejected a re-check");
            return Look::Missed;
        }
        // A control instance whose status differs from the start serves something else, most often because its address
        // is wrong.
        if clients.control.is_some() && later_old.status != first_old.status {
            tracing::debug!(status = %later_old.status, "the control instance answered with another status than the old stack");
            return Look::Missed;
        }
        if self.check.build(first_new) != self.check.build(&later_new) {
            tracing::debug!("another build of the new stack answered a re-check");
            return Look::Missed;
        }
        let Some(classification) = self.observe(&later_old, &later_new) else {
            return Look::Missed;
        };
        match classification {
            Classification::Open | Classification::Unclear if !self.is_held() => {
                self.suspects = None;
                Look::Missed
            }
            Classification::Open => Look::Differs,
            Classification::Unclear => Look::Missed,
            Classification::Lag => {
                self.lag = Some(self.found.elapsed());
                Look::Settled
            }
            Classification::Noise => Look::Settled,
        }
    }

    /// Compares the later answers; `None` if that is not possible.
    fn observe(&mut self, old: &Answer, new: &Answer) -> Option<Classification> {
        let ComparisonOutput { comparison, met } = self.compare(old, new)?;
        self.met = met;
        self.uncompared = comparison.uncompared;
        let both = comparison.result;
        let (first, first_new) = self.first;
        let mut own = |one, other| self.compare_own(Stack::Old, one, other);
        let own = [own(first, old), own(old, first)];
        let mut suspects = match self.suspects.take() {
            Some(suspects) => suspects,
            None => self.suspect()?,
        };
        self.known = self.check.known_noise(&suspects);
        let varied = (!self.known.is_empty()).then(|| self.compare_own(Stack::New, first_new, new));
        let known = self.check.excuse();
        suspects.observe(Later {
            own: [&own[0], &own[1]],
            both: &both,
            earlier: varied.as_ref().map(|new| Earlier { known: &known, new }),
        });
        Some(self.suspects.insert(suspects).classification())
    }

    /// The places that differed at first, including those that a report does not keep.
    fn suspect(&self) -> Option<RecheckState> {
        if self.compared.is_whole() {
            return Some(RecheckState::new(self.compared));
        }
        let (old, new) = self.first;
        Some(RecheckState::new(
            &self.compare(old, new)?.comparison.result,
        ))
    }

    /// Whether the budget has room for the places kept until the next reading, beyond those in a report.
    fn is_held(&mut self) -> bool {
        let places = self.suspects.as_ref().map_or(0, RecheckState::places);
        let bytes = places.saturating_sub(self.max_reported()) * PLACE;
        let more = bytes.saturating_sub(self.held.bytes());
        more == 0 || self.held.grow(more)
    }

    /// The first differences as a report shows them.
    fn reported(&self, suspects: &RecheckState) -> Compared {
        let (old, new) = self.first;
        // The remaining differences may be among those that a report does not keep.
        let is_enough =
            self.compared.is_whole() || suspects.classification() == Classification::Noise;
        let seen = (!is_enough).then(|| self.compare(old, new)).flatten();
        let all = seen.as_ref().map(|seen| &seen.comparison.result);
        suspects.report(all.unwrap_or(self.compared), self.max_reported())
    }

    fn max_reported(&self) -> usize {
        self.check.sample.meta.comparing.options.max_differences
    }

    fn compare(&self, old: &Answer, new: &Answer) -> Option<ComparisonOutput> {
        let (context, subject) = (&self.check.context, self.check.subject());
        let seen = context.compare(&subject, (old, new), &self.comparing, IdMemory::Known);
        (!matches!(seen.comparison.result, Compared::NotCompared(_))).then_some(seen)
    }

    /// Compares two answers of one stack. If that fails, nothing is known to be noise.
    fn compare_own(&mut self, stack: Stack, one: &Answer, other: &Answer) -> Compared {
        let comparing = &self.comparing;
        let own = self.own[stack as usize].get_or_insert_with(|| CompareConfig {
            rules: comparing.rules.between_readings_of(stack).into(),
            options: comparing.options.clone(),
            descriptors: comparing.descriptors.clone(),
        });
        let (context, subject) = (&self.check.context, self.check.subject());
        let seen = context.compare(&subject, (one, other), own, IdMemory::Blank);
        seen.comparison.result
    }
}

/// Whether only the new stack failed to serve the read. Lag does not cause that, and a later success does not prove
/// that the next read succeeds.
fn is_failure((old, new): (&Answer, &Answer)) -> bool {
    let [old, new] = [old, new].map(Answer::effective_status);
    new.is_server_error() && !old.is_server_error()
}

/// Whether a stack that answered at first now refuses or fails. Such an answer says nothing about the difference. If it
/// counted, a control instance without its credential would turn every mismatch into noise.
fn is_turned_away(first: &Answer, later: &Answer) -> bool {
    const REFUSALS: [StatusCode; 5] = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let status = later.effective_status();
    status != first.effective_status() && (status.is_server_error() || REFUSALS.contains(&status))
}

/// Whether a stack that failed at first still fails: what differed differs again.
fn fails_still(first: &Answer, later: &Answer) -> bool {
    let mut both = [first, later].into_iter();
    both.all(|answer| answer.effective_status().is_server_error())
}

// === impl Finding ===

impl Finding {
    /// Only the new stack failed at first. That it answers now does not make the failure lag or noise.
    fn failed(&mut self) {
        let mark = match self.outcome {
            Outcome::Transient => Mark::Vanished,
            Outcome::Noise => Mark::Plain,
            _ => return,
        };
        self.met = IdPairs::default();
        self.outcome = Outcome::Mismatch(mark);
    }

    /// The re-checks were not completed. A refused credential keeps its own mark.
    fn unconfirmed(&mut self) {
        self.met = IdPairs::default();
        if self.outcome == Outcome::Mismatch(Mark::Plain) {
            self.outcome = Outcome::Mismatch(Mark::Unconfirmed);
        }
    }

    /// Bodies that were not compared may differ in anything, so lag or noise elsewhere does not excuse them.
    fn excuse_nothing(&mut self, uncompared_later: Option<Reason>) {
        let uncompared = match self.outcome {
            Outcome::Noise => self.uncompared.or(uncompared_later),
            Outcome::Transient => uncompared_later,
            _ => None,
        };
        if let Some(reason) = uncompared {
            *self = Self::from(Outcome::NotCompared(reason));
        }
    }

    fn correct(&mut self, suspects: &RecheckState, lag: Option<Duration>) {
        match suspects.classification() {
            Classification::Open | Classification::Unclear => {}
            Classification::Lag => self.outcome = Outcome::Transient,
            Classification::Noise => self.outcome = Outcome::Noise,
        }
        self.rechecked.lag = lag;
        self.rechecked.noise = suspects.noise().to_vec();
    }
}
