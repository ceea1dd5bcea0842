//! HTTP/2: its connections, and WebSocket over them.

mod allowance;
mod frames;
mod guard;
pub(super) mod websocket;

use super::{connection::ConnectionService, ending::Ending, wire::Wire};
use crate::{ledger::Bound, settings::ListenerLimits, transport::BatchedWrites};
use guard::FrameGuard;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::{error::Error as _, pin::pin, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Bytes of a body that a caller may send ahead. What a stack does not take is kept, so this bounds memory.
const WINDOW: u32 = 256 << 10;
/// The same for all bodies of a connection. A caller with more uploads that no stack takes holds up its own others.
const UPLOADS: u32 = 4 << 20;
/// hyper silently refuses a head of more than this many times the limit. Up to there, the service counts it.
const HEADS: u32 = 4;
/// A caller that vanished silently is noticed after this and [`PATIENCE`].
const PING: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of an answer that are ahead of what the caller takes.
const AHEAD: usize = 128 << 10;

/// Serves one connection until it ends.
pub(super) async fn serve(wire: Wire, service: ConnectionService, mut ending: Ending) {
    let (caller, live) = (service.caller.clone(), service.shared.live.clone());
    let idle = Arc::new(Notify::new());
    let io = TokioIo::new(BatchedWrites::new(FrameGuard::new(wire, idle.clone())));
    let connection = builder(&caller.limits).serve_connection(io, service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = async { tokio::select! {
            () = ending.over() => {}
            () = idle.notified() => {}
        } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let Err(error) = ended else { return };
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    if let Some(cause) = cause.filter(|cause: &&h2::Error| cause.is_library()) {
        if cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM) {
            caller.gauges.bound_reached(Bound::Frames);
        }
        caller.refused(&error, &live.get());
    }
    tracing::debug!(%error, "a connection to a caller ended");
}

fn builder(limits: &ListenerLimits) -> http2::Builder<TokioExecutor> {
    let streams = limits.streams.get();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .enable_connect_protocol()
        .max_concurrent_streams(streams)
        .max_header_list_size(
            HEADS * u32::try_from(limits.header_bytes).unwrap_or(u32::MAX / HEADS),
        )
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW.saturating_mul(streams).min(UPLOADS))
        .max_send_buf_size(AHEAD)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PATIENCE);
    builder
}
