//! What passes between the parts of the runtime: samples from the live side to the shadow side, what was written of
//! late, and redacted reports of checks from there to exporters and store. All of it is bounded, and none ever waits.

pub mod checked;
mod flat;
mod masked;
mod pairs;
pub mod report;
pub mod reports;
pub mod sample;
mod writes;

pub use checked::{Checked, Timed};
pub use flat::{Flat, FlatAnswer, FlatRequest};
pub use pairs::{Fresh, Pairs, Tables};
pub use report::{Basis, Rechecked, Report, Told, ToldAnswer, Traced};
pub use reports::{Reports, Sent};
pub use sample::{Feed, Opened, Queue, ReadRequest, Sample};
pub use writes::Writes;
