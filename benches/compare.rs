//! How fast answers are compared, beside parsing both and asking `==`, which tells no place.
//!
//! `cargo bench --bench compare`. Megabytes count both documents. Each figure is the best of several rounds in
//! which all contestants take turns, so that a machine that drifts drifts for all.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
use twinread::{
    compare::{Answer, Compared, Comparing, Context, compare},
    rules::RuleSet,
};

const SIZES: [usize; 4] = [1 << 10, 16 << 10, 256 << 10, 4 << 20];
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(40);

/// Two bodies, and what they are for.
struct Fixture {
    name: &'static str,
    old: String,
    new: String,
    equal: bool,
}

/// Which way round the members of every object stand.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Straight,
    Reversed,
}

type Contestant<'f> = (String, Box<dyn Fn() -> bool + 'f>);

fn main() {
    anstream::println!(
        "MB/s of both documents; a ratio is a share of the time that parsing both and == takes"
    );
    let none = comparing(0);
    let ruled = comparing(1000);
    for size in SIZES {
        for fixture in fixtures(size) {
            measure(size, &fixture, [&none, &ruled]);
        }
    }
}

fn measure(size: usize, fixture: &Fixture, [none, ruled]: [&Comparing; 2]) {
    let (old, new) = (answer(&fixture.old), answer(&fixture.new));
    let twinread = |comparing: &Comparing| {
        let comparison = compare(black_box(&old), black_box(&new), &context(), comparing);
        matches!(comparison.result, Compared::Equal(_))
    };
    let contestants: [Contestant<'_>; 5] = [
        ("sonic-rs ==".to_owned(), Box::new(|| sonic(fixture))),
        ("serde_json ==".to_owned(), Box::new(|| serde(fixture))),
        (
            "memcmp".to_owned(),
            Box::new(|| black_box(&fixture.old) == black_box(&fixture.new)),
        ),
        ("twinread".to_owned(), Box::new(|| twinread(none))),
        (
            "twinread, 1000 rules that do not apply".to_owned(),
            Box::new(|| twinread(ruled)),
        ),
    ];
    let mut best = [Duration::MAX; 5];
    for _ in 0..ROUNDS {
        for (best, (name, run)) in best.iter_mut().zip(&contestants) {
            let is_memcmp = name == "memcmp";
            assert!(
                is_memcmp || run() == fixture.equal,
                "{name} is wrong about {}",
                fixture.name
            );
            *best = (*best).min(time(run));
        }
    }
    let bytes = (fixture.old.len() + fixture.new.len()) as f64;
    anstream::println!("{} KiB, {}", size >> 10, fixture.name);
    for (best, (name, _)) in best.iter().zip(&contestants) {
        let speed = bytes / best.as_secs_f64() / 1e6;
        anstream::println!("  {speed:>9.0}  {name}");
    }
    let ratio = best[3].as_secs_f64() / best[0].as_secs_f64();
    let serde = best[3].as_secs_f64() / best[1].as_secs_f64();
    let rules = best[4].as_secs_f64() / best[3].as_secs_f64();
    anstream::println!(
        "  ratio {ratio:.2} of sonic-rs, {serde:.2} of serde_json; 1000 rules cost x {rules:.2}"
    );
}

/// The processor time of one run.
fn time(run: &dyn Fn() -> bool) -> Duration {
    let (start, used) = (Instant::now(), processor_time());
    let mut runs = 0;
    while start.elapsed() < ROUND {
        black_box(run());
        runs += 1;
    }
    let used = used
        .zip(processor_time())
        .map(|(from, to)| to.saturating_sub(from));
    let used = used.filter(|used| !used.is_zero());
    used.unwrap_or_else(|| start.elapsed()) / runs
}

/// How long this thread has run, where the kernel tells: others on the machine do not count then.
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
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

fn fixtures(size: usize) -> [Fixture; 3] {
    let old = document(size, Order::Straight);
    let reversed = document(size, Order::Reversed);
    // The last price: everything before it has to be looked at.
    let at = reversed
        .rfind("\"price\":")
        .expect("every record has a price")
        + "\"price\":".len();
    let differing = format!("{}9{}", &reversed[..at], &reversed[at..]);
    [
        Fixture {
            name: "byte-equal",
            old: old.clone(),
            new: old.clone(),
            equal: true,
        },
        Fixture {
            name: "keys reordered",
            old: old.clone(),
            new: reversed,
            equal: true,
        },
        Fixture {
            name: "keys reordered, one leaf differing",
            old,
            new: differing,
            equal: false,
        },
    ]
}

/// Records as an API lists them, up to a size.
fn document(size: usize, order: Order) -> String {
    let mut records = Vec::new();
    let mut length = 0;
    while length < size.saturating_sub(350) || records.is_empty() {
        let n = records.len();
        let record = object(
            order,
            &[
                ("id", format!("{}", 100_000 + n * 7)),
                ("sku", format!("\"SKU-{n:06}\"")),
                ("name", format!("\"Wooden chair No. {n}, with a cushion\"")),
                ("price", format!("{}.{:02}", n % 900 + 10, n % 100)),
                ("active", format!("{}", n % 3 == 0)),
                ("tags", "[\"furniture\",\"wood\",\"new\"]".to_owned()),
                (
                    "stock",
                    object(
                        order,
                        &[
                            ("warehouse", format!("\"W{}\"", n % 12)),
                            ("count", format!("{}", n % 50)),
                            ("reserved", "null".to_owned()),
                        ],
                    ),
                ),
                (
                    "updated",
                    format!("\"2026-11-{:02}T10:{:02}:00Z\"", n % 28 + 1, n % 60),
                ),
            ],
        );
        length += record.len() + 1;
        records.push(record);
    }
    object(
        order,
        &[
            ("items", format!("[{}]", records.join(","))),
            ("total", records.len().to_string()),
        ],
    )
}

fn object(order: Order, members: &[(&str, String)]) -> String {
    let mut members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if order == Order::Reversed {
        members.reverse();
    }
    format!("{{{}}}", members.join(","))
}

fn comparing(rules: usize) -> Comparing {
    let rules: String = (0..rules)
        .map(|n| format!("- {{id: r{n}, why: w, at: '$.other{n}.items[*].price', do: ignore}}\n"))
        .collect();
    let text = if rules.is_empty() {
        "rules: []".to_owned()
    } else {
        format!("rules:\n{rules}")
    };
    let (rules, _) =
        RuleSet::compile(&[("bench".into(), text)], context().today).expect("the rules are valid");
    Comparing {
        rules: Arc::new(rules),
        ..Comparing::default()
    }
}

fn context() -> Context<'static> {
    Context {
        route: "list-items",
        method: &Method::GET,
        today: jiff::civil::date(2026, 11, 22),
        deadline: None,
    }
}

fn answer(body: &str) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        )]),
        body: body.to_owned().into(),
        trailers: HeaderMap::new(),
    }
}
