//! A pooled HTTP/1.1 client for one stack.

use super::{
    Answering, Error, Target,
    body::Outgoing,
    pool::{Connection, Origin, Pool},
    wire::{Line, Wire},
};
use bytes::Buf;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{error::Error as StdError, fmt, io, sync::Arc};
use tokio::{net::TcpStream, time};

/// Sends requests to one stack, over connections kept for the next. Cheap to clone; clones share the connections.
///
/// Connections are driven by tasks on the runtime that sent the request.
pub struct Client<B> {
    target: Arc<Target>,
    pool: Arc<Pool<B>>,
}

enum Exchanged<B> {
    Answered(Response<Answering<B>>),
    Failed(Error),
    /// It was not even begun.
    Unsent(Request<B>),
}

// === impl Client ===

impl<B> Client<B> {
    pub fn new(target: Arc<Target>) -> Self {
        let pool = Arc::new(Pool::new(target.idle_timeout));
        Self { target, pool }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Closes connections idle for longer than the target's `idle_timeout`.
    pub fn sweep(&self) {
        self.pool.sweep();
    }
}

impl<B> Client<B>
where
    B: Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    /// Sends a request that was [prepared](Target::prepare), and ends with the head of the answer.
    ///
    /// Takes a kept connection if one is ready. One that turns out to be closed before anything was written to it is replaced.
    ///
    /// # Errors
    /// [`Error`]; then there was no answer, though the stack may have seen the request.
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<Answering<B>>, Error> {
        while let Some(connection) = self.pool.check_out() {
            match self.exchange(connection, request).await {
                Exchanged::Answered(answer) => return Ok(answer),
                Exchanged::Failed(error) => return Err(error),
                Exchanged::Unsent(unsent) => request = unsent,
            }
        }
        // Boxed, for it is rare and would make every request's future larger.
        Box::pin(self.send_fresh(request)).await
    }

    /// Like [`send`](Self::send), on a new connection.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send_fresh(&self, request: Request<B>) -> Result<Response<Answering<B>>, Error> {
        let connection = self.connect().await?;
        match self.exchange(connection, request).await {
            Exchanged::Answered(answer) => Ok(answer),
            Exchanged::Failed(error) => Err(error),
            Exchanged::Unsent(_) => Err(Error::Connect(io::ErrorKind::ConnectionReset.into())),
        }
    }

    async fn exchange(&self, mut connection: Connection<B>, request: Request<B>) -> Exchanged<B> {
        let request = request.map(|body| Outgoing::new(body, &connection.line));
        match connection.tx.try_send_request(request).await {
            Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Exchanged::Answered(answer.map(Answering::last))
            }
            Ok(answer) => {
                let answering = |body| Answering::new(body, &self.pool, connection);
                Exchanged::Answered(answer.map(answering))
            }
            Err(mut failed) => match failed.take_message() {
                Some(request) => Exchanged::Unsent(request.map(Outgoing::into_inner)),
                None => Exchanged::Failed(Error::of(failed.into_error(), connection.origin)),
            },
        }
    }

    async fn connect(&self) -> Result<Connection<B>, Error> {
        let limit = self.target.connect_timeout;
        let stream = match time::timeout(limit, dial(&self.target)).await {
            Ok(dialled) => dialled.map_err(Error::Connect)?,
            Err(_) => return Err(Error::ConnectTimeout(limit)),
        };
        let line = Arc::<Line>::default();
        let io = TokioIo::new(Wire::new(stream, line.clone()));
        let (tx, driver) = http1::Builder::new()
            .handshake(io)
            .await
            .map_err(Error::Protocol)?;
        // Ends when the connection or its `tx` does; how it failed is told to whoever waits for the answer.
        tokio::spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "connection to a stack ended");
            }
        });
        Ok(Connection {
            tx,
            line,
            origin: Origin::Fresh,
        })
    }
}

async fn dial(target: &Target) -> io::Result<TcpStream> {
    let authority = &target.authority;
    // An IPv6 literal stands in brackets in a URI.
    let host = authority.host();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<B> Clone for Client<B> {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            pool: self.pool.clone(),
        }
    }
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.target).finish()
    }
}
