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
    state: Mutex<State>,
    leave: Notify,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No call is under way since then: none has come, its body is incomplete, or its answer is being sent.
    Idle(Instant),
    Busy,
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
            let idle = self.slots.iter().filter_map(|slot| slot.idle_since());
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
            state: Mutex::new(State::Idle(Instant::now())),
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
        self.become_(State::Idle(Instant::now()));
    }

    /// Marks a call as under way until the guard is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> impl Drop + use<> {
        struct Busy(Arc<Slot>);
        impl Drop for Busy {
            fn drop(&mut self) {
                self.0.become_(State::Idle(Instant::now()));
            }
        }
        self.become_(State::Busy);
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

    fn idle_since(&self) -> Option<(Instant, &Self)> {
        match self.state() {
            State::Idle(since) => Some((since, self)),
            State::Busy => None,
        }
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn become_(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
