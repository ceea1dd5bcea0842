//! The control thread: binds, starts, waits for the end, and shuts down in order.

use super::{
    StartError, builder::AppBuilder, recovered::Recovered, settings_publisher::SettingsPublisher,
    threads::Threads,
};
use crate::{
    admin::service::readiness::Readiness,
    config::{Loaded, Origin},
    drain,
    ledger::Ledger,
    shadow,
    store::Database,
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::SyncSender},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
    time,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// A sidecar that is listening.
#[derive(Debug)]
struct Started {
    addresses: Addresses,
    grace: Duration,
    /// For the live side, then the shadow, then what runs until everything else has ended.
    live_signal: drain::Signal,
    shadow_signal: drain::Signal,
    control_signal: drain::Signal,
    publisher: Arc<SettingsPublisher>,
    readiness: Readiness,
    ledger: Ledger,
    database: Database,
    /// They end when the shadow has reported its last check.
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
        Err(error) => return answer(&started, Err(error.into())),
    };
    match control.block_on(start(origin, loaded, (&live, &shadow))) {
        Ok(running) => {
            answer(&started, Ok(running.addresses));
            control.block_on(async {
                // Both a message and a dropped sender ask for the end.
                let _ = stopped.await;
                running.end(live, shadow).await;
            });
        }
        Err(error) => answer(&started, Err(error)),
    }
}

fn answer(
    started: &SyncSender<Result<Addresses, StartError>>,
    result: Result<Addresses, StartError>,
) {
    // Sending fails only if the starter is gone, and then `stopped` ends by itself.
    let _ = started.send(result);
}

/// For control (this thread), for the live side, and for the shadow.
fn threads() -> io::Result<(Runtime, Threads, Threads)> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let control = Builder::new_current_thread().enable_all().build()?;
    let live = Threads::start("twinread-live", cores, || {})?;
    let half = cores.div_ceil(2);
    let shadow = Threads::start("twinread-shadow", half, shadow::yield_to_others)?;
    Ok((control, live, shadow))
}

async fn start(
    origin: Origin,
    loaded: Loaded,
    (live, shadow): (&Threads, &Threads),
) -> Result<Started, StartError> {
    let env = |name: &str| std::env::var(name).ok();
    let restored = Recovered::open(loaded)?;
    let config = restored.loaded.config().clone();
    let (shared, queue, feed) = AppBuilder::new(&restored, &env);

    let (live_signal, live_watch) = drain::channel();
    let bound = shared.bind_live(live, queue).await?;
    let listen = bound.addr();

    let mut listeners = JoinSet::new();
    let store = shared.store();
    let reports = shared.listen_to_reports(&store, &mut listeners, &env)?;

    let worker = shared.worker(feed, reports);
    let rechecks = shared.rechecks(store.clone(), worker.rereader(), shadow.handle());

    let (control_signal, control_watch) = drain::channel();
    let mut servers = JoinSet::new();
    let running = shared.running(origin, restored);
    let state = shared.admin_state(running, store, rechecks);
    let admin = shared
        .serve_admin(state, &mut servers, &control_watch)
        .await?;
    shared.push_metrics(&mut servers, &control_watch, &env)?;

    let (shadow_signal, shadow_watch) = drain::channel();
    shadow.handle().spawn(worker.run(shadow_watch));
    live.handle().spawn(bound.run(live_watch));
    Ok(Started {
        addresses: Addresses { listen, admin },
        grace: config.settings.drain.grace,
        live_signal,
        shadow_signal,
        control_signal,
        publisher: shared.publisher.clone(),
        readiness: shared.readiness.clone(),
        ledger: shared.counted.ledger.clone(),
        database: shared.database.clone(),
        listeners,
        servers,
    })
}

// === impl Started ===

impl Started {
    /// Ends live requests first, then checks, then their exporters. `grace` bounds the first two together.
    async fn end(mut self, live: Threads, shadow_threads: Threads) {
        tracing::info!(grace = ?self.grace, "ending: live requests first, then accepted checks");
        self.readiness.end();
        self.publisher.close_queue();
        let shadow = tokio::spawn(self.shadow_signal.drain());
        if time::timeout(self.grace, self.live_signal.drain())
            .await
            .is_err()
        {
            tracing::warn!("live requests were cut at the end of the grace period");
        }
        self.ledger.shut_down();
        // Cancels the rest of the live side, and with it drops the last handles on the queue.
        live.cut();
        // The shadow observes `grace` itself.
        if shadow.await.is_err() {
            tracing::error!("shadow runtime failed to shut down cleanly");
        }
        shadow_threads.cut();
        join(&mut self.listeners).await;
        self.control_signal.drain().await;
        join(&mut self.servers).await;
        // All tasks have finished; closing the database may block.
        self.database.close();
        tracing::info!("ended");
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!("some reports were given up at the end");
    }
}
