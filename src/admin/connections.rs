//! Limits the connections of the admin API. At the limit, an idle connection is closed for a new one.

use crate::ledger::{Bound, Gauges};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet, time};

/// Concurrent connections. Further callers wait in the listener's backlog until one of these is idle.
pub(crate) const MAX_CONNECTIONS: usize = 128;

/// Interval after which another connection is asked to close if none has.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    served: JoinSet<()>,
    max: usize,
    slots: Vec<Arc<Slot>>,
    gauges: Gauges,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// `None` while a call is under way: its body is complete, and its answer is not ready.
    idle_since: Mutex<Option<Instant>>,
    leave: Notify,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(max: usize, gauges: Gauges) -> Self {
        Self {
            max,
            served: JoinSet::new(),
            slots: Vec::new(),
            gauges,
        }
    }

    /// Waits until one more may be served. Cancel safe: at most an idle connection is lost.
    pub(super) async fn make_room(&mut self) {
        // Ended tasks would otherwise be kept.
        while self.served.try_join_next().is_some() {}
        self.slots.retain(|slot| Arc::strong_count(slot) > 1);
        if self.served.len() < self.max {
            return;
        }
        self.gauges.bound_reached(Bound::AdminConnections);
        while self.served.len() >= self.max {
            let idle = self
                .slots
                .iter()
                .filter_map(|slot| Some((slot.idle_since()?, slot)));
            if let Some((_, idlest)) = idle.min_by_key(|(since, _)| *since) {
                idlest.leave.notify_one();
            }
            // A connection that receives a call at that moment stays.
            let _ = time::timeout(ASK_AGAIN, self.served.join_next()).await;
        }
    }

    pub(super) fn serve<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        serve: impl FnOnce(Arc<Slot>) -> F,
    ) {
        let slot = Arc::new(Slot {
            idle_since: Mutex::new(Some(Instant::now())),
            leave: Notify::new(),
        });
        self.slots.push(slot.clone());
        self.served.spawn(serve(slot));
    }

    pub(super) async fn ended(&mut self) {
        while self.served.join_next().await.is_some() {}
    }
}

// === impl Slot ===

impl Slot {
    /// Records a call: connections idle for longer are closed first.
    pub(super) fn touch(&self) {
        self.set_idle_since(Some(Instant::now()));
    }

    /// Marks a call as under way until the guard is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> impl Drop + use<> {
        struct Busy(Arc<Slot>);
        impl Drop for Busy {
            fn drop(&mut self) {
                self.0.touch();
            }
        }
        self.set_idle_since(None);
        Busy(self.clone())
    }

    /// Waits until another connection needs the slot, while no call is under way.
    pub(super) async fn leave(&self) {
        loop {
            self.leave.notified().await;
            if self.idle_since().is_some() {
                return;
            }
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        let since = self.idle_since.lock();
        *since.unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle_since(&self, now: Option<Instant>) {
        let since = self.idle_since.lock();
        *since.unwrap_or_else(PoisonError::into_inner) = now;
    }
}
