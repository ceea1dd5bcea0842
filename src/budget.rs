//! A process-wide budget of bytes with shares taken from it, [token buckets](Bucket) for events, and the
//! [pace](Paced) of reports.
//!
//! Taking never waits. What does not fit is refused, and the caller counts it.

mod bucket;
mod paced;

pub(crate) use bucket::Bucket;
pub(crate) use paced::{PAUSE, Paced};

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The bytes that may be held at the same time. Cheap to clone; clones share one budget.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: AtomicUsize,
    held: AtomicUsize,
}

/// A share of a [`Budget`], returned when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: usize,
}

// === impl Budget ===

impl Budget {
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit: AtomicUsize::new(limit),
            held: AtomicUsize::new(0),
        }))
    }

    /// An empty share; [`Held::grow`] takes bytes for it.
    pub fn share(&self) -> Held {
        Held {
            budget: self.clone(),
            bytes: 0,
        }
    }

    /// Changes the limit. Bytes already held stay held.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }
}

// === impl Held ===

impl Held {
    /// Takes `bytes` more; takes nothing and returns `false` if they do not fit.
    #[must_use = "a refused share must not be used"]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let inner = &self.budget.0;
        let limit = inner.limit.load(Ordering::Relaxed);
        let before = inner.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            inner.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Returns all but `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let freed = self.bytes.saturating_sub(bytes);
        self.budget.0.held.fetch_sub(freed, Ordering::Relaxed);
        self.bytes -= freed;
    }

    /// An empty share of the same budget.
    pub fn empty_share(&self) -> Self {
        self.budget.share()
    }

    /// Takes over the bytes that `other` holds of the same budget.
    pub fn merge(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oversized_growth_is_refused_and_dropped_bytes_are_free() {
        let budget = Budget::new(10);
        let mut first = budget.share();
        let mut second = budget.share();

        assert!(first.grow(6));
        assert!(!second.grow(5));
        assert!(second.grow(4));
        drop(first);

        assert_eq!(budget.held(), 4);
        assert!(second.grow(6));
    }

    #[test]
    fn a_merged_share_is_held_once() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.grow(6) && second.grow(4));

        first.merge(&mut second);
        assert_eq!((first.bytes(), budget.held()), (10, 10));

        drop(first);
        assert_eq!(budget.held(), 0);
    }
}
