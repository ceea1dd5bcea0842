//! Middleware that chooses reads to be checked, and copies them and their answers as they stream by.
//!
//! The live request is forwarded unchanged, and nothing here waits. What cannot be copied is counted under its reason.

use super::{
    call::{Call, Named, OwnedHead, Routing},
    check::Sampled,
    download::Download,
    live::{Checks, Handles, Live},
    route::Routed,
    tape::{End, Recording, Tape},
};
use crate::{
    budget::Bucket,
    handoff::ReadRequest,
    sample::{Ask, Decision, Declared},
    telemetry::Bound,
    verdict::{Outcome, Reason},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, header::TRANSFER_ENCODING};
use pin_project_lite::pin_project;
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll, ready},
    time::{Instant, SystemTime},
};
use tower::{Layer, Service};

/// Applies [`Sample`] to a service.
#[derive(Clone, Debug)]
pub(super) struct SampleLayer(Arc<Sampler>);

/// Samples reads.
#[derive(Clone, Debug)]
pub(super) struct Sample<S> {
    inner: S,
    sampler: Arc<Sampler>,
}

/// What sampling shares between connections.
#[derive(Debug)]
struct Sampler {
    handles: Handles,
    /// Time zero of the buckets.
    start: Instant,
    cap: Bucket,
    /// By the name of the route, so they are as many as the ledger has routes.
    floors: RwLock<HashMap<Arc<str>, Arc<Bucket>>>,
}

pin_project! {
    /// Takes up the answer of a sampled read.
    #[derive(Debug)]
    pub(super) struct Watched<F> {
        #[pin]
        inner: F,
        plan: Plan,
        sampler: Option<Arc<Sampler>>,
    }
}

/// What is to be done when the answer comes.
#[derive(Debug)]
enum Plan {
    Pass,
    Copy(Copying),
    /// Whether it is a read, or of which route, is in the body.
    Decide(Box<Undecided>),
}

/// Abandons the check where no answer comes.
#[derive(Debug)]
struct Copying(Option<Box<Sampled>>);

#[derive(Debug)]
struct Undecided {
    live: Arc<Live>,
    routing: Routing,
    declared: Declared,
    head: OwnedHead,
    recording: Recording,
    received: SystemTime,
}

/// What is kept of a request that may be replayed.
#[derive(Debug)]
struct Kept {
    head: OwnedHead,
    /// `None`: it has no body.
    recording: Option<Recording>,
    received: SystemTime,
}

// === impl SampleLayer ===

impl SampleLayer {
    pub(super) fn new(handles: Handles) -> Self {
        Self(Arc::new(Sampler {
            handles,
            start: Instant::now(),
            cap: Bucket::default(),
            floors: RwLock::default(),
        }))
    }
}

impl<S> Layer<S> for SampleLayer {
    type Service = Sample<S>;

    fn layer(&self, inner: S) -> Sample<S> {
        Sample {
            inner,
            sampler: self.0.clone(),
        }
    }
}

// === impl Sample ===

impl<S, E> Service<Routed> for Sample<S>
where
    S: Service<Call, Response = Response<Download>, Error = E>,
{
    type Response = Response<Download>;
    type Error = E;
    type Future = Watched<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, Routed { mut call, routing }: Routed) -> Self::Future {
        let plan = self.sampler.plan(&mut call, routing);
        let sampler = matches!(plan, Plan::Decide(_)).then(|| self.sampler.clone());
        Watched {
            inner: self.inner.call(call),
            plan,
            sampler,
        }
    }
}

// === impl Sampler ===

impl Sampler {
    fn plan(&self, call: &mut Call, routing: Routing) -> Plan {
        let live = call.live.clone();
        let force = live.sampling.force_header.as_ref();
        let force = force.filter(|name| call.request.headers().contains_key(*name));
        if live.checks == Checks::Paused || (force.is_none() && never_samples(&live, &routing)) {
            remove(call, force);
            return Plan::Pass;
        }
        let plan = match (live.reads.classify(&call.head()), &routing) {
            (Declared::NotRead, _) => Plan::Pass,
            (Declared::Read, Routing::Known(named)) => self.decide_now(call, named),
            (declared, _) => Plan::Decide(Box::new(self.put_off(call, routing, declared))),
        };
        remove(call, force);
        plan
    }

    fn decide_now(&self, call: &mut Call, named: &Named) -> Plan {
        named.route.count_live_read();
        if !self.admits(&call.live, named, call.request.headers()) {
            return Plan::Pass;
        }
        let head = OwnedHead::of(&call.request);
        let recording = (!http_body::Body::is_end_stream(call.request.body())).then(|| {
            let recording = Recording::new(self.tape(&call.live));
            call.request.body_mut().record(recording.clone());
            recording
        });
        let received = SystemTime::now();
        match self.sampled(
            &call.live,
            named,
            Kept {
                head,
                recording,
                received,
            },
        ) {
            Some(sampled) => Plan::Copy(Copying(Some(Box::new(sampled)))),
            None => Plan::Pass,
        }
    }

    fn put_off(&self, call: &mut Call, routing: Routing, declared: Declared) -> Undecided {
        let (head, recording) = match &routing {
            Routing::ByBody(unnamed) => (unnamed.head.clone(), unnamed.recording.clone()),
            Routing::Known(_) => {
                let recording = Recording::new(self.tape(&call.live));
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
        }
    }

    /// Decides now that the body is known. What never became whole is not known to be a read.
    fn decide_later(&self, undecided: Undecided) -> Option<Sampled> {
        let Undecided {
            live,
            routing,
            declared,
            head,
            recording,
            received,
        } = undecided;
        let is_read = {
            let tape = recording.tape();
            let is_whole = tape.end() == End::Whole;
            is_whole
                && (declared == Declared::Read
                    || live.reads.admits_body(&head.borrow(), tape.kept()))
        };
        if !is_read {
            return None;
        }
        let named = routing.named();
        named.route.count_live_read();
        if !self.admits(&live, named, &head.headers) {
            return None;
        }
        let kept = Kept {
            head,
            recording: Some(recording),
            received,
        };
        self.sampled(&live, named, kept)
    }

    fn admits(&self, live: &Live, named: &Named, headers: &HeaderMap) -> bool {
        let ask = Ask {
            headers,
            chance: rand::random(),
            route_rate: named.rate,
            admin_token: live.admin_token.as_deref(),
        };
        let sampling = &live.sampling;
        let now = self.start.elapsed();
        let floor = || self.floor(named).take(now, sampling.per_route_floor);
        let cap = || self.cap.take(now, sampling.max_per_second);
        let decision = sampling.decide(&ask, floor, cap);
        if decision == Decision::Capped {
            self.handles.gauges.bound_reached(Bound::SamplesPerSecond);
        }
        decision.is_sampled()
    }

    fn floor(&self, named: &Named) -> Arc<Bucket> {
        let name = named.route.name();
        let floors = self.floors.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(floor) = floors.get(name) {
            return floor.clone();
        }
        drop(floors);
        let mut floors = self.floors.write().unwrap_or_else(PoisonError::into_inner);
        floors.entry(name.clone()).or_default().clone()
    }

    /// Begins a check; `None` where the budget does not hold even its head.
    fn sampled(&self, live: &Live, named: &Named, kept: Kept) -> Option<Sampled> {
        let ticket = named.route.sample();
        let Kept {
            head,
            recording,
            received,
        } = kept;
        let OwnedHead {
            method,
            uri,
            mut headers,
        } = head;
        if let Some(name) = &live.sampling.force_header {
            headers.remove(name);
        }
        headers.remove(TRANSFER_ENCODING);
        let mut held = self.handles.budget.share();
        if !held.grow(size_of(&headers)) {
            ticket.finish(Outcome::NotCompared(Reason::MemoryFull));
            return None;
        }
        Some(Sampled {
            ticket,
            request: ReadRequest {
                method,
                uri,
                headers,
                body: Bytes::new(),
            },
            recording,
            tape: self.tape(live),
            held,
            received,
            comparing: live.comparing.clone(),
            queue: self.handles.queue.clone(),
        })
    }

    fn tape(&self, live: &Live) -> Tape {
        Tape::new(&self.handles.budget, live.max_body)
    }
}

/// The header by which a caller forces a sample is meant for us, and travels no further.
fn remove(call: &mut Call, force: Option<&HeaderName>) {
    if let Some(name) = force {
        call.request.headers_mut().remove(name);
    }
}

/// Whether no read of the route is sampled unless it is forced: then nothing need be found out about the request.
fn never_samples(live: &Live, routing: &Routing) -> bool {
    match routing {
        Routing::Known(named) => named.rate.unwrap_or(live.sampling.rate) <= 0.0,
        Routing::ByBody(_) => false,
    }
}

/// Bytes that kept headers take, roughly.
fn size_of(headers: &HeaderMap) -> usize {
    const ENTRY: usize = 96;
    let sizes = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ENTRY);
    sizes.sum()
}

// === impl Watched ===

impl<F, E> Future for Watched<F>
where
    F: Future<Output = Result<Response<Download>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        if let Ok(answer) = &mut answer {
            let sampled = match std::mem::replace(this.plan, Plan::Pass) {
                Plan::Pass => None,
                Plan::Copy(mut copying) => copying.0.take().map(|sampled| *sampled),
                Plan::Decide(undecided) => {
                    let sampler = this.sampler.take();
                    sampler.and_then(|sampler| sampler.decide_later(*undecided))
                }
            };
            if let Some(sampled) = sampled {
                sampled.answered(answer);
            }
        }
        Poll::Ready(answer)
    }
}

// === impl Copying ===

impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(sampled) = self.0.take() {
            sampled.abandon();
        }
    }
}
