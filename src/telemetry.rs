//! The process's figures: counted once, here, and read by the verdict, the admin API and the exporters.

pub mod clock;
mod epoch;
pub mod gauges;
mod house;
pub mod latencies;
pub mod ledger;
mod locks;
pub mod route;
pub mod rule_counts;
mod seat;
mod seconds;
pub mod state;
mod tally;
pub mod timings;

pub use clock::{Clock, today};
pub use gauges::{Bound, Gauges, Signal};
pub use latencies::{Latencies, Sketch};
pub use ledger::Ledger;
pub use route::{Draw, Route, SampleCause, Ticket};
pub use rule_counts::{RuleCount, RuleCounts};
pub use state::{EpochState, Opening, RouteState};
pub use timings::Timings;
