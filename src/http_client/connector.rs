//! Opens connections: for our client, and for those of the command line and of the exporters.

use super::{
    Error, Target, Via,
    endpoint::{self, Endpoint},
    resolver::{Endpoints, Resolver},
};
use crate::transport::{HTTP1, Stream, TlsFailure};
use http::Uri;
use hyper_util::rt::TokioIo;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time;

/// Connects to one target, whatever the url of a request.
#[derive(Clone, Debug)]
pub(crate) struct Connector(Arc<Target>);

/// A connection, and where it leads to if that may change.
pub(super) type Connected = (Stream, Option<Arc<Endpoint>>);

/// The protocols that TLS offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Those of the target.
    All,
    Http1,
}

/// Opens a connection within the target's `connect_timeout`. Its name is looked up for this connection alone.
///
/// # Errors
/// [`Error`].
pub(crate) async fn dial(target: &Target) -> Result<Stream, Error> {
    let (stream, _) = connect(target, None, Offer::All).await?;
    Ok(stream)
}

/// Opens a connection within the target's `connect_timeout`, to one of its endpoints if they are known.
///
/// # Errors
/// [`Error`].
pub(super) async fn connect(
    target: &Target,
    endpoints: Option<&Arc<Endpoints>>,
    offer: Offer,
) -> Result<Connected, Error> {
    let limit = target.connect_timeout;
    let opened = time::timeout(limit, open(target, endpoints, offer)).await;
    opened.unwrap_or(Err(Error::ConnectTimeout(limit)))
}

async fn open(
    target: &Target,
    endpoints: Option<&Arc<Endpoints>>,
    offer: Offer,
) -> Result<Connected, Error> {
    if let Via::Unix(path) = &target.via {
        let stream = Stream::connect_unix(path).await.map_err(Error::Connect)?;
        return Ok((stream, None));
    }
    let found = match endpoints {
        Some(endpoints) => endpoints.next().await?,
        None => Resolver::find(target).await?,
    };
    let connected = endpoint::connect(found, target.connect_timeout).await;
    let (mut stream, attempt) = connected.map_err(Error::Connect)?;
    if let Via::Tls(tls) = &target.via {
        let host = target.host_name();
        let connected = match offer {
            Offer::All => tls.connect(host, stream).await,
            Offer::Http1 => tls.speaking(HTTP1).connect(host, stream).await,
        };
        stream = match connected {
            Ok(stream) => stream,
            Err(source) => {
                attempt.failed();
                return Err(Error::Tls {
                    failure: TlsFailure::of(&source),
                    source: source.into(),
                });
            }
        };
    }
    let endpoint = attempt.reached();
    Ok((stream, endpoints.map(|_| endpoint)))
}

// === impl Connector ===

impl Connector {
    pub(crate) fn new(target: Target) -> Self {
        Self(Arc::new(target))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = self.0.clone();
        Box::pin(async move { dial(&target).await.map(TokioIo::new) })
    }
}
