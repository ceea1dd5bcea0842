//! Speed of comparing answers, next to parsing both and testing `==`, which reports no place.
//!
//! `cargo bench --bench compare`, or `... -- NAME` for one of its parts (see [`PARTS`]). Megabytes count both
//! documents. Each figure is the best of several rounds. All contestants take turns in a round, so that drift of the
//! machine affects all of them. The allocator is the program's, wrapped in a counter.

mod clock;
mod fixtures;
mod suggesting;

use clock::time;
use fixtures::{Equal, Fixture, answer, context, ruled};
use mimalloc::MiMalloc;
use mockalloc::{Mockalloc, record_allocs};
use std::{hint::black_box, time::Duration};
use twinread::compare::{Answer, CompareConfig, Compared, compare};

const SIZES: [usize; 4] = [1 << 10, 16 << 10, 256 << 10, 4 << 20];
const ROUNDS: usize = 9;

/// Path of the rules that do not apply.
const ELSEWHERE: &str = "$.other#.items[*].price";

#[global_allocator]
static ALLOCATOR: Mockalloc<MiMalloc> = Mockalloc(MiMalloc);

struct Contestant<'f> {
    name: &'static str,
    run: Box<dyn Fn() -> bool + 'f>,
    best: Duration,
}

/// The parts by their names on the command line.
const PARTS: [(&str, fn()); 4] = [
    ("pairs", pairs),
    ("looked-for", looked_for),
    ("growth", growth),
    ("suggesting", suggesting::measure),
];

fn main() {
    // Cargo's own arguments begin with dashes.
    let mut names = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'));
    let wanted = names.next();
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let parts = PARTS.iter().filter(|(name, _)| is_wanted(name));
    assert!(parts.clone().count() > 0, "no part is called {wanted:?}");
    parts.for_each(|(_, part)| part());
}

fn pairs() {
    anstream::println!("MB/s of both documents, allocations, and the most bytes held at once");
    for size in SIZES {
        for fixture in fixtures::all(size) {
            measure(size, &fixture);
        }
    }
}

fn measure(size: usize, fixture: &Fixture) {
    let (old, new) = (answer(&fixture.old), answer(&fixture.new));
    let [none, ten, thousand] = [0, 10, 1000].map(|rules| ruled(fixture.equal, rules, ELSEWHERE));
    let twinread = |name, comparing| {
        let (old, new) = (&old, &new);
        Contestant::new(name, move || is_equal(old, new, comparing))
    };
    let mut contestants = [
        Contestant::new("sonic-rs ==", || sonic(fixture)),
        Contestant::new("serde_json ==", || serde(fixture)),
        Contestant::new("memcmp", || {
            black_box(&fixture.old) == black_box(&fixture.new)
        }),
        twinread("twinread", &none),
        twinread("twinread, 10 rules that do not apply", &ten),
        twinread("twinread, 1000 rules that do not apply", &thousand),
    ];
    check(fixture, &contestants);
    for _ in 0..ROUNDS {
        contestants.iter_mut().for_each(Contestant::round);
    }
    anstream::println!("{} KiB, {}", size >> 10, fixture.name);
    let bytes = fixture.old.len() + fixture.new.len();
    contestants
        .iter()
        .for_each(|contestant| contestant.report(bytes));
    let [sonic, serde, memcmp, twinread, ten, thousand] =
        contestants.map(|contestant| contestant.best.as_secs_f64());
    anstream::println!(
        "  ratio {:.2} of sonic-rs, {:.2} of serde_json, {:.2} of memcmp; 10 rules cost x {:.2}, 1000 x {:.2}",
        twinread / sonic,
        twinread / serde,
        twinread / memcmp,
        ten / twinread,
        thousand / twinread
    );
}

fn check(fixture: &Fixture, [sonic, serde, memcmp, twinread @ ..]: &[Contestant<'_>; 6]) {
    for parser in [sonic, serde] {
        let is_equal = (parser.run)();
        assert_eq!(is_equal, fixture.equal == Equal::Always, "{}", parser.name);
    }
    assert!(!(memcmp.run)() || fixture.equal == Equal::Always);
    for twinread in twinread {
        assert_eq!(
            (twinread.run)(),
            fixture.equal != Equal::Never,
            "{}",
            twinread.name
        );
    }
}

/// Rules with a selector that is no plain path are evaluated on both documents.
fn looked_for() {
    let [_, reordered, ..] = fixtures::all(256 << 10);
    let (old, new) = (answer(&reordered.old), answer(&reordered.new));
    let rules = [
        ("no rules", 0, ""),
        (
            "1 filter that selects nothing, `$.items[?@.id == #]`",
            1,
            "$.items[?@.id == #]",
        ),
        ("10 of them", 10, "$.items[?@.id == #]"),
        (
            "1 that is looked for everywhere, `$..[?@.other#]`",
            1,
            "$..[?@.other#]",
        ),
        ("10 of them", 10, "$..[?@.other#]"),
        (
            "10 that count from the end, `$.other[-1#]`",
            10,
            "$.other[-1#]",
        ),
    ];
    anstream::println!("256 KiB, keys reordered, rules that are not compiled into the tree");
    let comparings = rules.map(|(_, count, at)| ruled(Equal::Always, count, at));
    let mut contestants: Vec<_> = rules
        .iter()
        .zip(&comparings)
        .map(|((name, ..), comparing)| Contestant::new(name, || is_equal(&old, &new, comparing)))
        .collect();
    for _ in 0..ROUNDS {
        contestants.iter_mut().for_each(Contestant::round);
    }
    let bytes = reordered.old.len() + reordered.new.len();
    contestants
        .iter()
        .for_each(|contestant| contestant.report(bytes));
    let costs = contestants[1..].iter().map(|contestant| {
        let cost = contestant.best.as_secs_f64() / contestants[0].best.as_secs_f64();
        format!("x {cost:.2}")
    });
    anstream::println!(
        "  ratio of each to none: {}",
        costs.collect::<Vec<_>>().join(", ")
    );
}

/// Shuffled arrays: the cost of ten times as many elements.
fn growth() {
    anstream::println!("arrays shuffled, under `unordered`");
    let mut before = None;
    for records in [1_000, 10_000, 100_000] {
        let fixture = fixtures::array(records);
        let (old, new) = (answer(&fixture.old), answer(&fixture.new));
        let comparing = ruled(Equal::AsSet, 0, "");
        let mut contestant = Contestant::new("", || is_equal(&old, &new, &comparing));
        assert!((contestant.run)());
        (0..3).for_each(|_| contestant.round());
        let took = contestant.best.as_secs_f64();
        let growth = before.map_or(String::new(), |before| format!(", x {:.1}", took / before));
        anstream::println!("  {records:>7} elements: {:.1} ms{growth}", took * 1e3);
        before = Some(took);
    }
}

fn is_equal(old: &Answer, new: &Answer, comparing: &CompareConfig) -> bool {
    let comparison = compare(black_box(old), black_box(new), &context(), comparing);
    matches!(comparison.result, Compared::Equal(_))
}

fn sonic(fixture: &Fixture) -> bool {
    let parse = |text: &str| {
        sonic_rs::from_str::<sonic_rs::Value>(black_box(text)).expect("fixtures are JSON")
    };
    parse(&fixture.old) == parse(&fixture.new)
}

fn serde(fixture: &Fixture) -> bool {
    let parse = |text: &str| {
        serde_json::from_str::<serde_json::Value>(black_box(text)).expect("fixtures are JSON")
    };
    parse(&fixture.old) == parse(&fixture.new)
}

// === impl Contestant ===

impl<'f> Contestant<'f> {
    fn new(name: &'static str, run: impl Fn() -> bool + 'f) -> Self {
        Self {
            name,
            run: Box::new(run),
            best: Duration::MAX,
        }
    }

    fn round(&mut self) {
        self.best = self.best.min(time(&self.run));
    }

    fn report(&self, bytes: usize) {
        let used = record_allocs(|| {
            black_box((self.run)());
        });
        anstream::println!(
            "  {:>9.0}  {:<40} {:>7} allocations {:>10} bytes",
            bytes as f64 / self.best.as_secs_f64() / 1e6,
            self.name,
            used.num_allocs(),
            used.peak_mem()
        );
    }
}
