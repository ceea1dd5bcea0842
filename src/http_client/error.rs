//! Why a request to a stack got no answer, and whether it may be sent again.

use super::{NoAnswer, pool::Origin};
use crate::transport::TlsFailure;
use rustix::io::Errno;
use std::{error::Error as StdError, io, time::Duration};

/// Why a stack gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the stack's name was not found")]
    NameNotFound(#[source] io::Error),
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("TLS failed: {failure}")]
    Tls {
        failure: TlsFailure,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
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
    /// The stack was said to speak HTTP/2 and does not.
    #[error("the stack does not speak HTTP/2")]
    NotHttp2,
    /// TLS chose HTTP/1.1, and the connection is in the pool. [`Client`](super::Client) sends the request there.
    #[error("the stack chose HTTP/1.1")]
    ChoseHttp1,
    /// The stack refused the request without having processed it (RFC 9113 8.7).
    #[error("the stack refused the request")]
    Refused(#[source] hyper::Error),
    /// The body of the request failed before its end.
    #[error("the request body failed")]
    RequestBody(#[source] Box<dyn StdError + Send + Sync>),
}

// === impl Error ===

impl Error {
    /// A connection ended before anything was sent on it.
    pub(super) fn gone() -> Self {
        Self::Connect(io::ErrorKind::ConnectionReset.into())
    }

    pub(super) fn of(source: hyper::Error, origin: Origin) -> Self {
        if let Some(failure) = TlsFailure::found_in(&source) {
            let source = source.into();
            return Self::Tls { failure, source };
        }
        if source.is_parse() {
            return Self::Protocol(source);
        }
        if source.is_user() {
            return Self::RequestBody(source.into());
        }
        let was_reused = origin == Origin::Reused;
        Self::Reset { source, was_reused }
    }

    /// That of one request on a connection that carries others, too.
    pub(super) fn of_stream(source: hyper::Error, origin: Origin) -> Self {
        let Some(cause) = source.source().and_then(|cause| cause.downcast_ref()) else {
            return Self::of(source, origin);
        };
        let cause: &h2::Error = cause;
        if is_unprocessed(cause) {
            Self::Refused(source)
        } else if cause.is_library() {
            Self::Protocol(source)
        } else {
            // The connection is alive.
            let was_reused = false;
            Self::Reset { source, was_reused }
        }
    }

    /// The same failure, for another request that waited for the same connection.
    pub(super) fn again(&self) -> Self {
        let copy = |error: &io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        match self {
            Self::NameNotFound(error) => Self::NameNotFound(copy(error)),
            Self::Connect(error) => Self::Connect(copy(error)),
            Self::NoRoom => Self::NoRoom,
            Self::NotHttp2 => Self::NotHttp2,
            Self::ChoseHttp1 => Self::ChoseHttp1,
            Self::ConnectTimeout(limit) => Self::ConnectTimeout(*limit),
            Self::Tls { failure, source } => Self::Tls {
                failure: *failure,
                source: source.to_string().into(),
            },
            other => Self::Connect(io::Error::other(other.to_string())),
        }
    }

    /// Why the stack gave no answer; `None` if something else is at fault.
    pub fn why(&self) -> Option<NoAnswer> {
        match self {
            Self::NameNotFound(_) => Some(NoAnswer::NameNotFound),
            Self::Connect(error) => Some(NoAnswer::of_connect(error)),
            Self::ConnectTimeout(limit) => Some(NoAnswer::ConnectTimeout(*limit)),
            Self::Tls { failure, .. } => Some(NoAnswer::Tls(*failure)),
            Self::Reset { .. } | Self::Refused(_) => Some(NoAnswer::Reset),
            Self::Protocol(_) | Self::NotHttp2 | Self::ChoseHttp1 => Some(NoAnswer::Protocol),
            Self::NoRoom | Self::RequestBody(_) => None,
        }
    }

    /// Whether the system or this process may open no further file.
    pub(super) fn is_out_of_files(&self) -> bool {
        matches!(self, Self::Connect(error) if is_out_of_files(error))
    }

    /// Whether the stack has not processed the request and will not.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether the request may have been sent on a connection that was closed while idle.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Reset { was_reused, .. } if *was_reused)
    }
}

/// Whether the system or this process may open no further file.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    matches!(error, Some(Errno::MFILE | Errno::NFILE))
}

/// RFC 9113 8.7: the stream is past the last one that `GOAWAY` names, or was refused.
fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
}
