//! Why the checks of a route end without a comparison, and what helps.

use super::{Assessment, Percent, Requirement, evidence::REST};
use crate::outcome::{Outcome, Reason};

// === impl Assessment ===

impl Assessment<'_> {
    /// Why too few of its checks are compared, and what helps, in one line.
    pub fn obstacle(&self) -> Option<String> {
        let is_exempt = self.figures.requirement == Requirement::Exempt;
        // The rest is no route that could be exempt; its routes have obstacles of their own.
        let is_rest = *self.figures.route == *REST;
        let [.., uncompared] = &self.rates;
        if is_exempt || is_rest || !uncompared.is_exceeded() && !self.is_covered_too_little() {
            return None;
        }
        let outcomes = self.figures.outcomes.iter();
        let helped =
            outcomes.filter_map(|(outcome, count)| Some((outcome, count, remedy(outcome)?)));
        let (outcome, count, remedy) = helped.max_by_key(|(_, count, _)| *count)?;
        let share = Percent(count as f64 / self.figures.outcomes.ended() as f64);
        Some(format!("{share} {}; {remedy}", outcome.detail()))
    }
}

/// What helps if many checks end so; `None` if nothing about this route does.
fn remedy(outcome: Outcome) -> Option<&'static str> {
    let Outcome::NotCompared(reason) = outcome else {
        return None;
    };
    match reason {
        Reason::BodyTooLarge => Some("raise capture.max_body or add it to verdict.exempt"),
        Reason::NothingSelected => {
            Some("list a place in compare.only that each of its answers has, or use rules")
        }
        Reason::Streaming => Some("it has no end to wait for: add it to verdict.exempt"),
        Reason::MemoryFull => Some("raise capture.max_total or lower sample.rate"),
        Reason::QueueFull | Reason::Expired => Some("raise new.max_in_flight or lower sample.rate"),
        Reason::OverBudget => Some("raise new.max_per_second or lower sample.rate"),
        Reason::Conditional => Some("set `conditional: reread`"),
        Reason::BreakerOpen
        | Reason::PrimaryError
        | Reason::ClientGone
        | Reason::WritePending
        | Reason::ShuttingDown
        | Reason::Internal => None,
    }
}
