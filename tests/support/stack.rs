//! Scripted stacks.

use super::Conn;
use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, task::JoinSet};

/// A stack on its own port; ends when dropped.
#[derive(Debug)]
pub(crate) struct Stack {
    addr: SocketAddr,
    seen: Seen,
    _tasks: JoinSet<()>,
}

/// What a stack has received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Stack {
    /// Runs the script on each connection.
    pub(crate) async fn script<F, W>(script: F) -> Self
    where
        F: Fn(Conn, Seen) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, script)
    }

    pub(crate) fn on<F, W>(listener: TcpListener, script: F) -> Self
    where
        F: Fn(Conn, Seen) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let addr = listener.local_addr().unwrap();
        let seen = Seen::default();
        let mut tasks = JoinSet::new();
        let record = seen.clone();
        tasks.spawn(async move {
            let mut scripts = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                record.0.connections.fetch_add(1, Ordering::SeqCst);
                scripts.spawn(script(Conn::new(stream), record.clone()));
            }
        });
        Self {
            addr,
            seen,
            _tasks: tasks,
        }
    }

    /// Sends the same answer to every request.
    pub(crate) async fn answering(answer: impl Into<String>) -> Self {
        let answer = Arc::new(answer.into());
        Self::script(move |mut conn, seen| {
            let answer = answer.clone();
            async move {
                while seen.message(&mut conn).await.is_some() {
                    if !conn.try_send(&*answer).await {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// Reads a request on each connection, sends `bytes` and breaks the connection.
    pub(crate) async fn breaking_after(bytes: &'static str) -> Self {
        Self::script(move |mut conn, seen| async move {
            if seen.message(&mut conn).await.is_some() {
                conn.send(bytes).await;
                conn.reset();
            }
        })
        .await
    }

    /// Reads requests and never answers.
    pub(crate) async fn silent() -> Self {
        Self::script(
            |mut conn, seen| async move { while seen.message(&mut conn).await.is_some() {} },
        )
        .await
    }

    /// An address without a listener.
    pub(crate) async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.0.connections.load(Ordering::SeqCst)
    }

    /// Stores a message for its scripts to find.
    pub(crate) fn note(&self, message: &str) {
        self.seen.note(message);
    }

    /// The received requests, each with its raw body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.0.requests.lock().unwrap().clone()
    }
}

impl Seen {
    /// Reads one request and stores it; `None` if the caller has closed.
    pub(crate) async fn message(&self, conn: &mut Conn) -> Option<String> {
        let head = conn.head().await?;
        let body = conn.body_of(&head).await;
        let message = head + &body;
        self.note(&message);
        Some(message)
    }

    pub(crate) fn has(&self, message: &str) -> bool {
        let requests = self.0.requests.lock().unwrap();
        requests.iter().any(|request| request == message)
    }

    /// Stores a request, or anything else that a test wants to find.
    pub(crate) fn note(&self, message: &str) {
        self.0.requests.lock().unwrap().push(message.to_owned());
    }
}
