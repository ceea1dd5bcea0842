//! Stacks that are wrong beyond the limit, each in a way that once passed as `safe`.
//!
//! `cargo test` reads each as fast as possible. With `TWINREAD_TRUST_SECONDS=600` each is read 80 times a second for
//! that long, at the default rechecks, and the verdict over time is printed (`--nocapture --ignored`).
//! `TWINREAD_UNDER_TEST=PATH` selects another binary of twinread.

use crate::support::{Reply, Sidecar, Stack, eventually, json};
use serde_json::Value;
use std::{
    collections::HashSet,
    env,
    fmt::Write,
    ops::RangeInclusive,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// A pair of stacks, how they are read, and the required verdict.
struct Scenario {
    name: &'static str,
    /// The share of wrong answers, and its limit.
    rates: (&'static str, &'static str),
    config: &'static str,
    /// Applied at runtime.
    settings: &'static str,
    old: fn() -> Stack,
    new: fn() -> Stack,
    request: fn(u64) -> String,
    /// One of these must be a reason.
    reasons: &'static [&'static str],
}

const SHORT_RECHECK: &str = "after: [10ms, 30ms, 60ms], max_per_second: 100000";
const RECHECK: &str = "after: [200ms, 2s, 10s]";

/// Reads of the short form.
const READS: u64 = 800;

const PER_SECOND: u64 = 80;

#[allow(clippy::too_many_lines, reason = "a table")]
fn scenarios() -> Vec<Scenario> {
    let wrong = |name, reasons, new| Scenario {
        name,
        rates: ("5e-2", "1e-3"),
        config: "",
        settings: "{}",
        old: right,
        new,
        request: item,
        reasons,
    };
    vec![
        wrong("a1 wrong at random", &["transient_rate"], || {
            Stack::start(|_| {
                if chance(20) {
                    json(r#"{"price": 0}"#)
                } else {
                    json(PRICE)
                }
            })
        }),
        wrong("a1 404 at random", &["transient_rate"], || {
            Stack::start(|_| if chance(20) { missing() } else { json(PRICE) })
        }),
        wrong(
            "a1 wrong at the first reading of a key",
            &["transient_rate"],
            first_wrong,
        ),
        Scenario {
            rates: ("8.3e-2", "1e-2"),
            config: "verdict: {max_mismatch: 1e-2}\n",
            ..wrong("a1 wrong by turns", &["transient_rate"], || {
                let answers = AtomicU64::new(0);
                Stack::start(
                    move |_| match answers.fetch_add(1, Ordering::Relaxed) % 12 {
                        0 => json(r#"{"price": 0}"#),
                        _ => json(PRICE),
                    },
                )
            })
        },
        Scenario {
            old: moving,
            rates: ("4e-1", "5e-2"),
            ..wrong("a2 frozen where old moves", &["noise_rate"], || {
                Stack::start(|head| match key_of(head) % 5 {
                    0 | 1 => json(r#"{"seen": 0}"#),
                    _ => json(&format!(
                        r#"{{"seen": {}}}"#,
                        MOVING.fetch_add(1, Ordering::Relaxed)
                    )),
                })
            })
        },
        Scenario {
            old: moving,
            rates: ("1", "1e-3"),
            ..wrong("a3 dropped where old moves", &["mismatch_rate"], || {
                Stack::json("{}")
            })
        },
        Scenario {
            old: moving,
            rates: ("1", "1e-3"),
            ..wrong("a3 null where old moves", &["mismatch_rate"], || {
                Stack::json(r#"{"seen": null}"#)
            })
        },
        Scenario {
            request: item_unless_known,
            rates: ("1", "1e-3"),
            settings: r#"{"recheck": {"max_per_second": 1000}}"#,
            old: || Stack::start(|head| validated(head, PRICE, "v1")),
            ..wrong("a4 304 to any validator", &["mismatch_rate"], || {
                Stack::start(|head| {
                    if head.contains("if-none-match") {
                        unmodified("v1")
                    } else {
                        validated(head, r#"{"price": 0}"#, "v2")
                    }
                })
            })
        },
        Scenario {
            request: item_unless_known,
            rates: ("1", "1e-3"),
            settings: r#"{"recheck": {"max_per_second": 1000}}"#,
            old: || Stack::start(|head| validated(head, PRICE, "v1")),
            ..wrong(
                "a4 200 and wrong where old answers 304",
                &["mismatch_rate"],
                || Stack::start(|head| validated(head, r#"{"price": 0}"#, "v2")),
            )
        },
        Scenario {
            request: |number| {
                let route = if number % 5 == 0 {
                    number / 5 % 390
                } else {
                    1_000
                };
                format!("GET /tail-{route}/x HTTP/1.1\r\nhost: localhost\r\n\r\n")
            },
            rates: ("2e-1 of the tail", "1e-3"),
            ..wrong(
                "a5 a thin tail of routes, all wrong",
                &["mismatch_rate"],
                || {
                    Stack::start(|head| {
                        if head.contains("/tail-1000/") {
                            json(PRICE)
                        } else {
                            json(r#"{"price": 0}"#)
                        }
                    })
                },
            )
        },
        Scenario {
            config: "capture: {max_body: 64}\n",
            rates: ("8e-2", "1e-2"),
            old: || Stack::start(|head| large(head, 'a')),
            ..wrong("a6 large bodies, all wrong", &["uncompared"], || {
                Stack::start(|head| large(head, 'b'))
            })
        },
        Scenario {
            config: "verdict: {max_mismatch: 1e-2}\n",
            rates: ("3e-2", "1e-2"),
            ..wrong("a11 late outcomes", &["mismatch_rate"], || {
                Stack::start(|head| match key_of(head) % 33 {
                    0 => json(r#"{"price": 0}"#),
                    _ => json(PRICE),
                })
            })
        },
        Scenario {
            config: "serve: {new: 100}\n",
            rates: ("9e-2", "1e-2"),
            ..wrong("a12 new as primary fails", &["error_rate"], || {
                Stack::start(|_| {
                    if chance(11) {
                        Reply::Write("no answer\r\n\r\n".to_owned())
                    } else {
                        json(PRICE)
                    }
                })
            })
        },
        Scenario {
            settings: r#"{"sample": {"by": "header:x-user"}}"#,
            rates: ("one user", "1e-3"),
            request: |_| {
                "GET /items/1 HTTP/1.1\r\nhost: localhost\r\nx-user: jo\r\n\r\n".to_owned()
            },
            ..wrong("a14 one user", &["more_keys"], right)
        },
    ]
}

const PRICE: &str = r#"{"price": 9}"#;

static MOVING: AtomicU64 = AtomicU64::new(1);

fn right() -> Stack {
    Stack::json(PRICE)
}

fn moving() -> Stack {
    Stack::start(|_| {
        json(&format!(
            r#"{{"seen": {}}}"#,
            MOVING.fetch_add(1, Ordering::Relaxed)
        ))
    })
}

fn item(number: u64) -> String {
    format!("GET /items/{number} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

fn item_unless_known(number: u64) -> String {
    format!("GET /items/{number} HTTP/1.1\r\nhost: localhost\r\nif-none-match: \"v1\"\r\n\r\n")
}

fn missing() -> Reply {
    Reply::Write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned())
}

/// A resource with this tag.
fn validated(head: &str, body: &str, tag: &str) -> Reply {
    if head.contains(&format!("if-none-match: \"{tag}\"")) {
        return unmodified(tag);
    }
    let length = body.len();
    Reply::Write(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: \"{tag}\"\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

fn unmodified(tag: &str) -> Reply {
    Reply::Write(format!(
        "HTTP/1.1 304 Not Modified\r\netag: \"{tag}\"\r\n\r\n"
    ))
}

/// Wrong once for every key.
fn first_wrong() -> Stack {
    let seen = Mutex::new(HashSet::new());
    Stack::start(move |head| {
        let key = key_of(head);
        if key.is_multiple_of(20) && seen.lock().unwrap().insert(key) {
            json(r#"{"price": 0}"#)
        } else {
            json(PRICE)
        }
    })
}

fn large(head: &str, filling: char) -> Reply {
    let length = if key_of(head).is_multiple_of(12) {
        200
    } else {
        1
    };
    let filling = if length == 1 { 'x' } else { filling };
    let text: String = std::iter::repeat_n(filling, length).collect();
    json(&format!(r#""{text}""#))
}

/// The number in `/items/NUMBER`, 0 elsewhere.
fn key_of(head: &str) -> u64 {
    let path = head.split(' ').nth(1).unwrap_or_default();
    path.rsplit('/')
        .next()
        .and_then(|key| key.parse().ok())
        .unwrap_or(0)
}

/// True once in `of` calls on average, the same in every run (a linear congruence; Knuth, MMIX).
fn chance(of: u64) -> bool {
    static STATE: AtomicU64 = AtomicU64::new(7);
    let next = |state: u64| {
        state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
    };
    let state = STATE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
        Some(next(state))
    });
    (next(state.unwrap_or_default()) >> 33) % of == 0
}

fn codes(verdict: &Value) -> Vec<String> {
    let reasons = verdict["reasons"].as_array().unwrap().iter();
    let mut codes: Vec<_> = reasons
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect();
    codes.dedup();
    codes
}

/// Reads these items one after another, never far ahead of the checks.
fn read(sidecar: &Sidecar, numbers: RangeInclusive<u64>) {
    let mut caller = sidecar.caller();
    let last = *numbers.end();
    for number in numbers {
        caller.send(&item(number));
        if number % 200 == 0 {
            sidecar.quiet(number);
        }
    }
    sidecar.judged(last);
}

impl Scenario {
    fn start(&self, recheck: &str) -> (Sidecar, [Stack; 2]) {
        let stacks = [(self.old)(), (self.new)()];
        let [old, new] = &stacks;
        let sidecar = Sidecar::rechecking(old.addr, new.addr, (recheck, self.config));
        assert_eq!(sidecar.patch(self.settings).status, 200);
        (sidecar, stacks)
    }

    /// Reads as fast as possible, and asserts that the verdict is never safe.
    fn assert_never_safe(&self) {
        let (sidecar, _stacks) = self.start(SHORT_RECHECK);
        let mut caller = sidecar.caller();
        for number in 1..=READS {
            if !caller.try_send(&(self.request)(number)) {
                caller = sidecar.caller();
            }
            if number % 250 == 0 {
                let verdict = sidecar.ask("/v1/verdict");
                assert_ne!(verdict["verdict"], "safe", "{}: {verdict:#}", self.name);
            }
        }
        sidecar.judged(READS);
        let verdict = eventually("it is judged", || {
            let verdict = sidecar.ask("/v1/verdict");
            (!codes(&verdict).is_empty()).then_some(verdict)
        });
        assert_ne!(verdict["verdict"], "safe", "{}", self.name);
        let found = codes(&verdict);
        let is_named = self
            .reasons
            .iter()
            .any(|reason| found.contains(&(*reason).to_owned()));
        assert!(is_named, "{}: {found:?}", self.name);
    }

    /// Reads at a steady pace, and records each change of the verdict.
    fn watch(&self, seconds: u64) -> String {
        let (sidecar, _stacks) = self.start(RECHECK);
        let mut caller = sidecar.caller();
        let began = Instant::now();
        let (mut line, mut last) = (String::new(), String::new());
        for number in 1..=seconds * PER_SECOND {
            let due = Duration::from_micros(number * 1_000_000 / PER_SECOND);
            thread::sleep(due.saturating_sub(began.elapsed()));
            if !caller.try_send(&(self.request)(number)) {
                caller = sidecar.caller();
            }
            if number % PER_SECOND == 0 {
                let verdict = sidecar.ask("/v1/verdict");
                let now = verdict["verdict"].as_str().unwrap().to_owned();
                if now != last {
                    let second = number / PER_SECOND;
                    write!(line, "{second} s {now} {:?}; ", codes(&verdict)).unwrap();
                    last = now;
                }
            }
        }
        let codes = codes(&sidecar.ask("/v1/verdict"));
        let (rate, limit) = self.rates;
        format!(
            "| {} | {rate} | {limit} | {line}at the end {codes:?} |",
            self.name
        )
    }
}

#[test]
fn stacks_wrong_beyond_the_limit_are_never_safe() {
    for scenario in scenarios() {
        let began = Instant::now();
        scenario.assert_never_safe();
        anstream::eprintln!("{}: {:.1?}", scenario.name, began.elapsed());
    }
}

#[test]
fn a_right_stack_is_safe_after_enough_reads() {
    let (old, new) = (right(), right());
    let sidecar = Sidecar::rechecking(old.addr, new.addr, (SHORT_RECHECK, ""));
    read(&sidecar, 1..=3_374);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "safe", "{verdict:#}");
}

#[test]
fn a_stack_that_turns_bad_has_regressed() {
    let turned = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let turns = turned.clone();
    let wrong = AtomicU64::new(0);
    let new = Stack::start(move |_| {
        // One in twenty, and not by chance: enough for the detector, too few to prove the rate.
        if turns.load(Ordering::SeqCst) && wrong.fetch_add(1, Ordering::SeqCst).is_multiple_of(20) {
            missing()
        } else {
            json(PRICE)
        }
    });
    let sidecar = Sidecar::rechecking(right().addr, new.addr, ("after: []", ""));
    read(&sidecar, 1..=11_800);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "safe", "{verdict:#}");
    turned.store(true, Ordering::SeqCst);
    read(&sidecar, 11_801..=12_000);
    let verdict = sidecar.ask("/v1/verdict");
    assert_ne!(verdict["verdict"], "safe");
    let found = codes(&verdict);
    assert!(found.contains(&"regressed".to_owned()), "{found:?}");
}

#[test]
fn a_restart_every_moment_makes_no_stack_safe() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("evidence.db");
    let more = format!(
        "store: {{path: {}}}\nverdict: {{max_mismatch: 1e-2}}\n",
        store.display()
    );
    let new = || {
        Stack::start(|head| match key_of(head) % 33 {
            0 => json(r#"{"price": 0}"#),
            _ => json(PRICE),
        })
    };
    let (old, new) = (right(), new());
    for round in 0..3 {
        let mut sidecar = Sidecar::rechecking(
            old.addr,
            new.addr,
            ("after: [60s], max_per_second: 1000", &more),
        );
        let mut caller = sidecar.caller();
        // It differs, so nothing becomes evidence from its second on.
        caller.send(&item(0));
        for number in round * 400..(round + 1) * 400 {
            caller.send(&item(number));
        }
        let verdict = sidecar.ask("/v1/verdict");
        assert_eq!(verdict["verdict"], "undecided");
        // Only the first difference of each earlier round.
        let estimate = &verdict["routes"][0]["mismatch_rate"]["estimate"];
        assert!(
            estimate.is_null() || estimate == 1.0,
            "matches around a difference that waits: {verdict:#}"
        );
        sidecar.signal(rustix::process::Signal::TERM);
        sidecar.exited();
    }
}

#[test]
fn restarts_while_a_difference_waits_make_no_stack_safe() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("evidence.db");
    let more = format!(
        "store: {{path: {}}}\nverdict:\n  max_mismatch: 0.1\n  max_error: 0.1\n  \
         max_transient: 0.1\n  max_noise: 0.1\n  max_uncompared: 0.1\n",
        store.display()
    );
    let new = Stack::start(|head| match key_of(head) {
        0 => json(r#"{"price": 0}"#),
        _ => json(PRICE),
    });
    let old = right();
    let mut verdict = Value::Null;
    for round in 1..=6 {
        let mut sidecar = Sidecar::rechecking(old.addr, new.addr, ("after: [60s]", &more));
        let mut caller = sidecar.caller();
        (1..=8).for_each(|number| drop(caller.send(&item(number))));
        eventually("the matches are evidence", || {
            verdict = sidecar.ask("/v1/verdict");
            let route = &verdict["routes"][0];
            (route["match"]["exact"] == 8 * round && route["waiting"] == 0).then_some(())
        });
        caller.send(&item(0));
        sidecar.signal(rustix::process::Signal::TERM);
        sidecar.exited();
    }
    assert_eq!(verdict["verdict"], "undecided", "{verdict:#}");
    let rate = &verdict["routes"][0]["mismatch_rate"];
    // From each earlier round: eight matches, and a difference that there was no time to confirm.
    assert_eq!(rate["estimate"], 5.0 / 53.0, "{verdict:#}");
}

#[test]
#[ignore = "minutes: set TWINREAD_TRUST_SECONDS"]
fn the_verdict_over_time() {
    let seconds = env::var("TWINREAD_TRUST_SECONDS").map_or(60, |seconds| seconds.parse().unwrap());
    thread::scope(|scope| {
        let scenarios = scenarios().into_iter();
        let running: Vec<_> = scenarios
            .map(|scenario| scope.spawn(move || scenario.watch(seconds)))
            .collect();
        for each in running {
            anstream::println!("{}", each.join().unwrap());
        }
    });
}
