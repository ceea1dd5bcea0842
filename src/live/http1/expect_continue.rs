//! Holds a request body back until the primary has agreed to it (`Expect: 100-continue`, RFC 9110 10.1.1).
//!
//! hyper sends `100 Continue` to the caller as soon as the body is read. So it must not be read before the primary has
//! sent the same. If the primary sends nothing, it gets the body after [`PATIENCE`], as callers do themselves, and at
//! once if the caller sends it without waiting.

use crate::live::switch::Switch;
use futures_util::task::AtomicWaker;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

const PATIENCE: Duration = Duration::from_secs(1);

/// The waiting side.
#[derive(Debug)]
pub(crate) struct BodyGate {
    handle: GateHandle,
    caller: Switch,
    patience: Pin<Box<Sleep>>,
}

/// The deciding side. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct GateHandle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    state: AtomicU8,
    waiting: AtomicWaker,
}

/// The decision about a body that was held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decision {
    Open,
    /// The answer came without it.
    Refused,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;
const ANSWERED: u8 = 2;
const REFUSED: u8 = 3;

// === impl BodyGate ===

impl BodyGate {
    pub(crate) fn new(caller: Switch) -> (Self, GateHandle) {
        let handle = GateHandle::default();
        let gate = Self {
            handle: handle.clone(),
            caller,
            patience: Box::pin(sleep(PATIENCE)),
        };
        (gate, handle)
    }

    pub(crate) fn poll_pass(&mut self, cx: &mut Context<'_>) -> Poll<Decision> {
        self.handle.0.waiting.register(cx.waker());
        match self.handle.0.state.load(Ordering::Acquire) {
            OPEN => return Poll::Ready(Decision::Open),
            REFUSED => return Poll::Ready(Decision::Refused),
            ANSWERED => return Poll::Pending,
            _ => {}
        }
        let has_begun = self.caller.poll_body_begun(cx).is_ready();
        if !has_begun && self.patience.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // An answer may have arrived in between.
        if self.handle.change(CLOSED, OPEN) {
            Poll::Ready(Decision::Open)
        } else {
            Poll::Pending
        }
    }
}

// === impl GateHandle ===

impl GateHandle {
    // ## Closed => Open
    /// The primary wants the body.
    pub(crate) fn open(&self) {
        self.change(CLOSED, OPEN);
    }

    // ## Closed => Answered
    /// The final answer is here. Returns whether it came before the body was wanted; then the body will never be sent.
    pub(crate) fn answered(&self) -> bool {
        self.change(CLOSED, ANSWERED)
    }

    // ## Answered => Refused
    /// The answer has ended, and with it the connection to the primary, which still waits for the body.
    pub(crate) fn refuse(&self) {
        self.change(ANSWERED, REFUSED);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let state = &self.0.state;
        let changed = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        self.0.waiting.wake();
        changed.is_ok()
    }
}
