//! When the builds of the new stack answered, and when another one becomes the newest.
//!
//! During a rolling deploy two builds alternate. Each check counts in the epoch of the build that answered it, and the
//! verdict is about the newest build. A build that has not answered before is the newest at once. If the deploy is
//! rolled back, the newest build falls silent, and the build that answers instead becomes the newest after a while. Both
//! begin a new epoch, so the evidence for `safe` is always that of the newest build alone.

use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The answers of the newest build and of the others, in epochs that differ only in the build.
#[derive(Clone, Debug)]
pub struct Builds {
    /// When the newest build last answered; if it has not, since when it is the newest.
    seen: Timestamp,
    has_answered: bool,
    /// Number of answers of others since.
    others: u32,
    /// When another build last answered.
    another: Option<Timestamp>,
    /// When an unknown build last became the newest.
    begun: Option<Timestamp>,
}

/// While another build answered this recently, the verdict is not `safe`. If the newest build is silent for as long, and
/// for [`OTHERS`] answers, another one replaces it.
const RECENT: SignedDuration = SignedDuration::from_secs(60);
const OTHERS: u32 = 20;

/// A header that is no version but differs in every answer begins at most one epoch in this time.
const APART: SignedDuration = SignedDuration::from_secs(10);

// === impl Builds ===

impl Builds {
    /// No build has answered in the present epoch.
    pub fn new(now: Timestamp) -> Self {
        Self {
            seen: now,
            has_answered: false,
            others: 0,
            another: None,
            begun: None,
        }
    }

    /// Continues after a restart. `newest` is when the newest build last answered, `another` when another one did.
    pub fn resume(newest: Option<Timestamp>, another: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            seen: newest.unwrap_or(now),
            has_answered: newest.is_some(),
            others: u32::from(another > newest),
            another,
            begun: None,
        }
    }

    /// An epoch began for another reason than a build.
    pub fn begin(&mut self, now: Timestamp) {
        *self = Self {
            begun: self.begun,
            ..Self::new(now)
        };
    }

    /// The newest build answered.
    pub fn newest_answered(&mut self, now: Timestamp) {
        self.seen = now;
        self.has_answered = true;
        self.others = 0;
    }

    /// Another build answered. `is_unknown`: it is named and has no epoch yet. Returns whether it is the newest from now
    /// on.
    pub fn another_answered(&mut self, is_unknown: bool, now: Timestamp) -> bool {
        let is_due = |begun| now.duration_since(begun) >= APART;
        let is_new = is_unknown && self.begun.is_none_or(is_due);
        let is_silent = now.duration_since(self.seen) >= RECENT && self.others >= OTHERS;
        if !is_new && !is_silent {
            self.others = self.others.saturating_add(1);
            self.another = Some(now);
            return false;
        }
        let before = self.has_answered.then_some(self.seen);
        *self = Self {
            has_answered: true,
            another: self.another.max(before),
            begun: if is_new { Some(now) } else { self.begun },
            ..Self::new(now)
        };
        true
    }

    /// How long ago another build than the newest answered, if that was recently or after the newest.
    pub fn mixed(&self, now: Timestamp) -> Option<Duration> {
        let ago = now.duration_since(self.another?);
        let is_mixed = self.others > 0 || ago < RECENT;
        is_mixed.then(|| ago.try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The newest build has answered at second 0.
    fn builds() -> Builds {
        Builds::resume(Some(at(0)), None, at(0))
    }

    fn ago(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn an_unknown_build_is_the_newest_at_once() {
        let mut builds = builds();
        assert!(builds.another_answered(true, at(100)));
        assert_eq!(builds.mixed(at(101)), None, "the other fell silent before");
        assert!(!builds.another_answered(false, at(101)));
        assert_eq!(builds.mixed(at(101)), ago(0));
    }

    #[test]
    fn builds_that_alternate_keep_the_newest() {
        let mut builds = builds();
        for second in (1..1_000).step_by(2) {
            assert!(!builds.another_answered(false, at(second)));
            builds.newest_answered(at(second + 1));
            assert_eq!(builds.mixed(at(second + 1)), ago(1));
        }
        assert_eq!(builds.mixed(at(1_058)), ago(59));
        assert_eq!(builds.mixed(at(1_059)), None);
    }

    #[test]
    fn a_silent_build_is_replaced_after_a_minute_and_twenty_answers() {
        let mut rolled_back = builds();
        for second in 1..=20 {
            assert!(!rolled_back.another_answered(false, at(second)));
        }
        assert!(!rolled_back.another_answered(false, at(59)));
        assert!(rolled_back.another_answered(false, at(60)));
        // Few answers in a long time prove little, and still are the last ones.
        let mut builds = builds();
        assert!(!builds.another_answered(false, at(1_000)));
        assert_eq!(builds.mixed(at(9_000)), ago(8_000));
        builds.newest_answered(at(9_000));
        assert_eq!(builds.mixed(at(9_000)), None);
    }

    #[test]
    fn a_build_that_comes_too_soon_is_another_and_not_the_newest() {
        let mut builds = builds();
        assert!(builds.another_answered(true, at(100)));
        assert!(!builds.another_answered(true, at(109)));
        assert_eq!(builds.mixed(at(160)), ago(51));
        assert!(builds.another_answered(true, at(110)));
        assert_eq!(builds.mixed(at(159)), ago(50));
    }

    #[test]
    fn epoch_for_another_reason_forgets_who_answered_not_what_began() {
        let mut builds = builds();
        assert!(builds.another_answered(true, at(100)));
        builds.begin(at(101));
        assert_eq!(builds.mixed(at(101)), None);
        assert!(!builds.another_answered(true, at(102)));
        assert!(builds.another_answered(true, at(110)));
    }

    #[test]
    fn after_a_restart_the_last_answers_still_count() {
        let mixed = |newest, another, now| {
            Builds::resume(Some(at(newest)), Some(at(another)), at(now)).mixed(at(now))
        };
        assert_eq!(mixed(100, 90, 149), ago(59));
        assert_eq!(mixed(100, 90, 150), None);
        assert_eq!(mixed(100, 101, 9_101), ago(9_000), "it has been replaced");
        assert_eq!(builds().mixed(at(9_000)), None);
    }

    proptest! {
        #[test]
        fn epochs_are_bounded_by_time_whatever_the_header_says(
            answers in prop::collection::vec((0..2_i64, any::<bool>(), any::<bool>()), 1..300),
        ) {
            let mut builds = builds();
            let (mut now, mut begun) = (0, 0);
            for (step, is_newest, is_unknown) in answers {
                now += step;
                if is_newest {
                    builds.newest_answered(at(now));
                } else {
                    begun += i64::from(builds.another_answered(is_unknown, at(now)));
                }
            }
            prop_assert!(begun <= 1 + now / 10, "{begun} in {now} s");
        }
    }
}
