//! The cost of finding, at the end of a check, what would explain its differences.

use crate::{
    clock::time,
    fixtures::{answer, context},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    hint::black_box,
    time::Duration,
};
use twinread::testing::advise::suggest::{Answers, Hints, Prints};
use twinread::{
    compare::{Answer, CompareConfig, compare},
    value::{Difference, Place, Value},
};

const ROUNDS: usize = 9;

/// The values of one member on both sides, by its number.
type Values = fn(usize) -> [String; 2];

/// Fingerprints without a key.
struct Open;

/// Each kind of value takes another path through the probes.
const KINDS: [(&str, Values); 6] = [
    ("clocks", |n| {
        [n, n + 7].map(|second| format!("\"2026-11-22T10:{:02}:{:02}Z\"", second / 60, second % 60))
    }),
    ("random ids", |n| {
        [1, 2].map(|side| format!("\"{side}ba7b81{:01}-9dad-11d1-80b4-{n:012}\"", n % 10))
    }),
    ("rounded numbers", |n| {
        [format!("{n}.123456"), format!("{n}.12")]
    }),
    ("unlike words", |n| {
        ["old", "new"].map(|side| format!("\"a {side} sentence, number {n}\""))
    }),
    ("unlike long texts", |n| {
        ["old", "new"].map(|side| format!("\"{} {side} {n}\"", "Stra\u{df}e ".repeat(50)))
    }),
    ("counts", |n| [n, n + 1].map(|count| count.to_string())),
];

/// 1 and 100 differences: first each of another class, then all of one, in an array whose elements moved.
pub(crate) fn measure() {
    anstream::println!("learning what would explain the differences of one check");
    for (kind, values) in KINDS {
        for count in [1, 100] {
            report(
                &format!("{count} x {kind}, members"),
                members(count, values),
            );
        }
        report(
            &format!("100 x {kind}, elements that moved"),
            elements(100, values),
        );
    }
    report("50 renamed members", renamed(50));
}

fn report(name: &str, [old, new]: [Answer; 2]) {
    let comparison = compare(&old, &new, &context(), &CompareConfig::default());
    let differences = comparison.differences();
    let run = || !hints(differences, (&old, &new)).is_empty();
    let best = (0..ROUNDS).map(|_| time(&run)).min();
    let best = best.unwrap_or(Duration::MAX);
    anstream::println!(
        "  {:>9.1} µs  {name} ({} differences)",
        best.as_secs_f64() * 1e6,
        differences.len()
    );
}

fn hints(differences: &[Difference], answers: (&Answer, &Answer)) -> Vec<Hints> {
    Hints::of(
        black_box(differences),
        Some(Answers {
            old: answers.0,
            new: answers.1,
            message_type: None,
        }),
        &Open,
        usize::MAX,
        None,
    )
}

fn members(count: usize, values: Values) -> [Answer; 2] {
    pair(|side| {
        let members = (0..count).map(|n| format!("\"m{n}\":{}", values(n)[side]));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn elements(count: usize, values: Values) -> [Answer; 2] {
    pair(|side| {
        let elements = (0..count).map(|n| {
            let n = if side == 0 { n } else { count - 1 - n };
            let note = "of the sort that lists of an API have";
            format!(
                "{{\"id\":{n},\"note\":\"{note}\",\"value\":{}}}",
                values(n)[side]
            )
        });
        format!("{{\"items\":[{}]}}", elements.collect::<Vec<_>>().join(","))
    })
}

fn renamed(count: usize) -> [Answer; 2] {
    pair(|side| {
        let members = (0..count).map(|n| format!("\"{}{n}\":\"value {n}\"", ["old", "new"][side]));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

fn pair(body: impl Fn(usize) -> String) -> [Answer; 2] {
    [0, 1].map(|side| answer(&body(side)))
}

// === impl Open ===

impl Prints for Open {
    fn print(&self, value: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Value::Json(json) = value {
            json.hash(&mut hasher);
        }
        hasher.finish()
    }

    fn may_show(&self, _: &Place) -> bool {
        true
    }
}
