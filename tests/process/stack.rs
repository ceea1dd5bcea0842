//! A threaded stack: one function from the request's head to the reply.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Listens until the test's process ends.
#[derive(Clone)]
pub struct Stack {
    pub addr: SocketAddr,
    requests: Arc<AtomicUsize>,
}

/// How to reply to a request.
pub enum Reply {
    Write(String),
    /// Closes the connection without a reply.
    Close,
}

// === impl Stack ===

impl Stack {
    pub fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stack = Self {
            addr: listener.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let own = stack.clone();
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (own, answer) = (own.clone(), answer.clone());
                // A broken connection is the caller's problem.
                thread::spawn(move || own.serve(&stream.unwrap(), &*answer));
            }
        });
        stack
    }

    /// Answers every request with this JSON.
    pub fn json(body: &'static str) -> Self {
        Self::start(move |_| json(body))
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn serve(&self, stream: &TcpStream, answer: &dyn Fn(&str) -> Reply) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            match answer(&head) {
                Reply::Write(text) => writer.write_all(text.as_bytes()).ok()?,
                Reply::Close => return None,
            }
        }
    }
}

pub fn json(body: &str) -> Reply {
    Reply::Write(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}
