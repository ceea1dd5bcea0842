//! A bounded copy of a body that streams by.

use crate::{
    budget::{Budget, Held},
    verdict::Reason,
};
use bytes::Bytes;
use http_body::SizeHint;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The copy so far; nothing of it is kept once it was refused, for half a body proves nothing.
#[derive(Debug)]
pub(super) struct Tape {
    kept: Vec<u8>,
    held: Held,
    max_body: usize,
    end: End,
    /// When it came to its end.
    ended: Option<Instant>,
}

/// How far the body has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum End {
    Streaming,
    Whole,
    /// It broke before its end.
    Broken,
    /// The copy was given up: too large, or no memory.
    Refused(Reason),
}

/// A tape of a request body, written while it streams and read when the answer has come. Shared by clones.
#[derive(Clone, Debug)]
pub(super) struct Recording(Arc<Mutex<Tape>>);

// === impl Tape ===

impl Tape {
    pub(super) fn new(budget: &Budget, max_body: usize) -> Self {
        Self {
            kept: Vec::new(),
            held: budget.share(),
            max_body,
            end: End::Streaming,
            ended: None,
        }
    }

    /// Makes room at once for a body of known length.
    pub(super) fn expect(&mut self, size: &SizeHint) {
        if let Some(length) = size.exact() {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if self.admits(length) {
                self.kept.reserve_exact(length);
            }
        }
    }

    pub(super) fn observe(&mut self, data: &Bytes) {
        if self.end != End::Streaming {
            return;
        }
        let length = self.kept.len() + data.len();
        if length <= self.held.bytes() || self.admits(length) {
            self.kept.extend_from_slice(data);
        }
    }

    pub(super) fn finish(&mut self, end: End) {
        if self.end == End::Streaming {
            self.end = end;
        }
    }

    /// As [`Tape::finish`], and notes when that was.
    pub(super) fn finish_now(&mut self, end: End) {
        self.finish(end);
        self.ended = Some(Instant::now());
    }

    pub(super) fn ended(&self) -> Option<Instant> {
        self.ended
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    /// What was kept so far.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The whole body and its share of the budget, leaving the tape empty.
    pub(super) fn take(&mut self) -> (Bytes, Held) {
        let held = self.held.split();
        (Bytes::from(std::mem::take(&mut self.kept)), held)
    }

    /// Takes bytes of the budget for a body of so many bytes in all, or gives the copy up.
    fn admits(&mut self, length: usize) -> bool {
        let reason = if length > self.max_body {
            Reason::BodyTooLarge
        } else if self.held.grow(length - self.held.bytes()) {
            return true;
        } else {
            Reason::MemoryFull
        };
        self.end = End::Refused(reason);
        self.kept = Vec::new();
        self.held.shrink_to(0);
        false
    }
}

// === impl Recording ===

impl Recording {
    pub(super) fn new(tape: Tape) -> Self {
        Self(Arc::new(Mutex::new(tape)))
    }

    pub(super) fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(budget: &Budget) -> Tape {
        Tape::new(budget, 8)
    }

    #[test]
    fn what_streamed_by_is_kept_within_the_budget() {
        let budget = Budget::new(100);
        let mut tape = tape(&budget);
        tape.observe(&Bytes::from_static(b"abc"));
        tape.observe(&Bytes::from_static(b"defgh"));
        tape.finish(End::Whole);
        assert_eq!((tape.end(), budget.held()), (End::Whole, 8));

        let (body, held) = tape.take();
        drop(tape);
        assert_eq!(
            (&body[..], held.bytes(), budget.held()),
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
        assert_eq!(tape.end(), End::Refused(Reason::BodyTooLarge));
        assert_eq!((tape.kept(), budget.held()), (&b""[..], 0));
    }

    #[test]
    fn a_body_past_the_budget_is_dropped_at_once() {
        let budget = Budget::new(6);
        let mut tape = tape(&budget);
        tape.observe(&Bytes::from_static(b"abcde"));
        tape.observe(&Bytes::from_static(b"fg"));
        assert_eq!(tape.end(), End::Refused(Reason::MemoryFull));
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_body_of_known_length_is_refused_before_it_comes() {
        let budget = Budget::new(100);
        let mut tape = tape(&budget);
        tape.expect(&SizeHint::with_exact(9));
        assert_eq!(tape.end(), End::Refused(Reason::BodyTooLarge));

        let mut tape = self::tape(&budget);
        tape.expect(&SizeHint::with_exact(3));
        tape.observe(&Bytes::from_static(b"abc"));
        assert_eq!((tape.kept(), budget.held()), (&b"abc"[..], 3));
    }
}
