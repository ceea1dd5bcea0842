//! Callers that come through a proxy which names them: `proxy_protocol`.

use super::connection::Caller;
use crate::{
    budget::Paced,
    ledger::{Bound, LiveFailure},
    transport::{Stream, TrustedProxies, read_header},
};
use std::{
    io,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};
use tokio::time::timeout;

/// The proxies whose headers are read.
#[derive(Debug)]
pub(super) struct Proxies {
    trusted: TrustedProxies,
    /// Of connections without a header.
    reports: Mutex<Paced>,
}

// === impl Proxies ===

impl Proxies {
    pub(super) fn new(trusted: TrustedProxies) -> Self {
        Self {
            trusted,
            reports: Mutex::default(),
        }
    }

    /// Replaces the caller's address by the one that its proxy names, if it comes through one.
    ///
    /// # Errors
    /// Those of [`read_header`], or `TimedOut`; counted. The connection must be closed.
    pub(super) async fn name(&self, caller: &mut Caller, stream: &mut Stream) -> io::Result<()> {
        let Some(proxy) = caller.peer.filter(|peer| self.trusted.contain(*peer)) else {
            return Ok(());
        };
        let header = timeout(caller.limits.head_timeout, read_header(stream)).await;
        match header.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(named) => {
                caller.peer = named.map(|address| address.ip()).or(caller.peer);
                Ok(())
            }
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::TimedOut => caller.gauges.bound_reached(Bound::HeadTimeout),
                    io::ErrorKind::InvalidData => {
                        caller.gauges.live_failed(LiveFailure::BadRequest);
                        self.report(proxy);
                    }
                    // Whoever only looks whether the port is open sends nothing.
                    _ => {}
                }
                Err(error)
            }
        }
    }

    fn report(&self, proxy: IpAddr) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = reports.admit(Instant::now());
        drop(reports);
        if let Some(suppressed) = admitted {
            tracing::warn!(
                %proxy,
                suppressed = (suppressed > 0).then_some(suppressed),
                "a connection from a network of proxy_protocol does not begin with its header, and was closed"
            );
        }
    }
}
