//! Lag, racing writes, and noise, through the whole process: none of it is reported as a mismatch, and real defects are
//! still found.

use crate::support::{Sidecar, Stack, eventually, json};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Records by key. A write to the old stack becomes visible on the new one only after its lag.
struct World(Mutex<Vec<Record>>);

#[derive(Clone, Copy)]
struct Record {
    version: u64,
    written: Instant,
    lag: Duration,
}

/// A twentieth of realistic values, including the delays of rechecks.
const MAX_LAG_MS: u64 = 150;
const RECHECK: &str = "after: [10ms, 100ms, 500ms], max_per_second: 100000";

const KEYS: u64 = 200;
const READS: u64 = 5_000;
const CORRUPT: [u64; 5] = [3, 17, 42, 64, 199];

/// The upper bits of a linear congruential generator (Knuth's MMIX).
fn chance(state: &AtomicU64) -> u64 {
    let next = |state: u64| {
        let state = state.wrapping_mul(6_364_136_223_846_793_005);
        Some(state.wrapping_add(1_442_695_040_888_963_407))
    };
    let before = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    before.unwrap() >> 33
}

// === impl World ===

impl World {
    fn new() -> Self {
        let record = Record {
            version: 1,
            written: Instant::now(),
            lag: Duration::ZERO,
        };
        Self(Mutex::new(vec![record; KEYS as usize]))
    }

    /// The old stack: accepts writes, and returns what was written.
    fn old(&self, request: &str, chance: u64) -> String {
        let key = key(request);
        let mut records = self.0.lock().unwrap();
        let record = &mut records[key as usize];
        if request.starts_with("PUT") {
            record.version += 1;
            record.written = Instant::now();
            record.lag = Duration::from_millis(chance % (MAX_LAG_MS + 1));
        }
        format!(r#"{{"name": "n{key}", "version": {}}}"#, record.version)
    }

    fn new_stack(&self, request: &str) -> String {
        let key = key(request);
        let record = self.0.lock().unwrap()[key as usize];
        let is_behind = record.written.elapsed() < record.lag;
        let version = record.version - u64::from(is_behind);
        let name = if CORRUPT.contains(&key) { "N" } else { "n" };
        format!(r#"{{"name": "{name}{key}", "version": {version}}}"#)
    }
}

fn key(request: &str) -> u64 {
    let path = request.split(' ').nth(1).unwrap();
    path.rsplit('/').next().unwrap().parse().unwrap()
}

fn count(sidecar: &Sidecar, outcome: &str) -> u64 {
    let label = format!(r#"outcome="{outcome}""#);
    sidecar.metric("twinread_checks_total", &label) as u64
}

fn mismatches(sidecar: &Sidecar, expected: u64) -> Vec<Value> {
    eventually("every mismatch is stored", || {
        let page = sidecar.ask("/v1/mismatches?outcome=mismatch&limit=1000");
        let found = page["mismatches"].as_array().unwrap();
        (found.len() as u64 == expected).then(|| found.clone())
    })
}

#[test]
fn lag_is_no_mismatch_and_five_corrupt_keys_of_5_000_are_found() {
    let world = Arc::new(World::new());
    let (of_old, of_new) = (world.clone(), world);
    let state = AtomicU64::new(7);
    let old = Stack::start(move |request| json(&of_old.old(request, chance(&state))));
    let new = Stack::start(move |request| json(&of_new.new_stack(request)));
    let more = "routes: [{name: item, path: '/items/{id}'}]\nstore: {keep_per_class: 1000}\n\
                queue: {max_length: 10000}\n";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (RECHECK, more));
    let (mut caller, state) = (sidecar.caller(), AtomicU64::new(11));
    for read in 1..=READS {
        if read % 3 == 0 {
            let key = chance(&state) % KEYS;
            let write =
                format!("PUT /items/{key} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
            caller.send(&write);
        }
        caller.get(&format!("/items/{}", chance(&state) % KEYS));
        if read % 100 == 0 {
            eventually("the shadow keeps up", || {
                (sidecar.metric("twinread_queue_length", "") == 0.0).then_some(())
            });
        }
    }

    assert_eq!(sidecar.quiet(READS), READS);
    let found = mismatches(&sidecar, count(&sidecar, "mismatch"));
    for mismatch in &found {
        let differences = mismatch["differences"].as_array().unwrap();
        let places: Vec<_> = differences.iter().map(|shown| &shown["place"]).collect();
        assert_eq!(places, ["$.name"], "{mismatch}");
        assert_eq!(mismatch["detail"], Value::Null, "confirmed: {mismatch}");
    }
    let paths = found.iter().map(|mismatch| &mismatch["request"]["path"]);
    let keys: BTreeSet<u64> = paths
        .map(|path| path.as_str().unwrap().rsplit('/').next().unwrap())
        .map(|key| key.parse().unwrap())
        .collect();
    assert_eq!(keys, BTreeSet::from(CORRUPT));
    assert_eq!(count(&sidecar, "not_compared"), 0);
    // Lag counts as noise if old's own readings are known to change as often, by the same writes.
    let lagged = count(&sidecar, "transient") + count(&sidecar, "noise");
    assert!(lagged > 0, "it has lagged");
    let delayed = sidecar.metric("twinread_checks_delayed_total", r#"route="item""#);
    assert!(delayed > 0.0 && delayed < READS as f64, "{delayed}");
    let routes = sidecar.ask("/v1/routes");
    assert_eq!(routes["routes"][0]["delayed"], delayed as u64, "{routes}");
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["routes"][0]["delayed"], delayed as u64, "{verdict}");
}

/// Clocks, random fields and random order, and a price.
fn noisy(state: &AtomicU64, price: u64) -> String {
    let mut tags = ["a", "b", "c", "d", "e", "f"];
    for index in (1..tags.len()).rev() {
        tags.swap(index, chance(state) as usize % (index + 1));
    }
    let (at, nonce) = (chance(state), chance(state));
    format!(r#"{{"at": {at}, "price": {price}, "tags": {tags:?}, "trace": {{"id": "t{nonce}"}}}}"#)
}

#[test]
fn random_fields_order_clocks_are_noise_and_a_defect_is_found() {
    let (of_old, of_new) = (AtomicU64::new(3), AtomicU64::new(5));
    let old = Stack::start(move |_| json(&noisy(&of_old, 9)));
    let new = Stack::start(move |request| {
        let price = if request.contains("/bad") { 8 } else { 9 };
        json(&noisy(&of_new, price))
    });
    let more = "queue: {max_length: 10000}\n";
    let recheck = "after: [1ms, 5ms, 10ms], max_per_second: 100000";
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, more));
    let mut caller = sidecar.caller();
    for _ in 0..300 {
        caller.get("/good");
    }
    assert_eq!(sidecar.quiet(300), 300);
    assert_eq!(count(&sidecar, "noise"), 300);

    for _ in 0..20 {
        caller.get("/bad");
    }
    assert_eq!(sidecar.quiet(320), 320);
    assert_eq!(count(&sidecar, "mismatch"), 20);
    for mismatch in mismatches(&sidecar, 20) {
        let differences = mismatch["differences"].as_array().unwrap();
        let places: Vec<_> = differences.iter().map(|shown| &shown["place"]).collect();
        assert_eq!(places, ["$.price"], "{mismatch}");
    }
}
