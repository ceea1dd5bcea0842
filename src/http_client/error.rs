//! Why a stack gave no answer.

use super::pool::Origin;
use std::{io, time::Duration};

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// As many connections are open as may be.
    #[error("no room for another connection")]
    NoRoom,
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke before the head of an answer was whole.
    #[error("the connection broke before an answer")]
    Reset {
        #[source]
        source: hyper::Error,
        /// The connection had answered before: it may have been dead already when the request was sent on it.
        was_reused: bool,
    },
    /// What came was not HTTP, or more of a head than is accepted.
    #[error("the answer is not acceptable HTTP")]
    Protocol(#[source] hyper::Error),
    /// The body of the request failed before it was whole.
    #[error("the request body failed")]
    RequestBody(#[source] hyper::Error),
}

// === impl Error ===

impl Error {
    pub(super) fn of(source: hyper::Error, origin: Origin) -> Self {
        if source.is_parse() {
            return Self::Protocol(source);
        }
        if source.is_user() {
            return Self::RequestBody(source);
        }
        let was_reused = origin == Origin::Reused;
        Self::Reset { source, was_reused }
    }

    /// Whether the request may have met a connection that was closed while idle.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Reset { was_reused, .. } if *was_reused)
    }
}
