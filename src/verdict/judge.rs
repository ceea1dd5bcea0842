//! Judges the evidence: `safe`, `unsafe` or `undecided`, with every reason (DESIGN.md section 9).

use super::{
    Activity, Code, Decision, Doubt, Evidence, Figures, Finding, Limits, Verdict, hearing::Hearing,
    told::Soak,
};
use jiff::Timestamp;

/// Judges the evidence as it stands at `now`.
pub fn judge(evidence: &Evidence, limits: &Limits, now: Timestamp) -> Verdict {
    let routes = &evidence.tallies.routes;
    let required = required(evidence, limits);
    let mut findings = Vec::new();
    let mut told = Vec::with_capacity(routes.len());
    let ranks = ranks(routes, &required);
    for ((figures, is_required), rank) in routes.iter().zip(&required).zip(ranks) {
        let hearing = Hearing::new(figures, limits, rank);
        let of_route = hearing.findings();
        told.push(hearing.verdict(*is_required, &of_route));
        if *is_required {
            findings.extend(of_route);
        }
    }
    let (soak, shortest) = soak(evidence, &required, limits, now);
    findings.extend(soak_finding(soak, shortest));
    findings.extend(findings_of_all(evidence, &required));
    // Stable: routes stay in order of appearance within a code.
    findings.sort_by_key(|finding| finding.code);

    Verdict {
        verdict: decide(&findings),
        epoch: evidence.tallies.epoch.clone(),
        confidence: limits.confidence,
        reasons: findings,
        soak,
        routes: told,
    }
}

/// What findings come to, of one route or of all.
pub(super) fn decide(findings: &[Finding]) -> Decision {
    let is_proven = |finding: &Finding| finding.code == Code::MismatchRate;
    match findings {
        [] => Decision::Safe,
        _ if findings.iter().any(is_proven) => Decision::Unsafe,
        _ => Decision::Undecided,
    }
}

/// Which routes the verdict depends on.
fn required(evidence: &Evidence, limits: &Limits) -> Vec<bool> {
    let routes = &evidence.tallies.routes;
    // What was sampled was a read, even if nobody counted it as one.
    let reads = |figures: &Figures| figures.reads.max(figures.sampled);
    let all: u64 = routes.iter().map(reads).sum();
    let is_declared = |route: &str| evidence.required.iter().any(|name| stands_for(name, route));
    routes
        .iter()
        .map(|figures| {
            let reads = reads(figures);
            let has_share = reads > 0 && reads as f64 >= limits.min_share * all as f64;
            has_share || is_declared(&figures.route)
        })
        .collect()
}

/// The rank of each route: the one it took when it was first required, else the next that is free. A route that is no
/// longer required keeps its own, or others would be given its share of alpha a second time.
fn ranks(routes: &[Figures], required: &[bool]) -> Vec<u64> {
    let taken = routes.iter().filter_map(|figures| figures.rank).max();
    let mut next = taken.unwrap_or(0) + 1;
    let routes = routes.iter().zip(required);
    routes
        .map(|(figures, is_required)| {
            let rank = figures.rank.unwrap_or(next);
            next += u64::from(*is_required && figures.rank.is_none());
            rank
        })
        .collect()
}

/// Whether a declared name is that of `route`: `{capture}` stands for any text.
fn stands_for(declared: &str, route: &str) -> bool {
    let Some((before, after)) = declared.split_once('{') else {
        return declared == route;
    };
    let Some((_, after)) = after.split_once('}') else {
        return declared == route;
    };
    let Some(rest) = route.strip_prefix(before) else {
        return false;
    };
    let mut starts = rest.char_indices().map(|(index, _)| index).skip(1);
    let is_rest = |index: usize| stands_for(after, &rest[index..]);
    starts.any(is_rest) || (!rest.is_empty() && stands_for(after, ""))
}

/// How long every required route has been clean, and the route that has been for the shortest time.
fn soak<'e>(
    evidence: &'e Evidence,
    required: &[bool],
    limits: &Limits,
    now: Timestamp,
) -> (Soak, Option<&'e Figures>) {
    let routes = evidence.tallies.routes.iter().zip(required);
    let clean = routes
        .filter(|(_, is_required)| **is_required)
        .map(|(figures, _)| {
            let record = &figures.record;
            let clean = record.clean(figures.last_mismatch, limits.max_gap, now);
            (clean, figures)
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
        "clean for {}s of {}s",
        soak.clean_seconds, soak.required_seconds
    );
    let finding = Finding::new(Code::Soak, detail);
    Some(match shortest {
        Some(figures) => Finding {
            // Where nothing is checked, no time that passes is clean.
            eta_seconds: (figures.pace > 0.0).then_some(left),
            ..finding.of(&figures.route)
        },
        None => finding,
    })
}

/// What is not about the figures of one route.
fn findings_of_all(evidence: &Evidence, required: &[bool]) -> Vec<Finding> {
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
    findings.extend(evidence.tallies.doubt.map(doubted));
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
    } else if !required.contains(&true) {
        let detail = "no route has a share of the reads that would make it required";
        findings.push(Finding::new(Code::NoTraffic, detail));
    }
    findings
}

fn doubted(doubt: Doubt) -> Finding {
    match doubt {
        Doubt::Away(away) => Finding::new(
            Code::NoTraffic,
            format!(
                "the build of this epoch has not answered for {}s, others of the new stack have",
                away.as_secs()
            ),
        ),
        Doubt::Mixed(ago) => Finding::new(
            Code::NoTraffic,
            format!(
                "an answer that may be of another build of the new stack counted in this epoch {}s ago",
                ago.as_secs()
            ),
        ),
    }
}
