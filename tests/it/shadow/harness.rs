//! A worker with its queue and figures, wired as in the app, and samples to offer to it.

use crate::support::{Stack, client, until};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinHandle, time};
use twinread::testing::{
    budget::Budget,
    drain,
    ledger::{Draw, Gauges, Ledger, Route, RuleCounts, Signal, Timings},
    pipeline::{
        self, CapturedAnswer, CapturedRead, CompactAnswer, CompactHead, CompactRequest, Pairs,
        Queue, ReadMeta, Reports, Sent, Writes,
    },
    redact::{self, HashKey, Redactor},
    settings::{self, Publisher},
    shadow::{Compare, Handles, Parts, Settings, Worker},
};
use twinread::{
    compare::{
        Answer, Bijections, BodyCopy, CompareConfig, Compared, Comparison, Context, RuleUse,
    },
    outcome::{Outcome, Reason, Via},
    stack,
    value::{Difference, Kind, Place},
};

/// A running shadow with two stacks.
#[derive(Debug)]
pub(crate) struct Shadow {
    pub(crate) queue: Queue,
    pub(crate) ledger: Ledger,
    pub(crate) gauges: Gauges,
    pub(crate) writes: Writes,
    pub(crate) budget: Budget,
    pub(crate) settings: Publisher<Settings>,
    pub(crate) reports: mpsc::Receiver<Sent>,
    /// What offered samples are compared under.
    pub(crate) comparing: Arc<CompareConfig>,
    drain: drain::Signal,
    worker: JoinHandle<()>,
    _redactor: Publisher<Redactor>,
}

/// A sampled read, as the live side would offer it.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) primary: stack::Stack,
    pub(crate) method: Method,
    pub(crate) uri: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) answer: &'static str,
    /// How much of it was kept.
    pub(crate) copy: fn(&'static str) -> BodyCopy,
    /// In addition to the content type.
    pub(crate) answer_headers: Vec<(&'static str, &'static str)>,
    pub(crate) trailers: Vec<(&'static str, &'static str)>,
}

/// A client of one stack.
type ReadClient = twinread::testing::http_client::Client<Full<Bytes>>;

/// Long enough for anything that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);

// === impl Shadow ===

thread_local! {
    /// Whether the worker panics at the next sample.
    pub(crate) static PANICS: Cell<bool> = const { Cell::new(false) };
}

impl Shadow {
    pub(crate) async fn start(old: &Stack, new: &Stack, settings: Settings) -> Self {
        Self::comparing(old, new, settings, bytes_alone).await
    }

    pub(crate) async fn comparing(
        old: &Stack,
        new: &Stack,
        settings: Settings,
        compare: Compare,
    ) -> Self {
        Self::with_control((old, new, None), settings, compare).await
    }

    pub(crate) async fn with_control(
        (old, new, control): (&Stack, &Stack, Option<&Stack>),
        settings: Settings,
        compare: Compare,
    ) -> Self {
        let control = control.map(|control| client("control", control.addr));
        let [old, new] = [client("old", old.addr), client("new", new.addr)];
        Self::of((old, new, control), settings, compare)
    }

    pub(crate) fn of(
        (old, new, control): (ReadClient, ReadClient, Option<ReadClient>),
        settings: Settings,
        compare: Compare,
    ) -> Self {
        let gauges = Gauges::default();
        let ledger = Ledger::new(10, gauges.clone());
        let (queue, feed) = pipeline::queue::channel(1_000, gauges.clone());
        // Longer than a test takes, whatever its delays are.
        let writes = Writes::new(Duration::from_secs(600), gauges.clone());
        let (publisher, current) = settings::channel(settings);
        let redactor = Redactor::new(redact::Config::default(), HashKey([7; 16]));
        let (_redactor, redactor) = settings::channel(redactor);
        let (signal, watch) = drain::channel();
        let mut reports = Reports::new(gauges.clone());
        let reported = reports.listen(Signal::Traces, 100);
        let worker = Worker::new(Parts {
            feed,
            old,
            new,
            control,
            handles: Handles {
                settings: current,
                compare,
                ledger: ledger.clone(),
                gauges: gauges.clone(),
                timings: Timings::default(),
                rule_counts: RuleCounts::default(),
                pairs: Pairs::default(),
                reports,
                writes: writes.clone(),
                redactor,
                taken: || assert!(!PANICS.take(), "as the test wants"),
            },
        });
        Self {
            queue,
            ledger,
            gauges,
            writes,
            budget: Budget::new(64 << 20),
            settings: publisher,
            reports: reported,
            comparing: Arc::default(),
            drain: signal,
            worker: tokio::spawn(worker.run(watch)),
            _redactor,
        }
    }

    pub(crate) fn route(&self) -> Route {
        self.ledger.route("GET /x")
    }

    pub(crate) fn offer(&self, read: &Read) {
        let mut held = self.budget.share();
        if let BodyCopy::Whole(body) = (read.copy)(read.answer) {
            assert!(held.grow(body.len()));
        }
        self.queue.offer(Box::new(CapturedRead {
            meta: ReadMeta {
                ticket: self.route().sample_by(Draw {
                    primary: read.primary,
                    ..Draw::default()
                }),
                routes: Arc::default(),
                comparing: self.comparing.clone(),
                held,
                observer: None,
            },
            request: read.request(),
            answer: Some(CapturedAnswer {
                answer: read.answer(),
                took: Duration::from_millis(1),
            }),
            offered: Instant::now(),
        }));
    }

    /// Offers the request alone, as a mirrored copy of it.
    pub(crate) fn offer_copy(&self, read: &Read) {
        self.queue.offer(Box::new(CapturedRead {
            meta: ReadMeta {
                ticket: self.route().sample(),
                routes: Arc::default(),
                comparing: self.comparing.clone(),
                held: self.budget.share(),
                observer: None,
            },
            request: read.request(),
            answer: None,
            offered: Instant::now(),
        }));
    }

    pub(crate) fn count(&self, outcome: Outcome) -> u64 {
        self.route().outcomes(outcome)
    }

    pub(crate) fn ended(&self) -> u64 {
        let outcomes = Outcome::ALL.into_iter();
        outcomes.map(|outcome| self.count(outcome)).sum()
    }

    /// Every outcome that occurred, with its count.
    pub(crate) fn outcomes(&self) -> Vec<(Outcome, u64)> {
        let counts = Outcome::ALL.map(|outcome| (outcome, self.count(outcome)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Waits until every sample has ended, then checks invariants.
    pub(crate) async fn settle(&self) {
        until("every sample has ended", || {
            self.ended() == self.route().sampled()
        })
        .await;
        until("nothing is held", || {
            self.budget.held() == 0 && self.gauges.shadow_in_flight.get() == 0
        })
        .await;
        assert_eq!(self.gauges.queue_length.get(), 0);
    }

    /// Checks one sample to its end.
    pub(crate) async fn check(&self, read: &Read) -> Outcome {
        self.outcome_of(|| self.offer(read)).await
    }

    /// The same for a mirrored copy of the request.
    pub(crate) async fn check_copy(&self, read: &Read) -> Outcome {
        self.outcome_of(|| self.offer_copy(read)).await
    }

    async fn outcome_of(&self, offer: impl FnOnce()) -> Outcome {
        let before = Outcome::ALL.map(|outcome| self.count(outcome));
        offer();
        self.settle().await;
        let changed = |outcome: &&Outcome| self.count(**outcome) != before[outcome.index()];
        let mut changed = Outcome::ALL.iter().filter(changed);
        let outcome = *changed.next().expect("one outcome");
        assert!(changed.next().is_none(), "one outcome only");
        outcome
    }

    /// Drains, waits for the worker's end, and returns the remaining reports.
    pub(crate) async fn drain(mut self) -> Vec<Sent> {
        drop(self.queue);
        time::timeout(PATIENCE, self.drain.drain()).await.unwrap();
        time::timeout(PATIENCE, self.worker).await.unwrap().unwrap();
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }

    /// Drops the queue, and waits for the worker to end by itself.
    pub(crate) async fn end(self) -> Ledger {
        drop(self.queue);
        time::timeout(PATIENCE, self.worker).await.unwrap().unwrap();
        self.ledger
    }
}

// === impl Read ===

impl Read {
    /// A read of `/x` that the old stack answered with `{"a": 1}`.
    pub(crate) fn new() -> Self {
        Self {
            primary: stack::Stack::Old,
            method: Method::GET,
            uri: "/x",
            headers: vec![("host", "caller")],
            body: "",
            status: StatusCode::OK,
            answer: r#"{"a": 1}"#,
            copy: BodyCopy::from,
            answer_headers: Vec::new(),
            trailers: Vec::new(),
        }
    }

    fn request(&self) -> CompactRequest {
        let uri = Uri::from_static(self.uri);
        CompactRequest {
            method: self.method.clone(),
            head: CompactHead::of(&uri, &headers(&self.headers), |_| true),
            body: Bytes::from_static(self.body.as_bytes()),
        }
    }

    fn answer(&self) -> CompactAnswer {
        let mut names = vec![("content-type", "application/json")];
        names.extend(&self.answer_headers);
        CompactAnswer {
            status: self.status,
            head: CompactHead::of_headers(&headers(&names)),
            body: (self.copy)(self.answer),
            trailers: headers(&self.trailers),
        }
    }
}

/// A comparison of bodies alone, because these tests are about the shadow.
pub(crate) fn bytes_alone(
    (old, new): (&Answer, &Answer),
    _: &Context<'_>,
    _: &CompareConfig,
    _: &mut Bijections,
) -> Comparison {
    let is_whole = |answer: &Answer| matches!(answer.body, BodyCopy::Whole(_));
    let is_equal = old.body == new.body && old.status == new.status;
    let result = match is_equal {
        true => Compared::Equal(Via::Exact),
        false if !is_whole(old) || !is_whole(new) => Compared::NotCompared(Reason::BodyTooLarge),
        false => Compared::Different {
            differences: vec![Difference {
                place: Place::Body,
                kind: Kind::Bytes,
                old: None,
                new: None,
            }],
            count: 3,
        },
    };
    let rules: Vec<RuleUse> = Vec::new();
    Comparison {
        result,
        rules,
        masked: Vec::new(),
        uncompared: None,
        undescribed: false,
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pairs = pairs.iter().map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    pairs.collect()
}
