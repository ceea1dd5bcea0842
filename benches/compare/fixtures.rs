//! Pairs of answers, and rules to compare them under.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use std::sync::Arc;
use twinread::{
    compare::{Answer, CompareConfig, Context, Options},
    rules::RuleSet,
};

/// Two bodies with their name.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) equal: Equal,
}

/// When the two bodies are equal.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Equal {
    Always,
    Never,
    /// Under [`UNORDERED`] only.
    AsSet,
}

/// The order of the members of every object.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Straight,
    Reversed,
}

/// The rule that the shuffled pair is equal under.
const UNORDERED: &str = "- {id: set, why: w, at: $.items, do: unordered}\n";

pub(crate) fn all(size: usize) -> [Fixture; 5] {
    let old = document(records(size, Order::Straight), Order::Straight);
    let reversed = document(records(size, Order::Reversed), Order::Reversed);
    let pair = |name, new, equal| Fixture {
        name,
        old: old.clone(),
        new,
        equal,
    };
    [
        pair("byte-equal", old.clone(), Equal::Always),
        pair("keys reordered", reversed.clone(), Equal::Always),
        pair(
            "keys reordered, one leaf differing",
            differing(&reversed),
            Equal::Never,
        ),
        pair("one leaf differing", differing(&old), Equal::Never),
        pair(
            "array shuffled, keys reordered, under `unordered`",
            document(shuffled(records(size, Order::Reversed)), Order::Reversed),
            Equal::AsSet,
        ),
    ]
}

/// An array of this many records, and the same shuffled.
pub(crate) fn array(records: usize) -> Fixture {
    let list = |order| (0..records).map(move |n| record(n, order)).collect();
    Fixture {
        name: "array shuffled",
        old: document(list(Order::Straight), Order::Straight),
        new: document(shuffled(list(Order::Straight)), Order::Straight),
        equal: Equal::AsSet,
    }
}

/// Changes the last price, so that everything before it must be compared.
fn differing(document: &str) -> String {
    let at = document
        .rfind("\"price\":")
        .expect("every record has a price")
        + "\"price\":".len();
    format!("{}9{}", &document[..at], &document[at..])
}

/// Shuffles the same way every time.
fn shuffled(mut records: Vec<String>) -> Vec<String> {
    let mut state = 1u64;
    for end in (1..records.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        records.swap(end, (state >> 33) as usize % (end + 1));
    }
    // Three records may otherwise return to their original order.
    records.rotate_left(1);
    records
}

/// Records as in an API's list, up to a size.
fn records(size: usize, order: Order) -> Vec<String> {
    let mut records = Vec::new();
    let mut length = 0;
    while length < size.saturating_sub(350) || records.is_empty() {
        let record = record(records.len(), order);
        length += record.len() + 1;
        records.push(record);
    }
    records
}

fn record(n: usize, order: Order) -> String {
    let stock = [
        ("warehouse", format!("\"W{}\"", n % 12)),
        ("count", format!("{}", n % 50)),
        ("reserved", "null".to_owned()),
    ];
    let members = [
        ("id", format!("{}", 100_000 + n * 7)),
        ("sku", format!("\"SKU-{n:06}\"")),
        ("name", format!("\"Wooden chair No. {n}, with a cushion\"")),
        ("price", format!("{}.{:02}", n % 900 + 10, n % 100)),
        ("active", format!("{}", n.is_multiple_of(3))),
        ("tags", "[\"furniture\",\"wood\",\"new\"]".to_owned()),
        ("stock", object(order, &stock)),
        (
            "updated",
            format!("\"2026-11-{:02}T10:{:02}:00Z\"", n % 28 + 1, n % 60),
        ),
    ];
    object(order, &members)
}

fn document(records: Vec<String>, order: Order) -> String {
    let members = [
        ("items", format!("[{}]", records.join(","))),
        ("total", records.len().to_string()),
    ];
    object(order, &members)
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

/// `rules` rules that apply nowhere; `at` is a JSONPath in which `#` is the number of the rule.
pub(crate) fn ruled(equal: Equal, rules: usize, at: &str) -> CompareConfig {
    let mut text = String::from("rules:\n");
    if equal == Equal::AsSet {
        text.push_str(UNORDERED);
    }
    for n in 0..rules {
        let at = at.replace('#', &n.to_string());
        text.push_str(&format!("- {{id: r{n}, why: w, at: '{at}', do: ignore}}\n"));
    }
    if text.ends_with("rules:\n") {
        text = "rules: []".to_owned();
    }
    let (rules, _) =
        RuleSet::compile(&[("bench".into(), text)], context().today).expect("the rules are valid");
    CompareConfig {
        rules: Arc::new(rules),
        options: Options {
            max_decoded: 256 << 20,
            ..Options::default()
        },
        ..CompareConfig::default()
    }
}

pub(crate) fn context() -> Context<'static> {
    Context {
        route: "list-items",
        method: &Method::GET,
        today: jiff::civil::date(2026, 11, 22),
        deadline: None,
        message_type: None,
    }
}

pub(crate) fn answer(body: &str) -> Answer {
    let json = HeaderValue::from_static("application/json");
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, json)]),
        body: body.to_owned().into(),
        trailers: HeaderMap::new(),
    }
}
