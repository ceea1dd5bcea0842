//! What passes between the parts of the runtime: samples from the live side to the shadow side, what was written of
//! late, and redacted reports of checks from there to exporters and store. All of it is bounded, and none ever waits.

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
