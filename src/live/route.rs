//! Middleware that finds the route of a request and counts the request under it.

use super::{
    body::response::ResponseBody,
    call::{Call, Named, OwnedHead, Routing, Unnamed},
    capture::{BoundedCopy, SharedCopy},
};
use crate::{budget::Budget, ledger::Ledger};
use http::{Method, Response};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower::{Layer, Service};

/// Applies [`Route`] to a service.
#[derive(Clone, Debug)]
pub(super) struct RouteLayer {
    ledger: Ledger,
    budget: Budget,
}

/// Names and counts requests.
#[derive(Clone, Debug)]
pub(super) struct Route<S> {
    inner: S,
    ledger: Ledger,
    budget: Budget,
}

/// A request with its route.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) call: Call,
    pub(super) routing: Routing,
}

pin_project! {
    /// Counts the request when its answer arrives, or when it is dropped.
    #[derive(Debug)]
    pub(super) struct Counted<F> {
        #[pin]
        inner: F,
        count: Count,
    }
}

#[derive(Debug)]
struct Count {
    method: Method,
    ledger: Ledger,
    routing: Option<Routing>,
}

// === impl RouteLayer ===

impl RouteLayer {
    pub(super) fn new(ledger: Ledger, budget: Budget) -> Self {
        Self { ledger, budget }
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = Route<S>;

    fn layer(&self, inner: S) -> Route<S> {
        Route {
            inner,
            ledger: self.ledger.clone(),
            budget: self.budget.clone(),
        }
    }
}

// === impl Route ===

impl<S> Route<S> {
    fn route(&self, call: &mut Call) -> Routing {
        if let Some(named) = Named::of(&call.live, &self.ledger, &call.head(), None) {
            return Routing::Known(named);
        }
        let recording = SharedCopy::new(BoundedCopy::new(&self.budget, call.live.max_body));
        call.request.body_mut().record(recording.clone());
        let head = OwnedHead::of(&call.request);
        let unnamed = Unnamed::new(head, recording, call.live.clone(), self.ledger.clone());
        Routing::ByBody(Arc::new(unnamed))
    }
}

impl<S, E> Service<Call> for Route<S>
where
    S: Service<Routed, Response = Response<ResponseBody>, Error = E>,
{
    type Response = Response<ResponseBody>;
    type Error = E;
    type Future = Counted<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let routing = self.route(&mut call);
        let count = Count {
            method: call.request.method().clone(),
            ledger: self.ledger.clone(),
            routing: Some(routing.clone()),
        };
        Counted {
            inner: self.inner.call(Routed { call, routing }),
            count,
        }
    }
}

// === impl Counted ===

impl<F, E> Future for Counted<F>
where
    F: Future<Output = Result<Response<ResponseBody>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        if let (Ok(answer), Some(routing)) = (&answer, this.count.routing.take()) {
            let count = &this.count;
            let named = routing.named();
            named.count_answer(&count.ledger, &count.method, answer.status());
        }
        Poll::Ready(answer)
    }
}

// === impl Count ===

impl Drop for Count {
    fn drop(&mut self) {
        if let Some(routing) = &self.routing {
            routing.named().route.count_live(&self.method, None);
        }
    }
}
