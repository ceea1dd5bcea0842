//! One read, sent to a stack once, and its whole answer.

use super::lane::Passage;
use crate::{
    budget::Held,
    compare::Answer,
    handoff::ReadRequest,
    trace_context::TraceContext,
    upstream::{self, Client},
    verdict::{Outcome, Reason, ShadowError},
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{CONNECTION, EXPECT},
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::{error::Error as _, io, time::Duration};
use tokio::time;

/// Tells the shadow that no caller waits for the answer.
const MARK: HeaderName = HeaderName::from_static("x-twinread");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a read is sent for: the value of `x-twinread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The first reading of the shadow.
    Shadow,
    /// A later reading of either stack.
    Recheck,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The fault is the stack's.
    Shadow(ShadowError),
    /// It answered, but more than is kept.
    TooLarge,
    /// It answered, but there is no memory to keep it in.
    MemoryFull,
    /// Nothing was sent: as many connections are open as may be.
    NoRoom,
}

/// What bounds an answer.
#[derive(Debug)]
pub(super) struct Room<'h> {
    /// Bytes of body.
    pub(super) max_body: usize,
    /// Accounts for what is kept.
    pub(super) held: &'h mut Held,
    /// The primary's body: most often the same comes again, and then nothing more is kept.
    pub(super) expected: Bytes,
}

/// Where the bytes of an answer go.
#[derive(Debug)]
struct Intake<'h> {
    room: Room<'h>,
    left: usize,
    /// Bytes that came and were the expected ones, from the beginning.
    same: usize,
    /// All that came, once something else than expected did.
    own: Option<BytesMut>,
}

/// Sends the read by the way that was granted, and tells its breaker how that went.
pub(super) async fn send(
    passage: Passage,
    request: Request<Full<Bytes>>,
    room: Room<'_>,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let answer = replay(passage.lane().client(), request, room);
    let answer = time::timeout(timeout, answer)
        .await
        .unwrap_or(Err(Failure::Shadow(ShadowError::Timeout)));
    match answer {
        Err(Failure::Shadow(_)) => passage.failed(),
        // It says nothing of the stack.
        Err(Failure::NoRoom) => drop(passage),
        _ => passage.answered(),
    }
    answer
}

/// Sends the read, never twice, and takes in the answer.
async fn replay(
    client: &Client<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    room: Room<'_>,
) -> Result<Answer, Failure> {
    let response = client.send(request).await.map_err(|error| {
        tracing::debug!(%error, "the shadow gave no answer");
        match kind(&error) {
            Some(kind) => Failure::Shadow(kind),
            None => Failure::NoRoom,
        }
    })?;
    take_in(response, room).await
}

/// The read as a stack gets it: fitted to the stack, marked, in the span of the check.
pub(super) fn request(
    read: &ReadRequest,
    target: &upstream::Target,
    span: &TraceContext,
    purpose: Purpose,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(read.body.clone()));
    *request.method_mut() = read.method.clone();
    *request.uri_mut() = read.uri.clone();
    *request.headers_mut() = read.headers.clone();
    let (mut parts, body) = request.into_parts();
    // The body is at hand; to ask for leave to send it would only cost a round trip.
    parts.headers.remove(EXPECT);
    target.prepare(&mut parts);
    // Last, so that no configured header can hide what the request is.
    parts.headers.insert(MARK, purpose.mark());
    parts.headers.insert(TRACEPARENT, span.header());
    parts.headers.remove(TRACESTATE);
    if let Ok(state) = HeaderValue::try_from(span.state.as_str())
        && !state.is_empty()
    {
        parts.headers.insert(TRACESTATE, state);
    }
    Request::from_parts(parts, body)
}

async fn take_in<B>(response: Response<B>, room: Room<'_>) -> Result<Answer, Failure>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let (parts, mut body) = response.into_parts();
    if body.size_hint().lower() > room.max_body as u64 {
        return Err(Failure::TooLarge);
    }
    let mut intake = Intake {
        left: room.max_body,
        room,
        same: 0,
        own: None,
    };
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Shadow(kind_of_body(&error)))?;
        match frame.into_data() {
            Ok(data) => intake.push(&data, body.size_hint().lower())?,
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Answer {
        status: parts.status,
        headers: without_connection(parts.headers),
        body: intake.into_body(),
        trailers,
    })
}

/// As a caller would get them, as far as most answers need it: those of the primary come without, and answers that are alike in
/// everything are equal at a glance. What else a connection's headers name is left to the comparison.
fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    let is_plain = headers.get(CONNECTION).is_some_and(|value| {
        let options = [b"keep-alive".as_slice(), b"close"];
        options
            .iter()
            .any(|option| value.as_bytes().eq_ignore_ascii_case(option))
    });
    if is_plain {
        headers.remove(CONNECTION);
        headers.remove(KEEP_ALIVE);
    }
    headers
}

/// `None`: the fault is not the stack's.
fn kind(error: &upstream::Error) -> Option<ShadowError> {
    Some(match error {
        upstream::Error::NoRoom => return None,
        upstream::Error::Connect(_) | upstream::Error::ConnectTimeout(_) => ShadowError::Connect,
        upstream::Error::Protocol(_) => ShadowError::Protocol,
        // The body is whole before it is sent, so what failed is the connection.
        upstream::Error::Reset { .. } | upstream::Error::RequestBody(_) => ShadowError::Reset,
    })
}

/// Chunks that are none come as an I/O error about what was read, not as a parse error.
fn kind_of_body(error: &hyper::Error) -> ShadowError {
    let source = error.source().and_then(|source| source.downcast_ref());
    let is_invalid = source.is_some_and(|source: &io::Error| {
        matches!(
            source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    });
    match is_invalid || error.is_parse() {
        true => ShadowError::Protocol,
        false => ShadowError::Reset,
    }
}

// === impl Purpose ===

impl Purpose {
    fn mark(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Shadow => "shadow",
            Self::Recheck => "recheck",
        })
    }
}

// === impl Failure ===

impl Failure {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Shadow(kind) => Outcome::ShadowError(kind),
            Self::TooLarge => Outcome::NotCompared(Reason::BodyTooLarge),
            Self::MemoryFull => Outcome::NotCompared(Reason::MemoryFull),
            Self::NoRoom => Outcome::NotCompared(Reason::OverBudget),
        }
    }
}

// === impl Intake ===

impl Intake<'_> {
    /// Takes one frame of data, after which at least `more` bytes are to come.
    fn push(&mut self, data: &[u8], more: u64) -> Result<(), Failure> {
        self.left = self.left.checked_sub(data.len()).ok_or(Failure::TooLarge)?;
        if let Some(own) = &mut self.own {
            if !self.room.held.grow(data.len()) {
                return Err(Failure::MemoryFull);
            }
            own.extend_from_slice(data);
            return Ok(());
        }
        let (before, after) = self.room.expected.split_at(self.same);
        if after.starts_with(data) {
            self.same += data.len();
            return Ok(());
        }
        if !self.room.held.grow(before.len() + data.len()) {
            return Err(Failure::MemoryFull);
        }
        let more = usize::try_from(more).unwrap_or(usize::MAX).min(self.left);
        let mut own = BytesMut::with_capacity(before.len() + data.len() + more);
        own.extend_from_slice(before);
        own.extend_from_slice(data);
        self.own = Some(own);
        Ok(())
    }

    fn into_body(self) -> Bytes {
        match self.own {
            Some(own) => own.freeze(),
            None => self.room.expected.slice(..self.same),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_connection_header_is_taken_out() {
        let headers = |value: &'static str| {
            let pairs = [("connection", value), ("keep-alive", "1"), ("x-a", "1")];
            let pairs = pairs.map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            without_connection(pairs.into_iter().collect()).len()
        };
        assert_eq!(headers("Keep-Alive"), 1);
        assert_eq!(headers("close"), 1);
        // Then `x-a` is of the connection too, and the comparison has to know.
        assert_eq!(headers("x-a"), 3);
    }
}
