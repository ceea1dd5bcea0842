//! Offers one read to the shadow, and hands out the end of its check.

use crate::{
    budget::Budget,
    compare::CompareConfig,
    ledger::{AnsweredBy, Draw, Gauges, Ledger},
    outcome::Reason,
    pipeline::{
        CapturedAnswer, CapturedRead, CompactAnswer, CompactHead, CompactRequest, FinishedRead,
        Named, Queue, ReadMeta, ReadRequest,
    },
    route::Routes,
    sample::Reads,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// What reads are offered with. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    pub(crate) ledger: Ledger,
    pub(crate) gauges: Gauges,
    pub(crate) budget: Budget,
    pub(crate) queue: Queue,
    pub(crate) reads: Arc<Reads>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) comparing: Arc<CompareConfig>,
}

/// The old stack's answer, as it was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Without content encoding.
    pub(crate) body: Bytes,
}

// === impl Offers ===

impl Offers {
    /// Whether the configuration declares the request to be a read.
    pub(crate) fn is_read(&self, request: &ReadRequest) -> bool {
        self.reads.admits(&request.head(), &request.body)
    }

    /// The name of its route.
    pub(crate) fn route(&self, request: &ReadRequest) -> Named {
        let body = Some(&request.body[..]);
        let named = Named::of(&self.routes, &self.ledger, &request.head(), body);
        named.expect("a request with its body has a name")
    }

    /// Offers a declared read. With a recorded answer only the new stack is read, else both are.
    pub(crate) fn offer(
        &self,
        request: &ReadRequest,
        answer: Option<&RecordedAnswer>,
    ) -> oneshot::Receiver<FinishedRead> {
        let named = self.route(request);
        let answered = Some(StatusCode::NO_CONTENT);
        let by = AnsweredBy::Twinread;
        named.route.count_live(&request.method, answered, by);
        named.route.count_live_read();
        let (observer, end) = oneshot::channel();
        let mut meta = ReadMeta {
            ticket: named.route.sample_by(Draw::default()),
            routes: self.routes.clone(),
            comparing: self.comparing.clone(),
            held: self.budget.share(),
            observer: Some(observer),
        };
        let ReadRequest {
            method,
            uri,
            headers,
            body,
        } = request;
        let mut compact = CompactRequest::of_read(method, uri, headers);
        compact.body = body.clone();
        let size =
            compact.head.weight() + body.len() + answer.map_or(0, |answer| answer.body.len());
        if !meta.held.grow(size) {
            meta.not_compared(Reason::MemoryFull);
            return end;
        }
        self.queue.offer(Box::new(CapturedRead {
            meta,
            request: compact,
            answer: answer.map(RecordedAnswer::captured),
            offered: Instant::now(),
        }));
        end
    }
}

// === impl RecordedAnswer ===

impl RecordedAnswer {
    fn captured(&self) -> CapturedAnswer {
        CapturedAnswer {
            answer: CompactAnswer {
                status: self.status,
                head: CompactHead::of_headers(&self.headers),
                body: self.body.clone().into(),
                trailers: HeaderMap::new(),
            },
            took: Duration::ZERO,
        }
    }
}
