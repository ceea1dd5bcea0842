//! Bounded channels and shared state between the parts of the runtime. The live side hands samples to the shadow side
//! and records writes; the shadow side hands redacted reports to exporters and the store. Sending never waits.

pub(crate) mod bounded_copy;
pub(crate) mod capture;
mod captured_read;
mod compact_head;
mod finished_check;
mod id_pairs;
mod masked;
mod named;
pub(crate) mod queue;
mod rebuild;
pub(crate) mod report;
pub(crate) mod report_bus;
mod sampler;
mod write_tracker;

pub(crate) use captured_read::FinishedRead;
pub use captured_read::{
    CapturedAnswer, CapturedRead, CheckInput, ReadMeta, ReadRequest, TimedAnswer,
};
pub use compact_head::{CompactAnswer, CompactHead, CompactRequest};
pub use finished_check::{FinishedCheck, Span};
pub(crate) use id_pairs::Fresh;
pub use id_pairs::Pairs;
pub(crate) use named::{Named, head};
pub use queue::{Queue, QueueReceiver};
pub(crate) use rebuild::NOT_REPLAYED;
pub(crate) use report::ReportedAnswer;
pub use report::{
    Rechecked, Report, ReportedDifference, ReportedRequest, RuleEvidence, SentRequest, Trace,
    Traced,
};
pub(crate) use report_bus::Recorder;
pub use report_bus::{Reports, Sent};
pub use sampler::ReadSampler;
pub use write_tracker::Writes;
