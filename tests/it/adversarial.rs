//! Hostile answers: each comparison ends in time, within memory, and with the right result.
//!
//! The allocator counts memory for each comparison. Time only has a generous limit, which only disproportionate work
//! exceeds.

use bytes::Bytes;
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder},
};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use mimalloc::MiMalloc;
use mockalloc::{Mockalloc, record_allocs};
use std::{
    io::Write,
    time::{Duration, Instant},
};
use twinread::{
    compare::{Answer, BodyCopy, CompareConfig, Compared, Comparison, Context, Options, compare},
    outcome::Reason,
    rules::RuleSet,
};

#[global_allocator]
static ALLOCATOR: Mockalloc<MiMalloc> = Mockalloc(MiMalloc);

const TIME: Duration = Duration::from_secs(300);

/// Maximum memory of one comparison per byte of both bodies.
const SHARE: usize = 64;

/// Rule sets that make the engine search.
const RULES: [&[(&str, &str)]; 4] = [
    &[],
    &[("$", "unordered"), ("$..*", "unordered")],
    &[
        ("$..*", "{tolerance: {abs: 0.5, rel: 1e-9}}"),
        ("$..*", "unordered"),
    ],
    &[("$..*", "{bijection: check}"), ("$..*", "{round: 2}")],
];

fn answer(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let content_type = HeaderValue::from_static(content_type);
    Answer {
        status: StatusCode::OK,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        body: BodyCopy::Whole(body.into()),
        trailers: HeaderMap::new(),
    }
}

fn ruled(rules: &[(&str, &str)]) -> CompareConfig {
    let rules = rules.iter().enumerate();
    let rules: String = rules
        .map(|(n, (at, action))| format!("\n- {{id: r{n}, why: w, at: '{at}', do: {action}}}"))
        .collect();
    let text = if rules.is_empty() {
        "rules: []".to_owned()
    } else {
        format!("rules:{rules}")
    };
    let (rules, _) =
        RuleSet::compile(&[("r.yaml".into(), text)], today()).expect("the rules are valid");
    CompareConfig {
        rules: rules.into(),
        options: Options {
            max_decoded: 64 << 20,
            ..Options::default()
        },
        ..CompareConfig::default()
    }
}

fn today() -> jiff::civil::Date {
    jiff::civil::date(2026, 11, 22)
}

/// Compares, and asserts the limits of time and memory.
fn compared(old: &Answer, new: &Answer, comparing: &CompareConfig) -> Comparison {
    let start = Instant::now();
    let context = Context {
        route: "get-item",
        method: &Method::GET,
        today: today(),
        deadline: Some(start + Duration::from_millis(50)),
        message_type: None,
    };
    let mut comparison = None;
    let used = record_allocs(|| comparison = Some(compare(old, new, &context, comparing)));
    assert!(start.elapsed() < TIME, "took {:?}", start.elapsed());
    let most = SHARE * (old.body.kept().len() + new.body.kept().len()) + (1 << 20);
    assert!(
        used.peak_mem() < most as u64,
        "held {} bytes of {most}",
        used.peak_mem()
    );
    comparison.expect("it ran")
}

fn is_equal(comparison: &Comparison) -> bool {
    match &comparison.result {
        Compared::Equal(_) => true,
        Compared::Different { count, .. } => {
            assert!(*count > 0);
            false
        }
        Compared::NotCompared(reason) => panic!("{reason:?}"),
    }
}

/// Compares JSON in both directions without rules, and then under rules, which must not make it unequal.
fn check(old: impl Into<Bytes>, new: impl Into<Bytes>, equal: bool) {
    let (old, new) = (
        answer("application/json", old),
        answer("application/json", new),
    );
    for rules in RULES {
        let comparing = ruled(rules);
        let (there, back) = (
            compared(&old, &new, &comparing),
            compared(&new, &old, &comparing),
        );
        if rules.is_empty() || equal {
            assert_eq!([is_equal(&there), is_equal(&back)], [equal; 2], "{rules:?}");
        }
        assert!(is_equal(&compared(&old, &old.clone(), &comparing)));
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => gzip(body),
        "deflate" => {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(body).expect("a vector takes everything");
            encoder.finish().expect("a vector takes everything")
        }
        "br" => {
            let mut out = Vec::new();
            let fast = brotli::enc::BrotliEncoderParams {
                quality: 2,
                ..Default::default()
            };
            brotli::BrotliCompress(&mut &body[..], &mut out, &fast)
                .expect("a vector takes everything");
            out
        }
        _ => zstd::encode_all(body, 1).expect("a vector takes everything"),
    }
}

#[test]
fn decompression_bombs_are_never_inflated() {
    let zeros = vec![b' '; 24 << 20];
    let max = 1 << 20;
    let mut comparing = ruled(&[]);
    comparing.options.max_decoded = max;
    let mut bombs: Vec<_> = ["gzip", "deflate", "br", "zstd"]
        .map(|coding| (coding.to_owned(), encoded(coding, &zeros)))
        .into();
    for inner in 0..4 {
        let (coding, bomb) = bombs[inner].clone();
        bombs.push((format!("{coding}, gzip"), gzip(&bomb)));
        bombs.push((
            format!("{coding}, gzip, zstd"),
            encoded("zstd", &gzip(&bomb)),
        ));
    }
    for (codings, bomb) in bombs {
        let mut old = answer("application/json", bomb);
        old.headers
            .insert(CONTENT_ENCODING, codings.parse().unwrap());
        let new = answer("application/json", "[]");
        let context = Context {
            route: "r",
            method: &Method::GET,
            today: today(),
            deadline: None,
            message_type: None,
        };
        let mut result = None;
        let used =
            record_allocs(|| result = Some(compare(&old, &new, &context, &comparing).result));
        assert_eq!(
            result,
            Some(Compared::NotCompared(Reason::BodyTooLarge)),
            "{codings}"
        );
        assert!(
            used.peak_mem() < 24 << 20,
            "{codings}: held {}",
            used.peak_mem()
        );
    }
}

#[test]
fn ten_thousand_levels_end() {
    for (open, close) in [
        ("[", "]"),
        ("{\"a\":", "}"),
        ("[[],", "]"),
        ("[{\"a\":1},", "]"),
    ] {
        let deep = |leaf: &str| format!("{}{leaf}{}", open.repeat(10_000), close.repeat(10_000));
        check(deep("1"), deep("2"), false);
        check(deep("1"), deep("1"), true);
        let level = |leaf: &str| format!("{}{leaf}{}", open.repeat(100), close.repeat(100));
        check(level("1"), level("2"), false);
        check(level("1.0"), level("1"), true);
    }
}

#[test]
fn keys_of_a_megabyte_are_compared() {
    let key = "k".repeat(1 << 20);
    check(
        format!("{{\"{key}\":1}}"),
        format!("{{ \"{key}\":1.0}}"),
        true,
    );
    check(
        format!("{{\"{key}a\":1}}"),
        format!("{{\"{key}b\":1}}"),
        false,
    );
    let escaped = "\\u006b".repeat(1 << 20);
    check(
        format!("{{\"{key}\":1}}"),
        format!("{{\"{escaped}\":1}}"),
        true,
    );
}

#[test]
fn a_million_elements_reversed_are_compared() {
    let list = |numbers: &mut dyn Iterator<Item = u32>| {
        let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    let (old, new) = (list(&mut (0..1_000_000)), list(&mut (0..1_000_000).rev()));
    let (old, new) = (
        answer("application/json", old),
        answer("application/json", new),
    );
    assert!(!is_equal(&compared(&old, &new, &ruled(RULES[0]))));
    assert!(is_equal(&compared(&old, &new, &ruled(RULES[1]))));
}

#[test]
fn many_members_whose_names_are_much_alike_are_compared() {
    let object = |names: &mut dyn Iterator<Item = u32>| {
        let members: Vec<_> = names.map(|n| format!("\"{n:0>40}\":[{n}]")).collect();
        format!("{{{}}}", members.join(","))
    };
    check(
        object(&mut (0..20_000)),
        object(&mut (0..20_000).rev()),
        true,
    );
    check(
        object(&mut (0..20_000)),
        object(&mut (1..20_001).rev()),
        false,
    );
}

#[test]
fn odd_characters_are_distinguished() {
    check(r#"["\ud800"]"#, r#"["\uD800"]"#, true);
    check(r#"["\ud800"]"#, r#"["\ud801"]"#, false);
    check(r#"["\ud800"]"#, r#"["\ufffd"]"#, false);
    check(r#"{"\ud800":1}"#, r#"{"\udfff":1}"#, false);
    check(r#"["\u0000"]"#, r#"[ "\u0000"]"#, true);
    check(r#"["\u0000"]"#, r#"[""]"#, false);
    check(r#"["a\u0000b"]"#, r#"["a\u0000c"]"#, false);
    check(&b"[\"\x00\"]"[..], r#"["\u0000"]"#, false);
    check(&b"[\"\xc0\xaf\"]"[..], r#"["/"]"#, false);
    check(&b"[\"\xc0\x80\"]"[..], r#"["\u0000"]"#, false);
    check(&b"[\"\xed\xa0\x80\"]"[..], r#"["\ud800"]"#, false);
    check(&b"[\"\xf8\x88\x80\x80\x80\"]"[..], "[]", false);
    check("\u{feff}[1]", "\u{feff}[1.0]", true);
    check("\u{feff}[1]", "\u{feff}[2]", false);
    check(&b"\xff\xfe[\x001\x00]\x00"[..], "[1]", false);
}

#[test]
fn numbers_are_exact_at_any_size() {
    let long = "1234567890".repeat(1_000);
    check(format!("[{long}]"), format!("[{long}.0]"), true);
    check(format!("[{long}]"), format!("[{long}e0]"), true);
    check(format!("[{long}1]"), format!("[{long}2]"), false);
    check(format!("[0.{long}]"), format!("[0.{long}00]"), true);
    check(format!("[0.{long}1]"), format!("[0.{long}2]"), false);
    check("[1e400]", "[10e399]", true);
    check("[1e400]", "[1e401]", false);
    check("[-0]", "[0]", true);
    check("[-0.0e7]", "[0]", true);
    check("[1e999999999]", "[1e1000000000]", false);
    check("[1e999999999]", "[1]", false);
    check("[1e-999999999]", "[0]", false);
    // Exponents of more than 30 digits are compared as text.
    check(format!("[1e{long}]"), format!("[ 1e{long}]"), true);
    check(format!("[1e{long}]"), format!("[1e-{long}]"), false);
}

#[test]
fn every_format_is_read_of_any_size() {
    let line = |n: usize| format!("{n}=%41+b&");
    let bodies = [
        (
            "application/x-www-form-urlencoded",
            (0..50_000).map(line).collect::<String>(),
        ),
        (
            "application/xml",
            format!("<a>{}</a>", "<b c='1'/>".repeat(20_000)),
        ),
        (
            "application/xml",
            format!("{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000)),
        ),
        (
            "application/xml",
            format!("<a>{}</a>", "x&amp;".repeat(50_000)),
        ),
        ("application/x-ndjson", "{\"a\":[1]}\n".repeat(20_000)),
        ("text/plain", "line\n".repeat(100_000)),
        ("text/plain; charset=utf-16le", "\u{0}\u{d8}".repeat(1000)),
    ];
    for (content_type, body) in bodies {
        let old = answer(content_type, body.clone());
        let new = answer(content_type, body.replacen('1', "2", 1) + " ");
        for rules in RULES {
            compared(&old, &new, &ruled(rules));
        }
    }
}
