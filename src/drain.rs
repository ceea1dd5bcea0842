//! Tells every task to come to an end, and waits until all have.
//!
//! A task that must be waited for holds a [`Watch`]; dropping it is the task's last word.

use tokio::sync::{mpsc, watch};

/// Starts the drain and waits for its end.
#[derive(Debug)]
pub struct Signal {
    draining: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

/// Held by what has to end before the process does.
#[derive(Clone, Debug)]
pub struct Watch {
    draining: watch::Receiver<bool>,
    _held: mpsc::Sender<()>,
}

pub fn channel() -> (Signal, Watch) {
    let (draining, watched) = watch::channel(false);
    let (held, ended) = mpsc::channel(1);
    let watch = Watch {
        draining: watched,
        _held: held,
    };
    (Signal { draining, ended }, watch)
}

// === impl Signal ===

impl Signal {
    /// Signals every [`Watch`], and ends when all of them are dropped.
    pub async fn drain(mut self) {
        self.draining.send_replace(true);
        while self.ended.recv().await.is_some() {}
    }
}

// === impl Watch ===

impl Watch {
    /// Ends when the drain begins, or when nobody is left to begin it.
    pub async fn signaled(&mut self) {
        // An error means that the signal is gone, which is an end as well.
        let _ = self.draining.wait_for(|draining| *draining).await;
    }

    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
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
            assert!(second.is_draining());
        });
        drop(watch);

        signal.drain().await;

        task.await.unwrap();
    }
}
