use super::*;
use crate::{
    compare::Bijections,
    ledger::{AnsweredBy, Clock, Draw, Gauges, LedgerSnapshot, RouteState, Ticket},
    outcome::{Outcome, Reason, Via},
    stack::Stack,
    store::Database,
    verdict::{Cause, Limits, RouteEvidence, Tallies, Trials, Version},
};
use http::{Method, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
};

const DAY: i64 = 86_400;
const KEEP: Duration = Duration::from_secs(30 * DAY as u64);

/// A process: its counters, and how they are stored.
struct Process {
    now: Arc<AtomicI64>,
    counted: Counted,
    figures: FigureStore,
    on_their_way: Vec<Ticket>,
}

impl Process {
    fn start(database: &Database, second: i64) -> Self {
        let past = database.read(Past::load).unwrap();
        let opening = if past.epochs.is_empty() {
            LedgerSnapshot::default()
        } else {
            LedgerSnapshot::GoesOn(past.epochs)
        };
        Self::open(opening, second, past.rules)
    }

    fn open(opening: LedgerSnapshot, second: i64, rules: Vec<(Arc<str>, RuleCount)>) -> Self {
        let now = Arc::new(AtomicI64::new(second));
        let read = now.clone();
        let clock =
            Clock::new(move || Timestamp::from_second(read.load(Ordering::Relaxed)).unwrap());
        let counted = Counted {
            ledger: Ledger::open(500, Gauges::default(), clock, opening),
            rule_counts: RuleCounts::default(),
            pairs: Pairs::default(),
        };
        for (rule, count) in rules {
            counted.rule_counts.add(&rule, count);
        }
        // Determines which routes are required, as the process does at its start.
        counted.ledger.close_seconds();
        Self {
            now,
            figures: FigureStore::new(counted.clone(), KEEP),
            counted,
            on_their_way: Vec::new(),
        }
    }

    fn at(&self, second: i64) {
        self.now.store(second, Ordering::Relaxed);
    }

    fn live(&self, route: &str) {
        let route = self.counted.ledger.route(route);
        route.count_live(&Method::GET, Some(StatusCode::OK), AnsweredBy::Old);
        route.count_live_read();
    }

    fn check(&self, route: &str, outcome: Outcome) {
        let ticket = self.counted.ledger.route(route).sample();
        ticket.answered(Stack::New, Duration::from_millis(5));
        ticket.finish(outcome);
    }

    fn sample(&mut self, route: &str) {
        self.on_their_way
            .push(self.counted.ledger.route(route).sample());
    }

    fn write_in_vain(&mut self, database: &Database) {
        let written = database.read(|to| {
            to.execute_batch("BEGIN")?;
            self.figures.write(to)?;
            to.execute_batch("ROLLBACK")
        });
        written.unwrap();
    }

    /// Writes after the current second, so that all ended checks are evidence.
    fn write(&mut self, database: &Database) {
        let second = self.now.fetch_add(1, Ordering::Relaxed);
        self.counted.ledger.close_seconds();
        self.at(second);
        database.read(|to| self.figures.write(to)).unwrap();
        self.figures.committed();
    }

    fn tallies(&self) -> Tallies {
        self.counted.ledger.tallies()
    }
}

fn database() -> Database {
    Database::open(None, Gauges::default()).unwrap()
}

fn sum(database: &Database, table: &str, column: &str) -> i64 {
    // The rest's checks belong to other routes.
    let of_routes = match table {
        "tallies" => "WHERE route <> '(rest)'",
        _ => "",
    };
    let sql = format!("SELECT coalesce(sum({column}), 0) FROM {table} {of_routes}");
    database
        .read(|from| from.query_row(&sql, [], |row| row.get(0)))
        .unwrap()
}

/// All stored minutes and hours add up to the totals.
fn assert_minutes_add_up(database: &Database) {
    for column in ["live", "reads", "sampled"] {
        let in_time = sum(database, "minutes", column) + sum(database, "hours", column);
        assert_eq!(in_time, sum(database, "tallies", column), "{column}");
    }
}

#[test]
fn the_ranks_of_routes_go_on_after_a_restart() {
    let database = database();
    let mut first = Process::start(&database, 1_000);
    first.check("a", Outcome::Noise);
    first.check("b", Outcome::Noise);
    first.write(&database);
    let ledger = &first.counted.ledger;
    ledger.judge_by(&Limits::default(), vec!["b".into()]);
    first.write(&database);
    let second = Process::start(&database, 2_000).tallies();
    let ranks = second.routes.iter().map(|figures| {
        let required = figures.evidence.required;
        required.map(|required| required.rank)
    });
    assert_eq!(ranks.collect::<Vec<_>>(), [None, Some(2)]);
}

#[test]
fn evidence_outlives_the_process_and_open_seconds_do_not() {
    let database = database();
    let mut first = Process::start(&database, 1_000);
    let sample = |first: &Process| {
        first.counted.ledger.route("a").sample_by(Draw {
            key: Some(7),
            ..Draw::default()
        })
    };
    sample(&first).finish(Outcome::Match(Via::Exact));
    first.at(1_001);
    let slow = sample(&first);
    sample(&first).finish(Outcome::Match(Via::Exact));
    first.at(1_002);
    sample(&first).finish(Outcome::Match(Via::Exact));
    first.at(1_010);
    first.counted.ledger.close_seconds();
    first.write(&database);
    slow.finish(Outcome::NotCompared(Reason::ShuttingDown));
    first.counted.ledger.close_seconds();
    first.write(&database);

    let second = Process::start(&database, 2_000);
    second.counted.ledger.close_seconds();
    let a = &second.tallies().routes[0];
    assert_eq!((a.sampled, a.outcomes.matches()), (4, 3));
    assert_eq!(
        a.evidence.checks().sampled(),
        1,
        "the second without a difference"
    );
    assert_eq!(a.keys.map(|keys| keys.total), Some(1));
    let stored = second.counted.ledger.states(|_, _, _| false);
    let routes = stored[0].routes.iter();
    let keys = routes.filter_map(|route| route.evidence.keys.as_ref());
    let keys: Vec<_> = keys.map(|keys| keys.trials().total).collect();
    assert_eq!(keys, [1, 1], "of the route, and of the rest");
}

#[test]
fn checks_since_another_build_answered_survive_a_restart() {
    let database = database();
    let mut first = Process::start(&database, 1_000);
    let ledger = first.counted.ledger.clone();
    let build = Version::from_stored("812");
    for build in [Some(&build), None, Some(&build)] {
        let mut ticket = ledger.route("a").sample();
        ledger.attribute(build, &mut ticket);
        ticket.finish(Outcome::Match(Via::Exact));
    }
    first.write(&database);
    let tallies = Process::start(&database, 2_000).tallies();
    let figures = &tallies.routes[0];
    assert_eq!(figures.evidence.checks().matched, 2, "but for the unnamed");
    assert_eq!(figures.evidence.alone, Some(Trials::new(1, 0)));
}

#[test]
fn replaced_build_is_not_judged_alone_after_a_restart() {
    let database = database();
    let mut first = Process::start(&database, 1_000);
    check_of(&first, "1");
    check_of(&first, "2");
    first.at(1_005);
    check_of(&first, "1");
    first.write(&database);
    let at = |second| Process::start(&database, second).tallies().mixed;
    assert_eq!(at(1_006), Some(Duration::from_secs(1)));
    assert_eq!(at(9_005), Some(Duration::from_secs(8_000)));
}

#[test]
fn an_epoch_goes_on_after_a_restart_as_it_was() {
    let database = database();
    let mut first = Process::start(&database, 1_000);
    first.live("b");
    first.live("a");
    first.check("a", Outcome::Match(Via::Exact));
    first.at(1_007);
    first.check("a", Outcome::Noise);
    first.counted.rule_counts.add(
        "r",
        RuleCount {
            applied: 3,
            masked: 1,
        },
    );
    first.write(&database);
    first.write(&database);

    let mut second = Process::start(&database, 1_060);
    let (before, mut after) = (first.tallies(), second.tallies());
    assert_eq!(after.epoch, before.epoch);
    // The rate of checks is measured again.
    for (after, before) in after.routes.iter_mut().zip(&before.routes) {
        after.pace = before.pace;
    }
    assert_eq!(after.routes, before.routes);
    assert_eq!(second.counted.rule_counts.get("r").applied, 3);

    second.live("a");
    second.live("c");
    second.write(&database);
    let names: Vec<_> = second
        .tallies()
        .routes
        .into_iter()
        .map(|route| route.route)
        .collect();
    assert_eq!(names, ["b".into(), "a".into(), "c".into()]);
    assert_eq!(sum(&database, "tallies", "live"), 4);
    assert_minutes_add_up(&database);
}

#[test]
fn samples_on_their_way_at_a_crash_end_as_internal() {
    let database = database();
    let mut first = Process::start(&database, 0);
    first.check("a", Outcome::Match(Via::Exact));
    first.sample("a");
    first.sample("a");
    first.write(&database);
    for _ in 0..2 {
        // However often it dies before it writes.
        let second = Process::start(&database, 10);
        let a = &second.tallies().routes[0];
        assert_eq!((a.sampled, a.outcomes.ended()), (3, 3));
        assert_eq!(a.outcomes.get(Outcome::NotCompared(Reason::Internal)), 2);
    }
    Process::start(&database, 20).write(&database);
    assert_eq!(sum(&database, "minutes", "not_compared"), 2);
}

#[test]
fn a_clock_that_was_set_back_loses_and_doubles_nothing() {
    let database = database();
    let mut first = Process::start(&database, 40 * DAY);
    first.live("a");
    first.check("a", Outcome::Match(Via::Exact));
    first.write(&database);

    let mut second = Process::start(&database, 2 * DAY);
    assert_eq!(second.counted.ledger.now(), first.counted.ledger.now());
    second.live("a");
    second.check("a", Outcome::Match(Via::Exact));
    second.write(&database);
    let a = &second.tallies().routes[0];
    assert_eq!((a.live, a.outcomes.matches()), (2, 2));
    let clean =
        a.evidence
            .record
            .clean(a.evidence.last_mismatch, KEEP, second.counted.ledger.now());
    assert_eq!(clean, Duration::ZERO);
    assert_minutes_add_up(&database);

    let last = second.counted.ledger.epoch();
    second.counted.ledger.begin_epoch(None, Cause::Asked);
    assert!(second.counted.ledger.epoch() > last);
    second.write(&database);
    assert_eq!(sum(&database, "epochs", "until_ns < since_ns"), 0);
}

#[test]
fn minutes_become_hours_after_two_days_and_hours_go() {
    let database = database();
    let mut first = Process::start(&database, 0);
    for minute in 0..180 {
        first.at(minute * 60);
        first.live("a");
        first.write(&database);
    }
    assert_eq!(sum(&database, "minutes", "1"), 180);

    let mut later = Process::start(&database, 2 * DAY + 3_600);
    later.write(&database);
    assert_eq!(sum(&database, "minutes", "1"), 120);
    assert_eq!(
        (
            sum(&database, "hours", "1"),
            sum(&database, "hours", "live")
        ),
        (1, 60)
    );
    assert_minutes_add_up(&database);

    let mut latest = Process::start(&database, 31 * DAY);
    latest.write(&database);
    assert_eq!(
        sum(&database, "minutes", "1") + sum(&database, "hours", "1"),
        0
    );
    assert_eq!(
        latest.tallies().routes[0].live,
        180,
        "the epoch is not over"
    );
}

#[test]
fn ended_epochs_stay_readable_while_kept() {
    let database = database();
    let mut first = Process::start(&database, 0);
    first.check("a", Outcome::Noise);
    first
        .counted
        .ledger
        .begin_epoch(Some("build 7"), Cause::Asked);
    first.check("a", Outcome::Transient);
    first.write(&database);

    let second = Process::start(&database, 10);
    let epochs = second.counted.ledger.epochs();
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[0].epoch.label.as_deref(), Some("build 7"));
    assert_eq!(epochs[0].routes[0].outcomes.get(Outcome::Transient), 1);
    assert_eq!(epochs[1].routes[0].outcomes.get(Outcome::Noise), 1);
    assert!(epochs[1].epoch.until.is_some());

    Process::start(&database, 31 * DAY).write(&database);
    assert_eq!(
        Process::start(&database, 31 * DAY)
            .counted
            .ledger
            .epochs()
            .len(),
        1
    );
}

/// A check that `build` answers.
fn check_of(process: &Process, build: &str) {
    let ledger = &process.counted.ledger;
    let mut ticket = ledger.route("a").sample();
    ledger.attribute(Some(&Version::from_stored(build)), &mut ticket);
    ticket.finish(Outcome::Match(Via::Exact));
}

#[test]
fn build_answering_after_its_epoch_is_gone_begins_another() {
    let database = database();
    let mut process = Process::start(&database, 0);
    check_of(&process, "1");
    check_of(&process, "2");
    process.write(&database);
    process.at(31 * DAY);
    check_of(&process, "2");
    process.figures.folded = None;
    process.write(&database);
    assert_eq!(process.counted.ledger.numbers(), [2]);

    check_of(&process, "1");
    check_of(&process, "2");
    process.write(&database);
    assert!(process.figures.refused().is_none());
    let epochs = database.read(Past::load).unwrap().epochs;
    let counted = epochs.iter().map(|epoch| {
        let version = epoch.epoch.version.as_ref().unwrap();
        (version.as_str(), epoch.routes[0].sampled)
    });
    assert_eq!(counted.collect::<Vec<_>>(), [("2", 3), ("1", 1)]);
}

#[test]
fn an_epoch_that_is_over_stays_for_as_long_as_its_build_answers() {
    let database = database();
    let mut process = Process::start(&database, 0);
    check_of(&process, "1");
    check_of(&process, "2");
    process.at(31 * DAY);
    check_of(&process, "1");
    process.figures.folded = None;
    process.write(&database);
    let epochs = Process::start(&database, 31 * DAY).counted.ledger.numbers();
    assert_eq!(epochs, [1, 2]);
}

#[test]
fn a_refused_epoch_takes_no_other_along_and_is_reported() {
    let database = database();
    let mut process = Process::start(&database, 0);
    process.check("a", Outcome::Noise);
    process
        .counted
        .ledger
        .begin_epoch(Some("next"), Cause::Asked);
    process.check("a", Outcome::Noise);
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON tallies WHEN new.epoch = 1
                  BEGIN SELECT raise(ABORT, 'not that one'); END";
    database.read(|to| to.execute_batch(refuse)).unwrap();
    process.write(&database);
    let refused = process.figures.refused().unwrap().to_string();
    assert!(refused.contains("not that one"), "{refused}");
    assert_eq!(sum(&database, "tallies", "sampled"), 1);

    database
        .read(|to| to.execute_batch("DROP TRIGGER no"))
        .unwrap();
    process.write(&database);
    assert!(process.figures.refused().is_none());
    assert_eq!(sum(&database, "tallies", "sampled"), 2);
}

#[test]
fn a_new_epoch_ends_the_one_of_the_past() {
    let database = database();
    let mut first = Process::start(&database, 0);
    first.check("a", Outcome::Noise);
    first.write(&database);
    let past = database.read(Past::load).unwrap().epochs;
    let opening = LedgerSnapshot::Begins {
        past,
        comparable: "other".into(),
        label: None,
        cause: Cause::Rules,
    };
    let mut second = Process::open(opening, 50, Vec::new());
    second.write(&database);
    let epochs = Process::start(&database, 60).counted.ledger.epochs();
    let causes: Vec<_> = epochs.iter().map(|tallies| tallies.epoch.cause).collect();
    assert_eq!(causes, [Cause::Rules, Cause::Start]);
    assert_eq!(
        epochs[1].epoch.until,
        Some(Timestamp::from_second(50).unwrap())
    );
    assert_eq!(epochs[0].routes, []);
}

#[test]
fn an_epoch_past_the_bound_goes_from_the_database_too() {
    let database = database();
    let mut process = Process::start(&database, 0);
    process.check("a", Outcome::Noise);
    process.write(&database);
    for _ in 0..120 {
        process.counted.ledger.begin_epoch(None, Cause::Asked);
    }
    process.figures.folded = None;
    process.write(&database);
    assert_eq!(sum(&database, "epochs", "1"), 100);
    assert_eq!(
        sum(&database, "tallies", "1") + sum(&database, "minutes", "1"),
        0
    );
}

#[test]
fn ids_that_have_met_are_stored_once_and_known_again() {
    let database = database();
    let mut first = Process::start(&database, 0);
    let epoch = first.counted.ledger.epoch();
    let met = BTreeMap::from([("ids".to_owned(), vec![(5, u128::MAX), (6, 8)])]);
    let mut bijections = Bijections::default();
    for ids in &met["ids"] {
        bijections.restore("ids", *ids);
    }
    bijections.forget_taken();
    *first.counted.pairs.tables(&epoch).lock() = bijections;
    first.write_in_vain(&database);
    first.write(&database);
    first.write(&database);
    let mut pairs = database.read(Past::load).unwrap().pairs;
    pairs.values_mut().for_each(|pairs| pairs.sort_unstable());
    assert_eq!(pairs, met);

    first.counted.ledger.begin_epoch(None, Cause::Asked);
    first.figures.folded = None;
    first.write(&database);
    assert_eq!(sum(&database, "pairs", "1"), 0);
}

#[test]
fn what_cannot_be_read_again_is_left_out_and_the_law_holds() {
    let database = database();
    let mut first = Process::start(&database, 0);
    first.check("a", Outcome::Noise);
    first.write(&database);
    let spoil = "UPDATE tallies SET outcomes = '{\"of the future\": 1}', evidence = 'x', new_latency = x'00'";
    database.read(|to| to.execute_batch(spoil)).unwrap();
    let past = database.read(Past::load).unwrap();
    let route: &RouteState = &past.epochs[0].routes[0];
    assert_eq!(
        route.outcomes.get(Outcome::NotCompared(Reason::Internal)),
        1
    );
    assert_eq!(route.evidence, RouteEvidence::default());
    assert_eq!(route.latencies.quantiles().new, None);
}

/// What can happen to a process.
#[derive(Clone, Copy, Debug)]
enum Event {
    Live,
    Check(Outcome),
    Sample,
    Epoch,
    Write,
    WriteInVain,
    Crash,
    /// The clock advances, or is set back, with the next process.
    Clock(i64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => Just(Event::Live),
        4 => prop::sample::select(Outcome::ALL.to_vec()).prop_map(Event::Check),
        2 => Just(Event::Sample),
        1 => Just(Event::Epoch),
        3 => Just(Event::Write),
        1 => Just(Event::WriteInVain),
        1 => Just(Event::Crash),
        1 => (-20_000..20_000_i64).prop_map(Event::Clock),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_written_is_lost_or_counted_twice(events in events()) {
        let database = database();
        let mut second = 3 * DAY;
        let mut process = Process::start(&database, second);
        // Live requests written, and those since the last write.
        let (mut written, mut since) = (0, 0);
        for event in events {
            match event {
                Event::Live => {
                    process.live("a");
                    since += 1;
                }
                Event::Check(outcome) => process.check("a", outcome),
                Event::Sample => process.sample("a"),
                Event::Epoch => drop(process.counted.ledger.begin_epoch(None, Cause::Asked)),
                Event::Clock(seconds) => second += seconds,
                Event::WriteInVain => process.write_in_vain(&database),
                Event::Write => {
                    process.write(&database);
                    written += since;
                    since = 0;
                }
                Event::Crash => {
                    let next = Process::start(&database, second);
                    mem::replace(&mut process, next).on_their_way.into_iter().for_each(mem::forget);
                    since = 0;
                    for tallies in process.counted.ledger.epochs() {
                        for route in &tallies.routes {
                            prop_assert_eq!(route.sampled, route.outcomes.ended());
                        }
                    }
                }
            }
            prop_assert_eq!(sum(&database, "tallies", "live"), written);
            assert_minutes_add_up(&database);
        }
    }
}
