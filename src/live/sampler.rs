//! Selects the live requests to check, and keeps what their checks need.

use super::{
    call::{Call, Named, OwnedHead, Routing},
    capture::{BoundedCopy, End, SharedCopy},
    check::Sampled,
    settings::{Checks, Handles, LiveSettings},
    writing::{Subject, Writing},
};
use crate::{
    budget::Bucket,
    ledger::{Bound, Draw, SampleCause},
    outcome::{Outcome, Reason},
    pipeline::{CompactHead, CompactRequest},
    route::Access,
    sample::{Ask, Decision, Declared, Wish},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header::TRANSFER_ENCODING};
use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

/// Sampling state shared by all connections.
#[derive(Debug)]
pub(super) struct Sampler {
    handles: Handles,
    /// The zero of the buckets' clock.
    start: Instant,
    cap: Bucket,
}

/// What to do when the answer arrives.
#[derive(Debug)]
pub(super) enum Plan {
    Pass,
    Copy(Copying),
    /// Whether it is a read, or its route, depends on the body.
    Decide(Box<Undecided>),
    /// Nothing more, because it records its end when dropped.
    Write(Writing),
}

/// Abandons the check if no answer arrives.
#[derive(Debug)]
pub(super) struct Copying(Option<Box<Sampled>>);

#[derive(Debug)]
pub(super) struct Undecided {
    live: Arc<LiveSettings>,
    routing: Routing,
    declared: Declared,
    head: OwnedHead,
    recording: SharedCopy,
    received: SystemTime,
    wish: Wish,
}

/// The parts of a request needed to replay it.
#[derive(Debug)]
struct Kept {
    method: Method,
    head: CompactHead,
    /// `None` if it has no body.
    recording: Option<SharedCopy>,
    received: SystemTime,
}

// === impl Sampler ===

impl Sampler {
    pub(super) fn new(handles: Handles) -> Self {
        Self {
            handles,
            start: Instant::now(),
            cap: Bucket::default(),
        }
    }

    pub(super) fn plan(&self, call: &mut Call, routing: Routing) -> Plan {
        let live = call.live.clone();
        let declared = live.reads.classify(&call.head());
        if let (Declared::Read, Routing::Known(named)) = (declared, &routing) {
            named.route.count_live_read();
        }
        match (declared, &routing) {
            (Declared::NotRead, _) => self.note(call, &routing),
            _ if live.checks == Checks::Paused => Plan::Pass,
            (Declared::Read, Routing::Known(named))
                if call.wish == Wish::None && is_off(&live, named) =>
            {
                Plan::Pass
            }
            (Declared::Read, Routing::Known(named)) => self.decide_now(call, named),
            // Also if none is sampled, because reads and writes are counted anyway.
            (declared, _) => Plan::Decide(Box::new(self.put_off(call, routing, declared))),
        }
    }

    /// Records a write, because what it changes may differ for a while wherever it is read.
    fn note(&self, call: &Call, routing: &Routing) -> Plan {
        let writes = &self.handles.writes;
        let live = &call.live;
        if call.request.method().is_safe() || live.checks == Checks::Paused || !writes.are_noted() {
            return Plan::Pass;
        }
        let subject = match routing {
            Routing::Known(_) => {
                Subject::Known(live.routes.keys(&call.head(), None, Access::Write))
            }
            Routing::ByBody(unnamed) => Subject::ByBody(unnamed.clone()),
        };
        Plan::Write(Writing::begin(writes.clone(), subject, call.received))
    }

    fn decide_now(&self, call: &mut Call, named: &Named) -> Plan {
        let request = &call.request;
        let Some(draw) = self.draw(&call.live, named, (request.headers(), call.wish)) else {
            return Plan::Pass;
        };
        let head = replayable(request.uri(), request.headers());
        let recording = (!http_body::Body::is_end_stream(call.request.body())).then(|| {
            let recording = SharedCopy::new(self.tape(&call.live));
            call.request.body_mut().record(recording.clone());
            recording
        });
        let received = SystemTime::now();
        match self.sampled(
            &call.live,
            (named, draw),
            Kept {
                method: call.request.method().clone(),
                head,
                recording,
                received,
            },
        ) {
            Some(sampled) => Plan::Copy(Copying(Some(sampled))),
            None => Plan::Pass,
        }
    }

    fn put_off(&self, call: &mut Call, routing: Routing, declared: Declared) -> Undecided {
        let (head, recording) = match &routing {
            Routing::ByBody(unnamed) => (unnamed.head.clone(), unnamed.recording.clone()),
            Routing::Known(_) => {
                let recording = SharedCopy::new(self.tape(&call.live));
                call.request.body_mut().record(recording.clone());
                (OwnedHead::of(&call.request), recording)
            }
        };
        Undecided {
            live: call.live.clone(),
            routing,
            declared,
            head,
            recording,
            received: SystemTime::now(),
            wish: call.wish,
        }
    }

    /// Decides once the body is known. An incomplete body is not known to be a read.
    pub(super) fn decide_later(&self, undecided: Undecided) -> Option<Box<Sampled>> {
        let Undecided {
            live,
            routing,
            declared,
            head,
            recording,
            received,
            wish,
        } = undecided;
        let is_read = {
            let tape = recording.tape();
            let is_whole = tape.end() == End::Whole;
            is_whole
                && (declared == Declared::Read
                    || live.reads.admits_body(&head.borrow(), tape.kept()))
        };
        if !is_read {
            if !head.method.is_safe() {
                let tape = recording.tape();
                let body = (tape.end() == End::Whole).then(|| tape.kept());
                let keys = live.routes.keys(&head.borrow(), body, Access::Write);
                self.handles.writes.note(&keys, Instant::now());
            }
            return None;
        }
        let is_counted = declared == Declared::Read && matches!(routing, Routing::Known(_));
        let named = routing.named();
        if !is_counted {
            named.route.count_live_read();
        }
        let draw = self.draw(&live, named, (&head.headers, wish))?;
        let kept = Kept {
            head: replayable(&head.uri, &head.headers),
            method: head.method,
            recording: Some(recording),
            received,
        };
        self.sampled(&live, (named, draw), kept)
    }

    /// Decides on one read; `None` if it is not checked.
    fn draw(
        &self,
        live: &LiveSettings,
        named: &Named,
        (headers, wish): (&HeaderMap, Wish),
    ) -> Option<Draw> {
        let chance = rand::random();
        let ask = Ask {
            headers,
            chance,
            route_rate: named.rate,
            wish,
        };
        let sampling = &live.sampling;
        let now = self.start.elapsed();
        let floor = || named.route.floor().take(now, sampling.per_route_floor);
        let cap = || self.cap.take(now, sampling.max_per_second);
        let cause = match sampling.decide(&ask, floor, cap) {
            Decision::Sampled => SampleCause::Drawn,
            Decision::Forced => SampleCause::Forced,
            Decision::Passed => return None,
            Decision::Capped => {
                self.handles.gauges.bound_reached(Bound::SamplesPerSecond);
                return None;
            }
        };
        Some(Draw {
            primary: live.serve_from,
            key: sampling.key_hash(headers, chance),
            cause,
        })
    }

    /// Begins a check; `None` if the budget has no room even for its head.
    fn sampled(
        &self,
        live: &LiveSettings,
        (named, draw): (&Named, Draw),
        kept: Kept,
    ) -> Option<Box<Sampled>> {
        let ticket = named.route.sample_by(draw);
        let Kept {
            method,
            head,
            recording,
            received,
        } = kept;
        let mut held = self.handles.budget.share();
        if !held.grow(head.weight()) {
            ticket.finish(Outcome::NotCompared(Reason::MemoryFull));
            return None;
        }
        Some(Box::new(Sampled {
            ticket,
            request: CompactRequest {
                method,
                head,
                body: Bytes::new(),
            },
            recording,
            tape: self.tape(live).hashing_beyond(),
            held,
            received,
            routes: live.routes.clone(),
            comparing: live.comparing.clone(),
            queue: self.handles.queue.clone(),
        }))
    }

    fn tape(&self, live: &LiveSettings) -> BoundedCopy {
        BoundedCopy::new(&self.handles.budget, live.max_body)
    }
}

/// Whether no read of the route is sampled unless forced.
fn is_off(live: &LiveSettings, named: &Named) -> bool {
    named.rate.unwrap_or(live.sampling.rate) <= 0.0
}

/// The head for a replay, without the framing of a body that will be sent whole.
fn replayable(uri: &Uri, headers: &HeaderMap) -> CompactHead {
    CompactHead::of(uri, headers, |name| *name != TRANSFER_ENCODING)
}

// === impl Copying ===

impl Copying {
    pub(super) fn take(mut self) -> Option<Box<Sampled>> {
        self.0.take()
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(sampled) = self.0.take() {
            sampled.abandon();
        }
    }
}
