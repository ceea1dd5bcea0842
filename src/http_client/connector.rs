//! Connects clients that are not ours: those of the command line and of the exporters.

use super::{Error, Target, dial};
use crate::transport::Stream;
use http::Uri;
use hyper_util::rt::TokioIo;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// Connects to one target, whatever the url of a request.
#[derive(Clone, Debug)]
pub(crate) struct Connector(Arc<Target>);

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
