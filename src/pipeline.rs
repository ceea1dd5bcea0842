//! Bounded channels and shared state between the parts of the runtime. The live side hands samples to the shadow side
//! and records writes; the shadow side hands redacted reports to exporters and the store. Sending never waits.

pub mod checked;
mod compact_head;
mod id_pairs;
mod masked;
pub mod queue;
pub mod report;
pub mod report_bus;
mod write_tracker;

pub use checked::{FinishedCheck, TimedAnswer};
pub use compact_head::{CompactAnswer, CompactHead, CompactRequest};
pub use id_pairs::{Fresh, Pairs, Tables};
pub use queue::{CapturedRead, CheckInput, Queue, QueueReceiver, ReadRequest};
pub use report::{Rechecked, Report, ReportedAnswer, ReportedDifference, RuleEvidence, Traced};
pub use report_bus::{Reports, Sent};
pub use write_tracker::Writes;
