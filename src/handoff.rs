//! What passes between the parts of the runtime: samples from the live side to the shadow side, and
//! redacted reports of checks from there to exporters and store. Both queues are bounded and neither ever waits.

pub mod report;
pub mod sample;

pub use report::{Checked, Report, Reports, Timed, Told, ToldAnswer, Traced};
pub use sample::{Feed, Queue, ReadRequest, Sample};
