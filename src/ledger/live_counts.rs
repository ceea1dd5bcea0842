//! Live requests of one route, by method, status class, and who answered.

use crate::{route::METHODS, stack::Stack};
use http::{Method, StatusCode};
use std::sync::atomic::{AtomicU64, Ordering};
use strum::VariantArray as _;

/// By index into [`METHODS`], [`STATUS_CLASSES`] and [`AnsweredBy`].
type Table<N> = [[[N; AnsweredBy::VARIANTS.len()]; STATUS_CLASSES.len()]; METHODS.len()];

#[derive(Debug, Default)]
pub(super) struct LiveCounts(Table<AtomicU64>);

/// The counts of all parts of a route.
#[derive(Debug, Default)]
pub(super) struct Sums(Table<u64>);

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

    pub(super) fn add_to(&self, sums: &mut Sums) {
        let counts = self.0.as_flattened().as_flattened().iter();
        let sums = sums.0.as_flattened_mut().as_flattened_mut().iter_mut();
        for (count, sum) in counts.zip(sums) {
            *sum += count.load(Ordering::Relaxed);
        }
    }
}

// === impl Sums ===

impl Sums {
    /// Those that occurred.
    pub(super) fn occurred(&self) -> Vec<LiveCount> {
        let mut occurred = Vec::new();
        for (classes, method) in self.0.iter().zip(METHODS) {
            for (answers, status_class) in classes.iter().zip(STATUS_CLASSES) {
                for (&count, &answered_by) in answers.iter().zip(AnsweredBy::VARIANTS) {
                    if count > 0 {
                        occurred.push(LiveCount {
                            method,
                            status_class,
                            answered_by,
                            count,
                        });
                    }
                }
            }
        }
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
