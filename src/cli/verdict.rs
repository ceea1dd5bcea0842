//! The verdict of a running twinread, printed for people.

mod outside;

use super::print::{Printable, folded, to_the_second};
use crate::{
    admin::documents::{EvidenceState, Finding, Verdict},
    verdict::{Code, Counted, Decision, Span},
};
use anstyle::{AnsiColor, Style};
use outside::Outside;
use std::{cmp::Reverse, fmt};

/// The verdict and its reasons, on lines of at most `width`.
pub(super) struct Summary<'v> {
    pub(super) verdict: &'v Verdict,
    pub(super) width: usize,
    /// Reasons beyond these are only counted.
    pub(super) most: usize,
}

/// Reasons shown in full.
pub(super) const REASONS: usize = 10;

/// The indent of a line that goes on with a reason.
const HANG: usize = 4;

fn style(decision: Decision) -> Style {
    let colour = match decision {
        Decision::Safe => AnsiColor::Green,
        Decision::Unsafe => AnsiColor::Red,
        Decision::Undecided => AnsiColor::Yellow,
    };
    colour.on_default().bold()
}

// === impl Summary ===

impl<'v> Summary<'v> {
    pub(super) fn new(verdict: &'v Verdict, width: usize) -> Self {
        let most = REASONS;
        Self {
            verdict,
            width,
            most,
        }
    }

    /// What is judged, how surely, and for how long it has been clean.
    fn heading(&self) -> String {
        let verdict = self.verdict;
        let epoch = &verdict.epoch;
        let mut text = format!("{}  epoch ", verdict.verdict);
        match &epoch.label {
            Some(label) => text += &format!("{} ({})", Printable(label), epoch.id),
            None => text += &epoch.id,
        }
        if let Some(version) = &epoch.version {
            text += &format!(" of version {}", Printable(version));
        }
        text += &format!(" since {}", to_the_second(&epoch.since.to_string()));
        text += &format!(", confidence {} %", verdict.confidence * 100.0);
        if verdict.soak.required_seconds > 0 {
            let clean = Span(verdict.soak.clean_seconds);
            let required = Span(verdict.soak.required_seconds);
            text += &format!(", clean for {clean} of {required}");
        }
        text
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = self.verdict.verdict;
        let heading = folded(&self.heading(), self.width, 2);
        let style = style(decision);
        let name = decision.name();
        write!(f, "{style}{name}{style:#}{}", &heading[name.len()..])?;

        let mut reasons: Vec<_> = self.verdict.reasons.iter().collect();
        reasons.sort_by_key(|reason| (reason.code, Reverse(missing(reason))));
        let (shown, others) = reasons.split_at(reasons.len().min(self.most));
        for reason in shown {
            write!(f, "\n{}", folded(&line(reason), self.width, HANG))?;
        }
        if !others.is_empty() {
            let others = format!("  and {}", counts(others).join(", "));
            write!(f, "\n{}", folded(&others, self.width, HANG))?;
        }
        for evidence in &self.verdict.evidence {
            write!(
                f,
                "\n{}",
                folded(&evidence_line(evidence), self.width, HANG)
            )?;
        }
        let outside = Outside(self.verdict);
        let mut lines = outside.advice();
        if self.most < REASONS {
            // A terminal of few lines has room for one; exempt routes are in the table, too.
            lines.truncate(1);
        } else {
            lines.extend(outside.not_required());
        }
        for line in lines {
            write!(f, "\n{}", folded(&line, self.width, HANG))?;
        }
        Ok(())
    }
}

/// Clean checks that are missing; the most if their number is unknown.
fn missing(reason: &Finding) -> u64 {
    reason.checks_needed.unwrap_or(u64::MAX)
}

fn line(reason: &Finding) -> String {
    let mut text = format!("  {:<14}", reason.code);
    if let Some(route) = &reason.route {
        text += &format!(" {}:", Printable(route));
    }
    text += &format!(" {}", Printable(&reason.detail));
    if let Some(seconds) = reason.eta_seconds {
        text += &format!(" (about {} at the present pace)", Span(seconds));
    }
    text
}

/// What another process found; it is no reason.
fn evidence_line(evidence: &EvidenceState) -> String {
    let of_now = if evidence.current {
        ""
    } else {
        ", of other rules or another build"
    };
    format!(
        "  {:<14} {}: {} ({:.0}{of_now})",
        evidence.source.to_string(),
        evidence.verdict,
        Printable(&evidence.detail),
        evidence.at
    )
}

/// How many reasons there are of each code; they are sorted by it.
fn counts(reasons: &[&Finding]) -> Vec<String> {
    let groups = reasons.chunk_by(|one, other| one.code == other.code);
    let counts = groups.map(|group| {
        let count = group.len() as u64;
        let needs = match group[0].code {
            Code::MoreChecks => "checks",
            Code::MoreKeys => "keys",
            code => return format!("{count} more of {code}"),
        };
        let verb = if count == 1 { "needs" } else { "need" };
        format!("{} {verb} more {needs}", Counted(count, "route"))
    });
    counts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::status::look::tests::verdict;
    use anstream::adapter::strip_str;
    use serde_json::json;

    fn shown(reasons: serde_json::Value, width: usize) -> String {
        let verdict: Verdict = serde_json::from_value(verdict(1, reasons)).unwrap();
        strip_str(&Summary::new(&verdict, width).to_string()).to_string()
    }

    #[test]
    fn the_gravest_ten_reasons_are_shown_and_the_others_counted() {
        let more = |route: u64| {
            json!({"code": "more_checks", "route": format!("route-{route}"), "checks_needed": route,
                "eta_seconds": 60, "detail": format!("needs {route} more clean checks")})
        };
        let mut reasons: Vec<_> = (1..=120).map(more).collect();
        reasons.push(json!({"code": "mismatch_rate", "route": "get-user", "detail": "3 of 9 checks mismatched"}));
        let text = shown(reasons.clone().into(), 80);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "  mismatch_rate  get-user: 3 of 9 checks mismatched"
        );
        assert!(lines[2].starts_with("  more_checks    route-120: needs 120 more"));
        assert_eq!(lines.last(), Some(&"  and 111 routes need more checks"));
        let one = shown(reasons[..11].to_vec().into(), 80);
        assert!(one.ends_with("\n  and 1 route needs more checks"), "{one}");
        let ten = shown(reasons[..10].to_vec().into(), 80);
        assert!(!ten.contains("\n  and "), "{ten}");
    }

    #[test]
    fn each_line_fits_whatever_the_width() {
        let detail =
            "needs 3174 more clean checks, after 200 comparisons with 0 mismatches and 0 errors";
        let reasons = json!([{"code": "more_checks", "route": "GET /a/{}/b", "eta_seconds": 211, "detail": detail}]);
        for width in 20..200 {
            let text = shown(reasons.clone(), width);
            assert!(
                text.lines().all(|line| line.chars().count() <= width),
                "{text}"
            );
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(width < 40 || words.contains(detail), "{text}");
        }
    }

    #[test]
    fn a_rare_route_that_is_unsafe_alone_is_explained() {
        let mut verdict = verdict(9, json!([]));
        let route = &mut verdict["routes"][0];
        route["state"] = "unsafe".into();
        let text = |verdict: &serde_json::Value| {
            let verdict: Verdict = serde_json::from_value(verdict.clone()).unwrap();
            Summary::new(&verdict, 80).to_string()
        };
        assert!(!text(&verdict).contains("unsafe alone"), "it is required");
        verdict["routes"][0]["required"] = false.into();
        let text = text(&verdict);
        let line = "\n  not required   get-user: unsafe alone, but judged within (rest)";
        assert!(text.contains(line), "{text}");
    }
}
