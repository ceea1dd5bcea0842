//! Aligns two sequences with Myers' algorithm.

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use std::{cmp::Ordering, hash::Hash, time::Instant};

/// The steps from old to new. They become coarser after the deadline.
///
/// Swapping the sides gives the mirrored steps, because the lesser sequence is always aligned to the greater.
pub(super) fn steps<T: Ord + Hash>(
    olds: &[T],
    news: &[T],
    deadline: Option<Instant>,
) -> Vec<DiffOp> {
    let order = olds.len().cmp(&news.len()).then_with(|| olds.cmp(news));
    if order == Ordering::Greater {
        let ops = capture_diff_slices_deadline(Algorithm::Myers, news, olds, deadline);
        return ops.into_iter().map(mirrored).collect();
    }
    capture_diff_slices_deadline(Algorithm::Myers, olds, news, deadline)
}

fn mirrored(op: DiffOp) -> DiffOp {
    match op {
        DiffOp::Equal {
            old_index,
            new_index,
            len,
        } => DiffOp::Equal {
            old_index: new_index,
            new_index: old_index,
            len,
        },
        DiffOp::Delete {
            old_index,
            old_len,
            new_index,
        } => DiffOp::Insert {
            old_index: new_index,
            new_index: old_index,
            new_len: old_len,
        },
        DiffOp::Insert {
            old_index,
            new_index,
            new_len,
        } => DiffOp::Delete {
            old_index: new_index,
            old_len: new_len,
            new_index: old_index,
        },
        DiffOp::Replace {
            old_index,
            old_len,
            new_index,
            new_len,
        } => DiffOp::Replace {
            old_index: new_index,
            old_len: new_len,
            new_index: old_index,
            new_len: old_len,
        },
    }
}
