//! Variation of the old stack itself is noise in the kinds that it shows, in this check or in earlier ones.

use super::{
    MATCH, MISMATCH,
    harness::{Read, Shadow},
    recheck::{after, comparing, pair, places, reading},
};
use crate::support::{Script, answer, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use twinread::{
    compare::{CompareConfig, Options},
    outcome::Outcome,
    value::Kind,
};

const AB: &str = r#"{"items": ["a", "b"]}"#;
const BA: &str = r#"{"items": ["b", "a"]}"#;

/// A number that no earlier answer had.
fn next() -> usize {
    static ANSWERS: AtomicUsize = AtomicUsize::new(1);
    ANSWERS.fetch_add(1, Ordering::SeqCst)
}

/// Either order at random.
#[derive(Debug)]
struct Order(AtomicU64);

impl Order {
    fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> &'static str {
        let step = |state: u64| {
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        };
        let state = self.0.load(Ordering::SeqCst);
        self.0.store(step(state), Ordering::SeqCst);
        match step(state) >> 63 {
            0 => AB,
            _ => BA,
        }
    }
}

fn at_random(seed: u64) -> Script {
    let order = Order::seeded(seed);
    Script::bodies(move |_| order.next().to_owned())
}

/// Alternates both orders under `/x`; one order elsewhere.
fn by_turns_under_x(elsewhere: &'static str) -> Script {
    let turns = AtomicUsize::new(0);
    Script::bodies(move |request| {
        let is_x = request.starts_with("GET /x ");
        match is_x && turns.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            true => BA.to_owned(),
            false if is_x => AB.to_owned(),
            false => elsewhere.to_owned(),
        }
    })
}

/// Checks `/x` until old's own readings have shown both orders often enough.
async fn learn(shadow: &Shadow, times: u64) {
    while shadow.count(Outcome::Noise) < times {
        shadow.check(&reading(AB)).await;
    }
}

#[tokio::test]
async fn clock_that_new_drops_or_nulls_or_quotes_is_a_mismatch() {
    let bodies: [fn(usize) -> String; 3] = [
        |_| "{}".to_owned(),
        |_| r#"{"at": null}"#.to_owned(),
        |at| format!(r#"{{"at": "{at}"}}"#),
    ];
    for (body, kind) in bodies
        .into_iter()
        .zip([Kind::Missing, Kind::Type, Kind::Type])
    {
        let old = Script::bodies(|_| format!(r#"{{"at": {}}}"#, next()));
        let (old, new) = pair(old, Script::bodies(move |_| body(next())));
        let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        // Not only before the place has a history.
        for _ in 0..10 {
            assert_eq!(shadow.check(&reading(r#"{"at": 0}"#)).await, MISMATCH);
            let report = shadow.reports.try_recv().unwrap();
            assert_eq!(
                (places(&report), report.differences[0].kind),
                (vec!["$.at"], kind)
            );
            assert_eq!(report.rechecked.noise, ["$.at"]);
        }
    }
}

#[tokio::test]
async fn header_varying_on_old_and_missing_on_new_is_a_mismatch() {
    let with_id = || {
        Script::answers(|_| {
            let id = format!("200 OK\r\nx-request-id: {}", next());
            answer(&id, "{}")
        })
    };
    let cases = [
        (json("{}").into(), MISMATCH, Kind::Missing),
        (with_id(), Outcome::Noise, Kind::Value),
    ];
    for (new, expected, kind) in cases {
        let (old, new) = pair(with_id(), new);
        let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        shadow.comparing = Arc::new(CompareConfig {
            options: Options::default(),
            ..CompareConfig::default()
        });
        let read = Read {
            answer: "{}",
            answer_headers: vec![("x-request-id", "0"), ("content-length", "2")],
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, expected);
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!(places(&report), ["header.x-request-id"]);
        assert_eq!(report.differences[0].kind, kind);
    }
}

#[tokio::test]
async fn order_at_random_on_both_is_noise_once_it_is_known() {
    for seed in [1, 2, 3] {
        let (old, new) = pair(at_random(seed), at_random(seed + 10));
        let shadow = comparing((&old, &new, None), after(&[1, 2, 3])).await;
        let live = Order::seeded(seed + 20);
        while shadow.ended() < 100 {
            shadow.check(&reading(live.next())).await;
        }
        let learnt = shadow.outcomes();
        while shadow.ended() < 500 {
            let outcome = shadow.check(&reading(live.next())).await;
            assert!(
                [MATCH, Outcome::Noise].contains(&outcome),
                "{outcome:?} after {learnt:?}"
            );
        }
    }
}

#[tokio::test]
async fn fixed_order_of_new_is_a_mismatch_if_old_keeps_its_own() {
    let (old, new) = pair(by_turns_under_x(AB), by_turns_under_x(BA));
    let shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    learn(&shadow, 20).await;
    let before = new.requests().len();
    let wrong = Read {
        uri: "/y",
        answer: AB,
        ..Read::new()
    };
    assert_eq!(shadow.check(&wrong).await, MISMATCH);
    assert_eq!(
        new.requests().len() - before,
        9,
        "six more after the last delay"
    );
    // Another kind at the same place gets no more readings.
    new.becomes(json(r#"{"items": ["a"]}"#));
    let before = new.requests().len();
    assert_eq!(shadow.check(&wrong).await, MISMATCH);
    assert_eq!(new.requests().len() - before, 3);
}

#[tokio::test]
async fn order_is_excused_no_more_often_than_old_has_shown_it() {
    let (old, new) = pair(by_turns_under_x(AB), by_turns_under_x(AB));
    let shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    learn(&shadow, 10).await;
    // New gives the other order first, and old's at the next reading, which would be lag.
    let mut excused = 0;
    let read = Read {
        uri: "/y",
        answer: AB,
        ..Read::new()
    };
    loop {
        new.becomes(Script::sequence(&[BA, AB]));
        match shadow.check(&read).await {
            Outcome::Noise => excused += 1,
            outcome => break assert_eq!(outcome, Outcome::Transient),
        }
        assert!(excused < 100);
    }
    // Some may have been excused while they were learned.
    assert!((5..=11).contains(&excused), "{excused}");
}
