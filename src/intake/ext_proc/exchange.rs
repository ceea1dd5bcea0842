//! One request that Envoy serves, as far as it was shown: counted under its route, and copied with its answer if it is
//! a read that is to be checked.

use super::messages::{Event, HttpBody, HttpHeaders, HttpTrailers, Malformed, ProcessingRequest};
use crate::{
    heads::hop::{self, Marks},
    intake::{
        requests::{Intake, head},
        settings::Settings,
    },
    ledger::{AnsweredBy, LiveFailure},
    outcome::Reason,
    pipeline::{
        CompactRequest, Named,
        bounded_copy::{End, SharedCopy},
        capture::{AnswerCapture, Capture},
    },
    sample::Declared,
};
use bytes::Bytes;
use http::{HeaderName, StatusCode, request};
use http_body::Frame;
use std::{
    mem,
    sync::{Arc, Once},
    time::Instant,
};

#[derive(Debug)]
pub(super) struct Exchange {
    intake: Arc<Intake>,
    /// `None` until its head has come.
    request: Option<Shown>,
    stage: Stage,
}

/// Whether more of a stream is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    More,
    Close,
}

/// A request as its stack got it.
#[derive(Debug)]
struct Shown {
    settings: Arc<Settings>,
    head: request::Parts,
    /// `None` until the body is complete, if the route depends on it.
    named: Option<Named>,
    /// Of the stack's answer.
    status: Option<StatusCode>,
    received: Instant,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing more is needed, or nothing has come.
    #[default]
    Over,
    /// Its route, or whether it is a read, depends on its body.
    Undecided(SharedCopy),
    Request(Box<Capture>, Option<SharedCopy>),
    Answer(Box<AnswerCapture>, Option<SharedCopy>),
}

/// What Envoy adds to an answer before it shows it.
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(intake: Arc<Intake>) -> Self {
        Self {
            intake,
            request: None,
            stage: Stage::Over,
        }
    }

    pub(super) fn observe(&mut self, message: ProcessingRequest) -> Next {
        if !message.observability_mode {
            self.is_waited_for();
            return Next::Close;
        }
        let is_local_reply = message.is_local_reply();
        let Some(event) = message.event else {
            return Next::More;
        };
        let next = match event {
            Event::RequestHeaders(headers) => self.begin(&headers),
            Event::RequestBody(body) => Ok(self.request_body(&body)),
            Event::RequestTrailers(_) => Ok(self.request_ends()),
            Event::ResponseHeaders(_) if is_local_reply => Ok(self.has_no_answer()),
            Event::ResponseHeaders(headers) => self.answer_begins(&headers),
            Event::ResponseBody(body) => Ok(self.answer_body(body)),
            Event::ResponseTrailers(trailers) => self.answer_trailers(&trailers),
        };
        next.unwrap_or_else(|Malformed| {
            self.is_malformed();
            Next::Close
        })
    }

    /// What came is none of HTTP, or of protobuf.
    pub(super) fn is_malformed(&self) {
        self.intake.refuse(LiveFailure::BadRequest);
    }

    /// A message was larger than one may be.
    pub(super) fn is_too_large(&mut self) {
        self.refuse(Reason::BodyTooLarge);
    }

    /// Envoy holds its caller up until this stream ends.
    fn is_waited_for(&self) {
        static WARNED: Once = Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                "Envoy's filter ext_proc waits for answers, and gets none: set observability_mode: true"
            );
        });
        self.is_malformed();
    }

    fn begin(&mut self, headers: &HttpHeaders) -> Result<Next, Malformed> {
        let settings = self.intake.handles.settings.get();
        let request = headers.request()?;
        let Ok(request) = self.intake.admit(request, &settings) else {
            return Ok(Next::Close);
        };
        let (parts, ()) = request.into_parts();
        let ledger = &self.intake.handles.ledger;
        let known: Option<&[u8]> = headers.end_of_stream.then_some(&[]);
        let named = Named::of(&settings.routes, ledger, &head(&parts), known);
        let is_known =
            known.is_some() || settings.reads.classify(&head(&parts)) != Declared::ByBody;
        let is_decided = named.is_some() && is_known;
        let body = known.is_none().then(|| {
            let copy = self.intake.keeping(&settings).copy();
            SharedCopy::new(copy)
        });
        self.request = Some(Shown {
            settings,
            head: parts,
            named,
            status: None,
            received: Instant::now(),
        });
        match body {
            Some(body) if !is_decided => {
                self.stage = Stage::Undecided(body);
                Ok(Next::More)
            }
            body => Ok(self.decide(known, body)),
        }
    }

    /// Checks the request if it is a read that is drawn. `known` is its body, if it is complete.
    fn decide(&mut self, known: Option<&[u8]>, body: Option<SharedCopy>) -> Next {
        let intake = &self.intake;
        let Some(shown) = &mut self.request else {
            return Next::Close;
        };
        let settings = &*shown.settings;
        let head = head(&shown.head);
        if shown.named.is_none() {
            let known = Some(known.unwrap_or_default());
            shown.named = Named::of(&settings.routes, &intake.handles.ledger, &head, known);
        }
        let drawn = shown.named.as_ref().and_then(|named| {
            let draw = intake.decide(&head, known, named, settings)?;
            Some(intake.sample(named, draw, settings))
        });
        let Some(meta) = drawn else {
            return Next::Close;
        };
        let request = CompactRequest::of_read(head.method, &shown.head.uri, head.headers);
        let keeping = intake.keeping(settings);
        let Some(capture) = Capture::begin(meta, request, body.clone(), &keeping) else {
            return Next::Close;
        };
        self.stage = Stage::Request(capture, body);
        Next::More
    }

    fn request_body(&mut self, message: &HttpBody) -> Next {
        let (Stage::Undecided(body) | Stage::Request(_, Some(body)) | Stage::Answer(_, Some(body))) =
            &self.stage
        else {
            return Next::More;
        };
        let mut copy = body.lock();
        copy.observe(&message.body);
        let end = copy.end;
        drop(copy);
        match end {
            End::Refused(reason) => self.refuse(reason),
            _ if message.end_of_stream => self.request_ends(),
            _ => Next::More,
        }
    }

    fn request_ends(&mut self) -> Next {
        match &self.stage {
            Stage::Undecided(body) => {
                let body = body.clone();
                let mut copy = body.lock();
                copy.finish_now(End::Whole);
                self.stage = Stage::Over;
                return self.decide(Some(&copy.kept), Some(body.clone()));
            }
            Stage::Request(_, Some(body)) | Stage::Answer(_, Some(body)) => {
                body.lock().finish_now(End::Whole);
            }
            _ => {}
        }
        Next::More
    }

    fn answer_begins(&mut self, headers: &HttpHeaders) -> Result<Next, Malformed> {
        let Some(shown) = &mut self.request else {
            // A filter before this one has answered.
            return Ok(Next::Close);
        };
        let (status, mut fields) = headers.answer()?;
        shown.status = Some(status);
        let Stage::Request(capture, body) = mem::take(&mut self.stage) else {
            self.gives_up();
            return Ok(Next::Close);
        };
        let marks = Marks::of(&fields);
        hop::strip_answer(status, &mut fields, marks);
        fields.remove(SERVICE_TIME);
        let Some(capture) = capture.answered(status, &fields, shown.received) else {
            return Ok(Next::Close);
        };
        self.stage = Stage::Answer(capture, body);
        Ok(if headers.end_of_stream {
            self.complete()
        } else {
            Next::More
        })
    }

    fn answer_body(&mut self, message: HttpBody) -> Next {
        self.answer_frame(Frame::data(message.body), message.end_of_stream)
    }

    fn answer_trailers(&mut self, message: &HttpTrailers) -> Result<Next, Malformed> {
        Ok(self.answer_frame(Frame::trailers(message.fields()?), true))
    }

    fn answer_frame(&mut self, frame: Frame<Bytes>, is_last: bool) -> Next {
        if let Stage::Answer(capture, _) = &mut self.stage {
            capture.observe(&frame);
        }
        if is_last { self.complete() } else { Next::More }
    }

    fn complete(&mut self) -> Next {
        if let Stage::Answer(capture, _) = mem::take(&mut self.stage) {
            capture.complete();
        }
        Next::Close
    }

    /// Envoy has answered itself.
    fn has_no_answer(&mut self) -> Next {
        match mem::take(&mut self.stage) {
            Stage::Request(capture, _) => capture.fail(),
            Stage::Answer(capture, _) => capture.fail(),
            Stage::Undecided(_) => self.gives_up(),
            Stage::Over => {}
        }
        Next::Close
    }

    /// Ends the check without a comparison.
    fn refuse(&mut self, reason: Reason) -> Next {
        match mem::take(&mut self.stage) {
            Stage::Request(capture, _) => capture.not_compared(reason),
            Stage::Answer(capture, _) => capture.not_compared(reason),
            Stage::Undecided(body) => {
                if self.decide(None, Some(body)) == Next::More {
                    return self.refuse(reason);
                }
            }
            Stage::Over => {}
        }
        Next::Close
    }

    /// The body that would decide does not come any more. What is not known to be a read may have changed something.
    fn gives_up(&mut self) {
        if let Some(shown) = &self.request {
            self.intake
                .note_write(&head(&shown.head), None, &shown.settings);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Undecided(_)) {
            self.gives_up();
        }
        let Some(shown) = &mut self.request else {
            return;
        };
        let ledger = &self.intake.handles.ledger;
        let by_head = || {
            Named::of(
                &shown.settings.routes,
                ledger,
                &head(&shown.head),
                Some(&[]),
            )
        };
        if let Some(named) = shown.named.take().or_else(by_head) {
            named.count(ledger, &shown.head.method, shown.status, AnsweredBy::Old);
        }
    }
}
