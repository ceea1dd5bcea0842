//! The facts of a finished check, and the [`Report`] built from them.

use super::{
    ReadRequest, Rechecked, Report, ReportedAnswer, ReportedDifference, RuleEvidence,
    masked::{ToldRequest, masked},
};
use crate::{
    advise::suggest::Hints,
    compare::{Answer, BodyCopy, Class},
    outcome::Outcome,
    redact::Redactor,
    trace_context::TraceContext,
    value::{Difference, Kind, Place, Value, format},
};
use serde_json::Value as Json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The facts of one finished check, before redaction.
#[derive(Clone, Debug)]
pub struct FinishedCheck<'c> {
    pub outcome: Outcome,
    pub route: Arc<str>,
    /// The id of the epoch.
    pub epoch: Arc<str>,
    pub request: &'c ReadRequest,
    /// The check's own span; the replay carried it as `traceparent`.
    pub span: TraceContext,
    /// The span of the live request, if it had one.
    pub live: Option<TraceContext>,
    pub started: SystemTime,
    pub ended: SystemTime,
    /// `None` if that stack gave no complete answer.
    pub old: Option<TimedAnswer<'c>>,
    pub new: Option<TimedAnswer<'c>>,
    /// The differences kept.
    pub differences: &'c [Difference],
    /// The total number of differences.
    pub count: usize,
    pub rechecked: Rechecked<&'c Place>,
    /// At most this many differences are probed for rule suggestions.
    pub room: usize,
}

/// An answer, and the time from sending the request to the answer's last byte.
#[derive(Clone, Copy, Debug)]
pub struct TimedAnswer<'c> {
    pub answer: &'c Answer,
    pub took: Duration,
}

// === impl FinishedCheck ===

impl FinishedCheck<'_> {
    /// Redacts the check into a report.
    pub fn report(self, redactor: &Redactor) -> Report {
        let request = self.request;
        let answers = self.old.zip(self.new);
        let answers = answers.map(|(old, new)| (old.answer, new.answer));
        let hints = Hints::of(self.differences, answers, redactor, self.room).into_iter();
        let path = redactor.path(request.uri.path());
        let query = request.uri.query().map(|query| redactor.query(query));
        let headers = redactor.headers(&request.headers);
        let body = redactor.body(&request.headers, &request.body);
        let told_request = ToldRequest {
            path: &path,
            query: query.as_deref(),
            headers: &headers,
            body: body.as_deref(),
        };
        let request_masked = masked(request, &told_request);
        let told =
            |(difference, hints)| ReportedDifference::of(difference, hints, &self.route, redactor);
        Report {
            differences: self.differences.iter().zip(hints).map(told).collect(),
            outcome: self.outcome,
            route: self.route,
            epoch: self.epoch,
            method: request.method.to_string(),
            path,
            query,
            request_headers: headers,
            request_body: body,
            request_masked,
            span: self.span,
            live: self.live,
            started: self.started,
            ended: self.ended,
            old: self.old.map(|timed| timed.told(redactor)),
            new: self.new.map(|timed| timed.told(redactor)),
            count: self.count,
            rechecked: self.rechecked.told(redactor),
        }
    }
}

// === impl Rechecked ===

impl Rechecked<&Place> {
    fn told(self, redactor: &Redactor) -> Rechecked<String> {
        let places = self.noise.into_iter();
        Rechecked {
            count: self.count,
            is_conditional: self.is_conditional,
            lag: self.lag,
            noise: places
                .map(|place| redactor.place(place).to_string())
                .collect(),
        }
    }
}

// === impl TimedAnswer ===

impl TimedAnswer<'_> {
    fn told(self, redactor: &Redactor) -> ReportedAnswer {
        let answer = self.answer;
        ReportedAnswer {
            status: answer.status.as_u16(),
            duration: self.took,
            headers: redactor.headers(&answer.headers),
            body: match &answer.body {
                BodyCopy::Whole(body) => redactor.body(&answer.headers, body),
                BodyCopy::Hashed(digest) => {
                    let format = format::Reading::of(&answer.headers).format.name();
                    Some(format!("{format}({} bytes)", digest.length))
                }
                BodyCopy::Cut => None,
            },
            trailers: redactor.headers(&answer.trailers),
        }
    }
}

// === impl ReportedDifference ===

impl ReportedDifference {
    fn of(difference: &Difference, hints: Hints, route: &str, redactor: &Redactor) -> Self {
        let told = |value: &Option<_>| {
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
        let (old, new) = (told(&difference.old), told(&difference.new));
        let basis = RuleEvidence {
            at: (*place == difference.place).then(|| difference.place.clone()),
            hints,
            shown: whole(difference.kind, (&difference.old, old.as_deref()))
                .zip(whole(difference.kind, (&difference.new, new.as_deref())))
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
fn whole(kind: Kind, (value, told): (&Option<Value>, Option<&str>)) -> Option<Option<Json>> {
    let json = match value {
        None => return Some(None),
        Some(Value::Json(json)) => json.clone(),
        Some(Value::Text(text)) => Json::from(text.as_str()),
        Some(Value::Summary { .. } | Value::Unreadable { .. }) => return None,
    };
    let is_whole = match &json {
        // Values of unlike types are shown as JSON text.
        Json::String(text) if kind != Kind::Type => Some(text.as_str()) == told,
        json => Some(json.to_string().as_str()) == told,
    };
    is_whole.then_some(Some(json))
}
