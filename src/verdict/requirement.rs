//! Which routes the verdict depends on.

use super::{Limits, RequiredRoutes};
use crate::{route::OTHER, spanned_yaml::matches_glob};
use std::sync::Arc;

/// How the verdict depends on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::FromRepr)]
#[repr(u8)]
pub enum Requirement {
    /// Named in `verdict.exempt`.
    Exempt,
    /// Required until the epoch ends.
    Required,
    /// Has its share of the reads so far, but too few reads to rule out chance.
    Provisional,
    /// Judged together with all others that are not required.
    #[default]
    Rest,
}

/// What makes a route required.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requirements {
    /// Routes with `required: true`; `{name}` stands for any captured text.
    pub declared: Vec<Arc<str>>,
    exempt: Vec<Arc<str>>,
    mode: RequiredRoutes,
    min_share: f64,
}

/// Minimum live reads for a share that is not chance: a route with a fourth of `min_share` reaches it once in 3 000
/// times.
const FIRM_READS: u64 = 10;

// === impl Requirement ===

impl Requirement {
    /// Whether the verdict depends on it at present.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Required | Self::Provisional)
    }

    /// Whether a check sampled now counts in the rest. Only the first of a busy route do, because more would hide other
    /// routes.
    pub fn is_of_rest(self, reads: u64) -> bool {
        match self {
            Self::Rest => true,
            Self::Provisional => reads < FIRM_READS,
            Self::Exempt | Self::Required => false,
        }
    }

    /// The requirement of two merged routes.
    pub fn stronger(self, other: Self) -> Self {
        let order = [Self::Required, Self::Provisional, Self::Rest, Self::Exempt];
        let mut order = order.into_iter();
        let first = order.find(|requirement| [self, other].contains(requirement));
        first.unwrap_or(self)
    }
}

// === impl Requirements ===

impl Requirements {
    /// `declared` are the routes with `required: true`.
    pub fn new(declared: Vec<Arc<str>>, limits: &Limits) -> Self {
        Self {
            declared,
            exempt: limits.exempt.clone(),
            mode: limits.required,
            min_share: limits.min_share,
        }
    }

    /// `reads` and `all` are the live reads of the route and of all routes in the epoch. `was_required`: it already was
    /// required in this epoch.
    pub fn of(&self, route: &str, (reads, all): (u64, u64), was_required: bool) -> Requirement {
        if self.is_exempt(route) {
            return Requirement::Exempt;
        }
        let is_observed = self.mode == RequiredRoutes::Observed;
        if is_observed && was_required || self.is_declared(route) {
            return Requirement::Required;
        }
        if is_observed && reads > 0 && self.has_share(reads, all) {
            return if reads >= FIRM_READS {
                Requirement::Required
            } else {
                Requirement::Provisional
            };
        }
        Requirement::Rest
    }

    /// Whether the rest is required, with `reads` of all live reads.
    pub fn is_rest_required(&self, reads: u64, all: u64) -> bool {
        self.mode == RequiredRoutes::Observed && reads > 0 && self.has_share(reads, all)
    }

    /// Whether `verdict.exempt` names the route.
    pub fn is_exempt(&self, route: &str) -> bool {
        is_exempt(&self.exempt, route)
    }

    fn is_declared(&self, route: &str) -> bool {
        self.declared.iter().any(|name| stands_for(name, route))
    }

    fn has_share(&self, reads: u64, all: u64) -> bool {
        reads as f64 >= self.min_share * all as f64
    }
}

/// Whether one of these names, with `*` for any text, exempts the route. No `*` exempts `other`, which stands for routes
/// that nobody knows.
pub(super) fn is_exempt(exempt: &[Arc<str>], route: &str) -> bool {
    let mut names = exempt.iter();
    names.any(|name| &**name == route || route != OTHER && matches_glob(name, route))
}

/// Whether a declared name matches `route`: `{capture}` stands for any text.
pub(super) fn stands_for(declared: &str, route: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(limits: Limits) -> Requirements {
        Requirements::new(vec!["dynamodb {op}".into()], &limits)
    }

    #[test]
    fn a_share_of_few_reads_is_provisional_and_of_many_lasts() {
        let all = requirements(Limits::default());
        assert_eq!(all.of("a", (1, 20), false), Requirement::Provisional);
        assert_eq!(all.of("a", (1, 20_000), false), Requirement::Rest);
        assert_eq!(all.of("a", (10, 10_000), false), Requirement::Required);
        assert_eq!(all.of("a", (10, 1_000_000), true), Requirement::Required);
        assert_eq!(all.of("a", (0, 0), false), Requirement::Rest);
    }

    #[test]
    fn declared_routes_are_required_and_exempt_ones_never_are() {
        let limits = Limits {
            required: RequiredRoutes::Declared,
            exempt: vec!["ws *".into(), "*".into()],
            ..Limits::default()
        };
        let all = requirements(limits);
        assert_eq!(all.of(OTHER, (9, 10), false), Requirement::Rest);
        assert_eq!(all.of("a", (9, 10), false), Requirement::Exempt);
        let limits = Limits {
            required: RequiredRoutes::Declared,
            exempt: vec!["ws *".into(), OTHER.into()],
            ..Limits::default()
        };
        let all = requirements(limits);
        assert_eq!(all.of(OTHER, (9, 10), false), Requirement::Exempt);
        assert_eq!(all.of("dynamodb Get", (0, 0), false), Requirement::Required);
        assert_eq!(all.of("a", (900, 1_000), true), Requirement::Rest);
        assert_eq!(all.of("ws chat", (900, 1_000), true), Requirement::Exempt);
        assert!(!all.is_rest_required(900, 1_000));
    }

    #[test]
    fn names_match_with_stars() {
        for (name, route) in [
            ("a", "a"),
            ("*", ""),
            ("a*", "abc"),
            ("*c", "abc"),
            ("a*b*c", "aXbXbc"),
        ] {
            assert!(matches_glob(name, route), "{name} {route}");
        }
        for (name, route) in [
            ("a", "ab"),
            ("a*", "ba"),
            ("*c", "cb"),
            ("a*b*c", "ac"),
            ("a*a", "a"),
        ] {
            assert!(!matches_glob(name, route), "{name} {route}");
        }
    }
}
