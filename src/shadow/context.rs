//! Shared state of all checks. It compares, counts and reports.

use super::{
    Handles, Settings, Trace,
    bounds::{Probes, Slots, Waiting},
    check::{Check, Finding},
    guarded_client::GuardedClients,
    noise::KnownNoise,
};
use crate::{
    compare::{Answer, Bijections, CompareConfig, Compared, Comparison, Context, IdPairs},
    ledger::{Bound, RuleCount, today},
    outcome::{Outcome, Reason},
    pipeline::{FinishedCheck, FinishedRead, ReadRequest, Report, Span, TimedAnswer, Traced},
    stack::Stack,
    trace_context::TraceContext,
    value::grpc::MessageType,
};
use http::Method;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::{Instant, SystemTime},
};

/// Both stacks are measured alike up to this many bytes of body. Beyond it, a slow caller can hold up the primary once
/// the write-ahead buffer is full. Nothing holds up the shadow.
const MAX_TIMED: u64 = 256 << 10;

#[derive(Debug)]
pub(super) struct CheckContext {
    pub(super) handles: Handles,
    pub(super) noise: KnownNoise,
    pub(super) clients: GuardedClients,
    pub(super) slots: Slots,
    /// Of requests to the old stack.
    pub(super) old_slots: Slots,
    pub(super) waiting: Waiting,
    pub(super) probes: Probes,
}

/// Describes what two answers belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'s> {
    pub(super) route: &'s str,
    /// The id of the epoch.
    pub(super) epoch: &'s Arc<str>,
    pub(super) method: &'s Method,
    /// What a gRPC answer is made of, if a descriptor says so.
    pub(super) message_type: Option<&'s MessageType>,
}

/// Which earlier id pairs a comparison uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdMemory {
    /// Those of its epoch. If the answers are equal, their pairs are added.
    Kept,
    /// Those of its epoch; adds none.
    Known,
    /// None.
    Blank,
}

/// The result of a comparison.
#[derive(Debug)]
pub(super) struct ComparisonOutput {
    pub(super) comparison: Comparison,
    /// Paired ids that were not kept.
    pub(super) met: IdPairs,
}

// === impl CheckContext ===

impl CheckContext {
    /// Compares two answers. A panic ends only this comparison, as `internal`.
    pub(super) fn compare(
        &self,
        subject: &Subject<'_>,
        answers: (&Answer, &Answer),
        comparing: &CompareConfig,
        memory: IdMemory,
    ) -> ComparisonOutput {
        let Subject { route, epoch, .. } = *subject;
        let context = Context {
            route,
            method: subject.method,
            today: today(),
            deadline: Instant::now().checked_add(comparing.options.deadline),
            message_type: subject.message_type,
        };
        let within = |tables: &mut Bijections| {
            let comparison = (self.handles.compare)(answers, &context, comparing, tables);
            if memory == IdMemory::Kept && matches!(comparison.result, Compared::Equal(_)) {
                tables.keep();
            }
            let met = tables.rollback();
            ComparisonOutput { comparison, met }
        };
        let compare = || match memory {
            _ if !comparing.rules.remembers() => within(&mut Bijections::default()),
            IdMemory::Blank => within(&mut Bijections::default()),
            IdMemory::Known => {
                let mut known = self.handles.pairs.tables(epoch).lock().clone();
                within(&mut known)
            }
            IdMemory::Kept => {
                let tables = self.handles.pairs.tables(epoch);
                let mut tables = tables.lock();
                let refused = tables.refused();
                let seen = within(&mut tables);
                (refused..tables.refused())
                    .for_each(|_| self.handles.gauges.bound_reached(Bound::Bijections));
                seen
            }
        };
        catch_unwind(AssertUnwindSafe(compare)).unwrap_or_else(|_| {
            tracing::error!(%route, "a comparison panicked");
            let comparison = Comparison {
                result: Compared::NotCompared(Reason::Internal),
                rules: Vec::new(),
                masked: Vec::new(),
                uncompared: None,
                undescribed: false,
            };
            let met = IdPairs::default();
            ComparisonOutput { comparison, met }
        })
    }

    /// Remembers a check's paired ids for later checks of its epoch.
    pub(super) fn learn(&self, check: &Check, met: IdPairs) {
        if !met.is_empty() {
            let tables = self.handles.pairs.tables(check.sample.meta.ticket.epoch());
            tables.lock().commit(met);
        }
    }

    /// Counts what rules did, and how long both stacks took.
    pub(super) fn count(&self, check: &Check, comparison: &Comparison, new: &TimedAnswer) {
        if comparison.undescribed {
            self.handles.gauges.bound_reached(Bound::Descriptors);
        }
        let rules = check.sample.meta.comparing.rules.rules();
        for used in &comparison.rules {
            let count = RuleCount {
                applied: used.applied,
                masked: used.masked,
            };
            if let Some(rule) = rules.get(used.rule) {
                self.handles.rule_counts.add(&rule.id, count);
            }
        }
        let ticket = &check.sample.meta.ticket;
        let primary = ticket.primary();
        let timed = [(primary, check.primary()), (primary.other(), new)];
        let is_long = |length: Option<u64>| length.is_none_or(|length| length > MAX_TIMED);
        if timed
            .iter()
            .any(|(_, timed)| is_long(timed.answer.body.length()))
        {
            return;
        }
        for (stack, timed) in timed {
            ticket.answered(stack, timed.took);
            let timings = &self.handles.timings;
            timings.answer(stack, ticket.route(), timed.took);
        }
    }

    /// Counts the reported differences. Noise has none.
    pub(super) fn count_differences(&self, check: &Check, finding: &Finding) {
        let Compared::Different { differences, count } = &finding.compared else {
            return;
        };
        if finding.outcome == Outcome::Noise {
            return;
        }
        let route = check.sample.meta.ticket.route();
        differences
            .iter()
            .for_each(|difference| route.count_difference(difference.kind));
        if *count > differences.len() {
            self.handles.gauges.bound_reached(Bound::Differences);
        }
    }

    /// Sends a redacted report to the listeners, of every deviation and of every traced check.
    fn report(&self, check: &Check, finding: &Finding) -> Option<Arc<Report>> {
        let outcome = finding.outcome;
        let is_reported = Traced::Mismatch.admits(outcome) || check.settings.traced.admits(outcome);
        if !is_reported && !self.handles.reports.is_recorded() {
            return None;
        }
        let compared = &finding.compared;
        let finished = FinishedCheck {
            input: &check.sample,
            request: check.conditional.as_ref().unwrap_or(&check.sample.request),
            span: &check.span,
            shadow: check.shadow.as_ref(),
            outcome,
            compared,
            rechecked: &finding.rechecked,
            room: self
                .probes
                .room(compared.differences().len(), Instant::now()),
        };
        let redactor = self.handles.redactor.get();
        // Hints are found by comparing. A panic there must only lose the report.
        match catch_unwind(AssertUnwindSafe(|| finished.report(&redactor))) {
            Ok(report) => {
                let reported = report.differences.iter();
                reported
                    .filter(|difference| !difference.basis.hints.are_tried())
                    .for_each(|_| self.handles.gauges.bound_reached(Bound::Suggestions));
                let report = Arc::new(report);
                self.handles.reports.send(report.clone());
                Some(report)
            }
            Err(_) => {
                tracing::error!("a report is lost because building it panicked");
                None
            }
        }
    }
}

/// Reports and counts a check, and hands its end to whoever waits for it.
pub(super) fn finish(check: Check, finding: &Finding) {
    // The report takes what was sent.
    let was_sent = check.span.has_sent();
    let report = check.context.report(&check, finding);
    let meta = check.sample.meta;
    let mut answers = [check.sample.primary.as_ref(), check.shadow.as_ref()];
    if meta.ticket.primary() == Stack::New {
        answers.reverse();
    }
    meta.finish(FinishedRead {
        outcome: finding.outcome,
        statuses: answers.map(|timed| Some(timed?.answer.status)),
        old_took: answers[0].map(|timed| timed.took),
        was_sent,
        report,
    });
}

/// Starts the span of a check, in a trace of its own or within the live one.
pub(super) fn start_span(request: &ReadRequest, settings: &Settings) -> Span {
    let live = TraceContext::of(&request.headers);
    let span_id = rand::random_range(1..=u64::MAX);
    let own = match (&live, settings.trace) {
        (Some(live), Trace::Child) => TraceContext {
            span_id,
            ..live.clone()
        },
        _ => TraceContext {
            trace_id: rand::random_range(1..=u128::MAX),
            span_id,
            flags: u8::from(settings.traced != Traced::None),
            state: String::new(),
        },
    };
    Span {
        own,
        live,
        started: SystemTime::now(),
        sent: Mutex::default(),
    }
}
