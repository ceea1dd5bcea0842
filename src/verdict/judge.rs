//! Judges the evidence: `safe`, `unsafe` or `undecided`, with every reason (`docs/verdict.md`).
//!
//! `safe` means that all required routes are within all limits, so each is tested at the whole alpha (an
//! intersection-union test, Berger 1982). `unsafe` means that some route is above a limit: the evidence of all routes
//! is summed, each weighted by its rank.

use super::{
    Activity, Assessment, Code, Decision, Epoch, Evidence, Figures, Finding, Limits, Requirement,
    Span, requirement::stands_for,
};
use crate::outcome::Outcome;
use jiff::Timestamp;
use std::time::Duration;

/// The decision about some evidence, and what led to it.
#[derive(Debug)]
pub struct Judgement<'e> {
    /// Whether the switch is safe.
    pub decision: Decision,
    /// The epoch that the decision is about.
    pub epoch: &'e Epoch,
    /// `verdict.confidence`: `safe` is ever claimed wrongly with a probability of at most 1 minus this, and so is
    /// `unsafe`.
    pub confidence: f64,
    /// What prevents `safe`; the gravest first.
    pub findings: Vec<Finding>,
    /// How long the clean record has to last, and how long it has lasted.
    pub soak: Soak,
    /// All routes in order of appearance, then the rest if it has reads.
    pub routes: Vec<Assessment<'e>>,
}

/// The clean record of all required routes: that of the route with the shortest.
#[derive(Clone, Copy, Debug)]
pub struct Soak {
    /// `verdict.soak` in seconds, rounded up.
    pub required_seconds: u64,
    /// How long the record is clean, in whole seconds; 0 without a required route.
    pub clean_seconds: u64,
}

/// Rank of the routes that are neither required nor exempt, judged together. It precedes that of any route.
const REST_RANK: u64 = 1;

/// Judges the evidence at time `now`.
pub fn judge<'e>(evidence: &'e Evidence, limits: &'e Limits, now: Timestamp) -> Judgement<'e> {
    let mut reasons = Vec::new();
    let mut routes = Vec::new();
    let mut sum = 0.0;
    let mut gravest: Option<(f64, usize)> = None;
    for (figures, rank) in judged(evidence) {
        let mut assessment = Assessment::new(figures, limits, rank.unwrap_or(REST_RANK));
        let findings = assessment.findings(evidence.is_by_key);
        let share = assessment.proof.share;
        assessment.state = decide(&findings, share >= 1.0 / limits.alpha());
        if figures.requirement.is_required() {
            reasons.extend(findings);
            // Only a rank gives a share; the shares of all ranks sum to at most 1.
            if rank.is_some() {
                sum += share;
                if gravest.as_ref().is_none_or(|(most, _)| share > *most) {
                    gravest = Some((share, routes.len()));
                }
            }
        }
        routes.push(assessment);
    }
    let is_unsafe = sum >= 1.0 / limits.alpha();
    if is_unsafe && let Some((_, index)) = gravest {
        let proven = routes[index].proven();
        // Avoids a duplicate: the proven finding may already be in the list.
        reasons.retain(|reason: &Finding| {
            (reason.code, &reason.route) != (proven.code, &proven.route)
        });
        reasons.insert(0, proven);
    }
    name_in_rest(&mut reasons, evidence);
    let (soak, shortest) = soak(evidence, limits, now);
    reasons.extend(soak_finding(soak, shortest));
    reasons.extend(findings_of_all(evidence));
    // The sort is stable: within a code, routes stay in order of appearance.
    reasons.sort_by_key(|finding| finding.code);

    Judgement {
        decision: decide(&reasons, is_unsafe),
        epoch: &evidence.tallies.epoch,
        confidence: limits.confidence,
        findings: reasons,
        soak,
        routes,
    }
}

/// The decision that findings lead to, of one route or of all.
fn decide(findings: &[Finding], is_above_a_limit: bool) -> Decision {
    if is_above_a_limit {
        Decision::Unsafe
    } else if findings.is_empty() {
        Decision::Safe
    } else {
        Decision::Undecided
    }
}

/// Names the route that most checks of the rest are of that could not be compared.
fn name_in_rest(reasons: &mut [Finding], evidence: &Evidence) {
    let not_compared = |figures: &Figures| {
        let outcomes = figures.outcomes.iter();
        let others = outcomes.filter(|(outcome, _)| matches!(outcome, Outcome::NotCompared(_)));
        others.map(|(_, count)| count).sum::<u64>()
    };
    let routes = evidence.tallies.routes.iter();
    let most = routes
        .filter(|figures| figures.requirement == Requirement::Rest)
        .max_by_key(|figures| not_compared(figures));
    let Some(most) = most.filter(|figures| not_compared(figures) > 0) else {
        return;
    };
    let rest = &evidence.tallies.rest.route;
    let is_meant = |reason: &&mut Finding| {
        reason.route.as_ref() == Some(rest)
            && matches!(reason.code, Code::Uncompared | Code::Coverage)
    };
    for reason in reasons.iter_mut().filter(is_meant) {
        reason.detail += &format!("; the most on {}", most.route);
    }
}

/// All routes with their ranks, if any, then the rest if there is one.
fn judged(evidence: &Evidence) -> impl Iterator<Item = (&Figures, Option<u64>)> {
    let tallies = &evidence.tallies;
    let rank = |figures: &Figures| {
        let required = figures.evidence.required;
        required.map(|required| required.rank)
    };
    let routes = tallies.routes.iter();
    let routes = routes.map(move |figures| (figures, rank(figures)));
    let rest = Some(&tallies.rest).filter(|rest| rest.reads > 0);
    routes.chain(rest.map(|rest| (rest, Some(REST_RANK))))
}

fn required(evidence: &Evidence) -> impl Iterator<Item = &Figures> {
    let judged = judged(evidence).map(|(figures, _)| figures);
    judged.filter(|figures| figures.requirement.is_required())
}

/// How long every required route has been clean, and the route with the shortest time.
fn soak<'e>(
    evidence: &'e Evidence,
    limits: &Limits,
    now: Timestamp,
) -> (Soak, Option<&'e Figures>) {
    let clean = required(evidence).map(|figures| {
        let (record, mismatch) = (&figures.evidence.record, figures.evidence.last_mismatch);
        (record.clean(mismatch, limits.max_gap, now), figures)
    });
    let shortest = clean.min_by_key(|(clean, _)| *clean);
    let soak = Soak {
        required_seconds: limits.soak.as_millis().div_ceil(1_000) as u64,
        clean_seconds: shortest.map_or(0, |(clean, _)| clean.as_secs()),
    };
    (soak, shortest.map(|(_, figures)| figures))
}

fn soak_finding(soak: Soak, shortest: Option<&Figures>) -> Option<Finding> {
    let left = soak.required_seconds.checked_sub(soak.clean_seconds)?;
    if left == 0 {
        return None;
    }
    let detail = format!(
        "clean for {} of {}",
        Span(soak.clean_seconds),
        Span(soak.required_seconds)
    );
    let finding = Finding::new(Code::Soak, detail);
    Some(match shortest {
        Some(figures) => Finding {
            // Without checks, no time counts as clean.
            eta_seconds: (figures.pace > 0.0).then_some(left),
            ..finding.of(&figures.route)
        },
        None => finding,
    })
}

/// Findings that are not about one route.
fn findings_of_all(evidence: &Evidence) -> Vec<Finding> {
    let routes = &evidence.tallies.routes;
    let mut findings = Vec::new();
    for rule in &evidence.expired_rules {
        let detail = format!("the rule `{rule}` has expired and no longer applies");
        findings.push(Finding::new(Code::RuleExpired, detail));
    }
    let idle = match evidence.activity {
        Activity::Sampling => None,
        Activity::Paused => Some("no reads are sampled at present"),
        Activity::BreakerOpen => Some(
            "the shadow fails to answer and is not asked at present: its circuit breaker is open",
        ),
    };
    findings.extend(idle.map(|idle| Finding::new(Code::Paused, idle)));
    if evidence.is_same_stack {
        let detail = "old and new are the same place (allow_same_stack)";
        findings.push(Finding::new(Code::SameStack, detail));
    }
    findings.extend(evidence.tallies.mixed.map(mixed_builds));
    for declared in &evidence.required {
        let is_seen = |figures: &Figures| stands_for(declared, &figures.route);
        if !routes.iter().any(is_seen) {
            let detail = "declared as required, and not seen in this epoch";
            findings.push(Finding::new(Code::RouteUnseen, detail).of(declared));
        }
    }
    if routes.iter().all(|figures| figures.outcomes.ended() == 0) {
        let detail = "nothing was checked in this epoch";
        findings.push(Finding::new(Code::NoTraffic, detail));
    } else if required(evidence).next().is_none() {
        let detail = "no route has a share of the reads that would make it required";
        findings.push(Finding::new(Code::NoTraffic, detail));
    }
    findings
}

fn mixed_builds(ago: Duration) -> Finding {
    let detail = format!(
        "another build of the new stack, or one that is not named, answered {} ago",
        Span(ago.as_secs())
    );
    Finding::new(Code::MixedBuilds, detail)
}
