//! Sends one read to a stack once, and receives the complete answer.

use super::guarded_client::Permit;
use crate::{
    budget::Held,
    compare::{Answer, BodyCopy, Hashing},
    heads::is_event_stream,
    http_client::{self, Client, NoAnswer},
    outcome::{Outcome, Reason, ShadowError},
    pipeline::ReadRequest,
    trace_context::TraceContext,
};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{CONNECTION, EXPECT},
    response::Parts,
};
use http_body::{Body, SizeHint};
use http_body_util::{BodyExt, Full};
use std::{error::Error as _, io, time::Duration};
use tokio::time;

/// Marks a request that no caller waits for.
const MARK: HeaderName = HeaderName::from_static("x-twinread");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The purpose of a request: the value of `x-twinread`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The first reading of a stack.
    Shadow,
    /// A later reading of either stack.
    Recheck,
    /// A question for descriptors.
    Reflection,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The stack is at fault.
    NoAnswer(NoAnswer),
    /// The stack answered, but the byte budget has no room for the answer.
    MemoryFull,
    /// Not sent: the limit of open connections is reached.
    NoRoom,
}

/// The bounds on an answer.
#[derive(Debug)]
pub(super) struct Room<'h> {
    /// Bytes of body that are kept. A larger body is hashed.
    pub(super) max_body: usize,
    /// Accounts for what is kept.
    pub(super) held: &'h mut Held,
    /// The primary's body. Usually the same bytes arrive, and nothing more needs to be kept.
    pub(super) expected: Bytes,
    /// The length of the body that this one will be compared with, if known. A body too large to be kept and of another
    /// length is not read to its end, because it cannot be equal.
    pub(super) rival: Option<u64>,
}

/// Receives an answer.
#[derive(Debug)]
struct Intake<'h> {
    room: Room<'h>,
    head: Option<Parts>,
    body: Taken,
    trailers: HeaderMap,
}

/// The part of a body received so far.
#[derive(Debug)]
enum Taken {
    /// This many bytes, all as expected.
    Same(usize),
    /// Everything received, once it differed from what was expected.
    Own(BytesMut),
    Hashing(Hashing),
    Cut,
}

/// Sends the read with the permit, and records the result in its breaker.
pub(super) async fn send(
    permit: Permit,
    request: Request<Full<Bytes>>,
    room: Room<'_>,
    timeout: Duration,
) -> Result<Answer, Failure> {
    let mut intake = Intake::new(room);
    let replayed = replay(permit.client(), request, &mut intake);
    let replayed = match time::timeout(timeout, replayed).await {
        Ok(replayed) => replayed,
        // A body too large to be kept may well be too large to arrive in time.
        Err(_) if intake.is_too_large() => {
            intake.body = Taken::Cut;
            Ok(())
        }
        Err(_) => Err(Failure::NoAnswer(NoAnswer::Timeout(timeout))),
    };
    match replayed {
        Err(Failure::NoAnswer(why)) => permit.failed(why),
        // It says nothing about the stack.
        Err(Failure::NoRoom) => drop(permit),
        _ => permit.answered(),
    }
    replayed.map(|()| intake.into_answer())
}

/// Sends the read, never twice, and receives the answer.
async fn replay(
    client: &Client<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    intake: &mut Intake<'_>,
) -> Result<(), Failure> {
    let response = client.send(request).await.map_err(|error| {
        tracing::debug!(%error, "the shadow gave no answer");
        match error {
            http_client::Error::NoRoom => Failure::NoRoom,
            // The body is whole before it is sent, so what failed is the connection.
            error => Failure::NoAnswer(error.why().unwrap_or(NoAnswer::Reset)),
        }
    })?;
    take_in(response, intake).await
}

/// Builds the request for a stack: adapted to the stack, marked, in the span of the check.
pub(super) fn request(
    read: &ReadRequest,
    target: &http_client::Target,
    span: &TraceContext,
    purpose: Purpose,
) -> Request<Full<Bytes>> {
    let request = read.clone().with_body(Full::new(read.body.clone()));
    let (mut parts, body) = request.into_parts();
    // The body is ready, so `Expect: 100-continue` would only cost a round trip.
    parts.headers.remove(EXPECT);
    target.prepare(&mut parts);
    // Added last, so that configured headers cannot overwrite them; they can only be removed.
    let mark = HeaderValue::from_static(match purpose {
        Purpose::Shadow => "shadow",
        Purpose::Recheck => "recheck",
        Purpose::Reflection => "reflection",
    });
    let state = HeaderValue::try_from(span.state.as_str()).ok();
    let added = [
        (MARK, Some(mark)),
        (TRACEPARENT, Some(span.header())),
        (TRACESTATE, state.filter(|state| !state.is_empty())),
    ];
    for (name, value) in added {
        match value.filter(|_| !target.remove.contains(&name)) {
            Some(value) => drop(parts.headers.insert(name, value)),
            None => drop(parts.headers.remove(name)),
        }
    }
    Request::from_parts(parts, body)
}

async fn take_in<B>(response: Response<B>, intake: &mut Intake<'_>) -> Result<(), Failure>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let (parts, mut body) = response.into_parts();
    intake.begin(parts, &body.size_hint());
    while !matches!(intake.body, Taken::Cut)
        && let Some(frame) = body.frame().await
    {
        let frame = frame.map_err(|error| Failure::NoAnswer(why_broken(&error)))?;
        match frame.into_data() {
            Ok(data) => intake.push(&data, body.size_hint().lower())?,
            Err(frame) => intake.trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(())
}

/// Removes plain connection headers, as a proxy does for a caller. The primary's headers are kept without them, so that
/// identical answers compare equal at once. The comparison handles other headers that `connection` names.
fn remove_plain_connection(headers: &mut HeaderMap) {
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
}

/// Hyper reports invalid chunks as an I/O error, not as a parse error.
fn why_broken(error: &hyper::Error) -> NoAnswer {
    let source = error.source().and_then(|source| source.downcast_ref());
    let is_invalid = source.is_some_and(|source: &io::Error| {
        matches!(
            source.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
        )
    });
    if is_invalid || error.is_parse() {
        NoAnswer::Protocol
    } else {
        NoAnswer::Truncated
    }
}

fn kind(why: NoAnswer) -> ShadowError {
    match why {
        NoAnswer::NameNotFound
        | NoAnswer::Connect(_)
        | NoAnswer::NoFile
        | NoAnswer::ConnectTimeout(_) => ShadowError::Connect,
        NoAnswer::Tls(_) => ShadowError::Tls,
        NoAnswer::Timeout(_) => ShadowError::Timeout,
        NoAnswer::Reset | NoAnswer::Truncated => ShadowError::Reset,
        NoAnswer::Protocol => ShadowError::Protocol,
    }
}

// === impl Failure ===

impl Failure {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::NoAnswer(why) => Outcome::ShadowError(kind(why)),
            Self::MemoryFull => Outcome::NotCompared(Reason::MemoryFull),
            Self::NoRoom => Outcome::NotCompared(Reason::OverBudget),
        }
    }

    /// The kind of error of a request that was sent; `None` if it was not sent.
    pub(super) fn of_sent(self) -> Option<&'static str> {
        match self {
            Self::NoAnswer(why) => Some(kind(why).name()),
            Self::MemoryFull => Some(Reason::MemoryFull.name()),
            Self::NoRoom => None,
        }
    }
}

// === impl Intake ===

impl<'h> Intake<'h> {
    fn new(room: Room<'h>) -> Self {
        Self {
            room,
            head: None,
            body: Taken::Same(0),
            trailers: HeaderMap::new(),
        }
    }

    fn begin(&mut self, mut head: Parts, size: &SizeHint) {
        remove_plain_connection(&mut head.headers);
        let is_endless = is_event_stream(&head.headers);
        self.head = Some(head);
        if is_endless {
            self.body = Taken::Cut;
        } else if let Some(length) = size.exact()
            && length > self.room.max_body as u64
        {
            self.body = match self.room.rival {
                Some(rival) if rival != length => Taken::Cut,
                _ => Taken::Hashing(Hashing::begin(&[])),
            };
        }
    }

    /// Takes one frame of data. At least `more` bytes are still to come.
    fn push(&mut self, data: &[u8], more: u64) -> Result<(), Failure> {
        let came = match &self.body {
            Taken::Same(same) => *same,
            Taken::Own(own) => own.len(),
            Taken::Hashing(_) | Taken::Cut => usize::MAX,
        };
        let length = came.saturating_add(data.len());
        let Some(left) = self.room.max_body.checked_sub(length) else {
            self.outgrow();
            self.hash(data);
            return Ok(());
        };
        if let Taken::Same(same) = &mut self.body
            && self.room.expected[*same..].starts_with(data)
        {
            *same += data.len();
            return Ok(());
        }
        let more = usize::try_from(more).unwrap_or(usize::MAX).min(left);
        self.keep(data, more)
    }

    /// Keeps data that differs from what was expected.
    fn keep(&mut self, data: &[u8], more: usize) -> Result<(), Failure> {
        let before = match &self.body {
            Taken::Same(same) => &self.room.expected[..*same],
            _ => &[],
        };
        if !self.room.held.grow(before.len() + data.len()) {
            return Err(Failure::MemoryFull);
        }
        if let Taken::Own(own) = &mut self.body {
            own.extend_from_slice(data);
        } else {
            let mut own = BytesMut::with_capacity(before.len() + data.len() + more);
            own.extend_from_slice(before);
            own.extend_from_slice(data);
            self.body = Taken::Own(own);
        }
        Ok(())
    }

    /// From here on, hashes the body and keeps none of it.
    fn outgrow(&mut self) {
        let hashing = match &self.body {
            Taken::Same(same) => Hashing::begin(&self.room.expected[..*same]),
            Taken::Own(own) => {
                let held = &mut self.room.held;
                held.shrink_to(held.bytes() - own.len());
                Hashing::begin(own)
            }
            Taken::Hashing(_) | Taken::Cut => return,
        };
        self.body = Taken::Hashing(hashing);
    }

    fn hash(&mut self, data: &[u8]) {
        if let Taken::Hashing(hashing) = &mut self.body {
            hashing.update(data);
            let length = hashing.length();
            if self.room.rival.is_some_and(|rival| length > rival) {
                self.body = Taken::Cut;
            }
        }
    }

    fn is_too_large(&self) -> bool {
        matches!(self.body, Taken::Hashing(_))
    }

    fn into_answer(self) -> Answer {
        let head = self.head.expect("an answer begins with its head");
        Answer {
            status: head.status,
            headers: head.headers,
            body: match self.body {
                Taken::Same(same) => self.room.expected.slice(..same).into(),
                Taken::Own(own) => own.freeze().into(),
                Taken::Hashing(hashing) => BodyCopy::Hashed(hashing.digest()),
                Taken::Cut => BodyCopy::Cut,
            },
            trailers: self.trailers,
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
            let mut headers = pairs.into_iter().collect();
            remove_plain_connection(&mut headers);
            headers.len()
        };
        assert_eq!(headers("Keep-Alive"), 1);
        assert_eq!(headers("close"), 1);
        // Then `x-a` is a connection header too, and the comparison must know.
        assert_eq!(headers("x-a"), 3);
    }
}
