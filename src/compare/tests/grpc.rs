//! Answers of gRPC: messages, metadata, and what is the same in another encoding.

use super::*;
use crate::value::{
    grpc::{Descriptors, MessageType},
    tests::wire::{SHOP, described, double, framed, length, packed, varint},
};
use std::sync::LazyLock;

static DESCRIBED: LazyLock<Descriptors> = LazyLock::new(|| described(SHOP));

pub(super) const GET: &str = "/shop.v1.Catalogue/Get";
pub(super) const LIST: &str = "/shop.v1.Catalogue/List";

pub(super) fn grpc(body: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = answer("application/grpc", body);
    let status = HeaderName::from_static("grpc-status");
    answer
        .trailers
        .insert(status, HeaderValue::from_static("0"));
    answer
}

pub(super) fn unary(message: impl AsRef<[u8]>) -> Answer {
    grpc(framed(0, message))
}

fn answer_type(path: &str) -> &'static MessageType {
    &DESCRIBED.call(path).unwrap().answer
}

pub(super) fn called(path: &str, old: &Answer, new: &Answer, rules: &[(&str, &str)]) -> Comparison {
    let context = Context {
        message_type: Some(answer_type(path)),
        ..context()
    };
    let comparing = CompareConfig {
        descriptors: DESCRIBED.clone(),
        ..ruled(rules)
    };
    compare(old, new, &context, &comparing)
}

fn got(old: &[Vec<u8>], new: &[Vec<u8>]) -> Vec<String> {
    reported(&called(
        GET,
        &unary(old.concat()),
        &unary(new.concat()),
        &[],
    ))
}

#[test]
fn each_kind_of_difference_is_found_at_its_field() {
    for (old, new, expected) in [
        (vec![length(1, "a")], vec![length(1, "b")], "$.sku value"),
        (vec![], vec![length(1, "b")], "$.sku value"),
        (vec![varint(4, 0)], vec![], "$.rank missing"),
        (vec![], vec![varint(4, 0)], "$.rank extra"),
        (
            vec![varint(5, 0)],
            vec![length(6, "")],
            "$.cents missing,$.text extra",
        ),
        (vec![varint(7, 1)], vec![varint(7, 2)], "$.color value"),
        (vec![varint(7, 1)], vec![varint(7, 9)], "$.color type"),
        (
            vec![varint(2, 1), varint(2, 2)],
            vec![varint(2, 2), varint(2, 1)],
            "$.sizes order",
        ),
        (
            vec![varint(2, 1)],
            vec![varint(2, 1), varint(2, 2)],
            "$.sizes[1] extra",
        ),
        (
            vec![length(12, length(1, "a"))],
            vec![length(12, length(1, "b"))],
            "$.parts[0].sku value",
        ),
        (vec![length(8, "")], vec![], "$.child missing"),
        (vec![varint(99, 1)], vec![], "$['#99'] missing"),
        (vec![varint(99, 1)], vec![varint(99, 2)], "$['#99'] value"),
        (vec![double(10, f64::NAN)], vec![double(10, -f64::NAN)], ""),
        (
            vec![double(10, f64::NAN)],
            vec![double(10, 1.0)],
            "$.weight type",
        ),
        (
            vec![varint(14, u64::MAX)],
            vec![varint(14, u64::MAX - 1)],
            "$.big value",
        ),
        (
            vec![length(3, [length(1, "a"), varint(2, 1)].concat())],
            vec![length(3, [length(1, "b"), varint(2, 1)].concat())],
            "$.stock.a missing,$.stock.b extra",
        ),
    ] {
        assert_eq!(got(&old, &new).join(","), expected);
    }
    let any = |sku: &str| {
        length(
            16,
            [length(1, "x/shop.v1.Get"), length(2, length(1, sku))].concat(),
        )
    };
    assert_eq!(got(&[any("a")], &[any("b")]), ["$.extra.sku value"]);
}

#[test]
fn messages_of_a_stream_are_aligned() {
    let stream = |skus: &[&str]| {
        let messages = skus.iter().map(|sku| framed(0, length(1, sku)));
        grpc(messages.collect::<Vec<_>>().concat())
    };
    let found =
        |old: &[&str], new: &[&str]| reported(&called(LIST, &stream(old), &stream(new), &[]));
    assert_eq!(found(&["a", "b", "c"], &["a", "c"]), ["$[1] missing"]);
    assert_eq!(found(&["a", "b"], &["a", "x"]), ["$[1].sku value"]);
    assert_eq!(found(&["a", "b"], &["b", "a"]), ["$ order"]);
    assert_eq!(found(&["a"], &[]), ["body missing"]);
}

#[test]
fn rules_apply_to_fields() {
    let (old, new) = (unary(double(10, 1.0)), unary(double(10, 1.25)));
    let ruled = called(GET, &old, &new, &[("$.weight", "{round: 0}")]);
    assert_eq!(ruled.result, Compared::Equal(Via::Rules));
    let (old, new) = (unary(packed_sizes(&[1, 2])), unary(packed_sizes(&[2, 1])));
    let ruled = called(GET, &old, &new, &[("$.sizes", "unordered")]);
    assert_eq!(ruled.result, Compared::Equal(Via::Rules));
}

fn packed_sizes(sizes: &[u64]) -> Vec<u8> {
    length(2, packed(sizes))
}

#[test]
fn compression_makes_no_difference() {
    use std::io::Write as _;
    let message = length(1, "a");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&message).unwrap();
    let gzip = grpc(framed(1, gzip.finish().unwrap()));
    let gzip = with(gzip, "grpc-encoding", "gzip");
    let plain = with(unary(&message), "grpc-encoding", "identity");
    assert_eq!(
        called(GET, &gzip, &plain, &[]).result,
        Compared::Equal(Via::Exact)
    );
    assert_eq!(
        reported(&called(GET, &gzip, &unary(length(1, "b")), &[])),
        ["$.sku value"]
    );
    let undescribed = compared(&gzip, &plain, &[]);
    assert_eq!(undescribed.result, Compared::Equal(Via::Exact));
    // The same bytes in another coding are no message.
    let mislabelled = with(grpc(gzip.body.kept().clone()), "grpc-encoding", "deflate");
    assert_eq!(
        reported(&called(GET, &gzip, &mislabelled, &[])),
        ["body undecodable"]
    );
}

#[test]
fn messages_without_a_descriptor_are_bytes_and_it_is_reported() {
    let comparison = compared(&unary("abc"), &unary("abd"), &[]);
    assert_eq!(reported(&comparison), ["byte 7 bytes"]);
    assert!(comparison.undescribed);
    let shown = &comparison.differences()[0].old;
    let summary = Value::Summary {
        class: "messages without a descriptor",
        length: 8,
    };
    assert_eq!(shown, &Some(summary));
    assert!(!called(GET, &unary(""), &unary(varint(4, 1)), &[]).undescribed);
}

#[test]
fn unreadable_messages_are_undecodable_or_bytes() {
    let whole = unary(length(1, "a"));
    let cut = grpc(whole.body.kept().slice(..6));
    assert_eq!(
        reported(&called(GET, &whole, &cut, &[])),
        ["body undecodable"]
    );
    assert_eq!(reported(&compared(&whole, &cut, &[])), ["body undecodable"]);
    let two = grpc(whole.body.kept().repeat(2));
    assert_eq!(
        reported(&called(GET, &whole, &two, &[])),
        ["body undecodable"]
    );
    let other = grpc(whole.body.kept().slice(..7));
    assert_eq!(reported(&called(GET, &cut, &other, &[])), ["byte 6 bytes"]);
    assert_eq!(
        reported(&called(GET, &whole, &answer("text/plain", "x"), &[])).len(),
        3
    );
    let large = unary(length(12, "").repeat((1 << 20) + 1));
    assert_eq!(
        reported(&called(GET, &whole, &large, &[])),
        ["body_too_large"]
    );
}

#[test]
fn a_trailers_only_answer_is_a_normal_one() {
    let metadata = |status: &'static str| {
        let mut normal = grpc("");
        normal
            .trailers
            .insert("grpc-status", HeaderValue::from_static(status));
        normal
            .trailers
            .insert("grpc-message", HeaderValue::from_static("no%20item"));
        normal
            .trailers
            .insert("x-retry", HeaderValue::from_static("1"));
        normal
    };
    let normal = metadata("5");
    let mut only = answer("application/grpc", "");
    for name in ["grpc-status", "grpc-message", "x-retry"] {
        only.headers
            .insert(HeaderName::from_static(name), normal.trailers[name].clone());
    }
    only.headers
        .insert("grpc-message", HeaderValue::from_static("no item"));
    assert_eq!(differences(&normal, &only, &[]), [""; 0]);
    assert_eq!(differences(&only, &normal, &[]), [""; 0]);
    assert_eq!(
        differences(&only, &metadata("14"), &[]),
        ["trailer.grpc-status value"]
    );
    let both = with(only.clone(), "x-own", "1");
    assert_eq!(differences(&both, &only, &[]), ["header.x-own missing"]);
    assert_eq!(
        differences(&only, &grpc(""), &[]),
        [
            "header.x-retry missing",
            "trailer.grpc-message missing",
            "trailer.grpc-status value",
        ]
    );
    let ruled = compared(&only, &metadata("14"), &[("trailer.grpc-status", "ignore")]);
    assert_eq!(ruled.result, Compared::Equal(Via::Rules));
}

#[test]
fn details_of_a_status_are_compared_as_a_message() {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
    };
    let status = [varint(1, 5), length(2, "no")];
    let answer = |details: String| {
        let mut answer = grpc("");
        answer
            .trailers
            .insert("grpc-status-details-bin", details.parse().unwrap());
        answer
    };
    let old = answer(STANDARD.encode(status.concat()));
    let [code, message] = status;
    let new = answer(STANDARD_NO_PAD.encode([message.clone(), code].concat()));
    assert_eq!(differences(&old, &new, &[]), [""; 0]);
    let new = answer(STANDARD.encode(message));
    let comparison = compared(&old, &new, &[]);
    assert_eq!(
        reported(&comparison),
        ["trailer.grpc-status-details-bin value"]
    );
    let shown = serde_json::json!({"code": 5, "message": "no", "details": []});
    assert_eq!(comparison.differences()[0].old, Some(Value::Json(shown)));
}
