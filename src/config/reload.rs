//! Reloads the configuration on SIGHUP and when a file of it changes.

use super::{Running, watch::Watch};
use crate::drain;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    task,
    time::{Instant, timeout_at},
};

/// Why the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGHUP: the user asks for a reload and wants every fault reported each time.
    Hangup,
    /// A file or its surroundings changed.
    FilesChanged,
}

/// Keeps a [`Running`] configuration up to date with its files.
#[derive(Debug)]
pub struct Reloads {
    running: Arc<Running>,
    hangups: Signal,
    /// `None` if files cannot be watched.
    watch: Option<Watch>,
    changes: mpsc::Receiver<()>,
    /// Keeps the receiver open if nothing is watched.
    _changed: mpsc::Sender<()>,
}

/// Files are written in several steps; a reload starts after this long without a change.
const QUIET: Duration = Duration::from_millis(100);

/// Maximum delay after the first change.
const PATIENCE: Duration = Duration::from_secs(1);

// === impl Reloads ===

impl Reloads {
    /// Misses no SIGHUP and no change from here on. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// No handler for SIGHUP can be set. Files that cannot be watched are only logged.
    pub fn start(running: Arc<Running>) -> io::Result<Self> {
        let (changed, changes) = mpsc::channel(1);
        let watch = Watch::new(changed.clone());
        let watch = watch.map_err(
            |error| tracing::warn!(%error, "files cannot be watched, only SIGHUP reloads"),
        );
        let mut reloads = Self {
            running,
            hangups: signal(SignalKind::hangup())?,
            watch: watch.ok(),
            changes,
            _changed: changed,
        };
        reloads.follow();
        Ok(reloads)
    }

    /// Reloads until the drain.
    pub async fn run(mut self, mut drain: drain::Watch) {
        loop {
            let cause = tokio::select! {
                () = drain.signaled() => return,
                Some(()) = self.hangups.recv() => Cause::Hangup,
                Some(()) = self.changes.recv() => {
                    self.settle().await;
                    Cause::FilesChanged
                }
            };
            let running = self.running.clone();
            // Reading files and compiling rules must not block a thread that serves.
            let reload = task::spawn_blocking(move || running.reload(cause));
            if let Err(error) = reload.await {
                tracing::error!(%error, "a reload did not finish");
            }
            self.follow();
        }
    }

    async fn settle(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let quiet = end.min(Instant::now() + QUIET);
            if timeout_at(quiet, self.changes.recv()).await.is_err() {
                return;
            }
        }
    }

    fn follow(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        if let Err(error) = watch.follow(&self.running.paths()) {
            tracing::warn!(%error, "not every file can be watched");
        }
    }
}
