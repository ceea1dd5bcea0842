//! Whether the primary has ever been reachable. Until then the sidecar is not ready.

use crate::http_client::Target;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpStream, time};

/// Shared by clones.
#[derive(Clone, Debug, Default)]
pub(super) struct Reachable(Arc<AtomicBool>);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

// === impl Reachable ===

impl Reachable {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Opens connections, without sending anything, until one succeeds.
    pub(super) async fn find(self, target: Arc<Target>) {
        loop {
            let connect = TcpStream::connect(target.authority.as_str());
            match time::timeout(target.connect_timeout, connect).await {
                Ok(Ok(_)) => break,
                Ok(Err(error)) => tracing::debug!(%error, "the primary is not reachable yet"),
                Err(_) => {
                    tracing::debug!("the primary is not reachable yet: no connection in time")
                }
            }
            time::sleep(PAUSE).await;
        }
        self.0.store(true, Ordering::Relaxed);
    }
}
