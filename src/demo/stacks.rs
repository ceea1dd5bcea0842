//! The embedded stacks: real listeners on free ports of this machine.

use super::{
    catalogue,
    style::{self, Stamp},
};
use crate::{drain, stack::Stack};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How far the new stack's clock is ahead, so that its timestamps never match by chance.
const CLOCK_SKEW_MS: u64 = 1500;

/// A bound stack that does not serve yet.
#[derive(Debug)]
pub(crate) struct BoundStack {
    stack: Stack,
    listener: TcpListener,
    addr: SocketAddr,
}

#[derive(Debug)]
struct Answers {
    stack: Stack,
    served: AtomicU64,
}

// === impl BoundStack ===

impl BoundStack {
    /// # Errors
    /// This machine has no free port.
    pub(crate) async fn bind(stack: Stack) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        Ok(Self {
            stack,
            listener,
            addr,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until the drain begins, which also ends its connections.
    pub(crate) async fn run(self, mut watch: drain::Watch) {
        let answers = Arc::new(Answers {
            stack: self.stack,
            served: AtomicU64::new(0),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = watch.signaled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => drop(connections.spawn(serve(stream, answers.clone()))),
                    Err(error) => tracing::debug!(%error, "the demo's stack cannot accept"),
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

// === impl Answers ===

impl Answers {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let page = catalogue::page(request.uri().path(), request.uri().query());
        style::write(self.stack, page, self.stamp()).map(Full::new)
    }

    fn stamp(&self) -> Stamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis());
        let skew = match self.stack {
            Stack::Old => 0,
            Stack::New => CLOCK_SKEW_MS,
        };
        Stamp {
            request: self.served.fetch_add(1, Ordering::Relaxed),
            unix_ms: u64::try_from(now).unwrap_or(u64::MAX).saturating_add(skew),
        }
    }
}

async fn serve(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request| {
        let response = answers.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the demo's stack broke");
    }
}
