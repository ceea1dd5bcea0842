//! Which build of the new stack answered, and when a change of it begins an epoch.
//!
//! During a rolling deploy two builds alternate. A build that has not answered before begins an epoch at once. A check
//! answered by a known build counts in the epoch of that build, so that each epoch holds the evidence of one build. If
//! the deploy is rolled back, the present build stops answering. After a while, the known build that answers instead
//! begins a new epoch. A build that came later than the present one does so at once, after an epoch that began for
//! another reason. Until then, and while answers count in an epoch of possibly another build, there is [`Doubt`] about
//! the figures: they do not suffice for a switch.

use super::Version;
use jiff::{SignedDuration, Timestamp};
use std::{collections::VecDeque, time::Duration};

/// Tracks the builds of the new stack over time.
#[derive(Clone, Debug)]
pub struct Versions {
    /// Build of the present epoch; `None` if answers name none.
    present: Option<Version>,
    /// When the present build last answered.
    seen: Timestamp,
    /// Whether the present build has answered in this epoch.
    is_heard: bool,
    /// Number of answers of other builds since.
    others: u32,
    /// When an answer of possibly another build was last counted in the present epoch.
    mixed: Option<Timestamp>,
    /// Builds with an epoch comparable to the present one, including the present build; newest last.
    known: VecDeque<Version>,
    /// Builds in order of first appearance, newest last. Of two that alternate, the newer one is judged.
    met: VecDeque<Version>,
    /// When an unknown build last began an epoch.
    begun: Option<Timestamp>,
}

/// Which epoch a check counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The present epoch, which belongs to this build.
    Stays,
    /// The present epoch, which from now on belongs to this build.
    Adopts,
    /// The latest epoch of this build.
    Returns,
    /// A new epoch that begins with this check.
    Begins,
    /// The present epoch, because too many unknown builds have come in too short a time.
    Refused,
    /// The present epoch, although the answer names no build and others have.
    Unnamed,
}

/// Why the figures of the present epoch may not describe the build that answers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The present build has not answered for this long, and others have.
    Away(Duration),
    /// This long ago, an answer of possibly another build was counted in the epoch.
    Mixed(Duration),
}

/// Maximum number of remembered builds. A forgotten build begins an epoch as an unknown one does.
const MAX_KNOWN: usize = 16;

/// A header that is no version but differs in every answer begins at most one epoch in this time.
const APART: SignedDuration = SignedDuration::from_secs(10);

/// The present build must be away for this long, and for this many answers of others, before a known build replaces it.
const AWAY: SignedDuration = SignedDuration::from_secs(60);
const OTHERS: u32 = 20;

/// While others answer, the present build may be silent for this long without doubt.
const MISSED: SignedDuration = SignedDuration::from_secs(10);

// === impl Versions ===

impl Versions {
    /// `present` is the build of the present epoch, if known; `last` is when a check of it last counted there. `known`
    /// are the builds with epochs comparable to it, `met` those with any epoch; newest last.
    pub fn new(
        (present, last): (Option<Version>, Option<Timestamp>),
        (known, met): (Vec<Version>, Vec<Version>),
        now: Timestamp,
    ) -> Self {
        let mut versions = Self {
            present: None,
            seen: last.unwrap_or(now),
            is_heard: last.is_some(),
            others: 0,
            mixed: None,
            known: VecDeque::new(),
            met: VecDeque::new(),
            begun: None,
        };
        for version in known.into_iter().chain(present.clone()) {
            versions.know(&version);
        }
        for version in met {
            versions.meet(&version);
        }
        Self {
            present,
            ..versions
        }
    }

    pub fn present(&self) -> Option<&Version> {
        self.present.as_ref()
    }

    /// Begins an epoch for another reason. Only the present build can have a comparable epoch from now on.
    pub fn begin_anew(&mut self) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known));
        self.is_heard = false;
        self.mixed = None;
    }

    /// Forgets the builds that `is_kept` rejects, except the present one.
    pub fn keep_known(&mut self, is_kept: impl Fn(&Version) -> bool) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known) || is_kept(known));
        self.met.retain(|met| self.known.contains(met));
    }

    /// Observes which build answered a check; `None` if the answer names none.
    pub fn hear(&mut self, build: Option<&Version>, now: Timestamp) -> Turn {
        let turn = self.turn(build, now);
        match turn {
            Turn::Stays => self.see(now),
            Turn::Returns | Turn::Refused | Turn::Unnamed => {
                self.others = self.others.saturating_add(1);
                self.mix(now);
            }
            Turn::Adopts | Turn::Begins => self.become_present(build, now, turn),
        }
        turn
    }

    /// Records that another build answered after the present one, before any check was observed.
    pub fn leave(&mut self) {
        self.others = self.others.max(1);
    }

    /// Records that an answer of possibly another build counts in the present epoch.
    pub fn mix(&mut self, now: Timestamp) {
        self.mixed = Some(now);
    }

    /// The doubt about the present epoch at `now`.
    pub fn doubt(&self, now: Timestamp) -> Option<Doubt> {
        let away = now.duration_since(self.seen);
        if self.others > 0 && away >= MISSED {
            return Some(Doubt::Away(away.unsigned_abs()));
        }
        let mixed = now.duration_since(self.mixed?);
        (mixed < AWAY).then(|| Doubt::Mixed(mixed.try_into().unwrap_or_default()))
    }

    fn turn(&self, build: Option<&Version>, now: Timestamp) -> Turn {
        if self.present.as_ref() == build {
            return Turn::Stays;
        }
        let is_away = now.duration_since(self.seen) >= AWAY && self.others >= OTHERS;
        let Some(version) = build else {
            return if is_away { Turn::Begins } else { Turn::Unnamed };
        };
        if self.present.is_none() && !self.is_heard {
            return Turn::Adopts;
        }
        if self.known.contains(version) {
            return if is_away || self.is_newer(version) {
                Turn::Begins
            } else {
                Turn::Returns
            };
        }
        let is_too_soon = |begun| now.duration_since(begun) < APART;
        if self.begun.is_some_and(is_too_soon) {
            Turn::Refused
        } else {
            Turn::Begins
        }
    }

    fn become_present(&mut self, build: Option<&Version>, now: Timestamp, turn: Turn) {
        if let Some(version) = build {
            let is_newer = self.is_newer(version);
            let is_new = self.know(version);
            if is_new && turn == Turn::Begins {
                self.begun = Some(now);
            }
            // A build that replaces a newer, absent one becomes the newest.
            let is_met = self.met.contains(version);
            if !is_met || !(is_new || is_newer) {
                self.meet(version);
            }
        }
        self.present = build.cloned();
        // The previous build may still answer.
        let was_another = turn == Turn::Begins && self.is_heard;
        self.mixed = was_another.then_some(self.seen);
        self.see(now);
    }

    /// Moves `version` to the newest known place. Returns whether it was unknown.
    fn know(&mut self, version: &Version) -> bool {
        let known = self.known.iter().position(|known| known == version);
        if let Some(index) = known {
            self.known.remove(index);
        }
        self.known.push_back(version.clone());
        if self.known.len() > MAX_KNOWN {
            let forgotten = self.known.pop_front();
            self.met.retain(|met| Some(met) != forgotten.as_ref());
        }
        known.is_none()
    }

    /// Moves `version` to the newest place in order of appearance.
    fn meet(&mut self, version: &Version) {
        self.met.retain(|met| met != version);
        self.met.push_back(version.clone());
        if self.met.len() > MAX_KNOWN {
            self.met.pop_front();
        }
    }

    /// Whether it appeared after the present one.
    fn is_newer(&self, version: &Version) -> bool {
        let place = |build: Option<&Version>| self.met.iter().position(|met| Some(met) == build);
        let present = place(self.present.as_ref());
        present.is_some() && place(Some(version)) > present
    }

    fn see(&mut self, now: Timestamp) {
        self.seen = now;
        self.is_heard = true;
        self.others = 0;
    }
}

#[cfg(test)]
mod tests;
