//! Unordered arrays that wait until more is known about the ids in them.
//!
//! Elements that differ only in ids without a pair are ambiguous. The rest of the documents may pair these ids, which
//! is better than a guess, so such arrays are compared last.

use super::{Crumb, Walk, active::Active, arrays::Element, digest::Digest};
use crate::{rules::Members, value::json::Id};
use std::mem;

/// The maximum number of rounds over waiting arrays. It is bounded because each may cost as much as the comparison.
const MAX_ROUNDS: usize = 8;

/// An array with ambiguous elements, and the position of the walk.
#[derive(Debug)]
pub(super) struct DeferredArray<'c> {
    arrays: (Id, Id),
    olds: Vec<Element>,
    news: Vec<Element>,
    members: &'c Members,
    path: Vec<Crumb>,
    active: Active,
}

/// How ambiguous arrays are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Resolution {
    #[default]
    Waits,
    /// Nothing more will be known: their elements are paired as well as possible.
    Ends,
}

// === impl Walk ===

impl<'c> Walk<'_, 'c> {
    /// Compares the nodes of this place, and all arrays that had to wait.
    pub(super) fn whole(&mut self, old: Id, new: Id) {
        self.nodes(old, new);
        for _ in 0..MAX_ROUNDS {
            let waiting = mem::take(&mut self.later);
            let count = waiting.len();
            waiting.into_iter().for_each(|array| self.resume(array));
            if self.later.len() == count {
                break;
            }
        }
        let before = mem::replace(&mut self.doubt, Resolution::Ends);
        let waiting = mem::take(&mut self.later);
        waiting.into_iter().for_each(|array| self.resume(array));
        self.doubt = before;
    }

    /// Whether elements differ only in ids that may be paired later.
    pub(super) fn is_waiting(&self, (olds, news): &(Vec<Digest>, Vec<Digest>)) -> bool {
        let may_wait = self.doubt == Resolution::Waits && !self.is_probing() && self.meets();
        may_wait && (is_in_doubt(olds) || is_in_doubt(news))
    }

    pub(super) fn postpone(
        &mut self,
        arrays: (Id, Id),
        (olds, news): (&[Element], &[Element]),
        members: &'c Members,
    ) {
        self.later.push(DeferredArray {
            arrays,
            olds: olds.to_vec(),
            news: news.to_vec(),
            members,
            path: self.path.clone(),
            active: self.active.here(),
        });
    }

    /// Moves to where an array was left, compares it, and moves back.
    fn resume(&mut self, mut array: DeferredArray<'c>) {
        mem::swap(&mut self.path, &mut array.path);
        mem::swap(&mut self.active, &mut array.active);
        let runs = (&array.olds[..], &array.news[..]);
        self.set(array.arrays.0, array.arrays.1, runs, array.members);
        self.path = array.path;
        self.active = array.active;
    }
}

/// Whether digests do not distinguish two elements.
fn is_in_doubt(digests: &[Digest]) -> bool {
    let near = digests.iter().filter(|digest| digest.near);
    let mut hashes: Vec<u64> = near.map(|digest| digest.hash).collect();
    hashes.sort_unstable();
    hashes.windows(2).any(|pair| pair[0] == pair[1])
}
