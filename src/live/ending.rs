//! How the live side ends without a request lost: callers first learn that their connection ends, and are still accepted
//! meanwhile; only then the listener closes.

use crate::drain;
use std::time::Duration;
use tokio::time::sleep;

/// The signals that end the live side.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Comes first, and is held by the connections that began before it: each ends after one more request, or after
    /// `linger` without one.
    pub leave: drain::Watch,
    /// From here on nobody is accepted. Held by every connection.
    pub stop: drain::Watch,
    pub linger: Duration,
}

/// When one connection has to end. Held as long as it, or a tunnel that came of it, is open.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// `None` for a connection that began after the signal.
    leave: Option<drain::Watch>,
    _stop: drain::Watch,
    pub(super) linger: Duration,
}

/// What the accepting side waits for.
#[derive(Debug)]
pub(super) struct Signals {
    leave: Option<drain::Watch>,
    stop: drain::Watch,
    linger: Duration,
}

// === impl Signals ===

impl Signals {
    pub(super) fn new(ends: Ends) -> Self {
        Self {
            leave: Some(ends.leave),
            stop: ends.stop,
            linger: ends.linger,
        }
    }

    /// Returns when nobody is to be accepted any more. Cancel safe.
    pub(super) async fn stop(&mut self) {
        if let Some(leave) = &mut self.leave {
            tokio::select! {
                () = self.stop.signaled() => return,
                () = leave.signaled() => {}
            }
        }
        // Further connections do not hold it.
        self.leave = None;
        self.stop.signaled().await;
    }

    /// For a connection that begins now.
    pub(super) fn ending(&self) -> Ending {
        Ending {
            leave: self.leave.clone(),
            _stop: self.stop.clone(),
            linger: self.linger,
        }
    }
}

// === impl Ending ===

impl Ending {
    /// Whether the connection began before the signal.
    pub(super) fn is_of_before(&self) -> bool {
        self.leave.is_some()
    }

    /// Returns when the next answer has to be the last one.
    pub(super) async fn begun(&mut self) {
        if let Some(leave) = &mut self.leave {
            leave.signaled().await;
        }
    }

    /// Returns when a caller that has sent nothing since then has had its time.
    pub(super) async fn over(&mut self) {
        self.begun().await;
        sleep(self.linger).await;
    }
}
