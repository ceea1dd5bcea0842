//! The control thread: binds, starts, waits for the end, and shuts down in order.

use super::{StartError, builder::AppBuilder, recovered::Recovered};
use crate::{
    config::{Loaded, Origin},
    drain, shadow,
    transport::Address,
};
use std::{io, sync::mpsc::SyncSender, thread, time::Duration};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::JoinSet,
    time,
};

#[derive(Clone, Debug)]
pub(super) struct Addresses {
    pub(super) listen: Address,
    pub(super) admin: Address,
}

/// A sidecar that is listening.
#[derive(Debug)]
struct Started {
    addresses: Addresses,
    shared: AppBuilder,
    /// For the live side, then the shadow, then what runs until everything else has ended.
    live_signal: drain::Signal,
    shadow_signal: drain::Signal,
    control_signal: drain::Signal,
    /// They end when the live side has ended and the shadow has reported its last check.
    listeners: JoinSet<()>,
    /// They end when the control signal drains.
    servers: JoinSet<()>,
}

/// Time limit for the last exports once everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Runs the sidecar until `stopped` is dropped or sent to.
pub(super) fn run(
    origin: Origin,
    loaded: Loaded,
    started: SyncSender<Result<Addresses, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    // A runtime must not be dropped on a thread of another one, so they are created and dropped outside of `block_on`.
    let (control, live, shadow) = match threads() {
        Ok(threads) => threads,
        Err(error) => return drop(started.send(Err(error.into()))),
    };
    // Sending fails only if the starter is gone, and then `stopped` ends by itself.
    match control.block_on(start(origin, loaded, live.handle(), shadow.handle())) {
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
fn runtime(name: &str, threads: usize, begin: fn()) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .on_thread_start(begin)
        .enable_all()
        .build()
}

async fn start(
    origin: Origin,
    loaded: Loaded,
    live: &Handle,
    shadow: &Handle,
) -> Result<Started, StartError> {
    let env = |name: &str| std::env::var(name).ok();
    let restored = Recovered::open(loaded)?;
    let (shared, queue, feed) = AppBuilder::new(&restored, &env);

    let (live_signal, live_watch) = drain::channel();
    let mut listeners = JoinSet::new();
    let bound = shared.bind_live(live, queue).await?;
    let listen = bound.address().clone();

    let store = shared.store();
    let reports = shared.listen_to_reports(&store, &mut listeners, &env)?;

    let worker = shared.worker(feed, reports);
    let rechecks = shared.rechecks(store.clone(), worker.rereader(), shadow);

    let (control_signal, control_watch) = drain::channel();
    let mut servers = JoinSet::new();
    let running = shared.running(origin, restored);
    let reflecting = shared.reflecting(worker.reflector(), running.clone());
    let state = shared.admin_state(running, store, rechecks);
    let admin = shared.serve_admin(state, &mut servers, &control_watch)?;
    shared.push_metrics(&mut servers, &control_watch, &env)?;

    let (shadow_signal, shadow_watch) = drain::channel();
    shadow.spawn(reflecting.run(shadow_watch.clone()));
    shadow.spawn(worker.run(shadow_watch));
    live.spawn(bound.run(live_watch));
    Ok(Started {
        addresses: Addresses { listen, admin },
        shared,
        live_signal,
        shadow_signal,
        control_signal,
        listeners,
        servers,
    })
}

// === impl Started ===

impl Started {
    /// Ends live requests first, then checks, then their exporters. `grace` bounds the first two together.
    async fn end(mut self, live: Runtime, shadow_threads: Runtime) {
        let shared = self.shared;
        let grace = shared.config.settings.drain.grace;
        tracing::info!(?grace, "ending: live requests first, then accepted checks");
        shared.readiness.end();
        shared.publisher.close_queue();
        let shadow = tokio::spawn(self.shadow_signal.drain());
        let live_end = time::timeout(grace, self.live_signal.drain());
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
