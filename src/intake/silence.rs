//! Counts the requests of one connection, and notices a connection that stays silent.

use crate::{ledger::Bound, settings::ListenerLimits};
use std::sync::Arc;
use tokio::{sync::watch, time};

/// The requests of one connection. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Requests(Arc<watch::Sender<Seen>>);

/// A request that is served. Over when dropped.
#[derive(Debug)]
pub(super) struct Open(Requests);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    has_begun: bool,
    open: usize,
}

// === impl Requests ===

impl Requests {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Seen::default())))
    }

    pub(super) fn begin(&self) -> Open {
        self.0.send_modify(|seen| {
            seen.has_begun = true;
            seen.open += 1;
        });
        Open(self.clone())
    }

    pub(super) fn open(&self) -> usize {
        self.0.borrow().open
    }

    /// Returns when the first request, or the next one, has not begun in time. No time counts while one is served.
    pub(super) async fn silent(&self, limits: &ListenerLimits) -> Bound {
        let mut seen = self.0.subscribe();
        loop {
            let Seen { has_begun, open } = *seen.borrow_and_update();
            let (limit, bound) = if has_begun {
                (limits.idle_timeout, Bound::IdleTimeout)
            } else {
                (limits.head_timeout, Bound::HeadTimeout)
            };
            // The sender is never gone, because `self` has it.
            let _ = match open {
                0 => match time::timeout(limit, seen.changed()).await {
                    Ok(changed) => changed,
                    Err(_) => return bound,
                },
                _ => seen.changed().await,
            };
        }
    }
}

// === impl Open ===

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.send_modify(|seen| seen.open -= 1);
    }
}
