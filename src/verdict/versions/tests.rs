//! Builds that come, alternate, go and come back, each at a second of its own.

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
    // Few answers in a long time prove little.
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
    let mixed = Some(Doubt::Mixed(Duration::from_secs(8)));
    assert_eq!(versions.doubt(at(109)), mixed, "another answers as well");
    let away = |seconds| Some(Doubt::Away(Duration::from_secs(seconds)));
    assert_eq!(versions.doubt(at(110)), away(10));
    // Even if there are few.
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
    assert_eq!(versions.doubt(at(161)), mixed(59), "b answered then");
    assert_eq!(versions.doubt(at(162)), None);
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
