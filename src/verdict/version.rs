//! Which build of the new stack answered, and when a change of it begins an epoch.
//!
//! During a rolling deploy two builds alternate. A build that was never met begins an epoch at once. A check answered by
//! a build that was met before counts in the epoch of that build, so that each epoch holds the evidence of one build
//! however they alternate. Only when the present build has not answered for a while, and another has in its place (the
//! deploy was taken back), that other one begins an epoch anew.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{collections::VecDeque, fmt, sync::Arc};
use xxhash_rust::xxh64::xxh64;

/// What a version header says, made safe to show. Equal where the header is, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Version(Arc<str>);

/// The builds of the new stack in time.
#[derive(Clone, Debug)]
pub struct Versions {
    /// The build of the present epoch.
    present: Option<Version>,
    /// When it answered last.
    seen: Timestamp,
    /// Answers of other builds since.
    others: u32,
    /// Builds that have had an epoch comparable with the present one, the newest last; itself included.
    known: VecDeque<Version>,
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
}

/// Bytes of a header that are told whole.
const MAX_LENGTH: usize = 100;

/// Builds that are remembered. One that was forgotten begins an epoch as if it had never been met.
const MAX_KNOWN: usize = 16;

/// What is no version but unlike in every answer begins no more than an epoch in this time.
const APART: SignedDuration = SignedDuration::from_secs(10);

/// For this long, and for this many answers of others, the present build has to be away before another that was met
/// before takes its place.
const AWAY: SignedDuration = SignedDuration::from_secs(60);
const OTHERS: u32 = 20;

// === impl Version ===

impl Version {
    /// `None` for an empty header. What is long is cut, and told apart by a hash; what is not visible ASCII is escaped.
    pub fn of(header: &[u8]) -> Option<Self> {
        let header = header.trim_ascii();
        if header.is_empty() {
            return None;
        }
        let shown = &header[..header.len().min(MAX_LENGTH)];
        let mut text = shown.escape_ascii().to_string();
        if header.len() > MAX_LENGTH {
            text.push_str(&format!("…{:016x}", xxh64(header, 0)));
        }
        Some(Self(text.into()))
    }

    /// As [`Version::of`] told it once.
    pub fn told(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Versions ===

impl Versions {
    /// `present`: the build of the present epoch, where one is known.
    pub fn new(present: Option<Version>, now: Timestamp) -> Self {
        Self {
            known: present.iter().cloned().collect(),
            present,
            seen: now,
            others: 0,
            begun: None,
        }
    }

    pub fn present(&self) -> Option<&Version> {
        self.present.as_ref()
    }

    /// An epoch begins for another reason: no other build than the present one has had one that is comparable with it.
    pub fn begin_anew(&mut self) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known));
    }

    /// Forgets the builds of which `is_kept` does not hold; the present one stays.
    pub fn keep_known(&mut self, is_kept: impl Fn(&Version) -> bool) {
        self.known
            .retain(|known| self.present.as_ref() == Some(known) || is_kept(known));
    }

    /// Hears which build answered a check.
    pub fn hear(&mut self, version: &Version, now: Timestamp) -> Turn {
        let turn = self.turn(version, now);
        match turn {
            Turn::Stays => self.see(now),
            Turn::Returns | Turn::Refused => self.others = self.others.saturating_add(1),
            Turn::Adopts | Turn::Begins => self.become_present(version, now),
        }
        turn
    }

    fn turn(&self, version: &Version, now: Timestamp) -> Turn {
        if self.present.is_none() {
            return Turn::Adopts;
        }
        if self.present.as_ref() == Some(version) {
            return Turn::Stays;
        }
        if self.known.contains(version) {
            let is_away = now.duration_since(self.seen) >= AWAY && self.others >= OTHERS;
            return if is_away { Turn::Begins } else { Turn::Returns };
        }
        let is_too_soon = |begun| now.duration_since(begun) < APART;
        match self.begun.is_some_and(is_too_soon) {
            true => Turn::Refused,
            false => Turn::Begins,
        }
    }

    fn become_present(&mut self, version: &Version, now: Timestamp) {
        if let Some(index) = self.known.iter().position(|known| known == version) {
            self.known.remove(index);
        } else if self.present.is_some() {
            self.begun = Some(now);
        }
        self.known.push_back(version.clone());
        if self.known.len() > MAX_KNOWN {
            self.known.pop_front();
        }
        self.present = Some(version.clone());
        self.see(now);
    }

    fn see(&mut self, now: Timestamp) {
        self.seen = now;
        self.others = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn version(name: &str) -> Version {
        Version::of(name.as_bytes()).unwrap()
    }

    fn hear(versions: &mut Versions, name: &str, second: i64) -> Turn {
        versions.hear(&version(name), at(second))
    }

    #[test]
    fn a_header_is_bounded_and_safe_and_what_differs_stays_unlike() {
        assert_eq!(Version::of(b"  "), None);
        assert_eq!(version(" 1.2-rc+3 ").as_str(), "1.2-rc+3");
        assert_eq!(version("a\u{1b}[2J\"").as_str(), r#"a\x1b[2J\""#);
        let long = |last: &str| version(&format!("{}{last}", "x".repeat(5_000)));
        assert!(long("").as_str().chars().count() <= 120);
        assert_ne!(long("a"), long("b"));
        let told = long("a");
        assert_eq!(Version::told(told.as_str()), told);
    }

    #[test]
    fn the_first_build_is_adopted_and_another_begins_an_epoch() {
        let mut versions = Versions::new(None, at(0));
        assert_eq!(hear(&mut versions, "a", 1), Turn::Adopts);
        assert_eq!(hear(&mut versions, "a", 2), Turn::Stays);
        assert_eq!(hear(&mut versions, "b", 3), Turn::Begins);
        assert_eq!(versions.present(), Some(&version("b")));
    }

    #[test]
    fn builds_that_alternate_begin_one_epoch_and_the_new_one_prevails() {
        let mut versions = Versions::new(Some(version("a")), at(0));
        let turns: Vec<_> = (1..1_000)
            .map(|second| hear(&mut versions, ["a", "b"][second as usize % 2], second))
            .collect();
        assert_eq!(
            turns.iter().filter(|turn| **turn == Turn::Begins).count(),
            1
        );
        let pairs = turns[1..].chunks(2);
        assert!(
            pairs
                .into_iter()
                .all(|pair| pair == [Turn::Returns, Turn::Stays])
        );
        assert_eq!(hear(&mut versions, "b", 1_001), Turn::Stays);
    }

    #[test]
    fn a_deploy_that_is_taken_back_begins_an_epoch_once_the_present_build_is_away() {
        let mut versions = Versions::new(Some(version("a")), at(0));
        assert_eq!(hear(&mut versions, "b", 0), Turn::Begins);
        for second in 1..=20 {
            assert_eq!(hear(&mut versions, "a", second), Turn::Returns);
        }
        assert_eq!(hear(&mut versions, "a", 59), Turn::Returns);
        assert_eq!(hear(&mut versions, "a", 60), Turn::Begins);
        assert_eq!(hear(&mut versions, "a", 61), Turn::Stays);
        // Few answers in a long time say little.
        assert_eq!(hear(&mut versions, "b", 1_000), Turn::Returns);
    }

    #[test]
    fn one_that_was_forgotten_is_met_as_if_never_before() {
        let mut versions = Versions::new(Some(version("a")), at(0));
        for build in 0..MAX_KNOWN as i64 {
            let name = format!("b{build}");
            assert_eq!(hear(&mut versions, &name, build * 100), Turn::Begins);
        }
        assert_eq!(hear(&mut versions, "a", 10_000), Turn::Begins);
    }

    #[test]
    fn a_build_has_to_begin_again_after_an_epoch_that_began_for_another_reason() {
        let mut versions = Versions::new(Some(version("a")), at(0));
        assert_eq!(hear(&mut versions, "b", 1), Turn::Begins);
        versions.begin_anew();
        assert_eq!(hear(&mut versions, "b", 20), Turn::Stays);
        assert_eq!(hear(&mut versions, "a", 20), Turn::Begins);
        assert_eq!(hear(&mut versions, "b", 20), Turn::Returns);
    }

    proptest! {
        #[test]
        fn epochs_are_bounded_by_time_whatever_the_header_says(
            answers in prop::collection::vec((0..2_i64, "[a-z]{1,2}"), 1..300),
        ) {
            let mut versions = Versions::new(Some(version("first")), at(0));
            let (mut now, mut begun) = (0, 0);
            for (step, name) in answers {
                now += step;
                begun += i64::from(hear(&mut versions, &name, now) == Turn::Begins);
            }
            prop_assert!(begun <= 1 + now / 10, "{begun} in {now} s");
            prop_assert!(versions.known.len() <= MAX_KNOWN);
        }
    }
}
