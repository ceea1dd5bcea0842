//! Validation in the background: reads both stacks for requests that no caller waits for, of recordings ([`Replay`]) or
//! of enumerated keys ([`Sweep`]).
//!
//! It is one more intake: it offers reads without an answer to the queue of the shadow, which checks them as it checks
//! those of callers. [`run()`] offers them at a pace that both stacks bear, and returns their ends in the order of the
//! offers, so that a checkpoint is one number.

mod classes;
mod keys;
mod offer;
mod pace;
mod pattern;
mod permutation;
mod recorded;
mod replay;
mod run;
mod sweep;
mod walk;

pub(crate) use classes::FoundClass;
pub(crate) use keys::{Keys, Source};
pub(crate) use offer::Offers;
pub(crate) use pattern::Pattern;
pub(crate) use recorded::{Format, Mapping};
pub(crate) use replay::{Against, Files, ReadExample, Replay, Replayed, Unusable};
pub(crate) use run::{End, Job, Limits, Pace, run};
pub(crate) use sweep::{Checkpoint, KeyExample, Sweep, SweepCounts};
pub(crate) use walk::Walk;
