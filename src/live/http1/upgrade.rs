//! Connections that have left HTTP, such as WebSockets: copies bytes both ways until either side ends.

use crate::drain;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

/// Joins the caller's and the primary's connection once both have left HTTP. The drain waits for its end.
pub(crate) fn open(caller: OnUpgrade, stack: OnUpgrade, drain: drain::Watch) {
    tokio::spawn(async move {
        let (caller, stack) = match tokio::try_join!(caller, stack) {
            Ok(ends) => ends,
            Err(error) => return tracing::debug!(%error, "an upgrade failed"),
        };
        let (mut caller, mut stack) = (TokioIo::new(caller), TokioIo::new(stack));
        if let Err(error) = copy_bidirectional(&mut caller, &mut stack).await {
            tracing::debug!(%error, "a tunnel failed");
        }
        drop(drain);
    });
}
