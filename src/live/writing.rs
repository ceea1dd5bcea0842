//! A write on its way: noted when it is sent, and once more when it is answered or given up, for nobody knows when in
//! between it was made.

use super::call::Unnamed;
use crate::{pipeline::Writes, route::Keys};
use std::{sync::Arc, time::Instant};

/// Notes the end of a write when it is dropped.
#[derive(Debug)]
pub(super) struct Writing {
    writes: Writes,
    subject: Subject,
}

/// What is written.
#[derive(Debug)]
pub(super) enum Subject {
    Known(Keys),
    /// It will be known when the request's body is.
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
