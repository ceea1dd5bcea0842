//! The shared state of a ledger.

use super::{
    Clock,
    locks::{read, write},
    seconds::Seconds,
};
use crate::verdict::{Limits, Requirements};
use std::sync::{Arc, RwLock, atomic::AtomicBool};

/// State that all routes, epochs and checks of a ledger share.
#[derive(Debug)]
pub(super) struct LedgerShared {
    pub(super) shutting_down: AtomicBool,
    pub(super) clock: Clock,
    pub(super) seconds: Seconds,
    judged_by: RwLock<Arc<JudgedBy>>,
}

/// The limits and requirements that checks are judged by when they become evidence.
#[derive(Debug, Default)]
pub(super) struct JudgedBy {
    pub(super) limits: Limits,
    pub(super) requirements: Requirements,
}

// === impl LedgerShared ===

impl LedgerShared {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            shutting_down: AtomicBool::new(false),
            seconds: Seconds::new(clock.now()),
            clock,
            judged_by: RwLock::default(),
        })
    }

    pub(super) fn judged_by(&self) -> Arc<JudgedBy> {
        read(&self.judged_by).clone()
    }

    pub(super) fn judge_by(&self, judged_by: JudgedBy) {
        *write(&self.judged_by) = Arc::new(judged_by);
    }
}
