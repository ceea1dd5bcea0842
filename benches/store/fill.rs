//! Generates mismatches by the million and writes them the way the process does.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};
use twinread::testing::{
    ledger::{Bound, Gauges, Signal},
    pipeline::{
        Rechecked, Report, ReportedDifference, ReportedRequest, Reports, RuleEvidence,
        report::ReportedAnswer,
    },
    store::{self, Database, Store},
    trace_context::TraceContext,
};
use twinread::{
    compare::Class,
    outcome::{Mark, Outcome},
    value::Kind,
};

/// Result of filling the store.
pub(crate) struct Filled {
    pub(crate) took: Duration,
    /// Size of the file and its write-ahead log.
    pub(crate) bytes: u64,
    /// Examples that retention removed.
    pub(crate) gone: u64,
}

const ROUTES: u64 = 40;
const PLACES: u64 = 6;

/// Reports in the queue before the generator waits.
const AHEAD: u64 = 1_500;

/// The configuration of a store that keeps `keep` mismatches in the file at `path`.
pub(crate) fn config(path: &Path, keep: usize) -> store::Config {
    store::Config {
        path: Some(path.to_owned()),
        keep_mismatches: keep,
        keep_per_class: 100_000,
        ..store::Config::default()
    }
}

/// Writes mismatches `from..to` to the file.
pub(crate) fn fill(config: store::Config, (from, to): (u64, u64)) -> Filled {
    let begun = Instant::now();
    let path = config.path.clone().expect("a store in a file");
    let gauges = Gauges::default();
    let database = Database::open(Some(&path), gauges.clone()).unwrap();
    let store = Store::new(database.clone(), config, gauges.clone());
    let mut reports = Reports::new(gauges.clone());
    let received = reports.listen(Signal::Store, 2 * AHEAD as usize);
    let listening = thread::spawn(move || store.listen(received));
    let catch_up = |ahead: u64| {
        while gauges.store_waiting.get() > ahead {
            database.settle(Duration::from_secs(1));
        }
    };
    for number in from..to {
        catch_up(AHEAD);
        reports.send(report(number));
    }
    catch_up(0);
    drop(reports);
    listening.join().unwrap();
    database.close();
    assert_eq!(gauges.exports_dropped(Signal::Store), 0);
    Filled {
        took: begun.elapsed(),
        bytes: size(&path),
        gone: gauges.bounds_reached(Bound::Mismatches),
    }
}

/// Size of the file and its write-ahead log.
fn size(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let files = [path.to_owned(), PathBuf::from(log)];
    let sizes = files
        .iter()
        .filter_map(|file| Some(file.metadata().ok()?.len()));
    sizes.sum()
}

pub(crate) fn route(number: u64) -> String {
    format!("get-item-{}", number % ROUTES)
}

pub(crate) fn class(number: u64) -> String {
    difference(number, number % PLACES).class
}

/// Resembles the check of a small JSON document with values masked; one in a hundred is noise.
fn report(number: u64) -> Report {
    let ended = SystemTime::now();
    let outcome = match number % 100 {
        99 => Outcome::Noise,
        _ => Outcome::Mismatch(Mark::Plain),
    };
    let differences: Vec<_> = (0..=number % 3)
        .map(|index| difference(number, (number + index) % PLACES))
        .collect();
    Report {
        outcome,
        route: route(number).into(),
        template: None,
        epoch: "20261122T100000000-0001-0123abcd".into(),
        request: ReportedRequest {
            method: "GET".to_owned(),
            path: format!("/items/{:016x}", scattered(number)),
            query: Some("page=number(2)&expand=string(5)".to_owned()),
            headers: pairs(number, ["host", "accept", "user-agent", "x-request-id"]),
            ..ReportedRequest::default()
        },
        span: TraceContext {
            trace_id: u128::from(scattered(number)) << 64 | 1,
            span_id: scattered(number),
            flags: 1,
            state: String::new(),
        },
        live: None,
        sent: Vec::new(),
        started: ended,
        ended,
        old: Some(answer(number, 3)),
        new: Some(answer(number, 4)),
        count: differences.len(),
        differences,
        rechecked: Rechecked::default(),
    }
}

fn difference(number: u64, place: u64) -> ReportedDifference {
    let class = Class {
        route: route(number),
        place: format!("$.lines[*].field_{place}"),
        kind: Kind::Value,
    };
    ReportedDifference {
        place: format!("$.lines[{}].field_{place}", number % 7),
        kind: Kind::Value,
        class: class.id(),
        class_place: class.place,
        old: Some(format!("number({})", number % 9)),
        new: Some(format!("string({})", number % 11)),
        basis: RuleEvidence::default(),
    }
}

fn answer(number: u64, digits: u64) -> ReportedAnswer {
    let lines = (0..number % 7 + 1).map(|line| {
        let length = scattered(number + line) % 30;
        format!(r#"{{"sku":"string({length})","field_0":"number({digits})","field_1":"string({line})","state":"string(6)"}}"#)
    });
    let lines: Vec<_> = lines.collect();
    let id = scattered(number) % 100;
    ReportedAnswer {
        status: 200,
        duration_ms: (number % 10_000) as f64 / 1e3,
        headers: pairs(number, ["content-type", "content-length", "date", "etag"]),
        body: Some(format!(
            r#"{{"id":"string({id})","lines":[{}]}}"#,
            lines.join(",")
        )),
        trailers: Vec::new(),
        masked: Vec::new(),
    }
}

fn pairs(number: u64, names: [&str; 4]) -> Vec<(String, String)> {
    let value = |name: &str| match name {
        "x-request-id" | "etag" => format!("{:016x}", scattered(number)),
        _ => format!("string({})", number % 40),
    };
    names.map(|name| (name.to_owned(), value(name))).into()
}

/// Pseudorandom number: splitmix64.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
