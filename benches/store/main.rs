//! The cost of a million stored mismatches: for the calls that show them, the start, the live path, the disk.
//!
//! `cargo bench --bench store [-- MISMATCHES]`. Fills a file with the code that the process writes it with. Starts the
//! real binary on it and another on an empty file, and measures both in turn. Calls are timed over HTTP; processor time
//! is that of the whole process. A call may take 50 ms at the median.

#![allow(clippy::unwrap_used, reason = "a panic is how it fails")]
#![allow(unreachable_pub, reason = "of what it shares with tests/process")]

mod fill;
mod load;
#[path = "../../tests/support/harness.rs"]
mod support;

use fill::{config, fill};
use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};
use support::{Caller, Sidecar, Stack, eventually};

const MISMATCHES: u64 = 1_000_000;

/// Size of a file that is filled four times over.
const SMALL: u64 = 64 << 20;

const CALLS: usize = 101;
const STARTS: usize = 7;
const ROUNDS: usize = 5;
const REQUESTS: usize = 20_000;

fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let mismatches: u64 = asked.unwrap_or(MISMATCHES);
    let folder = tempfile::tempdir().unwrap();
    let [full, empty] = ["full", "empty"].map(|name| folder.path().join(name));
    disk(&full, &folder.path().join("small"), mismatches);
    let stacks = load::stacks();
    let start = |path: &Path| start(path, &stacks, mismatches);

    let starts = |path: &Path| median((0..STARTS).map(|_| start(path).1).collect());
    let (of_empty, of_full) = (starts(&empty), starts(&full));
    anstream::println!(
        "start to /readyz, median of {STARTS}: empty {of_empty:.1?}, full {of_full:.1?}"
    );

    let (empty, full) = (start(&empty).0, start(&full).0);
    calls(&full, mismatches);
    live(&empty, &full, REQUESTS.min(mismatches as usize / 10));
    let (of_empty, of_full) = (load::memory(&empty), load::memory(&full));
    anstream::println!("resident memory, MiB: empty {of_empty}, full {of_full}");
}

/// Fills both files beyond their limits.
fn disk(full: &Path, small: &Path, mismatches: u64) {
    let show = |what: &str, filled: &fill::Filled, bound: u64| {
        let (mib, bound, gone) = (filled.bytes >> 20, bound >> 20, filled.gone);
        anstream::println!(
            "{what}: {:.1?}, {mib} MiB of {bound} MiB, {gone} gone",
            filled.took
        );
    };
    let bounds = config(full, mismatches as usize);
    let filled = fill(bounds.clone(), (0, mismatches));
    show(&format!("{mismatches} mismatches stored"), &filled, 2 << 30);
    let more = mismatches / 10;
    let filled = fill(bounds, (mismatches, mismatches + more));
    show(&format!("{more} more"), &filled, 2 << 30);
    let bounds = twinread::testing::store::Config {
        max_bytes: Some(SMALL as usize),
        ..config(small, mismatches as usize)
    };
    let filled = fill(bounds, (0, mismatches / 2));
    let what = format!("{} into a small file", mismatches / 2);
    show(&what, &filled, SMALL);
}

/// A sidecar on the file at `path`, and how long it took to become ready.
fn start(path: &Path, [old, new]: &[Stack; 2], mismatches: u64) -> (Sidecar, Duration) {
    let store = format!(
        "store: {{path: '{}', keep_mismatches: {mismatches}, keep_per_class: 100000}}\n",
        path.display()
    );
    let begun = Instant::now();
    let sidecar = Sidecar::start(old.addr, new.addr, &store);
    eventually("it is ready", || is_ready(sidecar.admin));
    (sidecar, begun.elapsed())
}

fn is_ready(admin: SocketAddr) -> Option<()> {
    (Caller::connect(admin).get("/readyz").status == 200).then_some(())
}

/// Waits until every report is stored.
fn eventually_stored(sidecar: &Sidecar) {
    eventually("everything is stored", || {
        (sidecar.metric("twinread_store_waiting", "") == 0.0).then_some(())
    });
}

fn calls(full: &Sidecar, mismatches: u64) {
    let newest = mismatches + mismatches / 10 - 1;
    let (route, class) = (fill::route(newest), fill::class(newest));
    let page = full.ask("/v1/mismatches?limit=1");
    let id = page["mismatches"][0]["id"].as_str().unwrap();
    let middle = format!(
        "/v1/mismatches?limit=1&cursor={:x}",
        newest - mismatches / 2
    );
    let since = full.ask(&middle)["mismatches"][0]["ended"].clone();
    let since = since.as_str().unwrap();
    anstream::println!("calls, ms: median, and the slowest of {CALLS}");
    for path in [
        "/metrics".to_owned(),
        "/v1/verdict".to_owned(),
        "/v1/classes".to_owned(),
        "/v1/classes?sort=recent&limit=1000".to_owned(),
        format!("/v1/classes/{class}"),
        "/v1/mismatches".to_owned(),
        format!("/v1/mismatches?cursor={:x}", newest - mismatches / 2),
        format!("/v1/mismatches?route={route}"),
        format!("/v1/mismatches?class={class}"),
        "/v1/mismatches?outcome=noise".to_owned(),
        "/v1/mismatches?outcome=transient".to_owned(),
        format!("/v1/mismatches?since={since}"),
        format!("/v1/mismatches?route={route}&class={class}&outcome=mismatch&since={since}"),
        "/v1/mismatches?limit=1000".to_owned(),
        format!("/v1/mismatches/{id}"),
    ] {
        let mut caller = Caller::connect(full.admin);
        let times = (0..CALLS).map(|_| {
            let begun = Instant::now();
            let answer = caller.get(&path);
            assert_eq!(answer.status, 200, "{answer:?}");
            begun.elapsed()
        });
        let times: Vec<_> = times.collect();
        let slowest = times.iter().max().unwrap().as_secs_f64() * 1e3;
        let median = median(times).as_secs_f64() * 1e3;
        anstream::println!("{median:8.2} {slowest:8.2}  {path}");
    }
    let begun = Instant::now();
    let suggestions = full.ask("/v1/rules/suggestions");
    let (took, looked_at) = (begun.elapsed(), &suggestions["looked_at"]);
    anstream::println!("/v1/rules/suggestions: {took:.1?}, {looked_at} looked at");
}

/// In turn, so that drift of the machine affects both.
fn live(empty: &Sidecar, full: &Sidecar, requests: usize) {
    for (folder, what) in [("items", "all equal"), ("prices", "one in ten differs")] {
        let mut costs = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for (costs, sidecar) in costs.iter_mut().zip([empty, full]) {
                costs.push(load::cost(sidecar, folder, requests));
            }
        }
        let [of_empty, of_full] = costs.map(|mut costs| {
            costs.sort_by(f64::total_cmp);
            costs[ROUNDS / 2]
        });
        let ratio = of_full / of_empty;
        anstream::println!(
            "processor time a request, all checked, {what}, us: empty {of_empty:.1}, full {of_full:.1}, {ratio:.3}"
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
