//! What the calls do, apart from HTTP.

pub(crate) mod evidence;
mod historian;
pub(crate) mod history;
pub(crate) mod readiness;
pub(crate) mod recheck;
pub(crate) mod rules;
pub(crate) mod verdict;
pub(crate) mod verdict_history;
