//! Signals shutdown to every task, and waits until all have ended. Until then, keeps those alive that must not end.
//!
//! A task that must be waited for holds a [`Watch`], and drops it when it ends.

use futures_util::{FutureExt as _, future::BoxFuture};
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time,
};

/// Starts the drain and waits for its end.
#[derive(Debug)]
pub struct Signal {
    draining: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

/// Held by a task that must end before the process does.
#[derive(Clone, Debug)]
pub struct Watch {
    draining: watch::Receiver<bool>,
    _held: mpsc::Sender<()>,
}

/// Between a panic and the next start, so that a task that always panics costs little.
const PAUSE: Duration = Duration::from_millis(100);

pub fn channel() -> (Signal, Watch) {
    let (draining, watched) = watch::channel(false);
    let (held, ended) = mpsc::channel(1);
    let watch = Watch {
        draining: watched,
        _held: held,
    };
    (Signal { draining, ended }, watch)
}

/// Runs a task until it ends by itself; starts it again whenever it panics. `run` borrows what must outlive a panic.
pub(crate) async fn keep_alive<T: Send>(
    name: &'static str,
    task: &mut T,
    run: impl for<'t> Fn(&'t mut T) -> BoxFuture<'t, ()> + Send,
    panicked: impl Fn() + Send,
) {
    while AssertUnwindSafe(run(task)).catch_unwind().await.is_err() {
        panicked();
        tracing::error!(task = name, "a task panicked, and is started again");
        time::sleep(PAUSE).await;
    }
}

// === impl Signal ===

impl Signal {
    /// Signals every [`Watch`], and returns when all of them are dropped.
    pub async fn drain(mut self) {
        self.draining.send_replace(true);
        while self.ended.recv().await.is_some() {}
    }
}

// === impl Watch ===

impl Watch {
    /// Returns when the drain begins, or when the [`Signal`] is dropped.
    pub async fn signaled(&mut self) {
        // An error means that the signal is gone, which also ends the wait.
        let _ = self.draining.wait_for(|draining| *draining).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_drain_ends_when_the_last_watch_is_dropped() {
        let (signal, watch) = channel();
        let mut second = watch.clone();
        let task = tokio::spawn(async move {
            second.signaled().await;
            assert!(*second.draining.borrow());
        });
        drop(watch);

        signal.drain().await;

        task.await.unwrap();
    }
}
