//! The control thread: binds, starts, waits for the end, and shuts down in order.

use super::{StartError, builder::AppBuilder, recovered::Recovered};
use crate::{
    config::{Loaded, Origin},
    drain,
    ledger::Signal,
    live, shadow,
    transport::{Address, Sockets},
};
use std::{io, sync::mpsc::SyncSender, thread, time::Duration};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinSet,
    time::{self, Instant},
};

#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// `None` if it is not in the path.
    pub(super) listen: Option<Address>,
    /// `None` if no copies of requests are taken.
    pub(super) mirror: Option<Address>,
    pub(super) admin: Address,
}

/// A sidecar that is listening.
#[derive(Debug)]
struct Started {
    addresses: Addresses,
    shared: AppBuilder,
    /// Callers are to leave; nobody is accepted any more; then the shadow, and what runs until everything else has
    /// ended.
    leave_signal: drain::Signal,
    stop_signal: drain::Signal,
    shadow_signal: drain::Signal,
    control_signal: drain::Signal,
    /// They end when the live side has ended and the shadow has reported its last check.
    listeners: JoinSet<()>,
    /// They end when the control signal drains.
    servers: JoinSet<()>,
}

/// Time limit for the last exports once everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often the end looks for open checks.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the sidecar until `stopped` is dropped or sent to.
pub(super) fn run(
    of: (Origin, Loaded, Sockets),
    started: SyncSender<Result<Addresses, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    // A runtime must not be dropped on a thread of another one, so they are created and dropped outside of `block_on`.
    let (control, live, shadow) = match threads() {
        Ok(threads) => threads,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    // Sending fails only if the starter is gone, and then `stopped` ends by itself.
    match control.block_on(start(of, live.handle(), shadow.handle())) {
        Ok(running) => {
            let _ = started.send(Ok(running.addresses.clone()));
            control.block_on(async {
                // Both a message and a dropped sender ask for the end.
                let _ = stopped.await;
                running.end(live, shadow).await;
            });
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

/// For control (this thread), for the live side, and for the shadow.
fn threads() -> io::Result<(Runtime, Runtime, Runtime)> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let control = Builder::new_current_thread().enable_all().build()?;
    let live = runtime("twinread-live", cores, || {})?;
    let half = cores.div_ceil(2);
    let shadow = runtime("twinread-shadow", half, shadow::yield_to_others)?;
    Ok((control, live, shadow))
}

/// A runtime that calls `begin` on each of its threads.
pub(super) fn runtime(name: &str, threads: usize, begin: fn()) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .on_thread_start(begin)
        .enable_all()
        .build()
}

async fn start(
    (origin, loaded, sockets): (Origin, Loaded, Sockets),
    live_threads: &Handle,
    shadow: &Handle,
) -> Result<Started, StartError> {
    let env = |name: &str| std::env::var(name).ok();
    let restored = Recovered::open(loaded)?;
    let (shared, queue, feed) = AppBuilder::new(&restored, &env);

    let (leave_signal, leave) = drain::channel();
    let (stop_signal, stop) = drain::channel();
    let linger = shared.config.settings.drain.linger();
    let mut listeners = JoinSet::new();
    let mirror = shared.bind_mirror(live_threads, queue.clone()).await?;
    let mirror_addr = mirror.as_ref().map(|bound| bound.address().clone());
    let bound = shared.bind_live(live_threads, queue, sockets.listen);
    let bound = bound.await?;
    let listen = bound.as_ref().map(|bound| bound.address().clone());

    let store = shared.store();
    let reports = shared.listen_to_reports(&store, Some(Signal::Logs), &mut listeners, &env)?;

    let worker = shared.worker(feed, reports.clone());
    let rechecks = shared.rechecks(store.clone(), worker.rereader(), shadow);

    let (control_signal, control_watch) = drain::channel();
    let mut servers = JoinSet::new();
    let running = shared.running(origin, restored);
    let reflecting = shared.reflecting(worker.reflector(), running.clone());
    let state = shared.admin_state(running, store, rechecks, reports);
    let admin = shared.serve_admin(state, sockets.admin, &mut servers, &control_watch)?;
    shared.push_metrics(&mut servers, &control_watch, &env)?;

    let (shadow_signal, shadow_watch) = drain::channel();
    shadow.spawn(reflecting.run(shadow_watch.clone()));
    shadow.spawn(worker.run(shadow_watch));
    if let Some(mirror) = mirror {
        live_threads.spawn(mirror.run(stop.clone()));
    }
    if let Some(bound) = bound {
        live_threads.spawn(bound.run(live::Ends {
            leave,
            stop,
            linger,
        }));
    }
    Ok(Started {
        addresses: Addresses {
            listen,
            mirror: mirror_addr,
            admin,
        },
        shared,
        leave_signal,
        stop_signal,
        shadow_signal,
        control_signal,
        listeners,
        servers,
    })
}

// === impl Started ===

impl Started {
    /// Ends live requests and checks, within `grace` together, then their exporters. Callers are accepted until there is
    /// little else to end, because whoever comes later has to wait for the next process.
    async fn end(mut self, live: Runtime, shadow_threads: Runtime) {
        let shared = self.shared;
        let drain = &shared.config.settings.drain;
        let (grace, end) = (drain.grace, Instant::now() + drain.grace);
        tracing::info!(?grace, "ending: callers leave, and accepted checks finish");
        shared.readiness.end();
        shared.publisher.end_sampling();
        let shadow = tokio::spawn(self.shadow_signal.drain());
        let ledger = &shared.counted.ledger;
        let leave = async {
            self.leave_signal.drain().await;
            while ledger.open_checks() > 0 {
                time::sleep(LOOK).await;
            }
        };
        if time::timeout(drain.accepting(), leave).await.is_err() {
            tracing::info!("some live requests or checks of before go on");
        }
        tracing::info!("callers are not accepted any more");
        let live_end = time::timeout_at(end, self.stop_signal.drain());
        if live_end.await.is_err() {
            tracing::warn!("live requests were cut at the end of the grace period");
        }
        shared.counted.ledger.shut_down();
        // Cancels the rest of the live side, and with it drops the last handles on the queue.
        live.shutdown_background();
        // The shadow observes `grace` itself.
        if shadow.await.is_err() {
            tracing::error!("shadow runtime failed to shut down cleanly");
        }
        shadow_threads.shutdown_background();
        join(&mut self.listeners).await;
        self.control_signal.drain().await;
        join(&mut self.servers).await;
        // All tasks have finished; closing the database may block.
        shared.database.close();
        tracing::info!("ended");
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!("some reports were given up at the end");
    }
}
