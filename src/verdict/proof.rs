//! T at the limits: the evidence that a route is above one of them, counted since it became required.
//!
//! Merged routes keep what each has proven, at its own rank. Each T is an e-process while its route is within the
//! limits, so the weighted sum is one too, before and after the merge. T of the pooled checks would lose that evidence.

use super::{
    Checks, Code, Figures, Limits, Trials,
    checks::{Claim, Required},
};

/// T at the limits, of a route and of those merged into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    /// Share of the sum over all routes.
    pub(super) share: f64,
    pub(super) strongest: Term,
}

/// T of one rate, with its rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    pub(super) code: Code,
    pub(super) trials: Trials,
    pub(super) limit: f64,
    pub(super) share: f64,
}

// === impl Proof ===

impl Proof {
    /// `rank` applies to a route without one of its own.
    pub(super) fn new(figures: &Figures, limits: &Limits, rank: u64) -> Self {
        let evidence = &figures.evidence;
        let mut claims = evidence.claims();
        if claims.is_empty() {
            let before = Checks::default();
            claims.push(Claim::new(Required { rank, before }, evidence.checks()));
        }
        let terms: Vec<_> = claims
            .into_iter()
            .flat_map(|claim| Term::of(claim, limits))
            .collect();
        let mut strongest = terms[0];
        for term in &terms {
            if term.share > strongest.share {
                strongest = *term;
            }
        }
        Self {
            share: terms.iter().map(|term| term.share).sum(),
            strongest,
        }
    }
}

// === impl Term ===

impl Term {
    fn of(claim: Claim, limits: &Limits) -> [Self; 2] {
        let rank = claim.rank() as f64;
        let term = |code, trials: Trials, limit| Self {
            code,
            trials,
            limit,
            share: trials.evidence_above(limit) / (2.0 * rank * (rank + 1.0)),
        };
        [
            term(Code::MismatchRate, claim.mismatch(), limits.max_mismatch),
            term(Code::ErrorRate, claim.error(), limits.max_error),
        ]
    }
}
