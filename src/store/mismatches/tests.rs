//! Retention and queries, on a database in memory, through the interfaces that the process uses.

use super::{retention::Retention, *};
use crate::{
    advise::suggest::{Hints, Prints},
    ledger::{Bound, Signal},
    outcome::{Mark, Outcome, ShadowError, Via},
    pipeline::{Rechecked, Report, ReportedDifference, ReportedRequest, Reports, RuleEvidence},
    trace_context::TraceContext,
    value::{Kind, Place, Step},
};
use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};
use xxhash_rust::xxh64::xxh64;

/// A store, with the gauges of its limits.
struct Kept {
    store: Store,
    reports: Reports,
    gauges: Gauges,
}

impl Kept {
    fn new(config: Config) -> Self {
        let gauges = Gauges::default();
        let database = Database::open(None, gauges.clone()).unwrap();
        let store = Store::new(database, config, gauges.clone());
        let mut reports = Reports::new(gauges.clone());
        let received = reports.listen(Signal::Store, 1_000);
        let listening = store.clone();
        thread::spawn(move || listening.listen(received));
        Self {
            store,
            reports,
            gauges,
        }
    }

    /// Sends reports, and waits until they are written.
    fn keep(&self, reports: &[Report]) {
        for report in reports {
            self.reports.send(report.clone());
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.gauges.store_waiting.get() > 0 {
            assert!(Instant::now() < deadline);
            self.store.database.settle(Duration::from_secs(1));
        }
    }

    /// The paths of the requests that `filter` finds.
    fn paths(&self, filter: &Filter) -> Vec<String> {
        paths(&self.store.mismatches(filter).unwrap())
    }

    fn all(&self) -> Vec<String> {
        self.paths(&Filter::all(1_000))
    }

    fn classes(&self) -> Vec<Class> {
        let filter = ClassFilter {
            limit: 100,
            ..ClassFilter::default()
        };
        self.store.classes(&filter).unwrap().classes
    }

    fn class(&self, name: &str) -> Class {
        self.store.class(&id(name)).unwrap().unwrap()
    }
}

/// The id of a class, from its name in a test.
fn id(class: &str) -> String {
    format!("{:016x}", xxh64(class.as_bytes(), 0))
}

fn report(number: u64, outcome: Outcome, classes: &[&str]) -> Report {
    let ended = SystemTime::now() - Duration::from_secs(1_000_000 - 1_000 * number);
    let difference = |class: &&str| ReportedDifference {
        place: "$.items[3].price".to_owned(),
        kind: Kind::Value,
        class: id(class),
        class_place: "$.items[*].price".to_owned(),
        old: Some("number(3)".to_owned()),
        new: Some("number(4)".to_owned()),
        basis: RuleEvidence::default(),
    };
    Report {
        outcome,
        route: "get-item".into(),
        template: None,
        epoch: "e1".into(),
        request: ReportedRequest {
            method: "GET".to_owned(),
            path: number.to_string(),
            ..ReportedRequest::default()
        },
        span: TraceContext {
            trace_id: 1,
            span_id: number,
            flags: 1,
            state: String::new(),
        },
        live: None,
        sent: Vec::new(),
        started: ended,
        ended,
        old: None,
        new: None,
        differences: classes.iter().map(difference).collect(),
        count: classes.len(),
        rechecked: Rechecked::default(),
    }
}

fn mismatch(number: u64, classes: &[&str]) -> Report {
    report(number, Outcome::Mismatch(Mark::Plain), classes)
}

fn paths(page: &Page) -> Vec<String> {
    let requests = page.mismatches.iter().map(|mismatch| &mismatch.request);
    requests.map(|request| request.path.clone()).collect()
}

#[test]
fn a_frequent_class_takes_no_room_from_a_rare_one() {
    let kept = Kept::new(Config {
        keep_per_class: 2,
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["rare", "rare"])]);
    for number in 2..=6 {
        kept.keep(&[mismatch(number, &["frequent"])]);
    }
    assert_eq!(kept.all(), ["6", "5", "1"]);
    assert_eq!(kept.gauges.bounds_reached(Bound::Mismatches), 3);
    let classes = kept.classes();
    assert_eq!(classes[0].id, id("frequent"));
    assert_eq!((classes[0].count, classes[0].kept), (5, 2));
    assert_eq!(classes[0].place, "$.items[*].price");
    assert_eq!(&*classes[0].route, "get-item");
    assert_eq!(
        classes[0].examples,
        ["0000000000000006", "0000000000000005"]
    );
    assert_eq!((classes[1].count, classes[1].kept), (1, 1));
}

#[test]
fn of_what_comes_at_once_only_what_stays_is_written() {
    let kept = Kept::new(Config {
        keep_per_class: 2,
        ..Config::default()
    });
    let flood: Vec<_> = (2..=100)
        .map(|number| mismatch(number, &["frequent"]))
        .collect();
    let reports: Vec<_> = [mismatch(1, &["rare", "frequent"])]
        .into_iter()
        .chain(flood)
        .collect();
    let mut room = ingest::Taken::new();
    let written = reports
        .iter()
        .rev()
        .map(|report| Record::of(report).unwrap());
    let written = written.filter(|record| kept.store.has_room(record, &mut room));
    assert_eq!(written.count(), 3);

    kept.keep(&reports);
    assert_eq!(kept.all(), ["100", "99", "1"]);
    let frequent = kept.class("frequent");
    assert_eq!((frequent.count, frequent.kept), (100, 2));
    assert_eq!(kept.gauges.bounds_reached(Bound::Mismatches), 97);
}

#[test]
fn an_example_of_two_classes_stays_while_one_of_them_holds_it() {
    let kept = Kept::new(Config {
        keep_per_class: 1,
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["one", "other"])]);
    kept.keep(&[mismatch(2, &["one"])]);
    assert_eq!(kept.class("other").examples, ["0000000000000001"]);
    assert_eq!(kept.class("one").examples, ["0000000000000002"]);
    kept.keep(&[mismatch(3, &["other"])]);
    assert!(kept.store.mismatch("0000000000000001").unwrap().is_none());
    assert!(kept.store.mismatch("0000000000000002").unwrap().is_some());
}

#[test]
fn the_oldest_goes_when_there_are_too_many_or_too_large_ones() {
    let few = Config {
        keep_mismatches: 2,
        ..Config::default()
    };
    let small = Config {
        max_bytes: Some(1_500),
        ..Config::default()
    };
    for config in [few, small] {
        let kept = Kept::new(config);
        kept.keep(&[1, 2, 3].map(|number| mismatch(number, &["one"])));
        assert_eq!(kept.all(), ["3", "2"]);
        let one = kept.class("one");
        assert_eq!((one.count, one.kept, one.examples.len()), (3, 2, 2));
        assert_eq!(kept.gauges.bounds_reached(Bound::Mismatches), 1);
    }
}

#[test]
fn what_is_too_old_goes() {
    let kept = Kept::new(Config {
        keep: Duration::from_secs(998_500),
        ..Config::default()
    });
    kept.keep(&[1, 2, 3].map(|number| mismatch(number, &["one"])));
    assert_eq!(kept.all(), ["3", "2"]);
    // Also removed from its class, where it was stored before the others came.
    let one = kept.class("one");
    assert_eq!((one.kept, one.examples.len()), (2, 2));
    assert_eq!(kept.gauges.bounds_reached(Bound::Mismatches), 1);
}

#[test]
fn class_not_seen_for_long_makes_room_for_another() {
    let kept = Kept::new(Config {
        max_classes: 1,
        keep: Duration::from_secs(900_000),
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["old"])]);
    kept.keep(&[mismatch(200, &["new"])]);
    assert_eq!(kept.all(), ["200"]);
    assert_eq!(kept.classes()[0].id, id("new"));
}

#[test]
fn classes_past_the_bound_are_counted_and_their_examples_kept() {
    let kept = Kept::new(Config {
        max_classes: 1,
        keep_per_class: 2,
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["one"])]);
    for number in 2..=4 {
        kept.keep(&[mismatch(number, &["other"])]);
    }
    assert_eq!(kept.classes().len(), 1);
    assert_eq!(kept.gauges.bounds_reached(Bound::Classes), 3);
    assert_eq!(kept.all(), ["4", "3", "1"]);
    let outcome = Some("mismatch".to_owned());
    let filter = Filter {
        outcome,
        ..Filter::all(9)
    };
    assert_eq!(kept.paths(&filter), ["4", "3", "1"]);
}

#[test]
fn shadow_errors_are_kept_by_outcome_and_matches_not_at_all() {
    let kept = Kept::new(Config {
        keep_per_class: 2,
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["one"])]);
    for number in 2..=9 {
        let timeout = Outcome::ShadowError(ShadowError::Timeout);
        kept.keep(&[report(number, timeout, &[])]);
    }
    kept.keep(&[report(10, Outcome::Match(Via::Exact), &[])]);
    assert_eq!(kept.all(), ["9", "8", "1"]);
}

#[test]
fn lower_bounds_are_reached_step_by_step() {
    let wide = Kept::new(Config::default());
    let reports: Vec<_> = (1..=50).map(|number| mismatch(number, &["one"])).collect();
    wide.keep(&reports);
    let narrow = Config {
        keep_per_class: 10,
        ..Config::default()
    };
    let database = &wide.store.database;
    database
        .read(|connection| {
            let mut retention = Retention::new(connection, &narrow, 30);
            assert!(!retention.make_room(0)?, "more has to go");
            assert_eq!(retention.dropped.examples, 30);
            let mut retention = Retention::new(connection, &narrow, 30);
            assert!(retention.make_room(0)?);
            assert_eq!(retention.dropped.examples, 10);
            Ok(())
        })
        .unwrap();
    assert_eq!(wide.class("one").kept, 10);
}

#[test]
fn pages_follow_one_another_without_gap_or_repetition() {
    let kept = Kept::new(Config::default());
    for number in 1..=5 {
        kept.keep(&[mismatch(number, &["one"])]);
    }
    let mut filter = Filter::all(2);
    let mut seen = Vec::new();
    loop {
        let page = kept.store.mismatches(&filter).unwrap();
        seen.extend(paths(&page));
        // Later examples belong to no later page.
        kept.keep(&[mismatch(6, &["one"])]);
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["5", "4", "3", "2", "1"]);
}

#[test]
fn pages_of_classes_follow_one_another_in_both_orders() {
    let kept = Kept::new(Config::default());
    let mut number = 0;
    for (class, times) in [("c", 3), ("b", 1), ("a", 1), ("d", 2)] {
        for _ in 0..times {
            number += 1;
            kept.keep(&[mismatch(number, &[class])]);
        }
    }
    let seen = |order| {
        let mut seen = Vec::new();
        let mut filter = ClassFilter {
            order,
            limit: 1,
            ..ClassFilter::default()
        };
        loop {
            let page = kept.store.classes(&filter).unwrap();
            assert_eq!(page.total, 4);
            seen.extend(page.classes.into_iter().map(|class| class.id));
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                return seen;
            }
        }
    };
    let frequent = seen(Order::Frequent);
    assert_eq!(frequent[..2], [id("c"), id("d")]);
    assert_eq!(frequent.len(), 4);
    assert_eq!(seen(Order::Recent), ["d", "a", "b", "c"].map(id));
}

#[test]
fn filters_admit_what_matches_all_of_them() {
    let kept = Kept::new(Config::default());
    let second = mismatch(2, &["other"]);
    let since = second.ended;
    kept.keep(&[mismatch(1, &["one"]), second]);
    kept.keep(&[report(3, Outcome::Transient, &["one"])]);
    let by_class = Filter {
        class: Some(id("one")),
        ..Filter::all(9)
    };
    let of = |outcome: &str, filter: &Filter| Filter {
        outcome: Some(outcome.to_owned()),
        ..filter.clone()
    };
    let by_route = |route: &str, filter: &Filter| Filter {
        route: Some(route.to_owned()),
        ..filter.clone()
    };
    let all = Filter::all(9);
    let late = Filter {
        since: Some(since),
        ..Filter::all(9)
    };
    let later = Filter {
        since: Some(since + Duration::from_secs(9_999)),
        ..Filter::all(9)
    };
    let unknown = Filter {
        class: Some("x".to_owned()),
        ..Filter::all(9)
    };
    for (filter, expected) in [
        (by_class.clone(), &["3", "1"][..]),
        (of("mismatch", &by_class), &["1"]),
        (of("noise", &by_class), &[]),
        (of("transient", &all), &["3"]),
        (late.clone(), &["3", "2"]),
        (of("mismatch", &late), &["2"]),
        (later, &[]),
        (by_route("get-item", &late), &["3", "2"]),
        (by_route("get-item", &by_class), &["3", "1"]),
        (by_route("another", &all), &[]),
        (unknown, &[]),
    ] {
        assert_eq!(kept.paths(&filter), expected, "{filter:?}");
    }
}

#[test]
fn only_cursors_of_the_same_list_are_accepted() {
    let kept = Kept::new(Config::default());
    kept.keep(&[mismatch(1, &["one"]), mismatch(2, &["other"])]);
    for cursor in ["nonsense", "-1", "8000000000000000"] {
        let wrong = Filter {
            cursor: Some(cursor.to_owned()),
            ..Filter::all(9)
        };
        let found = kept.store.mismatches(&wrong);
        assert!(matches!(found, Err(QueryError::Cursor(_))), "{cursor}");
    }
    let by = |order, cursor: Option<&str>| ClassFilter {
        order,
        limit: 1,
        cursor: cursor.map(str::to_owned),
        ..ClassFilter::default()
    };
    let recent = kept.store.classes(&by(Order::Recent, None)).unwrap().next;
    for cursor in ["12", recent.as_deref().unwrap()] {
        let classes = kept.store.classes(&by(Order::Frequent, Some(cursor)));
        assert!(matches!(classes, Err(QueryError::Cursor(_))), "{cursor}");
    }
}

/// A mismatch of another epoch than the others.
fn later(number: u64, classes: &[&str]) -> Report {
    Report {
        epoch: "e2".into(),
        ..mismatch(number, classes)
    }
}

#[test]
fn an_epoch_has_its_own_classes_counts_and_examples() {
    let kept = Kept::new(Config {
        keep_per_class: 3,
        ..Config::default()
    });
    kept.keep(&[mismatch(1, &["one", "gone"]), mismatch(2, &["one"])]);
    kept.keep(&[
        later(3, &["one"]),
        later(4, &["one"]),
        mismatch(5, &["one"]),
    ]);
    let of = |epoch: Option<&str>, route: Option<&str>| {
        let filter = ClassFilter {
            route: route.map(str::to_owned),
            epoch: epoch.map(str::to_owned),
            limit: 9,
            ..ClassFilter::default()
        };
        let page = kept.store.classes(&filter).unwrap();
        assert_eq!(page.total, page.classes.len() as u64);
        let shown = |class: &Class| (class.id.clone(), class.count, class.kept);
        page.classes.iter().map(shown).collect::<Vec<_>>()
    };
    // The class retains 3, 4 and 5; the other one retains 1, which shows both.
    let (one, gone) = (id("one"), id("gone"));
    let rows = |rows: &[(&String, u64, u64)]| -> Vec<_> {
        let rows = rows.iter();
        rows.map(|(id, count, kept)| ((*id).clone(), *count, *kept))
            .collect()
    };
    assert_eq!(of(None, None), rows(&[(&one, 5, 3), (&gone, 1, 1)]));
    assert_eq!(of(Some("e1"), None), rows(&[(&one, 3, 1), (&gone, 1, 1)]));
    assert_eq!(of(Some("e2"), None), rows(&[(&one, 2, 2)]));
    assert_eq!(of(Some("e2"), Some("get-item")), rows(&[(&one, 2, 2)]));
    assert_eq!(of(Some("e2"), Some("another")), []);
    assert_eq!(of(Some("e3"), None), []);
    assert_eq!(kept.class("one").count, 5);

    let examples = |epoch: &str| {
        let filter = |class: Option<String>, route: Option<String>| Filter {
            class,
            route,
            epoch: Some(epoch.to_owned()),
            ..Filter::all(9)
        };
        let all = kept.paths(&filter(None, None));
        assert_eq!(kept.paths(&filter(None, Some("get-item".to_owned()))), all);
        (all, kept.paths(&filter(Some(id("one")), None)))
    };
    let paths = |paths: &[&str]| -> Vec<String> { paths.iter().map(ToString::to_string).collect() };
    assert_eq!(examples("e2"), (paths(&["4", "3"]), paths(&["4", "3"])));
    assert_eq!(examples("e1"), (paths(&["5", "1"]), paths(&["5"])));
    assert_eq!(examples("e3"), (paths(&[]), paths(&[])));

    let selected = |epoch| {
        let selection = kept.store.selection(epoch).unwrap();
        (selection.mismatches.len(), selection.stored)
    };
    assert_eq!(selected(None), (4, 4));
    assert_eq!(selected(Some("e2")), (2, 2));
    assert_eq!(selected(Some("e3")), (0, 0));
}

#[test]
fn classes_of_other_epochs_take_no_share_of_a_selection() {
    let kept = Kept::new(Config::default());
    let past: Vec<_> = (1..=6)
        .map(|number| mismatch(number, &[&format!("past{number}")]))
        .collect();
    kept.keep(&past);
    let present: Vec<_> = (11..=18)
        .map(|number| later(number, &["present"]))
        .collect();
    kept.keep(&present);
    let select = |epoch| {
        let read = |from: &_| query::select(from, epoch, 7, 50);
        let selected = kept.store.database.read(read).unwrap();
        (selected.numbers.len(), selected.per_class)
    };
    assert_eq!(select(Some("e2")), (7, 7));
    assert_eq!(select(Some("e1")), (6, 1));
    assert_eq!(select(None), (7, 1));
}

#[test]
fn counts_of_the_oldest_epochs_go() {
    let kept = Kept::new(Config::default());
    let of = |epoch: u64| Report {
        epoch: format!("e{epoch}").into(),
        ..mismatch(epoch + 1, &["one"])
    };
    kept.keep(&(0..=100).map(of).collect::<Vec<_>>());
    let count = |epoch: &str| {
        let filter = ClassFilter {
            epoch: Some(epoch.to_owned()),
            limit: 9,
            ..ClassFilter::default()
        };
        kept.store.classes(&filter).unwrap().total
    };
    assert_eq!((count("e0"), count("e1"), count("e100")), (0, 1, 1));
    assert_eq!(kept.class("one").count, 101);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing() {
    let kept = Kept::new(Config::default());
    let late = mismatch(900, &["one"]);
    let since = late.ended;
    kept.keep(&[late, mismatch(1, &["one"])]);
    assert_eq!(kept.all(), ["1", "900"], "in the order in which they came");
    let filter = Filter {
        since: Some(since),
        ..Filter::all(9)
    };
    assert_eq!(kept.paths(&filter), ["900"]);
    let one = kept.class("one");
    assert!(one.first_seen < one.last_seen);
}

#[test]
fn every_question_is_answered_by_an_index() {
    let kept = Kept::new(Config::default());
    kept.keep(&[mismatch(1, &["one"])]);
    let plans = kept.store.database.read(|from| {
        let mut plans = Vec::new();
        for sql in query::queries() {
            let mut plan = from.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let parameters = vec![1; plan.parameter_count()];
            let rows = plan.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))?;
            plans.extend(rows.collect::<Result<Vec<String>, _>>()?);
        }
        Ok(plans)
    });
    for step in plans.unwrap() {
        let is_by_index = step.starts_with("SEARCH") || step.starts_with("CORRELATED");
        assert!(is_by_index, "{step}");
    }
}

/// Prints that are the length of the value.
struct Lengths;

impl Prints for Lengths {
    fn print(&self, value: &crate::value::Value) -> u64 {
        format!("{value:?}").len() as u64
    }

    fn may_show(&self, _: &Place) -> bool {
        true
    }
}

fn with_basis() -> Report {
    let value = |text: &str| Some(crate::value::Value::Json(json!(text)));
    let place = Place::Node(vec![Step::Name("at".into()), Step::Index(3)]);
    let difference = crate::value::Difference {
        place: place.clone(),
        kind: Kind::Value,
        old: value("2026-11-22T10:00:00Z"),
        new: value("2026-11-22T10:00:01Z"),
    };
    let hints = Hints::of(&[difference], None, &Lengths, 1, None).remove(0);
    assert_ne!(hints.clone().without_prints(), hints);
    let mut report = mismatch(1, &["one"]);
    report.differences[0].basis = RuleEvidence {
        at: Some(place),
        hints,
        shown: Some([Some(json!(null)), None]),
    };
    report
}

#[test]
fn what_rules_are_judged_by_comes_out_as_it_was() {
    let kept = Kept::new(Config::default());
    let report = with_basis();
    kept.keep(std::slice::from_ref(&report));
    let selection = kept.store.selection(None).unwrap();
    let difference = &selection.mismatches[0].differences[0];
    assert_eq!(difference.basis, report.differences[0].basis);
    assert_eq!(difference.class_place, "$.items[*].price");
    assert_eq!((selection.stored, selection.newest_per_class), (1, 50));
}

#[test]
fn prints_of_another_process_are_forgotten() {
    let report = with_basis();
    let document = record::document(&report, 1);
    let [own, other] = [1, 2].map(|process| record::read(&document, process).unwrap());
    let hints = report.differences[0].basis.hints.clone();
    assert_eq!(own.differences[0].basis.hints, hints);
    assert_eq!(other.differences[0].basis.hints, hints.without_prints());
}

#[test]
fn a_selection_has_noise_and_as_much_of_each_class() {
    let kept = Kept::new(Config {
        keep_per_class: 1_000,
        ..Config::default()
    });
    let frequent: Vec<_> = (1..=60)
        .map(|number| mismatch(number, &["frequent"]))
        .collect();
    kept.keep(&frequent);
    kept.keep(&[
        mismatch(61, &["rare"]),
        report(62, Outcome::Noise, &["rare"]),
        report(63, Outcome::Transient, &["rare"]),
    ]);
    let selection = kept.store.selection(None).unwrap();
    let found: Vec<_> = selection
        .mismatches
        .iter()
        .map(|one| one.request.path.as_str())
        .collect();
    assert_eq!(found.len(), 52);
    assert_eq!(found[..3], ["62", "61", "60"]);
    assert_eq!(selection.stored, 62);
}

#[test]
fn a_document_has_stamps_and_no_empty_detail() {
    let kept = Kept::new(Config::default());
    let mut report = mismatch(1, &["one"]);
    report.ended = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let document = record::read(&record::document(&report, 0), 0).unwrap();
    let document = serde_json::to_value(document).unwrap();
    assert_eq!(document["ended"], "1970-01-01T00:00:01.000Z");
    assert_eq!(document["outcome"], "mismatch");
    assert_eq!(document.get("detail"), None);
    assert_eq!(document["differences"][0]["place"], "$.items[3].price");
    assert_eq!(document["request"]["path"], "1");
    kept.keep(&[report]);
}
