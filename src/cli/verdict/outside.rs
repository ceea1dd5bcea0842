//! What a verdict says about routes that it does not depend on, and about those whose checks lead nowhere.

use super::Printable;
use crate::{
    admin::documents::{RouteVerdict, Verdict},
    verdict::{Percent, evidence::REST},
};
use std::{collections::BTreeMap, fmt};

/// Lines below the reasons: advice, exempt routes with their figures, and the rest if it is not required.
pub(super) struct Outside<'v>(pub(super) &'v Verdict);

/// Exempt routes that are shown one by one.
const SHOWN: usize = 5;

// === impl Outside ===

impl fmt::Display for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (advice, routes) in self.advice() {
            let route = Printable(&routes[0].route);
            let more = match routes.len() - 1 {
                0 => String::new(),
                1 => " and 1 more route".to_owned(),
                more => format!(" and {more} more routes"),
            };
            write!(f, "\n  {:<14} {route}{more}: {advice}", "advice")?;
        }
        let exempt: Vec<_> = self.0.routes.iter().filter(|route| route.exempt).collect();
        for route in exempt.iter().take(SHOWN) {
            let counts = &route.counts;
            let matched = counts.matched.exact + counts.matched.rules;
            write!(
                f,
                "\n  {:<14} {}: {} live, {} sampled, {matched} matched, {} mismatched",
                "exempt",
                Printable(&route.route),
                counts.live,
                counts.sampled,
                counts.mismatch,
            )?;
        }
        if let Some(more) = exempt.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            write!(f, "\n  {:<14} and {more} more", "exempt")?;
        }
        match self.rest() {
            Some(share) => write!(
                f,
                "\n  {:<14} {REST}: {share} of the live reads",
                "not required"
            ),
            None => Ok(()),
        }
    }
}

impl Outside<'_> {
    /// Advice that no reason gives, with the routes that it is about.
    fn advice(&self) -> BTreeMap<&str, Vec<&RouteVerdict>> {
        let is_given = |route: &RouteVerdict, advice: &str| {
            let mut reasons = self.0.reasons.iter();
            reasons.any(|reason| {
                reason.route.as_ref() == Some(&route.route) && reason.detail.contains(advice)
            })
        };
        let mut grouped = BTreeMap::<_, Vec<_>>::new();
        for route in &self.0.routes {
            if let Some(advice) = route
                .advice
                .as_deref()
                .filter(|advice| !is_given(route, advice))
            {
                grouped.entry(advice).or_default().push(route);
            }
        }
        grouped
    }

    /// The share of the rest in the live reads, if it is not required.
    fn rest(&self) -> Option<Percent> {
        let (rest, routes): (Vec<_>, Vec<_>) = self
            .0
            .routes
            .iter()
            .partition(|route| &*route.route == REST);
        let rest = rest.first().filter(|rest| !rest.required)?;
        let all: u64 = routes.iter().map(|route| route.counts.reads).sum();
        Some(Percent(rest.counts.reads as f64 / all as f64)).filter(|share| share.0 > 0.0)
    }
}
