//! Aligns two arrays by the digests of their elements.

use super::digest::Digest;
use crate::compare::align::{Run, runs};
use similar::algorithms::{Capture, Replace, myers};
use std::time::Instant;

/// Whether the elements at two positions, of old and of new, are equal.
type Near<'n> = &'n dyn Fn(usize, usize) -> bool;

/// An element whose digest alone does not decide equality.
struct Member<'n> {
    digest: Digest,
    at: usize,
    near: Near<'n>,
}

/// The runs from old to new, by Myers. They become coarser after the deadline.
pub(super) fn align(
    olds: &[Digest],
    news: &[Digest],
    near: Near<'_>,
    deadline: Option<Instant>,
) -> Vec<Run> {
    if olds.iter().chain(news).any(|digest| digest.near) {
        return align_near(olds, news, near, deadline);
    }
    let hashes = |digests: &[Digest]| digests.iter().map(|digest| digest.hash).collect::<Vec<_>>();
    runs(&hashes(olds), &hashes(news), deadline)
}

fn align_near(
    olds: &[Digest],
    news: &[Digest],
    near: Near<'_>,
    deadline: Option<Instant>,
) -> Vec<Run> {
    let members = |digests: &[Digest]| -> Vec<Member<'_>> {
        let digests = digests.iter().enumerate();
        digests
            .map(|(at, digest)| Member {
                digest: *digest,
                at,
                near,
            })
            .collect()
    };
    let (olds, news) = (members(olds), members(news));
    let mut ops = Replace::new(Capture::new());
    let (Ok(()) | Err(_)) = myers::diff_deadline_raw(
        &mut ops,
        &olds[..],
        0..olds.len(),
        &news[..],
        0..news.len(),
        deadline,
    );
    let ops = ops.into_inner().into_ops();
    ops.into_iter().map(Run::from).collect()
}

/// Pairs as many equal elements as possible, those of `same` first: the old element for each new one.
pub(super) fn assign(
    equal: &[Vec<bool>],
    news: usize,
    same: &[(usize, usize)],
) -> Vec<Option<usize>> {
    let mut taken = vec![None; news];
    let mut free: Vec<usize> = (0..equal.len()).collect();
    for (old, new) in same {
        taken[*new] = Some(*old);
        free.retain(|left| left != old);
    }
    for old in free {
        augment(old, equal, &mut vec![false; news], &mut taken);
    }
    taken
}

/// Finds a partner for `old`, moving other pairs if that helps.
fn augment(
    old: usize,
    equal: &[Vec<bool>],
    tried: &mut Vec<bool>,
    taken: &mut Vec<Option<usize>>,
) -> bool {
    for new in 0..taken.len() {
        if !equal[old][new] || std::mem::replace(&mut tried[new], true) {
            continue;
        }
        if taken[new].is_none_or(|other| augment(other, equal, tried, taken)) {
            taken[new] = Some(old);
            return true;
        }
    }
    false
}

// === impl Member ===

impl PartialEq<Member<'_>> for Member<'_> {
    /// `self` is of new and `old` of old, because the alignment compares in that order.
    fn eq(&self, old: &Member<'_>) -> bool {
        self.digest.hash == old.digest.hash && (!self.digest.near || (self.near)(old.at, self.at))
    }
}
