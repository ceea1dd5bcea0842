//! What a verdict says about routes that it does not depend on, and about those whose checks lead nowhere.

use super::Printable;
use crate::{
    admin::documents::{RouteVerdict, Verdict},
    verdict::{Counted, Decision, Percent, evidence::REST},
};
use std::collections::BTreeMap;

/// Lines below the reasons.
pub(super) struct Outside<'v>(pub(super) &'v Verdict);

/// Exempt routes that are shown one by one.
const SHOWN: usize = 5;

// === impl Outside ===

impl Outside<'_> {
    /// Advice that no reason gives.
    pub(super) fn advice(&self) -> Vec<String> {
        let advice = self
            .not_given()
            .into_iter()
            .map(|(advice, routes)| format!("  {:<14} {}: {advice}", "advice", named(&routes)));
        advice.collect()
    }

    /// Exempt routes with their figures, routes of the rest that are unsafe, and the rest if it is not required.
    pub(super) fn not_required(&self) -> Vec<String> {
        let exempt: Vec<_> = self.0.routes.iter().filter(|route| route.exempt).collect();
        let mut lines: Vec<_> = exempt.iter().take(SHOWN).map(|route| line(route)).collect();
        if exempt.len() > SHOWN {
            let more = exempt.len() - SHOWN;
            lines.push(format!("  {:<14} and {more} more", "exempt"));
        }
        lines.extend(self.unsafe_in_rest());
        let rest = self.rest();
        lines.extend(
            rest.map(|share| format!("  {:<14} {REST}: {share} of the live reads", "not required")),
        );
        lines
    }

    /// Says why the verdict is not `unsafe` although such a route is.
    fn unsafe_in_rest(&self) -> Option<String> {
        if self.0.verdict == Decision::Unsafe {
            return None;
        }
        let is_meant = |route: &&RouteVerdict| {
            let is_alone = !route.required && !route.exempt && &*route.route != REST;
            is_alone && route.state == Decision::Unsafe
        };
        let routes: Vec<_> = self.0.routes.iter().filter(is_meant).collect();
        let line = || {
            let routes = named(&routes);
            format!(
                "  {:<14} {routes}: unsafe alone, but judged within {REST}",
                "not required"
            )
        };
        (!routes.is_empty()).then(line)
    }

    /// Advice that no reason gives, with the routes that it is about.
    fn not_given(&self) -> BTreeMap<&str, Vec<&RouteVerdict>> {
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

/// The first of the routes, and how many more there are.
fn named(routes: &[&RouteVerdict]) -> String {
    let first = Printable(&routes[0].route);
    match routes.len() as u64 - 1 {
        0 => first.to_string(),
        more => format!("{first} and {}", Counted(more, "more route")),
    }
}

/// An exempt route with its figures.
fn line(route: &RouteVerdict) -> String {
    let counts = &route.counts;
    format!(
        "  {:<14} {}: {} live, {} sampled, {} matched, {} mismatched",
        "exempt",
        Printable(&route.route),
        counts.live,
        counts.sampled,
        counts.matched.exact + counts.matched.rules,
        counts.mismatch,
    )
}
