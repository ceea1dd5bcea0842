//! One copy of a request: counted under its route, and offered to the shadow if it is a read that is to be checked.

use super::{
    requests::{self, Intake},
    settings::Settings,
};
use crate::{
    ledger::{AnsweredBy, Draw, LiveFailure},
    outcome::Reason,
    pipeline::{
        CapturedRead, CompactRequest, Named,
        bounded_copy::{BoundedCopy, End},
    },
    route::Head,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::HOST, request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use std::time::Instant;
use tokio::time;

/// A copy that has come as far as it will.
struct Copied {
    head: request::Parts,
    body: BoundedCopy,
}

/// What Envoy appends to the host of a copy.
const SHADOW: &str = "-shadow";

// === impl Intake ===

impl Intake {
    /// Takes a copy, and answers it once it is complete: a proxy that is answered earlier may cut the rest.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let settings = self.handles.settings.get();
        let mut answer = Response::new(Empty::new());
        *answer.status_mut() = match self.admit(request, &settings) {
            Ok(request) => {
                let copied = self.copy(request, &settings).await;
                self.observe(copied, &settings);
                StatusCode::NO_CONTENT
            }
            Err(LiveFailure::Loop) => StatusCode::LOOP_DETECTED,
            Err(_) => StatusCode::BAD_REQUEST,
        };
        answer
    }

    /// Receives the body within the budget. What it has no room for is read and dropped.
    async fn copy(&self, request: Request<Incoming>, settings: &Settings) -> Copied {
        let (mut head, mut incoming) = request.into_parts();
        name_host(&mut head.headers);
        let mut body = self.keeping(settings).copy();
        body.expect(&incoming.size_hint());
        let end = loop {
            match time::timeout(self.body_stall, incoming.frame()).await {
                Ok(Some(Ok(frame))) => frame
                    .data_ref()
                    .into_iter()
                    .for_each(|data| body.observe(data)),
                Ok(None) => break End::Whole,
                Ok(Some(Err(_))) | Err(_) => break End::Broken,
            }
        };
        body.finish(end);
        Copied { head, body }
    }

    /// Counts a request, and what follows from it: a check if it is a read, a record of what it changes if it is a write.
    fn observe(&self, copied: Copied, settings: &Settings) {
        let handles = &self.handles;
        let (head, known) = (copied.head(), copied.known());
        let named = Named::of(
            &settings.routes,
            &handles.ledger,
            &head,
            Some(known.unwrap_or_default()),
        );
        let Some(named) = named else { return };
        let answered = Some(StatusCode::NO_CONTENT);
        named
            .route
            .count_live(head.method, answered, AnsweredBy::Twinread);
        if let Some(draw) = self.decide(&head, known, &named, settings) {
            self.offer(copied, &named, draw, settings);
        }
    }

    /// Offers a read to the shadow. Old answers the callers of a mirroring proxy.
    fn offer(&self, copied: Copied, named: &Named, draw: Draw, settings: &Settings) {
        let Copied { head, mut body } = copied;
        let mut request = CompactRequest::of_read(&head.method, &head.uri, &head.headers);
        let mut meta = self.sample(named, draw, settings);
        let refused = match body.end {
            End::Refused(reason) => Some(reason),
            End::Broken | End::Streaming => Some(Reason::ClientGone),
            End::Whole if meta.held.grow(request.head.weight()) => None,
            End::Whole => Some(Reason::MemoryFull),
        };
        if let Some(reason) = refused {
            return meta.not_compared(reason);
        }
        request.body = body.take(&mut meta.held).kept().clone();
        self.handles.queue.offer(Box::new(CapturedRead {
            meta,
            request,
            answer: None,
            offered: Instant::now(),
        }));
    }
}

// === impl Copied ===

impl Copied {
    fn head(&self) -> Head<'_> {
        requests::head(&self.head)
    }

    /// The body, if it is complete.
    fn known(&self) -> Option<&[u8]> {
        (self.body.end == End::Whole).then_some(&self.body.kept[..])
    }
}

/// Gives the request the host that its caller asked for.
fn name_host(headers: &mut HeaderMap) {
    let asked = headers
        .get(HOST)
        .and_then(|host| unshadowed(host.to_str().ok()?));
    if let Some(host) = asked.and_then(|host| HeaderValue::try_from(host).ok()) {
        headers.insert(HOST, host);
    }
}

/// `shop-shadow:8080` is Envoy's copy of a request to `shop:8080`. `None` if nothing was appended.
fn unshadowed(host: &str) -> Option<String> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let end = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name.len(),
        _ => host.len(),
    };
    let (name, port) = host.split_at(end);
    let name = name.strip_suffix(SHADOW).filter(|name| !name.is_empty())?;
    Some(format!("{name}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_appends_to_a_host_is_removed_before_a_port() {
        for (copied, asked) in [
            ("shop-shadow", Some("shop")),
            ("shop.example-shadow:8080", Some("shop.example:8080")),
            ("[::1]-shadow:8080", Some("[::1]:8080")),
            ("[::1]-shadow", Some("[::1]")),
            ("shop-shadow-shadow", Some("shop-shadow")),
            ("shop", None),
            ("shop:8080", None),
            ("shop-shadow.example", None),
            ("[::1]", None),
            ("-shadow", None),
        ] {
            assert_eq!(unshadowed(copied).as_deref(), asked, "{copied}");
        }
    }
}
