//! One sample, carried through to its outcome: replayed, compared, counted, reported.

use super::{
    Compare, Settings,
    epochs::{Epochs, Tables},
    lane::Passage,
    replay::{self, Failure, Room},
    span::Span,
};
use crate::{
    compare::{Answer, Bijections, Compared, Comparing, Comparison, Context},
    handoff::{Checked, Opened, ReadRequest, Reports, Sample, Timed, Traced},
    redact::Redactor,
    settings::Current,
    stack::Stack,
    telemetry::{Bound, Gauges, RuleCount, RuleCounts, Ticket, Timings},
    verdict::{Mark, Outcome, Reason, ShadowError},
};
use http::StatusCode;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Instant, SystemTime},
};
use tokio::time;

/// What every check needs.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) compare: Compare,
    pub(super) epochs: Epochs,
    pub(super) gauges: Gauges,
    pub(super) timings: Timings,
    pub(super) rule_counts: RuleCounts,
    pub(super) reports: Reports,
    pub(super) redactor: Current<Redactor>,
}

/// What a comparison and a report have to know of a sample, its answers aside.
struct Inquiry<'c> {
    ticket: &'c Ticket,
    request: &'c ReadRequest,
    comparing: &'c Comparing,
    settings: &'c Settings,
}

/// The answers of both stacks, by identity.
#[derive(Clone, Copy)]
struct Pair<'c> {
    old: Option<Timed<'c>>,
    new: Option<Timed<'c>>,
}

/// How a check ended, and what was found.
struct Finding {
    outcome: Outcome,
    comparison: Option<Comparison>,
}

/// Carries one sample through to its outcome.
pub(super) async fn run(
    bench: Arc<Bench>,
    sample: Box<Sample>,
    passage: Passage,
    settings: Arc<Settings>,
) {
    let _in_flight = bench.gauges.begin_replay();
    let mut sample = sample.open();
    let span = Span::new(&sample.request, &settings);
    let begun = Instant::now();
    let answer = ask(&mut sample, passage, &span, &settings).await;
    let took = begun.elapsed();

    let inquiry = Inquiry::of(&sample, &settings);
    let shadow = answer.as_ref().ok().map(|answer| Timed { answer, took });
    let pair = Pair::of(&sample, shadow);
    let finding = match answer {
        Ok(_) => bench.compare(&inquiry, &pair),
        Err(failure) => Finding::from(failure.outcome()),
    };
    bench.report(&inquiry, &pair, &finding, span);
    sample.ticket.finish(finding.outcome);
}

/// Ends a sample whose read is not to be sent.
pub(super) fn refuse(bench: &Bench, sample: Box<Sample>, reason: Reason, settings: &Settings) {
    let sample = sample.open();
    let finding = Finding::from(Outcome::NotCompared(reason));
    let inquiry = Inquiry::of(&sample, settings);
    let span = Span::new(&sample.request, settings);
    bench.report(&inquiry, &Pair::of(&sample, None), &finding, span);
    sample.ticket.finish(finding.outcome);
}

/// Replays the read, and tells the breaker how that went.
async fn ask(
    sample: &mut Opened,
    passage: Passage,
    span: &Span,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let client = passage.lane().client();
    let request = replay::request(&sample.request, client.target(), &span.own);
    let room = Room {
        max_body: settings.max_body,
        held: &mut sample.held,
        expected: sample.answer.body.clone(),
    };
    let answer = replay::replay(client, request, room);
    let answer = time::timeout(settings.timeout, answer)
        .await
        .unwrap_or(Err(Failure::Shadow(ShadowError::Timeout)));
    match answer {
        Err(Failure::Shadow(_)) => passage.failed(),
        _ => passage.answered(),
    }
    answer
}

// === impl Bench ===

impl Bench {
    /// A panic in here ends the check, not more.
    fn compare(&self, inquiry: &Inquiry<'_>, pair: &Pair<'_>) -> Finding {
        let Pair {
            old: Some(old),
            new: Some(new),
        } = pair
        else {
            return Finding::from(Outcome::NotCompared(Reason::Internal));
        };
        let route = inquiry.ticket.route().name();
        let context = Context {
            route,
            method: &inquiry.request.method,
            today: jiff::Timestamp::now()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date(),
            deadline: Instant::now().checked_add(inquiry.settings.deadline),
        };
        let compare = || self.compare_within(inquiry, (old.answer, new.answer), &context);
        let Ok(comparison) = catch_unwind(AssertUnwindSafe(compare)) else {
            tracing::error!(route = %context.route, "a comparison panicked");
            return Finding::from(Outcome::NotCompared(Reason::Internal));
        };
        self.count(inquiry, &comparison);
        for (stack, timed) in [(Stack::Old, old), (Stack::New, new)] {
            inquiry.ticket.answered(stack, timed.took);
            self.timings.answer(stack, route, timed.took);
        }
        Finding {
            outcome: outcome(&comparison, old.answer, new.answer),
            comparison: Some(comparison),
        }
    }

    /// Compares two answers with what the checks of their epoch remember.
    fn compare_within(
        &self,
        inquiry: &Inquiry<'_>,
        answers: (&Answer, &Answer),
        context: &Context<'_>,
    ) -> Comparison {
        let comparing = inquiry.comparing;
        let remembered =
            (comparing.rules.remembers()).then(|| self.epochs.tables(inquiry.ticket.epoch()));
        let mut fresh = Bijections::default();
        let mut remembered = remembered.as_ref().map(Tables::lock);
        let tables = remembered.as_deref_mut().unwrap_or(&mut fresh);
        let refused = tables.refused();
        let comparison = (self.compare)(answers, context, comparing, tables);
        (refused..tables.refused()).for_each(|_| self.gauges.bound_reached(Bound::Bijections));
        comparison
    }

    fn count(&self, inquiry: &Inquiry<'_>, comparison: &Comparison) {
        let rules = inquiry.comparing.rules.rules();
        for used in &comparison.rules {
            let count = RuleCount {
                applied: used.applied,
                masked: used.masked,
            };
            if let Some(rule) = rules.get(used.rule) {
                self.rule_counts.add(&rule.id, count);
            }
        }
        if let Compared::Different { differences, count } = &comparison.result {
            let route = inquiry.ticket.route();
            differences
                .iter()
                .for_each(|difference| route.count_difference(difference.kind));
            if *count > differences.len() {
                self.gauges.bound_reached(Bound::Differences);
            }
        }
    }

    /// Hands a redacted report to whoever listens: of everything that was not in order, and of what is traced.
    fn report(&self, inquiry: &Inquiry<'_>, pair: &Pair<'_>, finding: &Finding, span: Span) {
        let outcome = finding.outcome;
        if !Traced::Mismatch.admits(outcome) && !inquiry.settings.traced.admits(outcome) {
            return;
        }
        let (differences, count) = match finding.comparison.as_ref().map(|found| &found.result) {
            Some(Compared::Different { differences, count }) => (differences.as_slice(), *count),
            _ => (&[][..], 0),
        };
        let checked = Checked {
            outcome,
            route: inquiry.ticket.route().name().clone(),
            epoch: inquiry.ticket.epoch().clone(),
            request: inquiry.request,
            span: span.own,
            live: span.live,
            started: span.started,
            ended: SystemTime::now(),
            old: pair.old,
            new: pair.new,
            differences,
            count,
        };
        let redactor = self.redactor.get();
        // Hints are found by comparing: a panic in there must not end more than the report.
        match catch_unwind(AssertUnwindSafe(|| checked.report(&redactor))) {
            Ok(report) => self.reports.send(report),
            Err(_) => tracing::error!("a report could not be made, for making it panicked"),
        }
    }
}

// === impl Finding ===

impl From<Outcome> for Finding {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            comparison: None,
        }
    }
}

// === impl Inquiry ===

impl<'c> Inquiry<'c> {
    fn of(sample: &'c Opened, settings: &'c Settings) -> Self {
        Self {
            ticket: &sample.ticket,
            request: &sample.request,
            comparing: &sample.comparing,
            settings,
        }
    }
}

// === impl Pair ===

impl<'c> Pair<'c> {
    fn of(sample: &'c Opened, shadow: Option<Timed<'c>>) -> Self {
        let primary = Some(Timed {
            answer: &sample.answer,
            took: sample.took,
        });
        let (old, new) = match sample.primary {
            Stack::Old => (primary, shadow),
            Stack::New => (shadow, primary),
        };
        Self { old, new }
    }
}

fn outcome(comparison: &Comparison, old: &Answer, new: &Answer) -> Outcome {
    match comparison.result {
        Compared::Equal(via) => Outcome::Match(via),
        Compared::NotCompared(reason) => Outcome::NotCompared(reason),
        Compared::Different { .. } if is_refused(new) && !is_refused(old) => {
            Outcome::Mismatch(Mark::Auth)
        }
        Compared::Different { .. } => Outcome::Mismatch(Mark::Plain),
    }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}
