//! The shadow side: it replays samples on the stack that does not answer callers, then compares, counts and reports.
//!
//! It runs on its own threads, at a lower priority than the live ones. It shares only the queue of samples, the byte
//! budget and counters with them. Every sample taken from the queue ends in exactly one outcome, because it owns its
//! ticket until then.

mod bounds;
mod breaker;
mod check;
mod conditions;
mod context;
mod dual_read;
mod guarded_client;
mod noise;
mod on_demand;
mod priority;
mod recheck;
mod reflection;
mod replace_primary;
mod replay;
mod worker;

pub use breaker::Limits;
pub(crate) use on_demand::{Reread, RereadError, RereadRequest, Rereader};
pub(crate) use priority::yield_to_others;
pub(crate) use reflection::Reflector;
pub use worker::{Compare, Handles, Parts, Worker};

use crate::{
    pipeline::{Trace, Traced},
    sample::Frequency,
    settings::{Capture, Drain, QueueLimits},
    spanned_yaml::{Change, Choice, Form, Setting, settings},
    stack::Stack,
};
use http::HeaderName;
use serde_json::json;
use std::{num::NonZeroUsize, time::Duration};

/// Settings that may change at runtime. A check uses one snapshot from its beginning to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub old: Protection,
    pub new: Protection,
    pub queue: QueueLimits,
    pub capture: Capture,
    pub recheck: Recheck,
    pub conditional: Conditional,
    pub trace: Trace,
    pub traced: Traced,
    /// The header of the new stack's answers that names its build.
    pub version_header: Option<HeaderName>,
    pub drain: Drain,
}

settings! {
    /// The part of the sections `old` and `new` that protects the stack from requests that are ours and no caller's.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Protection: Default {
        /// How long a whole answer may take, body included, where no caller waits for it.
        #[setting(default: "5s", range: "1ms..1h", change: Change::Runtime)]
        pub timeout: Duration,
        /// Requests of ours under way at once.
        #[setting(default: "32", range: "1..100000", change: Change::Runtime)]
        pub max_in_flight: NonZeroUsize,
        /// Requests of ours in one second.
        #[setting(
            default: "200",
            range: "0.001..1000000",
            change: Change::Runtime,
            form: Frequency::PER_SECOND,
        )]
        pub max_per_second: Frequency,
        /// Leaves a failing stack alone.
        #[setting(change: Change::Runtime)]
        pub breaker: Limits,
    }
}

settings! {
    /// The section `recheck`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Recheck: Default {
        /// Delays from the first difference on, each longer than the one before; [] switches it off.
        #[setting(default: "[200ms, 2s, 10s]", range: "1ms..1h", form: DELAYS)]
        pub after: Vec<Duration>,
        /// Readings of both stacks in one second.
        #[setting(default: "10", range: "0.001..1000000", form: Frequency::PER_SECOND)]
        pub max_per_second: Frequency,
    }
}

/// How to handle a read that the primary answered by its conditions (304, 412, and 206 against 200 with `If-Range`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditional {
    /// Reads both stacks again without its conditions.
    #[default]
    Reread,
    /// Does not compare it.
    Skip,
}

/// Each delay costs a request to either stack, so there must be few.
const MAX_DELAYS: usize = 10;

const DELAYS: Form<Vec<Duration>> = Form {
    read: |at, range| {
        let after = (Vec::<Duration>::FORM.read)(at, range)?;
        if after.len() > MAX_DELAYS {
            let found = after.len();
            let message = format!("expected at most {MAX_DELAYS} delays, found {found}");
            return Err(at.fault(message).into());
        }
        let Some(later) = (1..after.len()).find(|later| after[later - 1] >= after[*later]) else {
            return Ok(after);
        };
        let items = at.items()?;
        let text = |index: usize| items[index].text().unwrap_or_default();
        Err(items[later]
            .fault(format!(
                "expected delays that grow, because each is from the first difference on, found `{}` after `{}`",
                text(later),
                text(later - 1),
            ))
            .into())
    },
    schema: |range| {
        let mut schema = (Vec::<Duration>::FORM.schema)(range);
        schema["maxItems"] = json!(MAX_DELAYS);
        schema
    },
};

// === impl Settings ===

impl Settings {
    /// What protects the stack.
    fn of(&self, stack: Stack) -> &Protection {
        match stack {
            Stack::Old => &self.old,
            Stack::New => &self.new,
        }
    }
}

// === impl Conditional ===

impl Choice for Conditional {
    const WORDS: &'static [(&'static str, Self)] =
        &[("reread", Self::Reread), ("skip", Self::Skip)];
}

// === impl Recheck ===

impl Recheck {
    /// How long after a write its effect may still differ: until the last recheck. Zero without rechecks.
    pub fn window(&self) -> Duration {
        self.after.last().copied().unwrap_or_default()
    }
}
