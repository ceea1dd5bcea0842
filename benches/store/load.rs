//! Callers, and the cost in the sidecar's process.

use super::support::{Sidecar, Stack, json};
use std::{fs, thread};

const CALLERS: usize = 8;

/// The kernel's clock tick in microseconds, the unit of `/proc`.
const TICK: f64 = 1e4;

/// Two stacks with equal answers, except for paths under `/prices` that end in 0.
pub(crate) fn stacks() -> [Stack; 2] {
    ["9.50", "9.70"].map(|price| {
        Stack::start(move |head| {
            let path = head.split(' ').nth(1).unwrap();
            let is_wrong = path.starts_with("/prices") && path.ends_with('0');
            let price = if is_wrong { price } else { "9.50" };
            json(&format!(
                r#"{{"price": {price}, "text": "{}"}}"#,
                "x".repeat(1_000)
            ))
        })
    })
}

/// Processor time of the whole process, in microseconds, for each of `requests` reads below `folder`. Includes checking
/// all of them and storing the results.
pub(crate) fn cost(sidecar: &Sidecar, folder: &str, requests: usize) -> f64 {
    let before = (spent(sidecar), sidecar.metric("twinread_sampled_total", ""));
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            scope.spawn(move || {
                let mut connection = sidecar.caller();
                for number in (caller..requests).step_by(CALLERS) {
                    let answer = connection.get(&format!("/{folder}/{number}"));
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    sidecar.quiet(before.1 as u64 + requests as u64);
    super::eventually_stored(sidecar);
    (spent(sidecar) - before.0) / requests as f64
}

/// Processor time of the process in microseconds, including ended threads.
fn spent(sidecar: &Sidecar) -> f64 {
    let text = fs::read_to_string(format!("/proc/{}/stat", sidecar.pid())).unwrap();
    // The name in brackets may hold anything; utime and stime are fields 14 and 15 of the line.
    let (_, fields) = text.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    ticks as f64 * TICK
}

/// Resident memory in MiB.
pub(crate) fn memory(sidecar: &Sidecar) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", sidecar.pid())).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib >> 10
}
