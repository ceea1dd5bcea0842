//! What a connection's requests decide for its reader: what follows a request for an upgrade, and how the connection
//! ends.

use futures_util::task::AtomicWaker;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

/// Clones share the state.
#[derive(Clone, Debug, Default)]
pub(super) struct Switch(Arc<State>);

#[derive(Debug, Default)]
struct State {
    decision: AtomicU8,
    ends_in_reset: AtomicBool,
    reader: AtomicWaker,
    /// Whether the body of a request with `Expect` has begun to arrive.
    has_body_begun: AtomicBool,
    body: AtomicWaker,
}

/// An undecided request for an upgrade. Dropping it refuses the upgrade.
#[derive(Debug)]
pub(super) struct Undecided(Option<Switch>);

/// What follows a request for an upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Requests.
    Refused,
    /// Anything; it passes unseen.
    Granted,
}

const UNDECIDED: u8 = 0;
const REFUSED: u8 = 1;
const GRANTED: u8 = 2;

// === impl Switch ===

impl Switch {
    /// A pending decision, which the connection's reader waits for.
    pub(super) fn undecided(&self) -> Undecided {
        Undecided(Some(self.clone()))
    }

    /// Ends the connection in a reset, because its last answer broke and a clean end would make it look complete.
    pub(super) fn end_in_reset(&self) {
        self.0.ends_in_reset.store(true, Ordering::Relaxed);
    }

    pub(super) fn ends_in_reset(&self) -> bool {
        self.0.ends_in_reset.load(Ordering::Relaxed)
    }

    /// Waits until an expected body begins to arrive without `100 Continue`.
    pub(super) fn poll_body_begun(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.body.register(cx.waker());
        if self.0.has_body_begun.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub(super) fn set_body_begun(&self, has_begun: bool) {
        self.0.has_body_begun.store(has_begun, Ordering::Release);
        if has_begun {
            self.0.body.wake();
        }
    }

    /// Takes the decision. The next request needs another.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<Decision> {
        self.0.reader.register(cx.waker());
        match self.0.decision.swap(UNDECIDED, Ordering::Acquire) {
            UNDECIDED => Poll::Pending,
            GRANTED => Poll::Ready(Decision::Granted),
            _ => Poll::Ready(Decision::Refused),
        }
    }

    fn decide(&self, decision: u8) {
        self.0.decision.store(decision, Ordering::Release);
        self.0.reader.wake();
    }
}

// === impl Undecided ===

impl Undecided {
    pub(super) fn grant(mut self) {
        if let Some(switch) = self.0.take() {
            switch.decide(GRANTED);
        }
    }
}

impl Drop for Undecided {
    fn drop(&mut self) {
        if let Some(switch) = self.0.take() {
            switch.decide(REFUSED);
        }
    }
}
