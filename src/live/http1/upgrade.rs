//! Connections that have left HTTP, such as WebSockets: copies bytes both ways until either side ends.

use crate::live::connection::Exchange;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Joins the caller's and the primary's connection once both have left HTTP. `exchange` is dropped at its end: the drain
/// waits for it, and a connection of the caller that carries other requests, too, is not idle.
pub(in crate::live) fn open(caller: OnUpgrade, stack: OnUpgrade, exchange: Exchange) {
    tokio::spawn(async move {
        let (caller, stack) = match tokio::try_join!(caller, stack) {
            Ok(ends) => ends,
            Err(error) => return tracing::debug!(%error, "an upgrade failed"),
        };
        let (mut caller, mut stack) = (TokioIo::new(caller), TokioIo::new(stack));
        if let Err(error) = copy_bidirectional(&mut caller, &mut stack).await {
            tracing::debug!(%error, "a tunnel failed");
        }
        drop(exchange);
    });
}
