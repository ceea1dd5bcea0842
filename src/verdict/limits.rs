//! The conditions of a safe switch: the section `verdict` of the configuration.

use super::{change::Watch, requirement::is_exempt};
use crate::spanned_yaml::{Choice, SHARE, settings};
use std::{sync::Arc, time::Duration};

settings! {
    /// When a verdict is `safe`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Limits: Default {
        /// The rate of mismatches that is accepted for each route.
        #[setting(default: "1e-3", range: "1e-9..1")]
        pub max_mismatch: f64,
        /// The rate of shadow errors that is accepted for each route.
        #[setting(default: "1e-2", range: "1e-9..1")]
        pub max_error: f64,
        /// The rate of differences that were equal when read again, for each route; null: that of max_mismatch.
        #[setting(range: "1e-9..1")]
        pub max_transient: Option<f64>,
        /// The rate of checks whose differences are noise that is accepted for each route.
        #[setting(default: "0.05", range: "1e-9..1")]
        pub max_noise: f64,
        /// The rate of checks that could not be compared (too large, nothing selected, streaming, no memory, internal) that is accepted
        /// for each route.
        #[setting(default: "0.01", range: "1e-9..1")]
        pub max_uncompared: f64,
        /// For all routes together, at every moment.
        #[setting(default: "0.95", range: "0.5..0.999999999")]
        pub confidence: f64,
        /// A route with less of the live reads is not required; reads of exempt routes do not count.
        #[setting(default: "0.001", form: SHARE)]
        pub min_share: f64,
        /// observed: declared routes, those with min_share of the reads, and the rest together; declared: those with
        /// required: true alone.
        #[setting(default: "observed")]
        pub required: RequiredRoutes,
        /// Names of routes that are never required; * stands for any text.
        #[setting(default: "[]")]
        pub exempt: Vec<Arc<str>>,
        /// Compared of sampled.
        #[setting(default: "0.9", form: SHARE)]
        pub min_coverage: f64,
        /// How long a clean record has to last.
        #[setting(default: "0s")]
        pub soak: Duration,
        // [`super::SoakClock`] does not distinguish shorter gaps.
        /// Without a check for this long the soak clock starts again.
        #[setting(default: "1h", range: "1s..")]
        pub max_gap: Duration,
        /// p99 of new by p99 of old; null: not looked at.
        #[setting(range: "0.001..1000000")]
        pub max_latency_ratio: Option<f64>,
        /// Average checks between two false alarms of the change detector.
        #[setting(default: "1e6", range: "100..1e15")]
        pub change_run: f64,
    }
}

/// Which routes the verdict depends on: `verdict.required`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredRoutes {
    /// Declared ones, those with at least `min_share` of the reads, and the rest together.
    #[default]
    Observed,
    /// Only those with `required: true`.
    Declared,
}

// === impl Limits ===

impl Limits {
    /// Probability of a wrong verdict, for all routes together.
    pub fn alpha(&self) -> f64 {
        1.0 - self.confidence
    }

    /// The parameters of the change detector for a rate with this limit.
    pub fn watch(&self, limit: f64) -> Watch {
        Watch {
            limit,
            run: self.change_run,
        }
    }

    /// Whether `exempt` names the route.
    pub fn exempts(&self, route: &str) -> bool {
        is_exempt(&self.exempt, route)
    }

    /// The limit of transient differences.
    pub fn transient(&self) -> f64 {
        self.max_transient.unwrap_or(self.max_mismatch)
    }
}

// === impl RequiredRoutes ===

impl Choice for RequiredRoutes {
    const WORDS: &'static [(&'static str, Self)] =
        &[("observed", Self::Observed), ("declared", Self::Declared)];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanned_yaml::{ConfigErrors, Cursor, Node, Section};
    use std::sync::Arc;

    fn read(text: &str) -> Result<Limits, ConfigErrors> {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text)?;
        Limits::read(&Cursor::root(&file, &node))
    }

    #[test]
    fn an_empty_section_is_the_default() {
        assert_eq!(read("").unwrap(), Limits::default());
    }

    #[test]
    fn a_section_is_read() {
        let limits = read("{max_mismatch: 1e-4, soak: 7d, max_latency_ratio: 1.2}").unwrap();
        assert_eq!(limits.max_mismatch, 1e-4);
        assert_eq!(limits.soak, Duration::from_secs(604_800));
        assert_eq!(limits.max_latency_ratio, Some(1.2));
    }

    #[test]
    fn every_fault_is_reported() {
        let faults = read("{max_mismatch: 0, confidence: 1, soaked: 1s}").unwrap_err();
        assert_eq!(faults.iter().count(), 3, "{faults}");
    }
}
