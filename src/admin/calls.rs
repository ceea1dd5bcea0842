//! Limits concurrent calls so that probes are always answered. A call counts only once its body is complete, so a slow
//! sender blocks nobody.

use super::{Config, connections::Slot, guard::is_guarded, problem::Problem};
use crate::ledger::{Bound, Gauges};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time};

/// The limit on concurrent calls. Shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    places: Arc<Semaphore>,
    gauges: Gauges,
}

/// Time limit for receiving a request body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

// === impl Calls ===

impl Calls {
    pub(super) fn new(config: &Config, gauges: Gauges) -> Self {
        let places = Arc::new(Semaphore::new(config.connections.div_ceil(2)));
        Self { places, gauges }
    }
}

/// Receives the body of a call, and runs the call if there is a free slot. Probes bypass the limit.
pub(super) async fn under_way(
    State(calls): State<Calls>,
    request: Request,
    next: Next,
) -> Response {
    if !is_guarded(request.uri()) {
        return next.run(request).await;
    }
    let request = match whole(request).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let Ok(_place) = calls.places.try_acquire() else {
        calls.gauges.bound_reached(Bound::AdminCalls);
        let detail = "too many calls are under way";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    let slot = request.extensions().get::<Arc<Slot>>().cloned();
    let _busy = slot.as_ref().map(|slot| slot.busy());
    next.run(request).await
}

/// Collects the request's body.
async fn whole(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let body = time::timeout(BODY_WITHIN, Bytes::from_request(request, &()));
    let body = body.await.map_err(|_| {
        let detail = "the body of the request did not come in time";
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
    })?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok(Request::from_parts(parts, Body::from(body)))
}
