//! The bodies of an exchange with a stack. The answer's body returns the connection to the pool.

use super::{pool::Lease, remove_in_order, writer::WriterHandle};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};

pin_project! {
    /// The body of a request.
    #[derive(Debug)]
    pub(super) struct Outgoing<B> {
        #[pin]
        inner: B,
        connection: Connection,
    }
}

/// The connection that a body goes to.
#[derive(Debug)]
enum Connection {
    /// hyper only sends announced trailers, so they go through the [`WriterHandle`]. Without one, they are dropped.
    Exclusive(Option<Arc<WriterHandle>>),
    /// hyper does not say what broke the body.
    Shared(BrokenBody),
}

/// Why the body of a request broke, if it did. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenBody(Arc<OnceLock<Broken>>);

/// Why the body of a request broke.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Broken(Arc<dyn StdError + Send + Sync>);

/// The body of an answer. At its end, the connection, or the place on it, becomes free for the next request.
pub struct PooledBody<B> {
    inner: Ending,
    lease: Option<Lease<B>>,
}

/// A body that ends its stream properly. Over HTTP/2, dropping a body resets its stream, although the stack may only
/// have to say that it is over. Stacks count resets as abuse.
#[derive(Debug)]
struct Ending(Option<Incoming>);

/// How long a stack may take to end a stream after the declared length.
const END_WITHIN: Duration = Duration::from_secs(1);

// === impl Outgoing ===

impl<B: Body> Outgoing<B> {
    pub(super) fn new(inner: B, handle: &Arc<WriterHandle>) -> Self {
        let has_trailers = !inner.is_end_stream() && inner.size_hint().exact().is_none();
        Self {
            inner,
            connection: Connection::Exclusive(has_trailers.then(|| handle.clone())),
        }
    }

    /// For a connection that carries other requests, too.
    pub(super) fn shared(inner: B, broken: BrokenBody) -> Self {
        Self {
            inner,
            connection: Connection::Shared(broken),
        }
    }

    pub(super) fn into_inner(self) -> B {
        self.inner
    }
}

impl<B> Body for Outgoing<B>
where
    B: Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = B::Data;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Broken>>> {
        let this = self.project();
        let frame = match ready!(this.inner.poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let broken = Broken(error.into().into());
                if let Connection::Shared(shown) = this.connection {
                    shown.0.get_or_init(|| broken.clone());
                }
                return Poll::Ready(Some(Err(broken)));
            }
            None => return Poll::Ready(None),
        };
        Poll::Ready(match (frame.into_trailers(), this.connection) {
            (Ok(trailers), Connection::Exclusive(Some(handle))) => {
                handle.end_with(&trailers);
                None
            }
            (Ok(_), Connection::Exclusive(None)) => None,
            (Ok(trailers), Connection::Shared(_)) => {
                Some(Ok(Frame::trailers(only_trailing(trailers))))
            }
            (Err(frame), _) => Some(Ok(frame)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl BrokenBody ===

impl BrokenBody {
    pub(super) fn get(&self) -> Option<Broken> {
        self.0.get().cloned()
    }
}

// === impl PooledBody ===

impl<B> PooledBody<B> {
    pub(super) fn new(inner: Incoming, lease: Lease<B>) -> Self {
        let mut body = Self {
            inner: Ending(Some(inner)),
            lease: Some(lease),
        };
        if body.is_end_stream() {
            body.end();
        }
        body
    }

    /// The body of an answer after which the connection no longer speaks HTTP.
    pub(super) fn last(inner: Incoming) -> Self {
        Self {
            inner: Ending(Some(inner)),
            lease: None,
        }
    }

    fn end(&mut self) {
        match self.lease.take() {
            Some(Lease::Exclusive { client, connection }) => client.check_in(connection),
            Some(Lease::Shared(place)) => place.ended(),
            None => {}
        }
    }
}

impl<B> Body for PooledBody<B> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(self.inner.get_mut()).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) if frame.is_data() && !self.is_end_stream() => {}
            Some(Err(_)) => self.lease = None,
            _ => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.get().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.get().size_hint()
    }
}

impl<B> Drop for PooledBody<B> {
    fn drop(&mut self) {
        if self.inner.is_whole() {
            self.end();
        }
    }
}

// === impl Ending ===

impl Ending {
    fn get(&self) -> &Incoming {
        self.0.as_ref().expect("only a drop takes it")
    }

    /// Whether only the end of the stream is to come.
    fn is_whole(&self) -> bool {
        let body = self.get();
        !body.is_end_stream() && body.size_hint().exact() == Some(0)
    }

    fn get_mut(&mut self) -> &mut Incoming {
        self.0.as_mut().expect("only a drop takes it")
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_whole()
            && let Some(mut body) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let ended = poll_fn(move |cx| Pin::new(&mut body).poll_frame(cx).map(drop));
            runtime.spawn(timeout(END_WITHIN, ended));
        }
    }
}

impl<B> fmt::Debug for PooledBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledBody").field(&self.inner).finish()
    }
}

/// The trailers that hyper would also send over HTTP/1.1: none that frame or route a message. None that an HTTP/2 peer
/// must take for malformed either.
pub(crate) fn only_trailing(mut trailers: HeaderMap) -> HeaderMap {
    let malformed = trailers.iter().filter(|field| !is_field(*field));
    let malformed: Vec<_> = malformed.map(|(name, _)| name.clone()).collect();
    remove_in_order(&mut trailers, |name| {
        !may_trail(name) || malformed.contains(name)
    });
    trailers
}

/// Whether a field is one by RFC 9113 8.2.1, where the crate `http` accepts it.
pub(crate) fn is_field((name, value): (&HeaderName, &HeaderValue)) -> bool {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let value = value.as_bytes();
    !name.as_str().contains('"') && !is_space(value.first()) && !is_space(value.last())
}

fn may_trail(name: &HeaderName) -> bool {
    use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
    !matches!(
        *name,
        CONNECTION | CONTENT_LENGTH | HOST | TE | TRAILER | TRANSFER_ENCODING | UPGRADE
    )
}

/// Trailers in the format of a chunked body, without the empty line.
pub(super) fn encode(trailers: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in trailers
        .iter()
        .filter(|(name, value)| may_trail(name) && is_field((name, value)))
    {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text
}
