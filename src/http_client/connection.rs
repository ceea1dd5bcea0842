//! New connections of a client, and how HTTP begins on them.

use super::{
    Client, Error,
    connector::{Connected, Offer, connect},
    greeting::Greeting,
    multiplexed::{MAX_STREAMS, Shared},
    pool::{Connection, Origin},
    writer::{Http1Writer, WriterHandle},
};
use crate::transport::{BatchedWrites, TlsFailure};
use bytes::Buf;
use http_body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{SockRef, TcpKeepalive};
use std::{
    error::Error as StdError,
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{io::BufReader, sync::OwnedSemaphorePermit, time};

/// A new connection, by its protocol.
pub(super) enum Opened<B> {
    Http1(Connection<B>),
    Http2(Shared<B>),
}

/// Counts a connection until it ends, if they are bounded.
type Place = Option<OwnedSemaphorePermit>;

/// Bytes of one read from a stack, and the maximum size of an answer's head. Larger reads are evicted from the
/// processor's cache before they are written: 256 KiB cost a fifth more with hyper's own 408 KiB. Each connection may
/// also keep its buffer.
pub(super) const MAX_READ: usize = 128 << 10;
/// hyper's initial value, until the stack's SETTINGS arrive.
const UNKNOWN: usize = MAX_STREAMS + 1;
/// Bytes of an answer that a stack may send ahead. What a caller does not take is kept, so this bounds memory.
const WINDOW: u32 = 256 << 10;
/// Bytes that one read from a stack of HTTP/2 takes: many answers at once, while the library reads a frame at a time.
const READ_AHEAD: usize = 64 << 10;
/// Bytes of a request's body that are ahead of what the stack takes.
const AHEAD: usize = 128 << 10;
/// On an idle connection, a stack that vanished silently is noticed after this and three times [`PROBE`]. The system
/// asks, because servers of gRPC punish pings.
const SILENCE: Duration = Duration::from_secs(30);
/// On a busy connection, it is noticed once it has acknowledged nothing for this long (RFC 5482): the system sends no
/// probes then.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);

// === impl Client ===

impl<B> Client<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Opens a connection for the next request.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn open(&self, offer: Offer) -> Result<Opened<B>, Error> {
        let inner = &self.0;
        let target = &inner.target;
        let place = inner.room.take()?;
        let connected = connect(target, inner.endpoints.as_ref(), offer).await?;
        let is_http2 = target.http2 || connected.0.is_http2();
        if target.negotiates() && offer == Offer::All {
            inner.is_http2.store(is_http2, Ordering::Relaxed);
        }
        if is_http2 {
            let begun = Self::begin_http2(connected, place, target.connect_timeout).await;
            return begun.map(Opened::Http2);
        }
        let begun = Self::begin_http1(connected, place, target.max_headers).await;
        begun.map(Opened::Http1)
    }

    /// Begins HTTP/1.1, with answers of at most `max_headers` header lines.
    async fn begin_http1(
        (stream, endpoint): Connected,
        place: Place,
        max_headers: usize,
    ) -> Result<Connection<B>, Error> {
        let handle = Arc::<WriterHandle>::default();
        let io = TokioIo::new(Http1Writer::new(stream, handle.clone()));
        let (tx, driver) = http1::Builder::new()
            .max_buf_size(MAX_READ)
            .max_headers(max_headers)
            .handshake(io)
            .await
            .map_err(Error::Protocol)?;
        // The task ends with the connection or its `tx`. The request that waits for an answer receives the error.
        let tls_end = Arc::<OnceLock<TlsFailure>>::default();
        let ended = tls_end.clone();
        tokio::spawn(async move {
            let _place = place;
            // Dropping it fails a request that waits, which looks for the cause.
            let mut driver = pin!(driver.with_upgrades());
            if let Err(error) = driver.as_mut().await {
                TlsFailure::found_in(&error).map(|failure| ended.set(failure));
                tracing::debug!(%error, "connection to a stack ended");
            }
        });
        Ok(Connection {
            tx,
            handle,
            endpoint,
            origin: Origin::Fresh,
            tls_end,
        })
    }

    /// Begins HTTP/2. The stack has to greet within `limit`.
    async fn begin_http2(
        (stream, endpoint): Connected,
        place: Place,
        limit: Duration,
    ) -> Result<Shared<B>, Error> {
        let keepalive = TcpKeepalive::new()
            .with_time(SILENCE)
            .with_interval(PROBE)
            .with_retries(3);
        // A unix socket has none, and needs none.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let (stream, greeting) = Greeting::new(stream);
        let stream = BufReader::with_capacity(READ_AHEAD, stream);
        let (tx, mut driver) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            // Streams whose answers nobody takes must not hold back the others.
            .initial_connection_window_size(WINDOW * MAX_STREAMS as u32)
            .max_header_list_size(MAX_READ as u32)
            .max_send_buf_size(AHEAD)
            .initial_max_send_streams(UNKNOWN)
            .handshake(TokioIo::new(BatchedWrites::new(stream)))
            .await
            .map_err(Error::Protocol)?;
        let greeted = time::timeout(limit, greeting).await;
        let greeted = greeted.map_err(|_| Error::ConnectTimeout(limit))?;
        let greeted = greeted.map_err(|_| Error::gone())?;
        let greeted = greeted.map_err(|failure| Error::Tls {
            failure,
            source: Box::new(Error::gone()),
        })?;
        let greeted = greeted.ok_or(Error::NotHttp2)?;
        let streams = Arc::new(AtomicUsize::new(greeted));
        let allowed = streams.clone();
        // The task ends with the connection, or once `tx` is gone and the last stream has ended.
        tokio::spawn(async move {
            let _place = place;
            let driven = poll_fn(|cx| {
                let polled = Pin::new(&mut driver).poll(cx);
                let streams = driver.current_max_send_streams();
                if streams != UNKNOWN {
                    allowed.store(streams, Ordering::Relaxed);
                }
                polled
            });
            if let Err(error) = driven.await {
                tracing::debug!(%error, "connection to a stack ended");
            }
        });
        Ok(Shared::new(tx, endpoint, streams))
    }
}
