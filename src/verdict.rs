//! From tallies to a verdict: what became of each check, how sure that makes us, may the switch be made.

pub mod evidence;
mod hearing;
pub mod history;
pub mod interval;
pub mod judge;
pub mod limits;
pub mod outcome;
pub mod pace;
pub mod record;
pub mod told;
pub mod version;
pub mod versions;

pub use evidence::{Activity, Cause, Epoch, Evidence, Figures, Outcomes, Tallies};
pub use interval::{Interval, Sequence};
pub use judge::judge;
pub use limits::Limits;
pub use outcome::{Mark, Outcome, Reason, ShadowError, Via};
pub use pace::Pace;
pub use record::Record;
pub use told::{Code, Counts, Decision, Finding, RouteVerdict, Verdict};
pub use version::Version;
pub use versions::{Doubt, Turn, Versions};
