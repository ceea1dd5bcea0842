//! What passes between the parts of the runtime: samples from the live side to the shadow side, and
//! redacted reports of checks from there to exporters and store. Both queues are bounded and neither ever waits.

pub mod checked;
mod flat;
mod pairs;
pub mod report;
pub mod reports;
pub mod sample;

pub use checked::{Checked, Timed};
pub use flat::{Flat, FlatAnswer, FlatRequest};
pub use pairs::{Fresh, Pairs, Tables};
pub use report::{Basis, Rechecked, Report, Told, ToldAnswer, Traced};
pub use reports::{Reports, Sent};
pub use sample::{Feed, Opened, Queue, ReadRequest, Sample};
