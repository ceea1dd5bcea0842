//! The conditions of a safe switch: the section `verdict` of the configuration.

use super::change::Watch;
use crate::spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields};
use std::{sync::Arc, time::Duration};

/// When a verdict is `safe`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Limit of the mismatch rate of each required route; above 0, at most 1.
    pub max_mismatch: f64,
    /// Limit of the new stack's error rate on each required route; above 0, at most 1.
    pub max_error: f64,
    /// Limit of the share of each required route's checks that first differed and later were equal; `None`: as
    /// `max_mismatch`.
    pub max_transient: Option<f64>,
    /// Limit of the share of each required route's checks whose differences are noise.
    pub max_noise: f64,
    /// Limit of the share of each required route's checks that could not be compared for a cause in the answer itself.
    pub max_uncompared: f64,
    /// Confidence for all routes together, at every moment; between 0 and 1.
    pub confidence: f64,
    /// A route with a smaller share of the epoch's live reads is required only if declared so.
    pub min_share: f64,
    pub required: RequiredRoutes,
    /// Patterns of routes that are never required; `*` stands for any text.
    pub exempt: Vec<Arc<str>>,
    /// Minimum share of each required route's checks that ended in a comparison.
    pub min_coverage: f64,
    /// Minimum duration of a clean record.
    pub soak: Duration,
    /// A gap between checks of this length restarts the soak clock.
    pub max_gap: Duration,
    /// Limit of the new stack's p99 divided by the old one's.
    pub max_latency_ratio: Option<f64>,
    /// Average number of checks between two false alarms of the change detector; at least 1.
    pub change_run: f64,
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
    /// Reads the section; absent fields keep their defaults.
    ///
    /// # Errors
    /// Every value out of range, every unknown field.
    pub fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let share = |at: &Cursor<'_>| at.number_within(0.0, 1.0);
        let rate = |at: &Cursor<'_>| at.number_within(1e-9, 1.0);
        let default = Self::default();
        let mut fields = Fields::of(at.clone());
        let limits = Self {
            max_mismatch: fields
                .optional("max_mismatch", rate)
                .unwrap_or(default.max_mismatch),
            max_error: fields
                .optional("max_error", rate)
                .unwrap_or(default.max_error),
            max_transient: fields.optional("max_transient", rate),
            max_noise: fields
                .optional("max_noise", rate)
                .unwrap_or(default.max_noise),
            max_uncompared: fields
                .optional("max_uncompared", rate)
                .unwrap_or(default.max_uncompared),
            confidence: fields
                .optional("confidence", |at| at.number_within(0.5, 1.0 - 1e-9))
                .unwrap_or(default.confidence),
            min_share: fields
                .optional("min_share", share)
                .unwrap_or(default.min_share),
            required: fields
                .optional("required", required_routes)
                .unwrap_or(default.required),
            exempt: fields.optional("exempt", names).unwrap_or_default(),
            min_coverage: fields
                .optional("min_coverage", share)
                .unwrap_or(default.min_coverage),
            soak: fields
                .optional("soak", Cursor::duration)
                .unwrap_or(default.soak),
            max_gap: fields
                .optional("max_gap", max_gap)
                .unwrap_or(default.max_gap),
            max_latency_ratio: fields
                .optional("max_latency_ratio", |at| at.number_within(1e-3, 1e6)),
            change_run: fields
                .optional("change_run", |at| at.number_within(1e2, 1e15))
                .unwrap_or(default.change_run),
        };
        fields.finish().into_result(limits)
    }

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

    /// The limit of transient differences.
    pub fn transient(&self) -> f64 {
        self.max_transient.unwrap_or(self.max_mismatch)
    }
}

fn required_routes(at: &Cursor<'_>) -> Result<RequiredRoutes, ConfigError> {
    match at.text()? {
        "observed" => Ok(RequiredRoutes::Observed),
        "declared" => Ok(RequiredRoutes::Declared),
        _ => Err(at.expected("observed or declared")),
    }
}

fn names(at: &Cursor<'_>) -> Result<Vec<Arc<str>>, ConfigErrors> {
    at.each(|name| Ok(Arc::from(name.text()?)))
}

/// [`super::SoakClock`] does not distinguish shorter gaps.
fn max_gap(at: &Cursor<'_>) -> Result<Duration, ConfigError> {
    match at.duration()? {
        gap if gap < Duration::from_secs(1) => Err(at.expected("a duration of at least 1s")),
        gap => Ok(gap),
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_mismatch: 1e-3,
            max_error: 1e-2,
            max_transient: None,
            max_noise: 0.05,
            max_uncompared: 0.01,
            confidence: 0.95,
            min_share: 0.001,
            required: RequiredRoutes::Observed,
            exempt: Vec::new(),
            min_coverage: 0.9,
            soak: Duration::ZERO,
            max_gap: Duration::from_secs(3_600),
            max_latency_ratio: None,
            change_run: 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanned_yaml::Node;
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
    fn every_fault_is_told() {
        let faults = read("{max_mismatch: 0, confidence: 1, soaked: 1s}").unwrap_err();
        assert_eq!(faults.iter().count(), 3, "{faults}");
    }
}
