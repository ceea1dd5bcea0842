//! Which build of the new stack answered, and when a change of it begins an epoch.
//!
//! During a rolling deploy two builds alternate. A build that was never met begins an epoch at once. A check answered by
//! a build that was met before counts in the epoch of that build, so that each epoch holds the evidence of one build
//! however they alternate. Only when the present build has not answered for a while, and another has in its place (the
//! deploy was taken back), that other one begins an epoch anew. Until then, and where answers count in an epoch that may
//! be of another build, there is [`Doubt`] about its figures: they are not enough for a switch.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};
use xxhash_rust::xxh64::xxh64;

/// What a version header says, made safe to show. Equal where the header is, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Version(Arc<str>);

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

/// For this long, while others answer, nothing has to be thought of it that the present build does not.
const MISSED: SignedDuration = SignedDuration::from_secs(10);

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
            Turn::Returns => self.others = self.others.saturating_add(1),
            Turn::Refused | Turn::Unnamed => {
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
        self.mixed = None;
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
        versions.hear(Some(&version(name)), at(second))
    }

    fn named(name: &str) -> Versions {
        let met = vec![version(name)];
        Versions::new((Some(version(name)), Some(at(0))), (Vec::new(), met), at(0))
    }

    fn unnamed(is_heard: bool) -> Versions {
        Versions::new(
            (None, is_heard.then(|| at(0))),
            (Vec::new(), Vec::new()),
            at(0),
        )
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
        let mut versions = unnamed(false);
        assert_eq!(hear(&mut versions, "a", 1), Turn::Adopts);
        assert_eq!(hear(&mut versions, "a", 2), Turn::Stays);
        assert_eq!(hear(&mut versions, "b", 3), Turn::Begins);
        assert_eq!(versions.present(), Some(&version("b")));
    }

    #[test]
    fn builds_that_alternate_begin_one_epoch_and_the_new_one_prevails() {
        let mut versions = named("a");
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
        let mut versions = named("a");
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
        let mut versions = named("a");
        for build in 0..MAX_KNOWN as i64 {
            let name = format!("b{build}");
            assert_eq!(hear(&mut versions, &name, build * 100), Turn::Begins);
        }
        assert_eq!(hear(&mut versions, "a", 10_000), Turn::Begins);
    }

    #[test]
    fn a_build_has_to_begin_again_after_an_epoch_that_began_for_another_reason() {
        let mut versions = named("a");
        assert_eq!(hear(&mut versions, "b", 1), Turn::Begins);
        versions.begin_anew();
        assert_eq!(hear(&mut versions, "b", 20), Turn::Stays);
        assert_eq!(hear(&mut versions, "a", 20), Turn::Begins);
    }

    #[test]
    fn a_header_that_appears_begins_an_epoch_unless_nothing_counts_in_the_present_one() {
        let mut versions = unnamed(false);
        assert_eq!(versions.hear(None, at(1)), Turn::Stays);
        assert_eq!(hear(&mut versions, "a", 2), Turn::Begins);
        assert_eq!(hear(&mut unnamed(true), "a", 1), Turn::Begins);
        versions = unnamed(true);
        versions.begin_anew();
        assert_eq!(hear(&mut versions, "a", 1), Turn::Adopts);
    }

    #[test]
    fn a_header_that_disappears_is_in_doubt_and_begins_an_epoch_once_the_build_is_away() {
        let mut versions = named("a");
        assert_eq!(hear(&mut versions, "a", 1), Turn::Stays);
        assert_eq!(versions.doubt(at(30)), None, "nobody has answered");
        assert_eq!(versions.hear(None, at(40)), Turn::Unnamed);
        assert_eq!(hear(&mut versions, "a", 41), Turn::Stays);
        let ago = |seconds| Some(Doubt::Mixed(Duration::from_secs(seconds)));
        assert_eq!(versions.doubt(at(42)), ago(2));
        assert_eq!(versions.doubt(at(99)), ago(59));
        assert_eq!(versions.doubt(at(100)), None);
        for second in 100..119 {
            assert_eq!(versions.hear(None, at(second)), Turn::Unnamed);
        }
        assert_eq!(versions.hear(None, at(119)), Turn::Unnamed);
        assert_eq!(versions.hear(None, at(120)), Turn::Begins);
        assert_eq!(versions.present(), None);
        assert_eq!(versions.doubt(at(120)), None);
        assert_eq!(hear(&mut versions, "a", 121), Turn::Returns);
    }

    #[test]
    fn the_present_build_is_in_doubt_while_others_answer_in_its_place() {
        let mut versions = named("a");
        assert_eq!(hear(&mut versions, "b", 100), Turn::Begins);
        assert_eq!(hear(&mut versions, "a", 101), Turn::Returns);
        assert_eq!(versions.doubt(at(109)), None);
        let away = |seconds| Some(Doubt::Away(Duration::from_secs(seconds)));
        assert_eq!(versions.doubt(at(110)), away(10));
        // However few they are.
        assert_eq!(versions.doubt(at(9_100)), away(9_000));
        assert_eq!(hear(&mut versions, "b", 9_200), Turn::Stays);
        assert_eq!(versions.doubt(at(9_300)), None);
    }

    #[test]
    fn a_build_that_is_refused_puts_the_epoch_in_doubt() {
        let mut versions = named("a");
        assert_eq!(hear(&mut versions, "b", 100), Turn::Begins);
        assert_eq!(hear(&mut versions, "c", 101), Turn::Refused);
        assert_eq!(hear(&mut versions, "b", 102), Turn::Stays);
        let mixed = |seconds| Some(Doubt::Mixed(Duration::from_secs(seconds)));
        assert_eq!(versions.doubt(at(160)), mixed(59));
        assert_eq!(hear(&mut versions, "c", 161), Turn::Begins);
        assert_eq!(versions.doubt(at(161)), None);
    }

    #[test]
    fn the_newer_of_two_that_alternate_prevails_after_an_epoch_that_began_for_another_reason() {
        let mut versions = named("a");
        assert_eq!(hear(&mut versions, "b", 1), Turn::Begins);
        assert_eq!(hear(&mut versions, "a", 2), Turn::Returns);
        versions.begin_anew();
        assert_eq!(hear(&mut versions, "a", 30), Turn::Begins);
        assert_eq!(hear(&mut versions, "b", 31), Turn::Begins);
        for second in 32..100 {
            assert_eq!(hear(&mut versions, "a", second), Turn::Returns);
            assert_eq!(hear(&mut versions, "b", second), Turn::Stays);
        }
        assert_eq!(versions.present(), Some(&version("b")));
    }

    #[test]
    fn the_newer_of_two_prevails_after_a_start_with_an_epoch_of_its_own_as_well() {
        let met = vec![version("a"), version("b")];
        let mut versions = Versions::new((None, None), (Vec::new(), met), at(0));
        assert_eq!(hear(&mut versions, "b", 1), Turn::Adopts);
        assert_eq!(hear(&mut versions, "a", 2), Turn::Begins);
        assert_eq!(hear(&mut versions, "b", 3), Turn::Begins);
        assert_eq!(hear(&mut versions, "a", 4), Turn::Returns);
    }

    #[test]
    fn the_builds_of_the_past_are_known_again() {
        let known = vec![version("a"), version("b")];
        let past = (known.clone(), known);
        let mut versions = Versions::new((Some(version("b")), Some(at(0))), past, at(30));
        assert_eq!(versions.doubt(at(30)), None);
        assert_eq!(hear(&mut versions, "a", 31), Turn::Returns);
        let away = Doubt::Away(Duration::from_secs(31));
        assert_eq!(versions.doubt(at(31)), Some(away), "away before the start");
        assert_eq!(hear(&mut versions, "c", 31), Turn::Begins);
    }

    proptest! {
        #[test]
        fn epochs_are_bounded_by_time_whatever_the_header_says(
            answers in prop::collection::vec((0..2_i64, "[a-z]{0,2}"), 1..300),
        ) {
            let mut versions = named("first");
            let (mut now, mut begun) = (0, 0);
            for (step, name) in answers {
                now += step;
                let turn = versions.hear(Version::of(name.as_bytes()).as_ref(), at(now));
                begun += i64::from(turn == Turn::Begins);
            }
            prop_assert!(begun <= 1 + now / 10, "{begun} in {now} s");
            prop_assert!(versions.known.len() <= MAX_KNOWN);
        }
    }
}
