//! One copy of a request: counted under its route, and offered to the shadow if it is a read that is to be checked.

use super::settings::{Handles, Settings};
use crate::{
    heads::{
        hop::{self, Marks},
        http2::adapt,
    },
    http_client::Instance,
    ledger::{AnsweredBy, LiveFailure},
    outcome::Reason,
    pipeline::{
        CapturedRead, CompactRequest, Named, ReadMeta,
        bounded_copy::{BoundedCopy, End},
    },
    route::{Access, Head},
    sample::{Declared, Wish},
    settings::Checks,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header::HOST, request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use std::time::{Duration, Instant};
use tokio::time;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) handles: Handles,
    /// For finding requests of our own that are mirrored back.
    pub(super) instance: Option<Instance>,
    /// How long the body of a copy may stall.
    pub(super) body_stall: Duration,
}

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

    /// Turns the copy into the request that the stack got, without what belongs to the connection.
    fn admit(
        &self,
        mut request: Request<Incoming>,
        settings: &Settings,
    ) -> Result<Request<Incoming>, LiveFailure> {
        let in_loop = |instance: &Instance| instance.is_in_loop(request.headers());
        let refused = if self.instance.as_ref().is_some_and(in_loop) {
            Some(LiveFailure::Loop)
        } else {
            let is_malformed = request.version() == Version::HTTP_2 && adapt(&mut request).is_err();
            let names_resource = request.uri().path().starts_with('/');
            (is_malformed || !names_resource).then_some(LiveFailure::BadRequest)
        };
        if let Some(failure) = refused {
            self.handles.gauges.live_failed(failure);
            return Err(failure);
        }
        let headers = request.headers_mut();
        let marks = Marks::of(headers);
        hop::strip_request(headers, marks, settings.sampling.force_header.as_ref());
        name_host(headers);
        Ok(request)
    }

    /// Receives the body within the budget. What it has no room for is read and dropped.
    async fn copy(&self, request: Request<Incoming>, settings: &Settings) -> Copied {
        let (head, mut incoming) = request.into_parts();
        let mut body = BoundedCopy::new(&self.handles.budget, settings.capture.max_body);
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
        let is_read = match settings.reads.classify(&head) {
            Declared::Read => true,
            Declared::NotRead => false,
            Declared::ByBody => known.is_some_and(|body| settings.reads.admits_body(&head, body)),
        };
        if is_read {
            named.route.count_live_read();
            if settings.checks == Checks::Running {
                self.sample(copied, &named, settings);
            }
        } else if !head.method.is_safe() {
            let keys = settings.routes.keys(&head, known, Access::Write);
            handles.writes.note(&keys, Instant::now());
        }
    }

    /// Offers a read to the shadow if it is drawn. Old answers the callers of a mirroring proxy.
    fn sample(&self, copied: Copied, named: &Named, settings: &Settings) {
        let Copied { head, mut body } = copied;
        let handles = &self.handles;
        let sampler = &handles.sampler;
        let draw = sampler.draw(&settings.sampling, named, &head.headers, Wish::None);
        let Some(draw) = draw else { return };
        let mut request = CompactRequest::of_read(&head.method, &head.uri, &head.headers);
        let mut meta = ReadMeta {
            ticket: named.route.sample_by(draw),
            routes: settings.routes.clone(),
            comparing: settings.comparing.clone(),
            held: handles.budget.share(),
            observer: None,
        };
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
        handles.queue.offer(Box::new(CapturedRead {
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
        Head {
            method: &self.head.method,
            path: self.head.uri.path(),
            query: self.head.uri.query(),
            headers: &self.head.headers,
        }
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
