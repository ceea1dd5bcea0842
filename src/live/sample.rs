//! Middleware that selects reads to check, and copies them and their answers while they stream.
//!
//! The live request is forwarded unchanged, and nothing here waits. What cannot be copied is counted by reason.

use super::{
    body::response::ResponseBody,
    call::Call,
    route::Routed,
    sampler::{Plan, Sampler},
    settings::Handles,
};
use http::Response;
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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

pin_project! {
    /// Receives the answer of a sampled read.
    #[derive(Debug)]
    pub(super) struct Watched<F> {
        #[pin]
        inner: F,
        plan: Plan,
        sampler: Option<Arc<Sampler>>,
    }
}

// === impl SampleLayer ===

impl SampleLayer {
    pub(super) fn new(handles: Handles) -> Self {
        Self(Arc::new(Sampler::new(handles)))
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
    S: Service<Call, Response = Response<ResponseBody>, Error = E>,
{
    type Response = Response<ResponseBody>;
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

// === impl Watched ===

impl<F, E> Future for Watched<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = ready!(this.inner.poll(cx));
        if let Ok(answer) = &mut answer {
            let sampled = match std::mem::replace(this.plan, Plan::Pass) {
                Plan::Pass => None,
                Plan::Write(writing) => {
                    drop(writing);
                    None
                }
                Plan::Copy(copying) => copying.take(),
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
