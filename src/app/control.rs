//! The control thread: binds, starts, waits for the end, and shuts down in order.

use super::{StartError, builder::AppBuilder, recovered::Recovered};
use crate::{
    config::{Loaded, Origin},
    drain,
    intake::{self, Taken},
    ledger::Signal,
    live,
    pipeline::Queue,
    shadow,
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
    /// `None` if Envoy's external processing is not served.
    pub(super) ext_proc: Option<Address>,
    pub(super) admin: Address,
}

/// The threads of everything but control.
#[derive(Debug)]
struct Workers {
    live: Runtime,
    /// Reads what Envoy shows, whatever callers take: what is read late could hold up Envoy's callers. `None` without
    /// `ext_proc.listen`.
    ext_proc: Option<Runtime>,
    shadow: Runtime,
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
    let has_ext_proc = of.1.config.settings.ext_proc.listen.is_some();
    let (control, workers) = match threads(has_ext_proc) {
        Ok(threads) => threads,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    // Sending fails only if the starter is gone, and then `stopped` ends by itself.
    match control.block_on(start(of, &workers)) {
        Ok(running) => {
            let _ = started.send(Ok(running.addresses.clone()));
            control.block_on(async {
                // Both a message and a dropped sender ask for the end.
                let _ = stopped.await;
                running.end(workers).await;
            });
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

/// For control (this thread), and for everything else.
fn threads(has_ext_proc: bool) -> io::Result<(Runtime, Workers)> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let control = Builder::new_current_thread().enable_all().build()?;
    let live = runtime("twinread-live", cores, || {})?;
    let ext_proc = has_ext_proc.then(|| runtime("twinread-extproc", 1, || {}));
    let half = cores.div_ceil(2);
    let shadow = runtime("twinread-shadow", half, shadow::yield_to_others)?;
    let workers = Workers {
        live,
        ext_proc: ext_proc.transpose()?,
        shadow,
    };
    Ok((control, workers))
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
    workers: &Workers,
) -> Result<Started, StartError> {
    let (live_threads, shadow) = (workers.live.handle(), workers.shadow.handle());
    let env = |name: &str| std::env::var(name).ok();
    let restored = Recovered::open(loaded)?;
    let (shared, queue, feed) = AppBuilder::new(&restored, &env);

    let (leave_signal, leave) = drain::channel();
    let (stop_signal, stop) = drain::channel();
    let linger = shared.config.settings.drain.linger();
    let mut listeners = JoinSet::new();
    let intakes = workers.bind_intakes(&shared, &queue).await?;
    let [mirror, ext_proc] = intakes.each_ref().map(|(intake, _)| {
        let bound = intake.as_ref()?;
        Some(bound.address().clone())
    });
    let bound = shared.bind_live(live_threads, queue, sockets.listen);
    let bound = bound.await?;
    let listen = bound.as_ref().map(|bound| bound.address().clone());

    let store = shared.store();
    let reports = shared.listen_to_reports(&store, Some(Signal::Logs), &mut listeners, &env)?;

    let recorder = reports.recorder();
    let worker = shared.worker(feed, reports);
    let rechecks = shared.rechecks(store.clone(), worker.rereader(), shadow);

    let (control_signal, control_watch) = drain::channel();
    let mut servers = JoinSet::new();
    let running = shared.running(origin, restored);
    let reflecting = shared.reflecting(worker.reflector(), running.clone());
    let state = shared.admin_state(running, store, rechecks, recorder);
    let admin = shared.serve_admin(state, sockets.admin, &mut servers, &control_watch)?;
    shared.push_metrics(&mut servers, &control_watch, &env)?;

    let (shadow_signal, shadow_watch) = drain::channel();
    shadow.spawn(reflecting.run(shadow_watch.clone()));
    shadow.spawn(worker.run(shadow_watch));
    for (intake, threads) in intakes {
        if let Some(bound) = intake {
            threads.spawn(bound.run(stop.clone()));
        }
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
            mirror,
            ext_proc,
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

// === impl Workers ===

impl Workers {
    /// Binds what other proxies send to, each on the threads that are to run it.
    async fn bind_intakes(
        &self,
        shared: &AppBuilder,
        queue: &Queue,
    ) -> Result<[(Option<intake::Bound>, &Handle); 2], StartError> {
        let live = self.live.handle();
        let own = self.ext_proc.as_ref().map_or(live, Runtime::handle);
        let mirror = shared.bind_intake(Taken::Mirror, live, queue).await?;
        let ext_proc = shared.bind_intake(Taken::ExtProc, own, queue).await?;
        Ok([(mirror, live), (ext_proc, own)])
    }
}

// === impl Started ===

impl Started {
    /// Ends live requests and checks, within `grace` together, then their exporters. Callers are accepted until there is
    /// little else to end, because whoever comes later has to wait for the next process.
    async fn end(mut self, workers: Workers) {
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
        workers.live.shutdown_background();
        if let Some(ext_proc) = workers.ext_proc {
            ext_proc.shutdown_background();
        }
        // The shadow observes `grace` itself.
        if shadow.await.is_err() {
            tracing::error!("shadow runtime failed to shut down cleanly");
        }
        workers.shadow.shutdown_background();
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
