//! Live requests of one route, by method, status class, and who answered.

use crate::{route::METHODS, stack::Stack};
use http::{Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use strum::VariantArray as _;

/// By index into [`METHODS`], [`STATUS_CLASSES`] and [`AnsweredBy`].
#[derive(Debug, Default)]
pub(super) struct LiveCounts(
    [[[AtomicU64; AnsweredBy::VARIANTS.len()]; STATUS_CLASSES.len()]; METHODS.len()],
);

/// Live requests that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveCount {
    pub method: &'static str,
    pub status_class: &'static str,
    pub answered_by: AnsweredBy,
    pub count: u64,
}

/// Who answered a live request, or was asked if there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AnsweredBy {
    Old,
    New,
    /// twinread itself, because the primary gave no answer, or was not asked.
    Twinread,
}

/// The values of the label `status_class`; `none` if the caller got no answer.
const STATUS_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

// === impl LiveCounts ===

impl LiveCounts {
    pub(super) fn add(&self, method: &Method, status: Option<StatusCode>, by: AnsweredBy) {
        let method = METHODS
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(METHODS.len() - 1);
        let class = match status {
            Some(status) => usize::from(status.as_u16() / 100).clamp(1, 5) - 1,
            None => STATUS_CLASSES.len() - 1,
        };
        self.0[method][class][by as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        let counts = self.0.as_flattened().as_flattened().iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Those that occurred. `sum` adds up one count over all parts of a route.
    pub(super) fn occurred(sum: impl Fn(&dyn Fn(&Self) -> u64) -> u64) -> Vec<LiveCount> {
        let mut occurred = Vec::new();
        for (method, method_name) in METHODS.into_iter().enumerate() {
            for (class, status_class) in STATUS_CLASSES.into_iter().enumerate() {
                for answered_by in AnsweredBy::VARIANTS.iter().copied() {
                    let one = |counts: &Self| {
                        let count = &counts.0[method][class][answered_by as usize];
                        count.load(Ordering::Relaxed)
                    };
                    occurred.push(LiveCount {
                        method: method_name,
                        status_class,
                        answered_by,
                        count: sum(&one),
                    });
                }
            }
        }
        occurred.retain(|live| live.count > 0);
        occurred
    }
}

// === impl AnsweredBy ===

impl From<Stack> for AnsweredBy {
    fn from(stack: Stack) -> Self {
        match stack {
            Stack::Old => Self::Old,
            Stack::New => Self::New,
        }
    }
}
