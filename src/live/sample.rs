//! Selects the live reads to check, and begins to copy them.
//!
//! The live request is forwarded unchanged, and nothing here waits. What cannot be copied is counted by reason.

use super::{
    body::response::ResponseBody,
    capture,
    connection::Call,
    settings::{Handles, LiveSettings},
};
use crate::{
    ledger::{AnsweredBy, Draw, Ledger, Ticket},
    pipeline::{
        CompactRequest, Named, ReadMeta, ReadRequest,
        bounded_copy::{End, SharedCopy},
        capture::{Capture, Keeping},
        head,
    },
    route::{Access, Keys},
    sample::{Declared, Wish},
    serve::Served,
    settings::Checks,
    stack::Stack,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;
use std::{mem, sync::Arc, time::Instant};

/// Sampling state shared by all connections.
#[derive(Debug)]
pub(super) struct Sampler {
    handles: Handles,
}

/// A request on its way. Counted under its route when dropped.
#[derive(Debug)]
pub(super) struct Observed {
    sampler: Arc<Sampler>,
    method: Method,
    /// `None` until the body is complete, if the route depends on it.
    named: Option<Named>,
    /// Kept if something depends on the body.
    deferred: Option<Box<Deferred>>,
    plan: Plan,
    /// Of the answer, if there was one.
    status: Option<StatusCode>,
    /// The primary, until it has answered.
    answered_by: AnsweredBy,
}

/// What to do when the answer arrives.
#[derive(Debug, Default)]
enum Plan {
    #[default]
    Pass,
    Capture(Box<Capture>),
    /// Decide whether to check it: its route, or whether it is a read, depends on the body.
    Decide,
    /// Record the end of a write: it may happen at any time until then. `None` if its keys depend on the body.
    Write(Option<Keys>),
}

/// A request that is named or classified once its body is complete.
#[derive(Debug)]
struct Deferred {
    live: Arc<LiveSettings>,
    /// Without its body.
    request: ReadRequest,
    body: SharedCopy,
    declared: Declared,
    wish: Wish,
    primary: Stack,
}

// === impl Sampler ===

impl Sampler {
    pub(super) fn new(handles: Handles) -> Self {
        Self { handles }
    }

    /// Names and classifies a request, and begins to copy it if necessary.
    pub(super) fn observe(self: &Arc<Self>, call: &mut Call) -> Observed {
        let declared = call.live.reads.classify(&head(&call.request));
        let ledger = &self.handles.ledger;
        let named = Named::of(&call.live.routes, ledger, &head(&call.request), None);
        if let (Some(line), Some(named)) = (&mut call.exchange.line, &named) {
            line.route = Some(named.route.name().clone());
        }
        let is_read = match declared {
            Declared::Read => true,
            Declared::ByBody => call.live.reads.is_read_by_head(&head(&call.request)),
            Declared::NotRead => false,
        };
        if is_read && call.upgrade.is_none() {
            call.is_read = true;
            self.choose_primary(call, named.as_ref());
        }
        let plan = self.plan(call, declared, named.as_ref());
        let is_deferred = named.is_none() || matches!(plan, Plan::Decide);
        Observed {
            sampler: self.clone(),
            method: call.request.method().clone(),
            named,
            deferred: is_deferred.then(|| Box::new(self.defer(call, declared))),
            plan,
            status: None,
            answered_by: call.primary.into(),
        }
    }

    /// The stack that answers a read.
    fn choose_primary(&self, call: &mut Call, named: Option<&Named>) {
        if let Some(stack) = call.asked.stack {
            call.primary = stack;
            return;
        }
        let route = named.map(|named| &**named.route.name());
        let headers = call.request.headers();
        call.primary = match call.live.serve.of_read(headers, route, rand::random) {
            Served::By(stack) => stack,
            Served::Keyless => {
                self.handles.gauges.served_keyless.add(1);
                Stack::Old
            }
        };
    }

    fn plan(&self, call: &mut Call, declared: Declared, named: Option<&Named>) -> Plan {
        if let (Declared::Read, Some(named)) = (declared, named) {
            named.route.count_live_read();
        }
        match (declared, named) {
            _ if call.live.checks == Checks::Paused => Plan::Pass,
            (Declared::NotRead, named) => self.begin_write(call, named),
            (Declared::Read, Some(named)) => self.decide_now(call, named),
            // Also if none is sampled, because reads and writes are counted anyway.
            _ => Plan::Decide,
        }
    }

    /// Records a write, because what it changes may differ for a while wherever it is read.
    fn begin_write(&self, call: &Call, named: Option<&Named>) -> Plan {
        let writes = &self.handles.writes;
        if call.request.method().is_safe() || !writes.are_noted() {
            return Plan::Pass;
        }
        let routes = &call.live.routes;
        let keys = named.map(|_| routes.keys(&head(&call.request), None, Access::Write));
        if let Some(keys) = &keys {
            writes.note(keys, call.exchange.received);
        }
        Plan::Write(keys)
    }

    fn decide_now(&self, call: &mut Call, named: &Named) -> Plan {
        let rate = named.rate.unwrap_or(call.live.sampling.rate);
        if call.asked.wish == Wish::None && rate <= 0.0 {
            return Plan::Pass;
        }
        let request = &call.request;
        let Some(draw) = self.draw(
            &call.live,
            named,
            request.headers(),
            (call.asked.wish, call.primary),
        ) else {
            return Plan::Pass;
        };
        let kept = CompactRequest::of_read(request.method(), request.uri(), request.headers());
        let body = (!request.body().is_end_stream()).then(|| self.record(call));
        let captured = self.capture(&call.live, named.route.sample_by(draw), kept, body);
        captured.map_or(Plan::Pass, Plan::Capture)
    }

    fn defer(&self, call: &mut Call, declared: Declared) -> Deferred {
        Deferred {
            live: call.live.clone(),
            body: self.record(call),
            request: ReadRequest {
                method: call.request.method().clone(),
                uri: call.request.uri().clone(),
                headers: call.request.headers().clone(),
                body: Bytes::new(),
            },
            declared,
            wish: call.asked.wish,
            primary: call.primary,
        }
    }

    /// Decides on one read; `None` if it is not checked.
    fn draw(
        &self,
        live: &LiveSettings,
        named: &Named,
        headers: &HeaderMap,
        (wish, primary): (Wish, Stack),
    ) -> Option<Draw> {
        let drawn = &self.handles.sampler;
        let draw = drawn.draw(&live.sampling, named, headers, wish)?;
        Some(Draw { primary, ..draw })
    }

    /// Begins a check; `None` if the budget has no room even for its head.
    fn capture(
        &self,
        live: &LiveSettings,
        ticket: Ticket,
        request: CompactRequest,
        request_body: Option<SharedCopy>,
    ) -> Option<Box<Capture>> {
        let meta = ReadMeta {
            ticket,
            routes: live.routes.clone(),
            comparing: live.comparing.clone(),
            held: self.handles.budget.share(),
            observer: None,
        };
        Capture::begin(meta, request, request_body, &self.keeping(live))
    }

    /// Copies the request's body while it streams.
    fn record(&self, call: &mut Call) -> SharedCopy {
        let copy = SharedCopy::new(self.keeping(&call.live).copy());
        call.request.body_mut().record(copy.clone());
        copy
    }

    fn keeping<'k>(&'k self, live: &'k LiveSettings) -> Keeping<'k> {
        Keeping {
            budget: &self.handles.budget,
            limits: &live.capture,
            queue: &self.handles.queue,
        }
    }
}

// === impl Observed ===

impl Observed {
    /// Takes the head of the answer, and copies its body if the read is checked.
    pub(super) fn answered(mut self, answer: &mut Response<ResponseBody>) {
        self.status = Some(answer.status());
        self.answered_by = answer.body().origin.answered_by();
        self.name_line(answer);
        match mem::take(&mut self.plan) {
            Plan::Pass => {}
            Plan::Capture(capture) => capture::begin(capture, answer),
            Plan::Decide => {
                if let Some(capture) = self.decide() {
                    capture::begin(capture, answer);
                }
            }
            write @ Plan::Write(_) => self.plan = write,
        }
    }

    /// Names the route in the access log, if it depended on the body.
    fn name_line(&mut self, answer: &mut Response<ResponseBody>) {
        let exchange = answer.body_mut().exchange.as_mut();
        let line = exchange.and_then(|exchange| exchange.line.as_mut());
        if let (Some(line), Some(deferred)) = (line, &self.deferred) {
            let named = deferred.name(&mut self.named, &self.sampler.handles.ledger);
            line.route = named.map(|named| named.route.name().clone());
        }
    }

    /// Decides once the body is known. An incomplete body is not known to be a read.
    fn decide(&mut self) -> Option<Box<Capture>> {
        let deferred = self.deferred.as_deref()?;
        if !deferred.is_read() {
            if !self.method.is_safe() {
                self.plan = Plan::Write(None);
            }
            return None;
        }
        let sampler = &self.sampler;
        let named = deferred.name(&mut self.named, &sampler.handles.ledger)?;
        named.route.count_live_read();
        let (live, request) = (&deferred.live, &deferred.request);
        let asked = (deferred.wish, deferred.primary);
        let draw = sampler.draw(live, named, &request.headers, asked)?;
        let kept = CompactRequest::of_read(&request.method, &request.uri, &request.headers);
        let ticket = named.route.sample_by(draw);
        sampler.capture(live, ticket, kept, Some(deferred.body.clone()))
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let handles = &self.sampler.handles;
        if let Plan::Write(keys) = self.plan
            && let Some(keys) = keys.or_else(|| Some(self.deferred.as_ref()?.keys()))
        {
            handles.writes.note(&keys, Instant::now());
        }
        if let Some(deferred) = &self.deferred {
            deferred.name(&mut self.named, &handles.ledger);
        }
        if let Some(named) = &self.named {
            named.count(&handles.ledger, &self.method, self.status, self.answered_by);
        }
    }
}

// === impl Deferred ===

impl Deferred {
    fn is_read(&self) -> bool {
        let body = self.body.lock();
        body.end == End::Whole
            && (self.declared == Declared::Read
                || self
                    .live
                    .reads
                    .admits_body(&self.request.head(), &body.kept))
    }

    /// Names the request if that has not happened.
    fn name<'n>(&self, named: &'n mut Option<Named>, ledger: &Ledger) -> Option<&'n Named> {
        if named.is_none() {
            let body = self.body.lock();
            // A name is needed, so an incomplete body counts as empty.
            let known: &[u8] = match body.end {
                End::Whole => &body.kept,
                _ => &[],
            };
            *named = Named::of(&self.live.routes, ledger, &self.request.head(), Some(known));
        }
        named.as_ref()
    }

    /// The keys that it writes, as far as its body is known.
    fn keys(&self) -> Keys {
        let body = self.body.lock();
        let body = (body.end == End::Whole).then_some(&body.kept[..]);
        let routes = &self.live.routes;
        routes.keys(&self.request.head(), body, Access::Write)
    }
}
