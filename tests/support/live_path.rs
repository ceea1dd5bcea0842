//! The live path on its own port, between two stacks.

use super::{Conn, until, within};
use http::uri::Authority;
use std::{cell::Cell, net::SocketAddr, sync::Arc, time::Duration};
use tokio::task::JoinHandle;
use twinread::outcome::Outcome;
use twinread::testing::{
    budget::Budget,
    drain,
    http_client::{Client, Health, Target},
    ledger::{Gauges, Ledger, Timings},
    live::{self, Config, Ends, Handles, ListenerLimits, LiveSettings},
    pipeline::{CheckInput, QueueReceiver, ReadSampler, Writes, queue},
    serve::{Percent, Serve},
    settings::{self, Publisher},
    transport::TrustedProxies,
};

/// The live path, with its other ends accessible to the test.
pub(crate) struct LivePath {
    pub(crate) addr: SocketAddr,
    pub(crate) live: Publisher<LiveSettings>,
    pub(crate) ledger: Ledger,
    pub(crate) gauges: Gauges,
    pub(crate) writes: Writes,
    pub(crate) budget: Budget,
    /// Old first.
    pub(crate) stacks: [Arc<Health>; 2],
    feed: QueueReceiver,
    /// `leave`, and `stop`.
    drain: Option<[drain::Signal; 2]>,
    running: JoinHandle<()>,
}

/// Configuration of a sidecar.
pub(crate) struct Plan {
    old: Target,
    new: Target,
    live: LiveSettings,
    limits: ListenerLimits,
    proxies: TrustedProxies,
    budget: usize,
    queue: usize,
    linger: Duration,
}

thread_local! {
    /// Whether the task that accepts panics at the next connection.
    pub(crate) static PANICS: Cell<bool> = const { Cell::new(false) };
}

/// The new stack answers every read.
pub(crate) fn serving_new() -> Arc<Serve> {
    Arc::new(Serve {
        new: Percent::ALL,
        ..Serve::default()
    })
}

impl LivePath {
    /// Serves from `old`; samples nothing.
    pub(crate) async fn before(old: SocketAddr) -> Self {
        Self::plan(old, old).start().await
    }

    /// Serves from `old`; samples everything.
    pub(crate) async fn sampling(old: SocketAddr) -> Self {
        Self::plan(old, old).sample_all().start().await
    }

    pub(crate) fn plan(old: SocketAddr, new: SocketAddr) -> Plan {
        let mut live = LiveSettings::default();
        live.sampling.rate = 0.0;
        Plan {
            old: target(old),
            new: target(new),
            live,
            limits: ListenerLimits::default(),
            proxies: TrustedProxies::default(),
            budget: 64 << 20,
            queue: 1024,
            linger: Duration::ZERO,
        }
    }

    pub(crate) async fn caller(&self) -> Conn {
        Conn::open(self.addr).await
    }

    /// Everything received for these bytes on a new connection, up to its end.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut caller = self.caller().await;
        caller.send(bytes).await;
        caller.rest().await
    }

    pub(crate) async fn sample(&mut self) -> CheckInput {
        within("a sample", self.feed.next()).await.unwrap().open()
    }

    /// Changes the settings in force.
    pub(crate) fn set(&self, change: impl FnOnce(&mut LiveSettings)) {
        let mut live = (*self.live.get()).clone();
        change(&mut live);
        self.live.publish(live);
    }

    /// The count of an outcome, on all routes.
    pub(crate) fn outcomes(&self, outcome: Outcome) -> u64 {
        let routes = self.ledger.routes();
        routes.iter().map(|route| route.outcomes(outcome)).sum()
    }

    pub(crate) fn sampled(&self) -> u64 {
        self.ledger
            .routes()
            .iter()
            .map(|route| route.sampled())
            .sum()
    }

    pub(crate) async fn until_outcome(&self, outcome: Outcome) {
        let what = format!("{outcome:?}");
        until(&what, || self.outcomes(outcome) == 1).await;
        assert_eq!(self.sampled(), 1);
    }

    /// Whether it no longer accepts connections.
    pub(crate) fn is_stopped(&self) -> bool {
        self.running.is_finished()
    }

    /// Begins the drain, without a time in which callers leave. The returned task ends with it.
    pub(crate) fn drain(&mut self) -> JoinHandle<()> {
        let [left, stopped] = self.drain.take().expect("the first drain");
        tokio::spawn(async {
            tokio::join!(left.drain(), stopped.drain());
        })
    }

    /// Asks callers to leave, and accepts further ones. The returned task ends when those of before have left.
    pub(crate) fn leave(&mut self) -> (JoinHandle<()>, drain::Signal) {
        let [left, stopped] = self.drain.take().expect("the first drain");
        (tokio::spawn(left.drain()), stopped)
    }
}

impl Drop for LivePath {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Plan {
    pub(crate) fn sample_all(mut self) -> Self {
        self.live.sampling.rate = 1.0;
        self.live.sampling.max_per_second = 1_000_000.into();
        self
    }

    pub(crate) fn live(mut self, change: impl FnOnce(&mut LiveSettings)) -> Self {
        change(&mut self.live);
        self
    }

    pub(crate) fn with_old(mut self, change: impl FnOnce(&mut Target)) -> Self {
        change(&mut self.old);
        self
    }

    pub(crate) fn with_new(mut self, change: impl FnOnce(&mut Target)) -> Self {
        change(&mut self.new);
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut ListenerLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Networks whose connections begin with a PROXY protocol header.
    pub(crate) fn proxies(mut self, networks: &[&str]) -> Self {
        let networks = networks.iter().map(|network| network.parse().unwrap());
        self.proxies = TrustedProxies(networks.collect());
        self
    }

    /// Bytes that may be captured at one time.
    pub(crate) fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    pub(crate) fn queue(mut self, length: usize) -> Self {
        self.queue = length;
        self
    }

    /// How long a caller that is to leave may be silent.
    pub(crate) fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    pub(crate) async fn start(self) -> LivePath {
        let gauges = Gauges::default();
        let ledger = Ledger::new(500, gauges.clone());
        let budget = Budget::new(self.budget);
        let (queue, feed) = queue::channel(self.queue, gauges.clone());
        let writes = Writes::new(Duration::from_secs(60), gauges.clone());
        let (live, current) = settings::channel(self.live);
        let stacks = healths(&self.old, &self.new);
        let handles = Handles {
            live: current,
            ledger: ledger.clone(),
            gauges: gauges.clone(),
            budget: budget.clone(),
            sampler: ReadSampler::new(gauges.clone()),
            queue,
            timings: Timings::default(),
            writes: writes.clone(),
            stacks: stacks.clone(),
            accepted: || assert!(!PANICS.take(), "as the test wants"),
        };
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            inherited: None,
            old: Arc::new(self.old),
            new: Arc::new(self.new),
            limits: self.limits,
            proxies: self.proxies,
        };
        let bound = live::bind(config, handles).unwrap();
        let [(left, leave), (stopped, stop)] = [drain::channel(), drain::channel()];
        let ends = Ends {
            leave,
            stop,
            linger: self.linger,
        };
        LivePath {
            addr: bound.address().tcp().unwrap(),
            live,
            ledger,
            gauges,
            writes,
            budget,
            stacks,
            feed,
            drain: Some([left, stopped]),
            running: tokio::spawn(bound.run(ends)),
        }
    }
}

/// What is known of both stacks.
pub(crate) fn healths(old: &Target, new: &Target) -> [Arc<Health>; 2] {
    [("old", old), ("new", new)].map(|(name, target)| Arc::new(Health::new(name, target)))
}

/// A client of the stack at `addr`.
pub(crate) fn client<B>(name: &'static str, addr: SocketAddr) -> Client<B> {
    client_of(name, target(addr))
}

pub(crate) fn client_of<B>(name: &'static str, target: Target) -> Client<B> {
    let target = Arc::new(target);
    let health = Arc::new(Health::new(name, &target));
    Client::new(target, health)
}

pub(crate) fn target(addr: SocketAddr) -> Target {
    Target::new(Authority::try_from(addr.to_string()).unwrap())
}
