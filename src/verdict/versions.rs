//! Which build of the new stack answered, and when a change of it begins an epoch.
//!
//! During a rolling deploy two builds alternate. A build that was never met begins an epoch at once. A check answered by
//! a build that was met before counts in the epoch of that build, so that each epoch holds the evidence of one build
//! however they alternate. Only when the present build has not answered for a while, and another has in its place (the
//! deploy was taken back), that other one begins an epoch anew; one that came later than the present one does so at once,
//! after an epoch that began for another reason. Until then, and where answers count in an epoch that may
//! be of another build, there is [`Doubt`] about its figures: they are not enough for a switch.

use super::Version;
use jiff::{SignedDuration, Timestamp};
use std::{collections::VecDeque, time::Duration};

/// The builds of the new stack in time.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The build of the present epoch; `None` where answers name none.
    present: Option<Version>,
    /// When it answered last.
    seen: Timestamp,
    /// Whether it has in this epoch.
    is_heard: bool,
    /// Answers of other builds since.
    others: u32,
    /// When an answer was last counted in the present epoch that is not of its build.
    mixed: Option<Timestamp>,
    /// Builds that have had an epoch comparable with the present one, the newest last; itself included.
    known: VecDeque<Version>,
    /// In the order in which they came, the newest last: of two that answer by turns, it is the newer that is looked at.
    met: VecDeque<Version>,
    /// When a build that was never met last began an epoch.
    begun: Option<Timestamp>,
}

/// In which epoch a check counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The present one, which is this build's.
    Stays,
    /// The present one, which is now known to be this build's.
    Adopts,
    /// The last one of this build.
    Returns,
    /// One that begins with it.
    Begins,
    /// The present one: too many builds that were never met have come in too short a time.
    Refused,
    /// The present one, though the answer names no build and others have.
    Unnamed,
}

/// Why the figures of the present epoch may not be those of what answers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its build has not answered for that long, and others have since.
    Away(Duration),
    /// That long ago an answer was counted in it that may be of another build.
    Mixed(Duration),
}

/// Builds that are remembered. One that was forgotten begins an epoch as if it had never been met.
const MAX_KNOWN: usize = 16;

/// What is no version but unlike in every answer begins no more than an epoch in this time.
const APART: SignedDuration = SignedDuration::from_secs(10);

/// For this long, and for this many answers of others, the present build has to be away before another that was met
/// before takes its place.
const AWAY: SignedDuration = SignedDuration::from_secs(60);
const OTHERS: u32 = 20;

/// For this long, while others answer, nothing has to be thought of it that the present build does not.
const MISSED: SignedDuration = SignedDuration::from_secs(10);

// === impl Versions ===

impl Versions {
    /// `present`: the build of the present epoch, where one is known, and `last`, when a check of it last counted there.
    /// `known`: those that have epochs comparable with it, `met`: those that have any; the newest last.
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

    /// An epoch begins for another reason: no other build than the present one has had one that is comparable with it.
    pub fn begin_anew(&mut self) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known));
        self.is_heard = false;
        self.mixed = None;
    }

    /// Forgets the builds of which `is_kept` does not hold; the present one stays.
    pub fn keep_known(&mut self, is_kept: impl Fn(&Version) -> bool) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known) || is_kept(known));
        self.met.retain(|met| self.known.contains(met));
    }

    /// Hears which build answered a check; `None`: the answer does not say.
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

    /// Another build has answered after the present one, before anything was heard.
    pub fn leave(&mut self) {
        self.others = self.others.max(1);
    }

    /// An answer is counted in the present epoch that may not be of its build.
    pub fn mix(&mut self, now: Timestamp) {
        self.mixed = Some(now);
    }

    /// What there is to doubt at `now`.
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
            return match is_away || self.is_newer(version) {
                true => Turn::Begins,
                false => Turn::Returns,
            };
        }
        let is_too_soon = |begun| now.duration_since(begun) < APART;
        match self.begun.is_some_and(is_too_soon) {
            true => Turn::Refused,
            false => Turn::Begins,
        }
    }

    fn become_present(&mut self, build: Option<&Version>, now: Timestamp, turn: Turn) {
        if let Some(version) = build {
            let is_newer = self.is_newer(version);
            let is_new = self.know(version);
            if is_new && turn == Turn::Begins {
                self.begun = Some(now);
            }
            // One that takes the place of a newer one, as that is away, is the newest from then on.
            let is_met = self.met.contains(version);
            if !is_met || !(is_new || is_newer) {
                self.meet(version);
            }
        }
        self.present = build.cloned();
        // The one before may answer still.
        let was_another = turn == Turn::Begins && self.is_heard;
        self.mixed = was_another.then_some(self.seen);
        self.see(now);
    }

    /// As the newest that is known; whether it was not.
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

    /// As the newest of those that were met.
    fn meet(&mut self, version: &Version) {
        self.met.retain(|met| met != version);
        self.met.push_back(version.clone());
        if self.met.len() > MAX_KNOWN {
            self.met.pop_front();
        }
    }

    /// Whether it came after the present one.
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
