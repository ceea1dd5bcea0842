//! The addresses of a stack's name. One look-up serves all connections of a client, and is repeated while the client is in
//! use.
//!
//! A look-up runs on the blocking threads of the runtime that asks. A client has one under way at most, so a resolver that
//! hangs holds one thread.

use super::{Error, Health, Target, Via, endpoint::Endpoint};
use crate::budget::Paced;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

/// Finds the addresses of a host name.
#[derive(Clone)]
pub struct Resolver {
    look_up: LookUp,
    /// The time between two look-ups. An address that cannot be connected to comes last for twice as long.
    period: Duration,
}

/// Host and port to addresses. May block.
type LookUp = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The endpoints of one client, whose stack has a name.
#[derive(Debug)]
pub(super) struct Endpoints {
    target: Arc<Target>,
    health: Arc<Health>,
    known: watch::Sender<Known>,
    /// Since the last look-up.
    is_used: AtomicBool,
    /// Whether a task repeats the look-up. Changes under the lock of `known`.
    is_watched: AtomicBool,
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Known {
    /// Those of the last look-up that found any.
    endpoints: Vec<Arc<Endpoint>>,
    /// Whether a look-up has ended since the client is in use.
    is_current: bool,
    failure: Option<Error>,
    lines: Paced,
}

/// The default of Envoy.
const PERIOD: Duration = Duration::from_secs(5);
/// After this many look-ups that nobody needed, there are no more.
const UNUSED: usize = 12;
/// While a name has no address, it is looked up this many times as often.
const HURRY: u32 = 5;
/// A connection waits for this part of its time for a look-up if it has endpoints without.
const PART: u32 = 4;

// === impl Resolver ===

impl Resolver {
    pub fn new(
        look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
        period: Duration,
    ) -> Self {
        Self {
            look_up: Arc::new(look_up),
            period,
        }
    }

    /// The endpoints of a target, found for one connection alone.
    ///
    /// # Errors
    /// [`Error::NameNotFound`].
    pub(super) async fn find(target: &Target) -> Result<Vec<Arc<Endpoint>>, Error> {
        let addresses = match literal(target) {
            Some(address) => vec![address],
            None => target.resolver.look_up(target).await?,
        };
        let endpoint = |address| Arc::new(Endpoint::new(address, Duration::ZERO));
        Ok(addresses.into_iter().map(endpoint).collect())
    }

    async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>, Error> {
        let (look_up, host, port) = (
            self.look_up.clone(),
            target.host_name().to_owned(),
            target.port(),
        );
        let found = spawn_blocking(move || look_up(&host, port)).await;
        let found = found.unwrap_or_else(|error| Err(io::Error::other(error)));
        match found.map_err(Error::NameNotFound)? {
            none if none.is_empty() => {
                Err(Error::NameNotFound(io::ErrorKind::AddrNotAvailable.into()))
            }
            addresses => Ok(addresses),
        }
    }
}

impl Default for Resolver {
    /// That of the system.
    fn default() -> Self {
        let look_up = |host: &str, port| Ok((host, port).to_socket_addrs()?.collect());
        Self::new(look_up, PERIOD)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").field(&self.period).finish()
    }
}

/// It belongs to no configuration.
impl PartialEq for Resolver {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The address, if the target has no name.
fn literal(target: &Target) -> Option<SocketAddr> {
    let address: IpAddr = target.host_name().parse().ok()?;
    Some((address, target.port()).into())
}

// === impl Endpoints ===

impl Endpoints {
    /// `None` without a name: there is nothing to look up.
    pub(super) fn of(target: &Arc<Target>, health: &Arc<Health>) -> Option<Arc<Self>> {
        let has_name = !matches!(target.via, Via::Unix(_)) && literal(target).is_none();
        has_name.then(|| {
            Arc::new(Self {
                target: target.clone(),
                health: health.clone(),
                known: watch::Sender::default(),
                is_used: AtomicBool::new(false),
                is_watched: AtomicBool::new(false),
                turn: AtomicUsize::new(0),
            })
        })
    }

    /// Notes that the client is in use. Costs two loads while it is.
    pub(super) fn keep_current(self: &Arc<Self>) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
        if !self.is_watched.load(Ordering::Relaxed) {
            self.watch();
        }
    }

    /// The endpoints for the next connection, the best one first. Waits for the first look-up. After a rest, waits for
    /// another one as long as there is time to try the endpoints that are known.
    ///
    /// # Errors
    /// [`Error::NameNotFound`] if the name never had an address.
    pub(super) async fn next(self: &Arc<Self>) -> Result<Vec<Arc<Endpoint>>, Error> {
        self.is_used.store(true, Ordering::Relaxed);
        self.watch();
        let mut known = self.known.subscribe();
        let patience = if known.borrow().endpoints.is_empty() {
            Duration::MAX
        } else {
            self.target.connect_timeout / PART
        };
        let is_current = known.wait_for(|known| known.is_current);
        // If the look-up hangs, what is known has to do.
        let _ = timeout(patience, is_current).await;
        let known = self.known.borrow();
        match &known.failure {
            Some(failure) if known.endpoints.is_empty() => Err(failure.again()),
            _ => Ok(self.in_turn(&known.endpoints)),
        }
    }

    fn in_turn(&self, endpoints: &[Arc<Endpoint>]) -> Vec<Arc<Endpoint>> {
        let now = Instant::now();
        let all = endpoints.iter().cloned();
        let (mut avoided, mut next): (Vec<_>, Vec<_>) =
            all.partition(|endpoint| endpoint.is_avoided(now));
        if next.is_empty() {
            (avoided, next) = (next, avoided);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % next.len();
        next.rotate_left(turn);
        next.append(&mut avoided);
        next
    }

    fn watch(self: &Arc<Self>) {
        self.known.send_if_modified(|_| {
            if !self.is_watched.swap(true, Ordering::Relaxed) {
                tokio::spawn(keep_current(Arc::downgrade(self)));
            }
            false
        });
    }

    /// Returns the pause before the next look-up.
    async fn look_up(&self) -> Duration {
        let found = self.target.resolver.look_up(&self.target).await;
        let period = self.target.resolver.period;
        let mut pause = period;
        self.known.send_modify(|known| {
            known.is_current = true;
            match found {
                Ok(addresses) => known.take(&addresses, period * 2),
                Err(failure) if known.endpoints.is_empty() => {
                    known.failure = Some(failure);
                    pause = period / HURRY;
                }
                Err(failure) => known.log(&self.health, &failure),
            }
        });
        pause
    }

    /// The next connection waits for a look-up.
    fn rest(&self) {
        self.known.send_modify(|known| {
            known.is_current = false;
            self.is_watched.store(false, Ordering::Relaxed);
        });
    }
}

/// Looks up by period until the client is gone, or not in use.
async fn keep_current(endpoints: Weak<Endpoints>) {
    let mut unused = 0;
    while let Some(endpoints) = endpoints.upgrade() {
        if endpoints.is_used.swap(false, Ordering::Relaxed) {
            unused = 0;
        } else {
            unused += 1;
        }
        if unused > UNUSED {
            return endpoints.rest();
        }
        let pause = endpoints.look_up().await;
        drop(endpoints);
        sleep(pause).await;
    }
}

// === impl Known ===

impl Known {
    fn take(&mut self, addresses: &[SocketAddr], pause: Duration) {
        let mut before = std::mem::take(&mut self.endpoints);
        for address in addresses {
            let is_this = |endpoint: &Arc<Endpoint>| endpoint.address() == *address;
            if self.endpoints.iter().any(is_this) {
                continue;
            }
            let known = before.iter().position(is_this);
            let known = known.map(|at| before.swap_remove(at));
            let new = || Arc::new(Endpoint::new(*address, pause));
            self.endpoints.push(known.unwrap_or_else(new));
        }
        before.iter().for_each(|endpoint| endpoint.end());
    }

    fn log(&mut self, health: &Health, failure: &Error) {
        let Some(suppressed) = self.lines.admit(Instant::now()) else {
            return;
        };
        tracing::warn!(
            stack = health.name(),
            url = health.url(),
            error = std::error::Error::source(failure),
            suppressed = (suppressed > 0).then_some(suppressed),
            "failed to look up a stack's name; its last addresses stay in use"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, mpsc};

    #[tokio::test]
    async fn after_a_rest_a_look_up_that_hangs_is_not_waited_for() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9_001));
        let (go_on, waits) = mpsc::channel();
        let waits = Mutex::new(waits);
        let look_up = move |_: &str, _| {
            let _ = waits.lock().unwrap().recv();
            Ok(vec![address])
        };
        let mut target = Target::new("shop.test:9001".parse().unwrap());
        target.resolver = Resolver::new(look_up, PERIOD);
        target.connect_timeout = Duration::from_millis(20);
        let health = Arc::new(Health::new("old", &target));
        let endpoints = Endpoints::of(&target.into(), &health).unwrap();
        go_on.send(()).unwrap();
        endpoints.look_up().await;
        endpoints.rest();

        let next = timeout(Duration::from_secs(10), endpoints.next()).await;
        let next = next.expect("it does not wait").unwrap();

        assert_eq!(next[0].address(), address);
        assert!(!endpoints.known.borrow().is_current, "it hangs");
        drop(go_on);
    }
}
