//! An admin API on its own port: real figures, settings and store, without a live path.

use crate::support::{Script, Stack, client, healths, target};
use serde_json::Value;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::Semaphore,
    task::JoinHandle,
    time,
};
use twinread::testing::{
    admin::{
        self, AdminState,
        service::{
            evidence::GivenEvidence, history, readiness::Readiness, recheck::Rechecks,
            verdict::VerdictSource,
        },
    },
    budget::Budget,
    config::{self, Config, Origin, Running as Configuration},
    drain,
    export::{Metrics, Sources},
    ledger::{Gauges, Ledger, RuleCounts, Signal, Timings},
    live::LiveSettings,
    pipeline::{
        self, Pairs, Rechecked, Report, ReportedDifference, ReportedRequest, Reports, RuleEvidence,
        Writes, report::ReportedAnswer,
    },
    redact::{self, HashKey, Redactor},
    settings::{self, Publisher},
    shadow,
    store::{self, Database, Store},
    trace_context::TraceContext,
};
use twinread::{
    compare,
    outcome::{Mark, Outcome, Via},
    stack,
    value::Kind,
};

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) state: AdminState,
    pub(crate) ledger: Ledger,
    pub(crate) signal: drain::Signal,
    pub(crate) task: JoinHandle<()>,
    pub(crate) parts: Parts,
}

/// What the state refers to, but does not own.
pub(crate) struct Parts {
    reports: Reports,
    _worker: shadow::Worker,
    _live: Publisher<LiveSettings>,
    _redactor: Publisher<Redactor>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// A mismatch to store, of `GET path`.
pub(crate) struct Mismatched<'t> {
    pub(crate) route: &'t str,
    pub(crate) path: &'t str,
    /// The id of its class.
    pub(crate) class: &'t str,
    /// Parts of the request that redaction changed.
    pub(crate) masked: &'t [&'t str],
}

/// While it lives, no query of the store is answered.
pub(crate) struct Hold {
    _until: mpsc::Sender<()>,
}

const CONFIG: &str = "{old: {url: http://127.0.0.1:1}, new: {url: http://127.0.0.1:2}}";

/// A class of which one mismatch of three remains, and another cannot be judged.
pub(crate) const LEFT: &str = "00000000000000a1";

/// A class of which none remains.
pub(crate) const GONE: &str = "00000000000000a2";

/// A class that cannot be judged.
pub(crate) const MASKED: &str = "00000000000000a3";

/// The revision of the settings at the start.
const REVISION: u64 = 7;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

// === impl Running ===

impl Running {
    pub(crate) async fn start(token: Option<&str>) -> Self {
        let (state, parts) = state().await;
        Self::serve(token, state, parts).await
    }

    /// Starts it as it is while the process ends: the threads that would read the stacks are gone.
    pub(crate) async fn start_ending(token: Option<&str>) -> Self {
        let (mut state, parts) = state().await;
        let gone = runtime::Builder::new_current_thread().build().unwrap();
        let handle = gone.handle().clone();
        gone.shutdown_background();
        let rechecks = Arc::get_mut(&mut state.rechecks).unwrap();
        rechecks.shadow = handle;
        Self::serve(token, state, parts).await
    }

    async fn serve(token: Option<&str>, state: AdminState, parts: Parts) -> Self {
        let config = admin::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            inherited: None,
            token: token.map(str::to_owned),
            connections: 128,
        };
        let bound = admin::bind(config, state.clone()).unwrap();
        let addr = bound.address().tcp().unwrap();
        let readiness = state.readiness.clone();
        // The backlog of its own listener takes the connection.
        readiness
            .reach(
                || stack::Stack::Old,
                [addr; 2].map(|addr| Arc::new(target(addr))),
            )
            .await;
        let (signal, watch) = drain::channel();
        Self {
            addr,
            ledger: state.ledger.clone(),
            state,
            signal,
            task: tokio::spawn(bound.run(watch)),
            parts,
        }
    }

    /// Stores mismatches in this order, and waits until they are.
    pub(crate) fn store(&self, mismatches: &[Mismatched<'_>]) {
        for (number, mismatch) in (1..).zip(mismatches) {
            self.parts.reports.send(Report {
                epoch: self.ledger.epoch(),
                ..mismatch.report(number)
            });
        }
        let deadline = Instant::now() + PATIENCE;
        while self.state.gauges.store_waiting.get() > 0 {
            assert!(Instant::now() < deadline);
            self.state.database.settle(Duration::from_secs(1));
        }
    }

    /// Stores mismatches of three classes: [`LEFT`], [`GONE`] and [`MASKED`].
    pub(crate) fn store_rechecked(&self) {
        let mismatched = |class, path, masked| Mismatched {
            route: "get-price",
            path,
            class,
            masked,
        };
        self.store(&[
            mismatched(LEFT, "/same/1", &["query"][..]),
            mismatched(LEFT, "/same/2", &[]),
            mismatched(LEFT, "/same/3", &[]),
            mismatched(LEFT, "/differs/4", &[]),
            mismatched(GONE, "/same/5", &[]),
            mismatched(GONE, "/same/6", &[]),
            mismatched(GONE, "/same/7", &[]),
            mismatched(MASKED, "/same/8", &["query"]),
        ]);
    }

    pub(crate) fn hold_store(&self) -> Hold {
        let (held, is_held) = mpsc::channel();
        let (_until, until) = mpsc::channel();
        let database = self.state.database.clone();
        thread::spawn(move || {
            database.read(|_| {
                held.send(()).unwrap();
                let _ = until.recv();
                Ok(())
            })
        });
        is_held.recv().unwrap();
        Hold { _until }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], "").await
    }

    pub(crate) async fn patch(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/merge-patch+json"));
        self.call("PATCH", "/v1/settings", &headers, body).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            request += &format!("host: {}\r\n", self.addr);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        self.send(request.as_bytes()).await
    }

    async fn send(&self, request: &[u8]) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            // If the request is rejected early, a large body cannot be written completely.
            let _ = stream.write_all(request).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            Answer::read(&answer)
        };
        time::timeout(Duration::from_secs(20), exchange)
            .await
            .unwrap()
    }
}

/// A state without live path, and with two stacks that differ in `/differs`.
pub(crate) async fn state() -> (AdminState, Parts) {
    let gauges = Gauges::default();
    let ledger = Ledger::new(500, gauges.clone());
    let database = Database::open(None, gauges.clone()).unwrap();
    let store = Store::new(database.clone(), store::Config::default(), gauges.clone());
    let mut reports = Reports::new(gauges.clone());
    let reported = reports.listen(Signal::Store, 1_000);
    tokio::spawn(store.clone().run(reported));

    let (config, running) = configuration(&database, &gauges);
    let rule_counts = RuleCounts::default();
    let verdict = VerdictSource {
        ledger: ledger.clone(),
        gauges: gauges.clone(),
        config: config.clone(),
        rule_counts: rule_counts.clone(),
        evidence: GivenEvidence::open(&database),
        shown: Arc::default(),
    };
    let resource = config.get().settings.telemetry.resource("test", &|_| None);
    let metrics = Metrics::new(resource, 10);
    metrics.observe(&Sources {
        ledger: ledger.clone(),
        gauges: gauges.clone(),
        budget: Budget::new(1 << 20),
        figures: Arc::new(verdict.clone()),
    });
    let (rechecks, parts) = rechecks(&store, &ledger, (gauges.clone(), reports.clone())).await;
    let stacks = healths(&config.get().old, &config.get().new);
    let state = AdminState {
        readiness: Readiness::new(gauges.clone(), database.clone(), stacks, None),
        ledger,
        gauges,
        running,
        database,
        store,
        verdict,
        rechecks: Arc::new(rechecks),
        metrics,
        recorder: reports.recorder(),
    };
    (state, parts)
}

fn configuration(
    database: &Database,
    gauges: &Gauges,
) -> (settings::Current<Config>, Arc<Configuration>) {
    let origin = Origin::written("test", CONFIG);
    let loaded = config::load(&origin).unwrap();
    let (publisher, current) = settings::channel(Config::clone(&loaded.config));
    let publish = move |config: &Config| publisher.publish(config.clone());
    let changes = history::of_settings(database);
    let running = Configuration::new(origin, loaded, gauges.clone(), publish)
        .resume(REVISION, |_, _| ())
        .on_change(move |new| history::record(&changes, &new));
    (current, Arc::new(running))
}

async fn rechecks(
    store: &Store,
    ledger: &Ledger,
    (gauges, reports): (Gauges, Reports),
) -> (Rechecks, Parts) {
    let (old, new) = (stack(1), stack(2));
    let (_live, live) = settings::channel(LiveSettings::default());
    let redactor = Redactor::new(redact::Config::default(), HashKey([7; 16]));
    let (_redactor, redactor) = settings::channel(redactor);
    // Only samples would need the sending ends.
    let (_, feed) = pipeline::queue::channel(1, gauges.clone());
    let (_, settings) = settings::channel(shadow::Settings::default());
    let worker = shadow::Worker::new(shadow::Parts {
        feed,
        old: client("old", old),
        new: client("new", new),
        control: None,
        handles: shadow::Handles {
            settings,
            compare: compare::compare_within,
            ledger: ledger.clone(),
            gauges: gauges.clone(),
            timings: Timings::default(),
            rule_counts: RuleCounts::default(),
            pairs: Pairs::default(),
            reports: reports.clone(),
            writes: Writes::new(PATIENCE, gauges),
            redactor: redactor.clone(),
            taken: || (),
        },
    });
    let rechecks = Rechecks {
        store: store.clone(),
        rereader: worker.rereader(),
        shadow: runtime::Handle::current(),
        live,
        redactor,
        ledger: ledger.clone(),
        budget: Budget::new(1 << 20),
        supplied: Vec::new(),
        turn: Arc::new(Semaphore::new(1)),
    };
    let parts = Parts {
        reports,
        _worker: worker,
        _live,
        _redactor,
    };
    (rechecks, parts)
}

/// Answers `{"price": 1}`, and below `/differs` the given price.
/// Answers with this price below `/differs`, and with 1 elsewhere.
fn stack(price: u32) -> SocketAddr {
    let body = move |request: &str| {
        let differs = request.starts_with("GET /differs");
        format!("{{\"price\": {}}}", if differs { price } else { 1 })
    };
    Stack::replying(Script::bodies(body)).addr
}

// === impl Mismatched ===

impl Mismatched<'_> {
    /// The differing price of a class, which the first probe would explain.
    fn report(&self, number: u64) -> Report {
        let answer = ReportedAnswer {
            status: 200,
            duration_ms: 1.0,
            headers: Vec::new(),
            body: None,
            trailers: Vec::new(),
            masked: Vec::new(),
        };
        let difference = ReportedDifference {
            place: "$.price".to_owned(),
            kind: Kind::Value,
            class: self.class.to_owned(),
            class_place: "$.price".to_owned(),
            old: Some("number".to_owned()),
            new: Some("number".to_owned()),
            basis: RuleEvidence {
                hints: serde_json::from_str(r#"{"probes": 1, "rules": [], "prints": null}"#)
                    .unwrap(),
                ..RuleEvidence::default()
            },
        };
        let ended = SystemTime::now() - Duration::from_secs(1_000) + Duration::from_secs(number);
        Report {
            outcome: Outcome::Mismatch(Mark::Plain),
            route: self.route.into(),
            template: None,
            epoch: "e1".into(),
            request: ReportedRequest {
                method: "GET".to_owned(),
                path: self.path.to_owned(),
                masked: self.masked.iter().map(|part| (*part).to_owned()).collect(),
                ..ReportedRequest::default()
            },
            span: TraceContext {
                trace_id: 1,
                span_id: number,
                flags: 1,
                state: String::new(),
            },
            live: None,
            sent: Vec::new(),
            started: ended,
            ended,
            old: Some(answer.clone()),
            new: Some(answer),
            differences: vec![difference],
            count: 1,
            rechecked: Rechecked::default(),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn read(answer: &[u8]) -> Self {
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            headers: lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].is_string(), "{problem}");
        }
    }
}

pub(crate) fn check_clean(ledger: &Ledger, count: usize) {
    let route = ledger.route("get-user");
    for _ in 0..count {
        route.count_live_read();
        route.sample().finish(Outcome::Match(Via::Exact));
    }
    close(ledger);
}

/// Waits until every ended check is evidence, which is when its second is over.
pub(crate) fn close(ledger: &Ledger) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let waiting = || {
        ledger.close_seconds();
        let routes = ledger.tallies().routes;
        routes.iter().map(|figures| figures.waiting).sum::<u64>()
    };
    while waiting() > 0 {
        assert!(Instant::now() < deadline, "no check becomes evidence");
        thread::sleep(Duration::from_millis(10));
    }
}
