//! Differences are read again on both stacks, and end as lag, as noise or as a mismatch.

use super::{
    EQUAL, MATCH, MISMATCH,
    harness::{Read, Shadow, bytes_alone},
    not_compared, settings,
};
use crate::support::{Reply, Script, Stack, answer, json, until};
use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use twinread::testing::{
    ledger::Bound,
    pipeline::Sent,
    sample::Frequency,
    shadow::{Limits, Settings},
};
use twinread::{
    compare::{CompareConfig, HeaderScope, Options, compare_within},
    outcome::{Mark, Outcome, Reason, Via},
    rules::RuleSet,
    stack,
    value::Kind,
};

pub(crate) const UNCONFIRMED: Outcome = Outcome::Mismatch(Mark::Unconfirmed);
pub(crate) const STALE: &str = r#"{"a": 0}"#;

/// Rechecks after these milliseconds.
pub(crate) fn after(delays: &[u64]) -> Settings {
    let delays = delays.iter().copied().map(Duration::from_millis);
    let mut settings = settings();
    settings.recheck.after = delays.collect();
    settings.recheck.max_per_second = Frequency::from(100_000);
    settings
}

pub(crate) fn pair(old: impl Into<Script>, new: impl Into<Script>) -> (Stack, Stack) {
    (Stack::replying(old), Stack::replying(new))
}

/// With the real comparison, of bodies alone.
pub(crate) async fn comparing(
    stacks: (&Stack, &Stack, Option<&Stack>),
    settings: Settings,
) -> Shadow {
    let mut shadow = Shadow::with_control(stacks, settings, compare_within).await;
    shadow.comparing = under("rules: []");
    shadow
}

pub(crate) fn under(rules: &str) -> Arc<CompareConfig> {
    let files = [("rules.yaml".into(), rules.to_owned())];
    let (rules, _) = RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).unwrap();
    Arc::new(CompareConfig {
        rules: rules.into(),
        options: Options {
            headers: HeaderScope::None,
            ..Options::default()
        },
        ..CompareConfig::default()
    })
}

pub(crate) fn reading(answer: &'static str) -> Read {
    Read {
        answer,
        ..Read::new()
    }
}

pub(crate) fn places(report: &Sent) -> Vec<&str> {
    let shown = report.differences.iter();
    shown.map(|shown| shown.place.as_str()).collect()
}

pub(crate) fn marks(stack: &Stack) -> Vec<String> {
    let requests = stack.requests().into_iter();
    let marks = requests.map(|request| {
        let mark = request
            .lines()
            .find_map(|line| line.strip_prefix("x-twinread: "));
        mark.unwrap().to_owned()
    });
    marks.collect()
}

#[tokio::test]
async fn difference_that_vanishes_is_lag_and_rechecks_are_marked() {
    let (old, new) = pair(json(EQUAL), Script::sequence(&[STALE, STALE, EQUAL]));
    let mut shadow = comparing((&old, &new, None), after(&[20, 60, 5_000])).await;

    assert_eq!(shadow.check(&Read::new()).await, Outcome::Transient);

    assert_eq!(marks(&new), ["shadow", "recheck", "recheck"]);
    assert_eq!(marks(&old), ["recheck", "recheck"]);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(report.rechecked.count, 2);
    let lag = report.rechecked.lag.unwrap();
    assert!(lag >= Duration::from_millis(60), "{lag:?}");
    assert!(lag < Duration::from_secs(5), "{lag:?}");
    assert_eq!(places(&report), ["$.a"]);
}

#[tokio::test]
async fn difference_to_the_last_reading_is_a_mismatch_in_either_role() {
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let (own, other) = pair(json(EQUAL), json(STALE));
        let (old, new) = match primary {
            stack::Stack::Old => (&own, &other),
            stack::Stack::New => (&other, &own),
        };
        let mut shadow = comparing((old, new, None), after(&[1, 5, 9])).await;
        let read = Read {
            primary,
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MISMATCH);
        assert_eq!((own.requests().len(), other.requests().len()), (3, 4));
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!((report.rechecked.count, report.count), (3, 1));
        assert_eq!(report.rechecked.lag, None);
    }
}

#[tokio::test]
async fn an_empty_list_of_delays_switches_it_off_for_the_next_check() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let shadow = comparing((&old, &new, None), after(&[1])).await;
    shadow.check(&Read::new()).await;
    assert_eq!(old.requests().len(), 1);
    shadow.settings.publish(after(&[]));
    assert_eq!(shadow.check(&Read::new()).await, MISMATCH);
    assert_eq!(old.requests().len(), 1);
}

/// A clock, a random field, a random order and a list of random length, different on every reading; and a price.
fn noisy(price: u32) -> Script {
    static READINGS: AtomicUsize = AtomicUsize::new(10);
    Script::bodies(move |_| {
        let n = READINGS.fetch_add(1, Ordering::SeqCst);
        let mut tags = [1, 2, 3, 4, 5, 6, 7, 8];
        tags.rotate_left(n % 7);
        tags.swap(0, n % 5);
        let list: Vec<_> = (0..1 + n % 4).map(|item| n * 10 + item).collect();
        format!(
            r#"{{"at": {n}, "id": "{:08x}", "tags": {tags:?}, "also": {list:?}, "price": {price}}}"#,
            n * 7_919
        )
    })
}

const NOISY: &str =
    r#"{"at": 1, "id": "first", "tags": [8, 7, 6, 5, 4, 3, 2, 1], "also": [1, 2, 3], "price": 9}"#;

#[tokio::test]
async fn old_changes_are_noise_and_a_defect_next_to_them_is_found() {
    for (price, expected) in [(9, Outcome::Noise), (8, MISMATCH)] {
        let (old, new) = pair(noisy(9), noisy(price));
        let mut shadow = comparing((&old, &new, None), after(&[1, 2, 3, 4])).await;
        for _ in 0..20 {
            assert_eq!(shadow.check(&reading(NOISY)).await, expected);
            let report = shadow.reports.try_recv().unwrap();
            let noise = &report.rechecked.noise;
            assert!(noise.contains(&"$.at".to_owned()), "{noise:?}");
            match price {
                9 => assert!(places(&report).contains(&"$.at")),
                _ => assert_eq!(places(&report), ["$.price"]),
            }
        }
    }
}

#[tokio::test]
async fn more_noise_than_a_report_keeps_is_noise_all_the_same() {
    for length in [500, 6_000] {
        let (old, new) = pair(priced(length, 9), priced(length, 9));
        let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
        let first = Box::leak(list(length, 0, 9).into_boxed_str());
        assert_eq!(shadow.check(&reading(first)).await, Outcome::Noise);
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!((report.count, report.differences.len()), (length, 100));
    }
}

#[tokio::test]
async fn defect_behind_much_noise_is_all_that_is_reported() {
    let (old, new) = pair(priced(6_000, 9), priced(6_000, 8));
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    let first = Box::leak(list(6_000, 0, 9).into_boxed_str());
    assert_eq!(shadow.check(&reading(first)).await, MISMATCH);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!((report.count, places(&report)), (1, vec!["$.price"]));
}

#[tokio::test]
async fn too_much_noise_stays_unconfirmed_and_is_shown() {
    let (old, new) = pair(priced(20_000, 9), priced(20_000, 9));
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    let first = Box::leak(list(20_000, 0, 9).into_boxed_str());
    assert_eq!(shadow.check(&reading(first)).await, UNCONFIRMED);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(report.differences.len(), 100);
}

#[tokio::test]
async fn noise_beyond_memory_stays_unconfirmed() {
    let (old, new) = pair(priced(6_000, 9), priced(6_000, 8));
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    // Enough for the answers.
    shadow.budget.set_limit(600_000);
    let first = Box::leak(list(6_000, 0, 9).into_boxed_str());
    assert_eq!(shadow.check(&reading(first)).await, UNCONFIRMED);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!((report.rechecked.count, report.count), (2, 6_001));
}

/// A list of clocks, one per item, followed by a price.
fn list(length: usize, now: usize, price: u32) -> String {
    let clocks: Vec<_> = (0..length).map(|item| now * length + item).collect();
    format!(r#"{{"clocks": {clocks:?}, "price": {price}}}"#)
}

fn priced(length: usize, price: u32) -> Script {
    static READINGS: AtomicUsize = AtomicUsize::new(1);
    Script::bodies(move |_| list(length, READINGS.fetch_add(1, Ordering::SeqCst), price))
}

#[tokio::test]
async fn with_a_control_instance_the_noise_reading_goes_there() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let control = Stack::replying(json(r#"{"a": 7}"#));
    let shadow = comparing((&old, &new, Some(&control)), after(&[1, 2])).await;
    assert_eq!(shadow.check(&Read::new()).await, Outcome::Noise);
    assert_eq!(marks(&control), ["recheck"]);
    assert!(old.requests().is_empty());
    control.becomes(json(EQUAL));
    assert_eq!(shadow.check(&Read::new()).await, MISMATCH);
    assert!(old.requests().is_empty());
}

#[tokio::test]
async fn refused_reading_makes_a_defect_neither_noise_nor_lag() {
    let statuses = [
        "401 Unauthorized",
        "429 Too Many Requests",
        "503 Service Unavailable",
    ];
    for status in statuses {
        let away = || Reply::Write(answer(status, "{}"));
        let (old, new) = pair(json(EQUAL), json(STALE));
        let control = Stack::replying(away());
        let mut shadow = comparing((&old, &new, Some(&control)), after(&[1, 2])).await;
        assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED, "{status}");
        let report = shadow.reports.try_recv().unwrap();
        assert!(report.rechecked.noise.is_empty());
        // A failed control reading does not count if a later one succeeds.
        let turned = AtomicUsize::new(0);
        control.becomes(Script::answers(move |_| {
            match turned.fetch_add(1, Ordering::SeqCst) {
                0 => answer(status, "{}"),
                _ => answer("200 OK", EQUAL),
            }
        }));
        assert_eq!(shadow.check(&Read::new()).await, MISMATCH, "{status}");
        assert_eq!(shadow.reports.try_recv().unwrap().rechecked.count, 2);

        // A member that only the new stack's first answer held does not vanish with it.
        let more = r#"{"a": 1, "b": 2}"#;
        let answered = AtomicUsize::new(0);
        new.becomes(Script::answers(move |_| {
            match answered.fetch_add(1, Ordering::SeqCst) {
                0 => answer("200 OK", more),
                _ => answer(status, EQUAL),
            }
        }));
        assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED, "{status}");
    }
}

#[tokio::test]
async fn wrong_control_instance_makes_no_noise_of_a_defect() {
    for elsewhere in ["404 Not Found", "302 Found"] {
        let (old, new) = pair(json(EQUAL), json(STALE));
        let control = Stack::replying(Reply::Write(answer(elsewhere, "{}")));
        let mut shadow = comparing((&old, &new, Some(&control)), after(&[1, 2])).await;
        assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED, "{elsewhere}");
        let report = shadow.reports.try_recv().unwrap();
        assert!(report.rechecked.noise.is_empty());
    }
}

#[tokio::test]
async fn new_failure_is_no_lag_if_it_answers_a_moment_later() {
    let failing = |times: usize| {
        let answered = AtomicUsize::new(0);
        Script::answers(move |_| match answered.fetch_add(1, Ordering::SeqCst) {
            count if count < times => answer("500 Internal Server Error", "{}"),
            _ => answer("200 OK", EQUAL),
        })
    };
    let (old, new) = pair(json(EQUAL), failing(1));
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    assert_eq!(
        shadow.check(&Read::new()).await,
        Outcome::Mismatch(Mark::Vanished)
    );
    let report = shadow.reports.try_recv().unwrap();
    assert!(places(&report).contains(&"status"), "{report:?}");
}

#[tokio::test]
async fn new_failing_in_another_way_on_recheck_is_a_mismatch() {
    let answered = AtomicUsize::new(0);
    let failing = Script::answers(move |_| match answered.fetch_add(1, Ordering::SeqCst) {
        0 => answer("503 Service Unavailable", "{}"),
        _ => answer("502 Bad Gateway", "{}"),
    });
    let (old, new) = pair(json(EQUAL), failing);
    let shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    assert_eq!(shadow.check(&Read::new()).await, MISMATCH);
}

#[tokio::test]
async fn rules_for_one_side_make_no_noise_of_a_defect() {
    let (old, new) = pair(
        json(r#"{"state": "A", "n": 1}"#),
        json(r#"{"state": "gone", "m": 1}"#),
    );
    let mut shadow = comparing((&old, &new, None), after(&[1, 2])).await;
    shadow.comparing = under(
        "rules:\n\
         - {id: states, why: spelled out, at: $.state, do: {map: {table: {A: active}, on: old}}}\n\
         - {id: names, why: renamed, at: $.n, do: {rename: {to: m, on: old}}}\n",
    );
    let outcome = shadow.check(&reading(r#"{"state": "A", "n": 1}"#)).await;
    assert_eq!(outcome, MISMATCH);
    let report = shadow.reports.try_recv().unwrap();
    assert_eq!(places(&report), ["$.state"]);
    assert!(report.rechecked.noise.is_empty());
}

#[tokio::test]
async fn ids_that_meet_in_later_readings_are_not_remembered() {
    let (old, new) = pair(
        json(r#"{"id": 2, "v": 1}"#),
        Script::sequence(&[
            r#"{"id": 7, "v": 2}"#,
            r#"{"id": 9, "v": 2}"#,
            r#"{"id": 6, "v": 1}"#,
        ]),
    );
    let mut shadow = comparing((&old, &new, None), after(&[1])).await;
    shadow.comparing =
        under("rules: [{id: ids, why: renumbered, at: $.id, do: {bijection: epoch}}]");
    let first = shadow.check(&reading(r#"{"id": 1, "v": 1}"#)).await;
    assert_eq!(first, MISMATCH);
    let second = shadow.check(&reading(r#"{"id": 2, "v": 1}"#)).await;
    assert_eq!(second, Outcome::Match(Via::Rules));
}

#[tokio::test]
async fn past_its_budget_what_differs_stays_unconfirmed() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let mut few = after(&[1, 2]);
    few.recheck.max_per_second = "3/h".parse().unwrap();
    let mut shadow = comparing((&old, &new, None), few).await;
    for rechecks in [1, 0, 0] {
        assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED);
        let report = shadow.reports.try_recv().unwrap();
        assert_eq!((report.rechecked.count, report.count), (rechecks, 1));
    }
    assert_eq!((old.requests().len(), new.requests().len()), (1, 4));
}

#[tokio::test]
async fn stack_failing_rechecks_leaves_it_unconfirmed_and_is_spared() {
    let (old, new) = pair(Reply::Close(String::new()), json(STALE));
    let mut settings = after(&[1]);
    settings.old.breaker = Limits {
        failures: NonZeroU32::new(2).unwrap(),
        cool_down: Duration::from_secs(3_600),
    };
    let shadow = comparing((&old, &new, None), settings).await;
    for asked in [1, 2, 2, 2] {
        assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED);
        assert_eq!(old.requests().len(), asked);
    }
    assert!(
        !shadow.gauges.is_breaker_open(),
        "that of the primary is not the shadow's"
    );
}

#[tokio::test]
async fn a_shadow_that_fails_to_answer_again_counts_at_its_breaker() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let mut settings = after(&[1_000]);
    settings.new.breaker = Limits {
        failures: NonZeroU32::new(1).unwrap(),
        cool_down: Duration::from_secs(3_600),
    };
    let shadow = comparing((&old, &new, None), settings).await;
    shadow.offer(&Read::new());
    until("the state that the test waits for", || {
        new.requests().len() == 1 && shadow.gauges.shadow_in_flight.get() == 0
    })
    .await;
    new.becomes(Reply::Close(String::new()));
    shadow.settle().await;
    assert_eq!(shadow.outcomes(), [(UNCONFIRMED, 1)]);
    assert!(shadow.gauges.is_breaker_open());
    let refused = shadow.check(&Read::new()).await;
    assert_eq!(refused, not_compared(Reason::BreakerOpen));
}

/// Between 0 and 100 % each stack is the shadow of some reads.
#[tokio::test]
async fn a_breaker_stays_open_while_the_other_stack_is_replayed_to() {
    let (old, new) = pair(json(EQUAL), Reply::Close(String::new()));
    let mut settings = after(&[1]);
    settings.new.breaker = Limits {
        failures: NonZeroU32::new(1).unwrap(),
        cool_down: Duration::from_secs(3_600),
    };
    let shadow = comparing((&old, &new, None), settings).await;
    shadow.check(&Read::new()).await;
    assert!(shadow.gauges.is_breaker_open());
    let answered_by_new = Read {
        primary: stack::Stack::New,
        answer: EQUAL,
        ..Read::new()
    };
    let outcome = shadow.check(&answered_by_new).await;
    assert!(matches!(outcome, Outcome::Match(_)), "{outcome:?}");
    assert!(shadow.gauges.is_breaker_open());
}

#[tokio::test]
async fn a_stack_has_one_budget_for_both_roles() {
    let (old, new) = pair(json(EQUAL), json(EQUAL));
    let mut settings = after(&[1]);
    settings.old.max_per_second = 1.into();
    let shadow = comparing((&old, &new, None), settings).await;
    let answered_by_new = Read {
        primary: stack::Stack::New,
        answer: EQUAL,
        ..Read::new()
    };
    shadow.check(&answered_by_new).await;
    new.becomes(json(STALE));
    // A difference is read again on both, and old has had its request.
    assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED);
    assert_eq!(old.requests().len(), 1);
}

#[tokio::test]
async fn a_missed_reading_is_made_up_for_by_the_next() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    old.becomes(Reply::Close(String::new()));
    let shadow = comparing((&old, &new, None), after(&[1, 1_000])).await;
    shadow.offer(&Read::new());
    until("the state that the test waits for", || {
        old.requests().len() == 1
    })
    .await;
    old.becomes(json(EQUAL));
    new.becomes(json(EQUAL));
    shadow.settle().await;
    assert_eq!(shadow.outcomes(), [(Outcome::Transient, 1)]);
}

#[tokio::test]
async fn checks_that_wait_hold_no_place_and_are_bounded() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let mut settings = after(&[3_600_000]);
    settings.new.max_in_flight = NonZeroUsize::MIN;
    settings.drain.grace = Duration::from_secs(3_600);
    settings.queue.max_length = 2;
    let shadow = comparing((&old, &new, None), settings).await;
    for _ in 0..5 {
        shadow.offer(&Read::new());
    }
    until("the state that the test waits for", || shadow.ended() == 3).await;
    assert_eq!(shadow.outcomes(), [(UNCONFIRMED, 3)]);
    assert_eq!(shadow.gauges.bounds_reached(Bound::Rechecks), 3);
    until("the state that the test waits for", || {
        shadow.gauges.shadow_in_flight.get() == 0
    })
    .await;
    let held = shadow.budget.held();
    assert!(held >= 2 * (EQUAL.len() + STALE.len()), "{held}");
    new.becomes(json(EQUAL));
    shadow.offer(&Read::new());
    until("the state that the test waits for", || {
        shadow.count(MATCH) == 1
    })
    .await;

    // On a drain, waiting checks end unjudged, are not stored as mismatches, and use no grace.
    let (route, budget) = (shadow.route(), shadow.budget.clone());
    let reports = shadow.drain().await;
    let ended = not_compared(Reason::ShuttingDown);
    assert_eq!((route.outcomes(UNCONFIRMED), route.outcomes(ended)), (3, 2));
    assert_eq!(route.differences(Kind::Value), 3);
    assert!(reports.iter().all(|report| report.outcome == UNCONFIRMED));
    assert_eq!((reports.len(), route.sampled(), budget.held()), (3, 6, 0));
}

#[tokio::test]
async fn check_waiting_for_a_recheck_at_drain_is_no_mismatch() {
    let refused = Reply::Write(answer("401 Unauthorized", "{}"));
    for new in [json(STALE), refused] {
        let (old, new) = pair(json(EQUAL), new);
        let shadow = comparing((&old, &new, None), after(&[1, 3_600_000])).await;
        shadow.offer(&Read::new());
        until("the state that the test waits for", || {
            old.requests().len() == 1 && shadow.gauges.shadow_in_flight.get() == 0
        })
        .await;
        let route = shadow.route();
        assert!(shadow.drain().await.is_empty());
        let ended = not_compared(Reason::ShuttingDown);
        assert_eq!((route.outcomes(ended), route.sampled()), (1, 1));
    }
}

#[tokio::test]
async fn no_more_than_allowed_are_in_flight_later_readings_included() {
    let (old, new) = pair(json(EQUAL), json(STALE));
    let mut settings = after(&[1, 2]);
    settings.new.max_in_flight = NonZeroUsize::new(2).unwrap();
    let shadow = comparing((&old, &new, None), settings).await;
    for _ in 0..40 {
        shadow.offer(&Read::new());
    }
    shadow.settle().await;
    assert_eq!(shadow.outcomes(), [(MISMATCH, 40)]);
    assert_eq!(new.requests().len(), 120);
    assert!(new.most_in_flight() <= 2 && old.most_in_flight() <= 2);
}

#[tokio::test]
async fn a_panic_in_a_later_comparison_leaves_it_unconfirmed() {
    fn panicking(
        answers: (&twinread::compare::Answer, &twinread::compare::Answer),
        context: &twinread::compare::Context<'_>,
        comparing: &CompareConfig,
        tables: &mut twinread::compare::Bijections,
    ) -> twinread::compare::Comparison {
        assert_ne!(answers.1.body.kept(), "panic");
        bytes_alone(answers, context, comparing, tables)
    }
    let (old, new) = pair(json(EQUAL), Script::sequence(&[STALE, "panic"]));
    let shadow = Shadow::comparing(&old, &new, after(&[1]), panicking).await;
    assert_eq!(shadow.check(&Read::new()).await, UNCONFIRMED);
}

/// Records by key; a write becomes visible on the new stack only after its lag.
#[derive(Debug)]
struct World(Mutex<Vec<Record>>);

#[derive(Clone, Copy, Debug)]
struct Record {
    version: u64,
    written: Instant,
    lag: Duration,
}

const KEYS: usize = 100;
const CORRUPT: [usize; 5] = [3, 17, 42, 64, 99];
/// Corresponds to a realistic 3 s.
const MAX_LAG: u64 = 30;

impl World {
    fn write(&self, key: usize, chance: u64) {
        let mut records = self.0.lock().unwrap();
        records[key] = Record {
            version: records[key].version + 1,
            written: Instant::now(),
            lag: Duration::from_millis(chance % (MAX_LAG + 1)),
        };
    }

    fn in_old(&self, key: usize) -> String {
        let record = self.0.lock().unwrap()[key];
        format!(r#"{{"name": "n{key}", "version": {}}}"#, record.version)
    }

    fn in_new(&self, key: usize) -> String {
        let record = self.0.lock().unwrap()[key];
        let is_behind = record.written.elapsed() < record.lag;
        let version = record.version - u64::from(is_behind);
        let name = if CORRUPT.contains(&key) {
            format!("N{key}")
        } else {
            format!("n{key}")
        };
        format!(r#"{{"name": "{name}", "version": {version}}}"#)
    }
}

fn key(request: &str) -> usize {
    let path = request.split(' ').nth(1).unwrap();
    path.rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn lag_behind_writes_is_no_mismatch_but_corruption_is() {
    let record = Record {
        version: 1,
        written: Instant::now(),
        lag: Duration::ZERO,
    };
    let world = Arc::new(World(Mutex::new(vec![record; KEYS])));
    let (of_old, of_new) = (world.clone(), world.clone());
    let (old, new) = pair(
        Script::bodies(move |request| of_old.in_old(key(request))),
        Script::bodies(move |request| of_new.in_new(key(request))),
    );
    let mut shadow = comparing((&old, &new, None), after(&[10, 25, 60])).await;
    let uris: Vec<&'static str> = (0..KEYS)
        .map(|key| &*Box::leak(format!("/items/{key}").into_boxed_str()))
        .collect();
    let mut reported = BTreeSet::new();
    let mut chance = 7_u64;
    for n in 0..5_000_u64 {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let key = (chance >> 33) as usize % KEYS;
        if n % 3 == 0 {
            world.write(key, chance >> 40);
        }
        shadow.offer(&Read {
            uri: uris[key],
            answer: Box::leak(world.in_old(key).into_boxed_str()),
            ..Read::new()
        });
        if n % 50 == 49 {
            shadow.settle().await;
            while let Ok(report) = shadow.reports.try_recv() {
                if let Outcome::Mismatch(mark) = report.outcome {
                    assert_eq!(mark, Mark::Plain);
                    assert_eq!(places(&report), ["$.name"]);
                    reported.insert(key_of(&report));
                }
            }
        }
    }
    assert_eq!(reported, BTreeSet::from(CORRUPT));
    // Lag counts as noise if old's own readings are known to change as often, by the same writes.
    let lagged = [Outcome::Transient, Outcome::Noise].map(|outcome| shadow.count(outcome));
    assert!(lagged.iter().sum::<u64>() > 0, "it has lagged");
    let sampled = shadow.route().sampled();
    assert_eq!((sampled, shadow.ended()), (5_000, 5_000));
}

fn key_of(report: &Sent) -> usize {
    report
        .request
        .path
        .rsplit('/')
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn refused_credential_is_reported_confirmed_or_not() {
    let refused = Reply::Write(answer("401 Unauthorized", "{}"));
    let (old, new) = pair(json(EQUAL), refused);
    let mut few = after(&[1]);
    few.recheck.max_per_second = "3/h".parse().unwrap();
    let shadow = comparing((&old, &new, None), few).await;
    for _ in 0..2 {
        let outcome = shadow.check(&Read::new()).await;
        assert_eq!(outcome, Outcome::Mismatch(Mark::Auth));
    }
}
