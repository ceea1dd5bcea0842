//! The facts of a finished check, and the [`Report`] built from them.

use super::{
    CheckInput, ReadRequest, Rechecked, Report, ReportedAnswer, ReportedDifference,
    ReportedRequest, RuleEvidence, SentRequest, TimedAnswer,
    masked::{masked, masked_of_answer},
};
use crate::{
    advise::suggest::{Answers, Hints},
    compare::{BodyCopy, Class, Compared},
    outcome::Outcome,
    redact::Redactor,
    stack::Stack,
    trace_context::TraceContext,
    value::{Difference, Kind, Place, Value, format, grpc::Call},
};
use serde_json::Value as Json;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How long what would explain the differences is searched for with full precision.
const HINTS_WITHIN: Duration = Duration::from_millis(50);

/// The facts of one finished check, before redaction.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCheck<'c> {
    pub input: &'c CheckInput,
    /// The read as the caller sent it.
    pub request: &'c ReadRequest,
    pub span: &'c Span,
    /// `None` if the shadow gave no complete answer.
    pub shadow: Option<&'c TimedAnswer>,
    pub outcome: Outcome,
    pub compared: &'c Compared,
    pub rechecked: &'c Rechecked<Place>,
    /// At most this many differences are probed for rule suggestions.
    pub room: usize,
}

/// The span of a check.
#[derive(Debug)]
pub struct Span {
    pub own: TraceContext,
    /// The span of the live request, if it had one.
    pub live: Option<TraceContext>,
    pub started: SystemTime,
    /// What was sent to the stacks so far. Both may answer at the same time.
    pub sent: Mutex<Vec<SentRequest>>,
}

// === impl FinishedCheck ===

impl FinishedCheck<'_> {
    /// Redacts the check into a report.
    pub fn report(self, redactor: &Redactor) -> Report {
        let ticket = &self.input.meta.ticket;
        let route = ticket.route().name();
        let routes = &self.input.meta.routes;
        let template = routes.template(&self.request.head(), &self.request.body, route);
        let [old, new] = self.answers();
        let call = self.input.call();
        let answers = old.zip(new).map(|(old, new)| Answers {
            old: &old.answer,
            new: &new.answer,
            message_type: call.map(|call| &call.answer),
        });
        let differences = self.compared.differences();
        let hints = Hints::of(
            differences,
            answers,
            redactor,
            self.room,
            Instant::now().checked_add(HINTS_WITHIN),
        );
        let hints = hints.into_iter();
        let reported =
            |(difference, hints)| ReportedDifference::of(difference, hints, route, redactor);
        Report {
            outcome: self.outcome,
            route: route.clone(),
            template,
            epoch: ticket.epoch().clone(),
            request: ReportedRequest::of(self.request, call, redactor),
            span: self.span.own.clone(),
            sent: self.span.take_sent(),
            live: self.span.live.clone(),
            started: self.span.started,
            ended: SystemTime::now(),
            old: old.map(|timed| ReportedAnswer::of(timed, call, redactor)),
            new: new.map(|timed| ReportedAnswer::of(timed, call, redactor)),
            differences: differences.iter().zip(hints).map(reported).collect(),
            count: self.compared.count(),
            rechecked: self.rechecked.redacted(redactor),
        }
    }

    /// The old stack's first.
    fn answers(&self) -> [Option<&TimedAnswer>; 2] {
        let primary = self.input.primary.as_ref();
        match self.input.meta.ticket.primary() {
            Stack::Old => [primary, self.shadow],
            Stack::New => [self.shadow, primary],
        }
    }
}

// === impl Span ===

impl Span {
    /// The context for a request to a stack, which becomes the parent of that stack's own spans.
    pub fn child(&self) -> TraceContext {
        TraceContext {
            span_id: rand::random_range(1..=u64::MAX),
            ..self.own.clone()
        }
    }

    pub fn add(&self, sent: SentRequest) {
        self.lock().push(sent);
    }

    pub fn has_sent(&self) -> bool {
        !self.lock().is_empty()
    }

    fn take_sent(&self) -> Vec<SentRequest> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SentRequest>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Rechecked ===

impl Rechecked<Place> {
    fn redacted(&self, redactor: &Redactor) -> Rechecked<String> {
        let noise = self.noise.iter();
        Rechecked {
            count: self.count,
            is_conditional: self.is_conditional,
            lag: self.lag,
            noise: noise
                .map(|place| redactor.place(place).to_string())
                .collect(),
        }
    }
}

// === impl ReportedRequest ===

impl ReportedRequest {
    fn of(request: &ReadRequest, call: Option<&Call>, redactor: &Redactor) -> Self {
        let message_type = call.map(|call| &call.request);
        let mut reported = Self {
            method: request.method.to_string(),
            path: redactor.path(request.uri.path()),
            query: request.uri.query().map(|query| redactor.query(query)),
            headers: redactor.headers(&request.headers),
            body: redactor.body(&request.headers, &request.body, message_type),
            masked: Vec::new(),
        };
        reported.masked = masked(request, &reported);
        reported
    }
}

// === impl ReportedAnswer ===

impl ReportedAnswer {
    fn of(timed: &TimedAnswer, call: Option<&Call>, redactor: &Redactor) -> Self {
        let answer = &timed.answer;
        let message_type = call.map(|call| &call.answer);
        let mut reported = Self {
            status: answer.status.as_u16(),
            duration_ms: timed.took.as_micros() as f64 / 1e3,
            headers: redactor.headers(&answer.headers),
            body: match &answer.body {
                BodyCopy::Whole(body) => redactor.body(&answer.headers, body, message_type),
                BodyCopy::Hashed(digest) => {
                    let format = format::Reading::of(&answer.headers).format.name();
                    Some(format!("{format}({} bytes)", digest.length))
                }
                BodyCopy::Cut => None,
            },
            trailers: redactor.headers(&answer.trailers),
            masked: Vec::new(),
        };
        reported.masked = masked_of_answer(answer, &reported);
        reported
    }
}

// === impl ReportedDifference ===

impl ReportedDifference {
    fn of(difference: &Difference, hints: Hints, route: &str, redactor: &Redactor) -> Self {
        let redacted = |value: &Option<_>| {
            let value = value.as_ref()?;
            Some(redactor.value(difference, value))
        };
        let place = redactor.place(&difference.place);
        // Uses the redacted place: an id made of the original place would confirm guesses of a masked name.
        let class = Class {
            route: route.to_owned(),
            place: place.class_text(),
            kind: difference.kind,
        };
        let (old, new) = (redacted(&difference.old), redacted(&difference.new));
        let basis = RuleEvidence {
            at: (*place == difference.place).then(|| difference.place.clone()),
            hints,
            shown: whole(difference.kind, difference.old.as_ref(), old.as_deref())
                .zip(whole(
                    difference.kind,
                    difference.new.as_ref(),
                    new.as_deref(),
                ))
                .map(<[_; 2]>::from),
        };
        Self {
            place: place.to_string(),
            kind: difference.kind,
            class: class.id(),
            class_place: class.place,
            old,
            new,
            basis,
        }
    }
}

/// The value, if the report shows all of it. An absent value counts as shown.
fn whole(kind: Kind, value: Option<&Value>, redacted: Option<&str>) -> Option<Option<Json>> {
    let json = match value {
        None => return Some(None),
        Some(Value::Json(json)) => json.clone(),
        Some(Value::Text(text)) => Json::from(text.as_str()),
        Some(Value::Summary { .. } | Value::Unreadable { .. }) => return None,
    };
    let is_whole = match &json {
        // Values of unlike types are shown as JSON text.
        Json::String(text) if kind != Kind::Type => Some(text.as_str()) == redacted,
        json => Some(json.to_string().as_str()) == redacted,
    };
    is_whole.then_some(Some(json))
}
