//! A pooled HTTP/1.1 client for one stack.

use super::{
    Answering, Error, Target,
    body::Outgoing,
    pool::{Connection, Origin, Pool},
    wire::{Line, Wire},
};
use bytes::Buf;
use futures_util::future::Either;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::{error::Error as StdError, fmt, future::Future, io, sync::Arc};
use tokio::{net::TcpStream, time};

/// Sends requests to one stack, over connections kept for the next. Cheap to clone; clones share the connections.
///
/// Connections are driven by tasks on the runtime that sent the request.
pub struct Client<B>(Arc<Inner<B>>);

struct Inner<B> {
    target: Arc<Target>,
    pool: Pool<B>,
}

type Answer<B> = Result<Response<Answering<B>>, Error>;

/// What came of a request on one connection.
enum Exchanged<B> {
    Answered(Answer<B>),
    /// It was not even begun.
    Unsent(Client<B>, Request<B>),
}

// === impl Client ===

impl<B> Client<B> {
    pub fn new(target: Arc<Target>) -> Self {
        let pool = Pool::new(target.idle_timeout);
        Self(Arc::new(Inner { target, pool }))
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.0.target
    }

    /// Closes connections idle for longer than the target's `idle_timeout`.
    pub fn sweep(&self) {
        self.0.pool.sweep();
    }

    pub(super) fn check_in(&self, connection: Connection<B>) {
        self.0.pool.check_in(connection);
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
    /// Takes a kept connection if one is ready; then the request is on its way when this returns. A connection that turns out to be
    /// closed before anything was written to it is replaced. The future is small, for it does not hold the request.
    ///
    /// # Errors
    /// [`Error`]; then there was no answer, though the stack may have seen the request.
    pub fn send(&self, request: Request<B>) -> impl Future<Output = Answer<B>> + Send + use<B> {
        let begun = match self.0.pool.check_out() {
            Some(connection) => Either::Left(self.clone().exchange(connection, request)),
            None => Either::Right(Box::pin(self.clone().send_fresh_owned(request))),
        };
        async move {
            match begun {
                Either::Right(fresh) => fresh.await,
                Either::Left(exchange) => match exchange.await {
                    Exchanged::Answered(answer) => answer,
                    Exchanged::Unsent(client, request) => Box::pin(client.send_any(request)).await,
                },
            }
        }
    }

    /// Like [`send`](Self::send), on a new connection.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send_fresh(&self, request: Request<B>) -> Answer<B> {
        self.clone().send_fresh_owned(request).await
    }

    async fn send_fresh_owned(self, request: Request<B>) -> Answer<B> {
        let connection = self.connect().await?;
        match self.exchange(connection, request).await {
            Exchanged::Answered(answer) => answer,
            Exchanged::Unsent(..) => Err(Error::Connect(io::ErrorKind::ConnectionReset.into())),
        }
    }

    /// On the next connection that is not closed.
    async fn send_any(self, mut request: Request<B>) -> Answer<B> {
        while let Some(connection) = self.0.pool.check_out() {
            match self.clone().exchange(connection, request).await {
                Exchanged::Answered(answer) => return answer,
                Exchanged::Unsent(_, unsent) => request = unsent,
            }
        }
        self.send_fresh_owned(request).await
    }

    /// Sends at once; the future waits for the answer.
    fn exchange(
        self,
        mut connection: Connection<B>,
        request: Request<B>,
    ) -> impl Future<Output = Exchanged<B>> + Send + use<B> {
        let request = request.map(|body| Outgoing::new(body, &connection.line));
        let sent = connection.tx.try_send_request(request);
        async move {
            let answer = match sent.await {
                Ok(answer) => answer,
                Err(mut failed) => {
                    return match failed.take_message() {
                        Some(request) => Exchanged::Unsent(self, request.map(Outgoing::into_inner)),
                        None => {
                            let error = Error::of(failed.into_error(), connection.origin);
                            Exchanged::Answered(Err(error))
                        }
                    };
                }
            };
            Exchanged::Answered(Ok(match answer.status() {
                StatusCode::SWITCHING_PROTOCOLS => answer.map(Answering::last),
                _ => answer.map(|body| Answering::new(body, self, connection)),
            }))
        }
    }

    async fn connect(&self) -> Result<Connection<B>, Error> {
        let limit = self.0.target.connect_timeout;
        let stream = match time::timeout(limit, dial(&self.0.target)).await {
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
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for Client<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.0.target).finish()
    }
}
