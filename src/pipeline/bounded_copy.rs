//! A bounded copy of a streamed body, or its hash.

use crate::{
    budget::{Budget, Held},
    compare::{BodyCopy, Hashing},
    outcome::Reason,
};
use bytes::Bytes;
use http_body::SizeHint;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The copy so far. A refused copy keeps nothing, because half a body proves nothing.
#[derive(Debug)]
pub(crate) struct BoundedCopy {
    /// The bytes kept so far.
    pub(crate) kept: Vec<u8>,
    held: Held,
    max_body: usize,
    beyond: Beyond,
    /// Set once the body is larger than `max_body`.
    hashing: Option<Hashing>,
    pub(crate) end: End,
    /// When it ended.
    pub(crate) ended: Option<Instant>,
}

/// What to do with a body larger than `max_body`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beyond {
    Refused,
    /// Hash it, which takes no memory.
    Hashed,
}

/// The state of the body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Streaming,
    Whole,
    /// It broke before its end.
    Broken,
    /// The copy was given up: too large, or no memory.
    Refused(Reason),
}

/// A copy of a request body, written while it streams and read when the answer arrives. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct SharedCopy(Arc<Mutex<BoundedCopy>>);

// === impl BoundedCopy ===

impl BoundedCopy {
    pub(crate) fn new(budget: &Budget, max_body: usize) -> Self {
        Self {
            kept: Vec::new(),
            held: budget.share(),
            max_body,
            beyond: Beyond::Refused,
            hashing: None,
            end: End::Streaming,
            ended: None,
        }
    }

    /// Hashes bodies larger than `max_body`.
    pub(crate) fn hashing_beyond(mut self) -> Self {
        self.beyond = Beyond::Hashed;
        self
    }

    /// Reserves room for a body of known length.
    pub(crate) fn expect(&mut self, size: &SizeHint) {
        if let Some(length) = size.exact() {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if self.admits(length) {
                self.kept.reserve_exact(length);
            }
        }
    }

    pub(crate) fn observe(&mut self, data: &Bytes) {
        if self.end != End::Streaming {
            return;
        }
        let length = self.kept.len() + data.len();
        let is_kept =
            self.hashing.is_none() && (length <= self.held.bytes() || self.admits(length));
        match &mut self.hashing {
            _ if is_kept => self.kept.extend_from_slice(data),
            Some(hashing) => hashing.update(data),
            None => {}
        }
    }

    pub(crate) fn finish(&mut self, end: End) {
        if self.end == End::Streaming {
            self.end = end;
        }
    }

    /// Like [`BoundedCopy::finish`], and records the time.
    pub(crate) fn finish_now(&mut self, end: End) {
        self.finish(end);
        self.ended = Some(Instant::now());
    }

    /// Takes the complete body, or its hash, and moves its share of the budget to `held`.
    pub(crate) fn take(&mut self, held: &mut Held) -> BodyCopy {
        held.merge(&mut self.held);
        match self.hashing.take() {
            Some(hashing) => BodyCopy::Hashed(hashing.digest()),
            None => std::mem::take(&mut self.kept).into(),
        }
    }

    /// Takes budget for a body of `length` bytes in all, or gives the copy up.
    fn admits(&mut self, length: usize) -> bool {
        if length > self.max_body {
            match self.beyond {
                Beyond::Hashed => self.hashing = Some(Hashing::begin(&self.kept)),
                Beyond::Refused => self.end = End::Refused(Reason::BodyTooLarge),
            }
        } else if self.held.grow(length - self.held.bytes()) {
            return true;
        } else {
            self.end = End::Refused(Reason::MemoryFull);
        }
        self.kept = Vec::new();
        self.held.shrink_to(0);
        false
    }
}

// === impl SharedCopy ===

impl SharedCopy {
    pub(crate) fn new(copy: BoundedCopy) -> Self {
        Self(Arc::new(Mutex::new(copy)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, BoundedCopy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(budget: &Budget) -> BoundedCopy {
        BoundedCopy::new(budget, 8)
    }

    fn hashed(budget: &Budget, parts: &[&'static [u8]]) -> BodyCopy {
        let mut tape = BoundedCopy::new(budget, 8).hashing_beyond();
        for part in parts {
            tape.observe(&Bytes::from_static(part));
        }
        tape.finish(End::Whole);
        assert_eq!(
            (tape.end, &tape.kept[..], budget.held()),
            (End::Whole, &b""[..], 0)
        );
        tape.take(&mut budget.share())
    }

    #[test]
    fn body_past_the_limit_is_hashed_however_it_streams() {
        let budget = Budget::new(100);
        let expected = BodyCopy::Hashed(Hashing::begin(b"abcdefghi").digest());
        assert_eq!(hashed(&budget, &[b"abcde", b"fghi"]), expected);
        assert_eq!(hashed(&budget, &[b"abcdefghi"]), expected);
        assert_eq!(hashed(&budget, &[b"abcdefgh", b"i"]), expected);
        assert_ne!(hashed(&budget, &[b"abcdefgh", b"j"]), expected);

        let mut declared = BoundedCopy::new(&budget, 8).hashing_beyond();
        declared.expect(&SizeHint::with_exact(9));
        declared.observe(&Bytes::from_static(b"abcd"));
        assert_eq!(budget.held(), 0, "nothing is kept of it at any time");
        declared.observe(&Bytes::from_static(b"efghi"));
        assert_eq!(declared.take(&mut budget.share()), expected);
    }

    #[test]
    fn what_streamed_by_is_kept_within_the_budget() {
        let budget = Budget::new(100);
        let mut tape = tape(&budget);
        tape.observe(&Bytes::from_static(b"abc"));
        tape.observe(&Bytes::from_static(b"defgh"));
        tape.finish(End::Whole);
        assert_eq!((tape.end, budget.held()), (End::Whole, 8));

        let mut held = budget.share();
        let body = tape.take(&mut held);
        drop(tape);
        assert_eq!(
            (&body.kept()[..], held.bytes(), budget.held()),
            (&b"abcdefgh"[..], 8, 8)
        );
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_body_past_the_limit_is_dropped_at_once() {
        let budget = Budget::new(100);
        let mut tape = tape(&budget);
        tape.observe(&Bytes::from_static(b"abcde"));
        tape.observe(&Bytes::from_static(b"fghi"));
        tape.finish(End::Whole);
        assert_eq!(tape.end, End::Refused(Reason::BodyTooLarge));
        assert_eq!((&tape.kept[..], budget.held()), (&b""[..], 0));
    }

    #[test]
    fn a_body_past_the_budget_is_dropped_at_once() {
        let budget = Budget::new(6);
        let mut tape = tape(&budget);
        tape.observe(&Bytes::from_static(b"abcde"));
        tape.observe(&Bytes::from_static(b"fg"));
        assert_eq!(tape.end, End::Refused(Reason::MemoryFull));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_body_of_known_length_is_refused_before_it_comes() {
        let budget = Budget::new(100);
        let mut tape = tape(&budget);
        tape.expect(&SizeHint::with_exact(9));
        assert_eq!(tape.end, End::Refused(Reason::BodyTooLarge));

        let mut tape = self::tape(&budget);
        tape.expect(&SizeHint::with_exact(3));
        tape.observe(&Bytes::from_static(b"abc"));
        assert_eq!((&tape.kept[..], budget.held()), (&b"abc"[..], 3));
    }
}
