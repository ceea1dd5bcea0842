//! What the calls do, apart from HTTP.

mod historian;
pub mod history;
pub mod readiness;
pub mod recheck;
pub mod rules;
pub mod verdict;
pub mod verdict_history;
