//! Mismatches that are known only after the last recheck, and two orders in which to count them.

use super::simulation::Run;
use twinread::verdict::Trials;

/// Checks sampled per second.
pub(crate) const PER_SECOND: u64 = 100;

/// A match is known at once, a mismatch after this many seconds.
pub(crate) const DELAY: u64 = 10;

/// The evidence each time that it grows, in the order of sampling. The checks of one second enter together, once all of
/// them and of every earlier second have ended. Time is counted in checks; the first is sampled at 0.
pub(crate) fn closed_by_seconds(run: &Run) -> impl Iterator<Item = Trials> {
    let mut hits = run.hits.iter().copied().peekable();
    let (mut known, mut ended) = (0, 0);
    let ends = (PER_SECOND..=run.checks).step_by(PER_SECOND as usize);
    let seconds = ends.map(move |end| {
        ended = end.max(ended);
        while let Some(hit) = hits.next_if(|hit| *hit <= end) {
            known += 1;
            ended = ended.max(hit - 1 + DELAY * PER_SECOND);
        }
        (ended, Trials::new(end, known))
    });
    last_of_each(seconds)
}

/// Merges seconds that close at the same time.
fn last_of_each(seconds: impl Iterator<Item = (u64, Trials)>) -> impl Iterator<Item = Trials> {
    let mut seconds = seconds.peekable();
    std::iter::from_fn(move || {
        let (end, mut evidence) = seconds.next()?;
        while let Some((_, later)) = seconds.next_if(|(at, _)| *at == end) {
            evidence = later;
        }
        Some(evidence)
    })
}

/// The counts just before each mismatch becomes known, if checks count as soon as they end.
pub(crate) fn in_order_of_arrival(run: &Run) -> impl Iterator<Item = Trials> {
    run.hits.iter().zip(0..).filter_map(|(hit, known)| {
        let sampled = hit + DELAY * PER_SECOND - 1;
        let unknown = run.hits.partition_point(|hit| *hit <= sampled) as u64 - known;
        (sampled <= run.checks).then(|| Trials::new(sampled - unknown, known))
    })
}
