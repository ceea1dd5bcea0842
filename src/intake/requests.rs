//! What becomes of a request, whichever way it came in: admitted, counted, recorded as a write, or drawn for a check.

use super::settings::{Handles, Settings};
use crate::{
    heads::{
        hop::{self, Marks},
        http2::adapt,
    },
    http_client::Instance,
    ledger::{Draw, LiveFailure},
    pipeline::{Named, ReadMeta, capture::Keeping},
    route::{Access, Head},
    sample::{Declared, Wish},
    settings::Checks,
};
use http::{Request, Version, request};
use std::time::{Duration, Instant};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) handles: Handles,
    /// For finding requests of our own that come back.
    pub(super) instance: Option<Instance>,
    /// How long a body may stall.
    pub(super) body_stall: Duration,
}

// === impl Intake ===

impl Intake {
    /// Turns a request into the one that the stack got, without what belongs to the connection. Counts what it refuses.
    pub(super) fn admit<B>(
        &self,
        mut request: Request<B>,
        settings: &Settings,
    ) -> Result<Request<B>, LiveFailure> {
        let in_loop = |instance: &Instance| instance.is_in_loop(request.headers());
        if self.instance.as_ref().is_some_and(in_loop) {
            return Err(self.refuse(LiveFailure::Loop));
        }
        let is_malformed = request.version() == Version::HTTP_2 && adapt(&mut request).is_err();
        if is_malformed || !request.uri().path().starts_with('/') {
            return Err(self.refuse(LiveFailure::BadRequest));
        }
        let headers = request.headers_mut();
        let marks = Marks::of(headers);
        let ours = [&settings.sampling.force_header, &settings.serve_header];
        hop::strip_request(headers, marks, ours.map(Option::as_ref));
        Ok(request)
    }

    pub(super) fn refuse(&self, failure: LiveFailure) -> LiveFailure {
        self.handles.gauges.live_failed(failure);
        failure
    }

    /// Counts a read, and decides whether it is checked; records a write. `known` is the body, if it is complete.
    pub(super) fn decide(
        &self,
        head: &Head<'_>,
        known: Option<&[u8]>,
        named: &Named,
        settings: &Settings,
    ) -> Option<Draw> {
        let is_read = match settings.reads.classify(head) {
            Declared::Read => true,
            Declared::NotRead => false,
            Declared::ByBody => known.is_some_and(|body| settings.reads.admits_body(head, body)),
        };
        if !is_read {
            self.note_write(head, known, settings);
            return None;
        }
        named.route.count_live_read();
        let sampler = &self.handles.sampler;
        let draw = || sampler.draw(&settings.sampling, named, head.headers, Wish::None);
        (settings.checks == Checks::Running).then(draw).flatten()
    }

    /// Records what may change something.
    pub(super) fn note_write(&self, head: &Head<'_>, known: Option<&[u8]>, settings: &Settings) {
        if !head.method.is_safe() {
            let keys = settings.routes.keys(head, known, Access::Write);
            self.handles.writes.note(&keys, Instant::now());
        }
    }

    /// Begins a check.
    pub(super) fn sample(&self, named: &Named, draw: Draw, settings: &Settings) -> ReadMeta {
        ReadMeta {
            ticket: named.route.sample_by(draw),
            routes: settings.routes.clone(),
            comparing: settings.comparing.clone(),
            held: self.handles.budget.share(),
            observer: None,
        }
    }

    pub(super) fn keeping<'k>(&'k self, settings: &'k Settings) -> Keeping<'k> {
        Keeping {
            budget: &self.handles.budget,
            limits: &settings.capture,
            queue: &self.handles.queue,
        }
    }
}

pub(super) fn head(parts: &request::Parts) -> Head<'_> {
    Head {
        method: &parts.method,
        path: parts.uri.path(),
        query: parts.uri.query(),
        headers: &parts.headers,
    }
}
