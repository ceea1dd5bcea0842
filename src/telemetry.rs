//! The process's figures: counted once, here, and read by the verdict, the admin API and the exporters.

pub mod gauges;
pub mod ledger;
pub mod timings;

pub use gauges::{Bound, Gauges, Signal};
pub use ledger::{Ledger, Route, Ticket};
pub use timings::Timings;
