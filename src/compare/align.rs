//! Aligns two sequences with Myers' algorithm.

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline};
use std::{cmp::Ordering, hash::Hash, mem, ops::Range, time::Instant};

/// A run of elements in both sequences.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub olds: Range<usize>,
    pub news: Range<usize>,
    pub is_equal: bool,
}

/// The runs from old to new. They become coarser after the deadline.
///
/// Swapping the sides gives the mirrored runs, because the lesser sequence is always aligned to the greater.
pub(super) fn runs<T: Ord + Hash>(olds: &[T], news: &[T], deadline: Option<Instant>) -> Vec<Run> {
    let order = olds.len().cmp(&news.len()).then_with(|| olds.cmp(news));
    let is_swapped = order == Ordering::Greater;
    let (lesser, greater) = if is_swapped {
        (news, olds)
    } else {
        (olds, news)
    };
    let ops = capture_diff_slices_deadline(Algorithm::Myers, lesser, greater, deadline);
    let mut runs: Vec<Run> = ops.into_iter().map(Run::from).collect();
    if is_swapped {
        for run in &mut runs {
            mem::swap(&mut run.olds, &mut run.news);
        }
    }
    runs
}

// === impl Run ===

impl From<DiffOp> for Run {
    fn from(op: DiffOp) -> Self {
        let (tag, olds, news) = op.as_tag_tuple();
        Self {
            olds,
            news,
            is_equal: tag == DiffTag::Equal,
        }
    }
}
