//! From tallies to a verdict: outcomes of checks, confidence, and whether the switch is safe.

pub mod assessment;
pub mod bounded_rate;
pub mod bounds;
pub mod builds;
pub mod change;
pub mod checks;
pub mod evidence;
pub mod finding;
pub mod judge;
pub mod keys;
pub mod limits;
pub mod percent;
mod proof;
pub mod rate;
pub mod requirement;
pub mod soak;
pub mod version;

pub use assessment::Assessment;
pub use bounded_rate::BoundedRate;
pub use bounds::{Interval, Trials};
pub use builds::Builds;
pub use change::ChangeDetector;
pub use checks::{Checks, Entry, RouteEvidence};
pub use evidence::{Activity, Cause, Epoch, Evidence, Figures, Outcomes, Tallies};
pub use finding::{Code, Decision, Finding};
pub use judge::{Judgement, Soak, judge};
pub use keys::DistinctKeys;
pub use limits::{Limits, RequiredRoutes};
pub use percent::Percent;
pub use rate::EventRate;
pub use requirement::{Requirement, Requirements};
pub use soak::SoakClock;
pub use version::Version;
