//! The real binary in front of two stacks, and a caller with a kept-alive connection.

use super::{DEADLINE, command::twinread, eventually};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};
use tempfile::TempDir;

/// `twinread run`, stopped when dropped.
pub(crate) struct Sidecar {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: TempDir,
    /// Lines of the log, but the one with the addresses.
    log: Arc<Mutex<Vec<Value>>>,
    /// The header with the token, if there is one.
    authorization: String,
}

/// One keep-alive connection.
pub(crate) struct Caller(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

// === impl Sidecar ===

impl Sidecar {
    /// Starts it with every read sampled, no rechecks, and no limiting budget; `more` is added to the configuration.
    pub(crate) fn start(old: SocketAddr, new: SocketAddr, more: &str) -> Self {
        Self::rechecking(old, new, ("after: []", more))
    }

    /// The same with fields of the section `recheck`.
    pub(crate) fn rechecking(old: SocketAddr, new: SocketAddr, further: (&str, &str)) -> Self {
        Self::launch(twinread(), (old, new), further)
    }

    /// As [`start`](Self::start), in a process with this limit of open files.
    pub(crate) fn with_open_files(
        files: u32,
        (old, new): (SocketAddr, SocketAddr),
        more: &str,
    ) -> Self {
        let mut shell = Command::new("sh");
        let script =
            format!("ulimit -n {files} && ulimit -S -n $(({files} * 3 / 4)) && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_twinread")]);
        Self::launch(shell, (old, new), ("after: []", more))
    }

    /// As [`start`](Self::start), with further flags.
    pub(crate) fn flagged(old: SocketAddr, new: SocketAddr, flags: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        // The flags follow those that every start has.
        let script = format!("exec \"$0\" \"$@\" {}", flags.join(" "));
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_twinread")]);
        Self::launch(shell, (old, new), ("after: []", ""))
    }

    fn launch(
        command: Command,
        (old, new): (SocketAddr, SocketAddr),
        (recheck, more): (&str, &str),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{old}', max_per_second: 1000000}}\n\
             new: {{url: 'http://{new}', max_per_second: 1000000}}\n\
             sample: {{rate: 1.0, max_per_second: 1000000}}\nrecheck: {{{recheck}}}\nlog: {{format: json}}\n{more}"
        );
        let path = folder.path().join("twinread.yaml");
        std::fs::write(&path, config).unwrap();
        Self::run(command, folder)
    }

    /// Starts it with the configuration in the folder.
    pub(crate) fn run(mut command: Command, folder: TempDir) -> Self {
        let path = folder.path().join("twinread.yaml");
        let config = std::fs::read_to_string(&path).unwrap();
        let mut lines = config.lines();
        let token = lines.find_map(|line| line.strip_prefix("admin_token: "));
        let mut child = command
            .arg("run")
            .arg("--config")
            .arg(&path)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut before = Vec::new();
        let (listen, admin) = addresses(&mut log, &mut before);
        let lines = Arc::new(Mutex::new(before));
        let written = lines.clone();
        // Keeps reading, or the process would block on the pipe.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                written.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            listen,
            admin,
            folder,
            log: lines,
            authorization: token.map_or(String::new(), |token| {
                format!("authorization: Bearer {token}\r\n")
            }),
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::connect(self.listen)
    }

    /// A document of the admin API.
    pub(crate) fn ask(&self, path: &str) -> Value {
        let authorization = &self.authorization;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n");
        let answer = Caller::connect(self.admin).send(&request);
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }

    pub(crate) fn patch(&self, patch: &str) -> Answer {
        let length = patch.len();
        let request = format!(
            "PATCH /v1/settings HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{patch}",
            self.admin
        );
        Caller::connect(self.admin).send(&request)
    }

    /// The sum of all series of a metric whose labels contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let text = Caller::connect(self.admin).get("/metrics").body;
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
            })
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// The lines of the log so far with this message.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.log.lock().unwrap();
        let lines = lines.iter().filter(|line| line["message"] == message);
        lines.cloned().collect()
    }

    /// Does something while nobody reads the log.
    pub(crate) fn without_reading_its_log<T>(&self, then: impl FnOnce() -> T) -> T {
        let _held = self.log.lock().unwrap();
        then()
    }

    /// Waits until every sample has its outcome. Returns their number.
    pub(crate) fn quiet(&self, samples: u64) -> u64 {
        eventually("every sample has its outcome", || {
            let sampled = self.metric("twinread_sampled_total", "") as u64;
            let ended = self.metric("twinread_checks_total", "") as u64;
            assert!(ended <= sampled);
            (sampled >= samples && sampled == ended).then_some(sampled)
        })
    }

    /// Waits until this many samples have ended and are evidence, which is when their second is over.
    pub(crate) fn judged(&self, samples: u64) -> u64 {
        let sampled = self.quiet(samples);
        eventually("every check is evidence", || {
            let verdict = self.ask("/v1/verdict");
            let mut routes = verdict["routes"].as_array().unwrap().iter();
            routes.all(|route| route["waiting"] == 0).then_some(())
        });
        sampled
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The number of open files of the process.
    pub(crate) fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.unwrap().count()
    }

    pub(crate) fn process(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.process(), signal).unwrap();
    }

    pub(crate) fn exited(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the line with the addresses. What is logged before goes to `before`.
fn addresses(log: &mut impl BufRead, before: &mut Vec<Value>) -> (SocketAddr, SocketAddr) {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let address = |name: &str| entry[name].as_str()?.parse().ok();
        if let (Some(listen), Some(admin)) = (address("listen"), address("admin")) {
            return (listen, admin);
        }
        before.push(entry);
        line.clear();
    }
    panic!("the sidecar ended before it listened");
}

// === impl Caller ===

impl Caller {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    }

    /// Sends a request and reads the answer, which must have a content-length or be chunked.
    pub(crate) fn send(&mut self, request: &str) -> Answer {
        self.write(request);
        self.read().expect("an answer")
    }

    /// Whether the request was answered completely.
    pub(crate) fn try_send(&mut self, request: &str) -> bool {
        self.0.get_mut().write_all(request.as_bytes()).is_ok() && self.read().is_some()
    }

    pub(crate) fn write(&mut self, request: &str) {
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// `None` if the connection ends before a complete answer.
    pub(crate) fn read(&mut self) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let lower = head.to_ascii_lowercase();
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map(|length| length.parse().unwrap());
        let body = match length {
            _ if status == 204 || status == 304 => Vec::new(),
            Some(length) => self.exactly(length)?,
            None => self.chunks()?,
        };
        Some(Answer { status, head, body })
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some(body)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let mut size = String::new();
            self.0.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            body.extend(self.exactly(size)?);
            let mut end = String::new();
            self.0.read_line(&mut end).ok()?;
            if size == 0 {
                return Some(body);
            }
        }
    }
}
