//! A write in progress. It is recorded when it is sent, and again when it is answered or given up. The write may happen
//! at any time in between.

use super::call::Unnamed;
use crate::{pipeline::Writes, route::Keys};
use std::{sync::Arc, time::Instant};

/// Records the end of a write when dropped.
#[derive(Debug)]
pub(super) struct Writing {
    writes: Writes,
    subject: Subject,
}

/// The keys that are written.
#[derive(Debug)]
pub(super) enum Subject {
    Known(Keys),
    /// Known once the request's body is complete.
    ByBody(Arc<Unnamed>),
}

// === impl Writing ===

impl Writing {
    pub(super) fn begin(writes: Writes, subject: Subject, now: Instant) -> Self {
        if let Subject::Known(keys) = &subject {
            writes.note(keys, now);
        }
        Self { writes, subject }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let keys = match &self.subject {
            Subject::Known(keys) => *keys,
            Subject::ByBody(unnamed) => unnamed.keys(),
        };
        self.writes.note(&keys, Instant::now());
    }
}
