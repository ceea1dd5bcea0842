//! An admin API on its own port, with an `AdminState` that replaces the rest of the process.

use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fmt, future,
    net::SocketAddr,
    sync::{Arc, Barrier, Mutex},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time,
};
use twinread::{
    admin::{
        self, AdminState, Advisor, Ask, ClassQuery, ClassRecheck, Found, History, JournalPage,
        Keeper, Mismatches, NotRechecked, Order, Preview, Query, QueryError, Readiness, Rechecked,
        Rechecker, Rechecking, Rules, Stored, Suggestion, Suggestions, Unreadable,
    },
    drain,
    ledger::{Gauges, Ledger},
    outcome::{Outcome, Via},
    settings::{self, By, Change, Edit, Editor, Refused, Setting, Settings, Source},
    spanned_yaml::{ConfigError, ConfigErrors},
    verdict::{self, Activity, Evidence, Limits},
};

/// Settings with one number, `sample.rate`, from 0 to 1.
#[derive(Debug)]
struct OneSetting {
    settings: Mutex<Settings>,
    changes: Noting<Change>,
}

/// Numbered from 0.
#[derive(Clone, Debug)]
struct Noting<T>(Arc<Mutex<Vec<T>>>);

#[derive(Debug)]
struct OneMismatch;

#[derive(Debug)]
struct OneRecheck;

/// A full disk.
#[derive(Debug)]
struct OneDisk;

#[derive(Debug)]
struct OneSuggestion(Arc<Barrier>);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) gauges: Gauges,
    pub(crate) ledger: Ledger,
    pub(crate) readiness: Arc<Mutex<Readiness>>,
    /// A preview of `slow` waits on it twice: when it begins, and when it may end.
    pub(crate) busy: Arc<Barrier>,
    pub(crate) signal: drain::Signal,
    pub(crate) task: JoinHandle<()>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

// === impl OneSetting ===

impl Edit for OneSetting {
    fn settings(&self) -> Settings {
        self.settings.lock().unwrap().clone()
    }

    fn patch(
        &self,
        patch: &Value,
        if_match: Option<u64>,
        caller: SocketAddr,
    ) -> Result<Settings, Refused> {
        assert!(caller.ip().is_loopback());
        let mut settings = self.settings.lock().unwrap();
        if if_match.is_some_and(|revision| revision != settings.revision) {
            return Err(Refused::Stale(settings.revision));
        }
        let rate = &patch["sample"]["rate"];
        if !rate.as_f64().is_some_and(|rate| rate <= 1.0) {
            let mut faults =
                ConfigErrors::from(ConfigError::bare("sample.rate: expected a number"));
            faults.push(ConfigError::bare("and another fault"));
            return Err(Refused::Invalid(faults));
        }
        settings.revision += 1;
        let setting = Setting {
            value: rate.clone(),
            source: Source::Api,
        };
        let before = settings.settings.clone();
        settings.settings.insert("sample.rate".to_owned(), setting);
        let at = (settings.revision, Timestamp::UNIX_EPOCH);
        let values = (&before, &settings.settings);
        let changes = settings::changes(values, at, By::Api(caller));
        self.changes.0.lock().unwrap().extend(changes);
        Ok(settings.clone())
    }
}

// === impl Noting ===

impl<T> Default for Noting<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + fmt::Debug + Send + 'static> History<T> for Noting<T> {
    fn page(&self, limit: usize, cursor: Option<u64>) -> Result<JournalPage<T>, Unreadable> {
        let changes = self.0.lock().unwrap();
        let end = cursor.map_or(changes.len(), |cursor| cursor as usize);
        let begin = end.saturating_sub(limit);
        Ok(JournalPage {
            entries: changes[begin..end].iter().rev().cloned().collect(),
            next: (begin > 0).then_some(begin as u64),
            unreadable: 0,
        })
    }
}

// === impl OneDisk ===

impl Keeper for OneDisk {
    fn keep(&self) -> Stored {
        Stored::No
    }
}

// === impl OneMismatch ===

impl Mismatches for OneMismatch {
    fn classes(&self, query: &ClassQuery) -> Result<Value, QueryError> {
        if query.cursor.is_some() {
            return Err(QueryError::Store("disk I/O error".into()));
        }
        let is_recent = query.order == Order::Recent;
        Ok(
            json!({"limit": query.limit, "recent": is_recent, "classes": [{
                "id": "c1", "route": "get-user", "place": "$.items[*].price", "kind": "value",
                "count": 3, "last_seen": "2026-11-22T10:00:00Z",
            }]}),
        )
    }

    fn class(&self, id: &str) -> Result<Option<Value>, QueryError> {
        Ok((id == "c1").then(|| json!({"id": "c1"})))
    }

    fn mismatches(&self, query: &Query) -> Result<Value, QueryError> {
        match query.cursor.as_deref() {
            None => Ok(json!({"route": query.route, "limit": query.limit})),
            Some(_) => Err(QueryError::Cursor),
        }
    }

    fn mismatch(&self, id: &str) -> Result<Option<Value>, QueryError> {
        Ok((id == "m 1").then(|| json!({"id": id})))
    }
}

// === impl OneSuggestion ===

impl Advisor for OneSuggestion {
    fn suggestions(&self) -> Result<Suggestions, QueryError> {
        let suggestion = Suggestion {
            rule: json!({"id": "served-at-time"}),
            yaml: "- id: \"served-at-time\"\n".to_owned(),
            classes: vec!["c1".to_owned()],
            masks: 3,
            explains: 4,
            of: 5,
            not_tried: 0,
            not_explained: vec!["m 1".to_owned()],
        };
        Ok(Suggestions {
            suggestions: vec![suggestion],
            masked_together: 3,
            unexplained: vec!["c2".to_owned()],
            not_tried: Vec::new(),
            differences_not_tried: 0,
            mismatches: 9,
            looked_at: 9,
            newest_per_class: 50,
            classes: 3,
            classes_looked_at: 2,
        })
    }

    fn preview(&self, file: &str) -> Result<Preview, QueryError> {
        match file {
            "slow" => {
                self.0.wait();
                self.0.wait();
                Ok(Preview::default())
            }
            "rules: []" => Ok(Preview {
                mismatches: 9,
                ..Preview::default()
            }),
            _ => {
                let faults = ConfigErrors::from(ConfigError::bare("rules:1:1: what is this?"));
                Err(QueryError::Rules(faults))
            }
        }
    }
}

// === impl OneRecheck ===

impl Rechecker for OneRecheck {
    fn recheck(&self, class: &str, limit: usize) -> Rechecking {
        let (still_there, vanished, not_judged) = match class {
            "left" => (1, 2, 1),
            "gone" => (0, 3, 0),
            "masked" => (0, 0, 1),
            "busy" => return Box::pin(async { Err(NotRechecked::Busy) }),
            "ending" => return Box::pin(async { Err(NotRechecked::Ending) }),
            "slow" => return Box::pin(future::pending()),
            _ => return Box::pin(async { Err(NotRechecked::UnknownClass) }),
        };
        let example = Rechecked {
            id: "m1".to_owned(),
            method: "GET".to_owned(),
            path: format!("/{limit}"),
            found: Found::StillThere,
            detail: None,
            old_status: Some(200),
            new_status: Some(200),
        };
        let document = ClassRecheck {
            class: class.to_owned(),
            route: "get-user".into(),
            place: "$.price".to_owned(),
            kind: "value".to_owned(),
            still_there,
            vanished,
            not_judged,
            not_read: 0,
            examples: vec![example],
        };
        Box::pin(async { Ok(document) })
    }
}

// === impl Running ===

impl Running {
    pub(crate) async fn start(token: Option<&str>) -> Self {
        let gauges = Gauges::default();
        let ledger = Ledger::new(500, gauges.clone());
        let readiness = Arc::<Mutex<Readiness>>::default();
        let config = admin::Config {
            listen: ([127, 0, 0, 1], 0).into(),
            token: token.map(str::to_owned),
            ..admin::Config::default()
        };
        let busy = Arc::new(Barrier::new(2));
        let handles = AdminState {
            advisor: Arc::new(OneSuggestion(busy.clone())),
            gauges: gauges.clone(),
            ..handles(&ledger, &readiness)
        };
        let bound = admin::bind(config, handles).await.unwrap();
        let addr = bound.addr();
        let (signal, watch) = drain::channel();
        Self {
            addr,
            gauges,
            ledger,
            readiness,
            busy,
            signal,
            task: tokio::spawn(bound.run(watch)),
        }
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

pub(crate) fn handles(ledger: &Ledger, readiness: &Arc<Mutex<Readiness>>) -> AdminState {
    let (judged, told) = (ledger.clone(), readiness.clone());
    let changes = Noting::<Change>::default();
    let settings = Settings {
        revision: 7,
        settings: BTreeMap::new(),
    };
    AdminState {
        ledger: ledger.clone(),
        gauges: Gauges::default(),
        editor: Editor(Arc::new(OneSetting {
            settings: Mutex::new(settings),
            changes: changes.clone(),
        })),
        changes: Arc::new(changes),
        verdicts: Arc::new(Noting::default()),
        mismatches: Arc::new(OneMismatch),
        advisor: Arc::new(OneSuggestion(Arc::new(Barrier::new(2)))),
        rechecker: Arc::new(OneRecheck),
        keeper: Arc::new(OneDisk),
        verdict: Ask::new(move || {
            let evidence = Evidence {
                tallies: judged.tallies(),
                required: Vec::new(),
                expired_rules: Vec::new(),
                activity: Activity::Sampling,
                is_by_key: false,
                is_same_stack: false,
            };
            verdict::judge(&evidence, &Limits::default(), judged.now())
        }),
        rules: Ask::new(|| Rules { rules: Vec::new() }),
        metrics: Ask::new(|| "twinread_up 1\n".to_owned()),
        readiness: Ask::new(move || told.lock().unwrap().clone()),
        schemas: Arc::default(),
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
