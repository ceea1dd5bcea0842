//! Reloads, and the hand-over from one process to the next on the same sockets, under load. No request may fail.

use crate::{
    ONE,
    support::{
        Caller, DEADLINE, Sidecar, Stack, eventually,
        http2::{Http2Caller, whole},
    },
};
use http::Request;
use rustix::process::Signal;
use std::{
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// What outlives every process, as a service manager has it: two sockets, the stacks and the store.
struct Site {
    listen: TcpListener,
    admin: TcpListener,
    old: Stack,
    new: Stack,
    store: TempDir,
}

/// Callers that send nothing twice but what HTTP/2 says was not processed.
struct Load {
    seen: Arc<Seen>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    is_over: AtomicBool,
    answers: AtomicU64,
    /// The longest that a caller waited for an answer since the last look.
    longest: Mutex<Duration>,
}

// === impl Site ===

impl Site {
    fn new() -> Self {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            listen: bind(),
            admin: bind(),
            old: Stack::json(ONE),
            new: Stack::json(ONE),
            store: tempfile::tempdir().unwrap(),
        }
    }

    /// The next process and its folder. Not started yet.
    fn next(&self) -> (Command, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "old: {{url: 'http://{}'}}\nnew: {{url: 'http://{}'}}\nsample: {{rate: 0.5}}\n\
             log: {{format: json}}\nstore: {{path: {}}}\n",
            self.old.addr,
            self.new.addr,
            self.store.path().join("evidence.db").display(),
        );
        std::fs::write(folder.path().join("twinread.yaml"), config).unwrap();
        // The shell passes the sockets on under the numbers that systemd uses.
        let script = "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=listen:admin; \
                      exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >&2";
        let mut shell = Command::new("sh");
        let [listen, admin] =
            [&self.listen, &self.admin].map(|socket| OwnedFd::from(socket.try_clone().unwrap()));
        shell
            .args(["-c", script, env!("CARGO_BIN_EXE_twinread")])
            .stdin(listen)
            .stdout(admin);
        (shell, folder)
    }

    fn start(&self) -> Sidecar {
        let (command, folder) = self.next();
        Sidecar::run(command, folder)
    }
}

// === impl Load ===

impl Load {
    fn start(addr: SocketAddr) -> Self {
        let seen = Arc::<Seen>::default();
        let kept = move |seen: &Seen| {
            let mut caller = Caller::connect(addr);
            while let Some(request) = seen.next("keep-alive") {
                let began = Instant::now();
                let answer = caller.send(&request);
                assert_eq!((answer.status, answer.body), (200, ONE.into()));
                seen.answered(began);
                if answer
                    .head
                    .to_ascii_lowercase()
                    .contains("connection: close")
                {
                    caller = Caller::connect(addr);
                }
            }
        };
        let single = move |seen: &Seen| {
            while let Some(request) = seen.next("close") {
                let began = Instant::now();
                assert_eq!(Caller::connect(addr).send(&request).status, 200);
                seen.answered(began);
            }
        };
        let http2 = move |seen: &Seen| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime
                .enable_all()
                .build()
                .unwrap()
                .block_on(seen.ask_by_http2(addr));
        };
        let spawn = |task: Box<dyn FnOnce(&Seen) + Send>| {
            let seen = seen.clone();
            thread::spawn(move || task(&seen))
        };
        let callers = vec![
            spawn(Box::new(kept)),
            spawn(Box::new(kept)),
            spawn(Box::new(single)),
            spawn(Box::new(single)),
            spawn(Box::new(http2)),
        ];
        Self { seen, callers }
    }

    /// Waits for further answers, and says how long callers waited for one at most.
    fn go_on(&self, phase: &str) {
        let before = self.seen.answers.load(Ordering::SeqCst);
        eventually("further answers", || {
            let failed = self.callers.iter().any(JoinHandle::is_finished);
            assert!(!failed, "a request failed: {phase}");
            (self.seen.answers.load(Ordering::SeqCst) > before + 200).then_some(())
        });
        let longest = std::mem::take(&mut *self.seen.longest.lock().unwrap());
        // Not captured by the test harness: the figure is for whoever reads the output.
        let mut out = std::io::stderr();
        writeln!(out, "{phase}: callers waited {longest:?} at most").unwrap();
    }

    fn end(self) -> u64 {
        self.seen.is_over.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.join().unwrap();
        }
        self.seen.answers.load(Ordering::SeqCst)
    }
}

// === impl Seen ===

impl Seen {
    /// By turns a read, and a request that may not be sent twice.
    fn next(&self, connection: &str) -> Option<String> {
        let rest = format!("host: a\r\nconnection: {connection}\r\n");
        (!self.is_over.load(Ordering::SeqCst)).then(|| {
            if self.answers.load(Ordering::SeqCst).is_multiple_of(2) {
                format!("GET /items/17 HTTP/1.1\r\n{rest}\r\n")
            } else {
                format!("POST /items HTTP/1.1\r\n{rest}content-length: 2\r\n\r\n{{}}")
            }
        })
    }

    fn answered(&self, began: Instant) {
        self.answers.fetch_add(1, Ordering::SeqCst);
        let mut longest = self.longest.lock().unwrap();
        *longest = longest.max(began.elapsed());
    }

    async fn ask_by_http2(&self, addr: SocketAddr) {
        let mut caller = Http2Caller::open(addr).await;
        while !self.is_over.load(Ordering::SeqCst) {
            let began = Instant::now();
            loop {
                let asked = caller.ask(Request::get("http://a/items/17")).await;
                match asked {
                    Ok(answer) => {
                        assert_eq!(answer.status(), 200);
                        // A body that is not read is reset, and the library counts those.
                        break drop(whole(&mut answer.into_body()).await.unwrap());
                    }
                    // Not processed: the connection is to be left.
                    Err(error) if error.is_go_away() && error.is_remote() => {
                        caller = Http2Caller::open(addr).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            self.answered(began);
        }
    }
}

/// Every live request that the store has, of all processes.
fn live(sidecar: &Sidecar) -> u64 {
    let verdict = sidecar.ask("/v1/verdict");
    let routes = verdict["routes"].as_array().unwrap().iter();
    routes.filter_map(|route| route["live"].as_u64()).sum()
}

#[test]
fn no_request_fails_over_reloads_and_handovers() {
    let site = Site::new();
    let mut first = site.start();
    assert_eq!(first.listen, site.listen.local_addr().unwrap());
    let load = Load::start(first.listen);
    load.go_on("before anything");

    let path = first.folder.path().join("twinread.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    for reload in 1..=4 {
        std::fs::write(
            &path,
            format!("{config}forwarded: {}\n", ["keep", "append"][reload % 2]),
        )
        .unwrap();
        first.signal(Signal::HUP);
        eventually("it is reloaded", || {
            let reloads = first.logged("the configuration was reloaded").len();
            (reloads >= reload).then_some(())
        });
        load.go_on("reload");
    }

    first.signal(Signal::TERM);
    assert!(first.exited().success());
    let mut second = site.start();
    load.go_on("the next process starts after the end");

    let (command, folder) = site.next();
    let third = thread::spawn(move || Sidecar::run(command, folder));
    second.signal(Signal::TERM);
    assert!(second.exited().success());
    let third = third.join().unwrap();
    load.go_on("both at once");

    let answers = load.end();
    assert_eq!(third.metric("twinread_live_failures_total", ""), 0.0);
    eventually("each is counted once", || {
        (live(&third) == answers).then_some(())
    });
    assert!(
        first
            .logged("live requests were cut at the end of the grace period")
            .is_empty()
    );
    assert!(
        second
            .logged("live requests were cut at the end of the grace period")
            .is_empty()
    );
}

#[test]
fn a_socket_of_another_name_is_refused() {
    let site = Site::new();
    let (_, folder) = site.next();
    let script =
        "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web.socket; exec \"$0\" \"$@\" 3<&0";
    let output = Command::new("sh")
        .args([
            "-c",
            script,
            env!("CARGO_BIN_EXE_twinread"),
            "run",
            "--config",
        ])
        .arg(folder.path().join("twinread.yaml"))
        .stdin(OwnedFd::from(site.listen.try_clone().unwrap()))
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{shown}");
    let expected =
        "the socket `web.socket` cannot be used: its name is neither `listen` nor `admin`";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn callers_during_the_end_are_served_and_then_leave() {
    let (old, new) = (Stack::json(ONE), Stack::json(ONE));
    let mut sidecar = Sidecar::start(old.addr, new.addr, "drain: {grace: 10m}\n");
    let (mut idle, mut other) = (sidecar.caller(), sidecar.caller());
    idle.get("/items/1");
    other.get("/items/2");
    sidecar.signal(Signal::TERM);
    eventually("it is not ready", || {
        (Caller::connect(sidecar.admin).get("/readyz").status == 503).then_some(())
    });
    let closes = |answer: crate::support::Answer| {
        assert_eq!(answer.status, 200);
        answer
            .head
            .to_ascii_lowercase()
            .contains("connection: close")
    };
    eventually("an answer says that it is the last", || {
        closes(idle.get("/items/1")).then_some(())
    });
    assert!(
        closes(sidecar.caller().get("/items/3")),
        "and whoever comes"
    );
    assert!(sidecar.is_running(), "another one may send its request");
    assert!(closes(other.get("/items/2")));
    let began = Instant::now();
    assert!(sidecar.exited().success());
    assert!(
        began.elapsed() < DEADLINE / 2,
        "nothing is left to wait for"
    );
}
