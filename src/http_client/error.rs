//! Why a request got no answer.

use super::pool::Origin;
use std::{io, time::Duration};

/// Why a stack gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no connection")]
    Connect(#[source] io::Error),
    /// The limit of open connections is reached.
    #[error("no room for another connection")]
    NoRoom,
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke before the complete head of an answer.
    #[error("the connection broke before an answer")]
    Reset {
        #[source]
        source: hyper::Error,
        /// The connection had answered before, so it may already have been closed when the request was sent.
        was_reused: bool,
    },
    /// The answer was not HTTP, or its head was too large.
    #[error("the answer is not acceptable HTTP")]
    Protocol(#[source] hyper::Error),
    /// The body of the request failed before its end.
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

    /// Whether the request may have been sent on a connection that was closed while idle.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Reset { was_reused, .. } if *was_reused)
    }
}
