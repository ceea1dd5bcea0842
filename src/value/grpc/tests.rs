//! How bodies become JSON, and what is refused.

use super::*;
use crate::value::tests::wire::{SHOP, described, double, float, framed, length, packed, varint};
use http::HeaderValue;

const LIMITS: Limits = Limits {
    max_text: 1 << 20,
    max_depth: 64,
};

fn read(body: Vec<u8>, path: &str) -> Result<String, Unreadable> {
    let descriptors = described(SHOP);
    let of = &descriptors.call(path).unwrap().answer;
    let messages = frames(&body.into(), "", 1 << 20)?;
    json(&messages, of, LIMITS).map(|text| String::from_utf8(text).unwrap())
}

fn item(message: &[Vec<u8>]) -> serde_json::Value {
    let text = read(framed(0, message.concat()), "/shop.v1.Catalogue/Get").unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_not_sent_has_its_default_unless_presence_counts() {
    let text = read(framed(0, ""), "/shop.v1.Catalogue/Get").unwrap();
    assert_eq!(
        text,
        r#"{"sku":"","sizes":[],"stock":{},"color":"UNKNOWN","blob":"","weight":0.0,"flag":false,"#
            .to_owned()
            + r#""parts":[],"ratio":0.0,"big":0,"delta":0,"colors":{}}"#
    );
    let sent = item(&[varint(4, 0), varint(5, 0), length(8, "")]);
    assert_eq!([&sent["rank"], &sent["cents"]], [0, 0]);
    assert_eq!(sent["child"]["sku"], "");
}

#[test]
fn values_are_exact() {
    let sent = item(&[
        varint(14, u64::MAX),
        varint(4, (-7i64) as u64),
        varint(15, 3),
        double(10, 1e300),
        float(13, 0.1),
        length(9, b"\x00\xff"),
        varint(7, 2),
        length(17, [varint(1, 1), varint(2, 9)].concat()),
        length(1, "\"\n\u{1}é"),
    ]);
    assert_eq!(sent["big"].to_string(), "18446744073709551615");
    assert_eq!(
        (&sent["rank"], &sent["delta"]),
        (&(-7).into(), &(-2).into())
    );
    assert_eq!(
        (sent["weight"].to_string(), sent["ratio"].to_string()),
        ("1e+300".into(), "0.1".into())
    );
    assert_eq!(
        (&sent["blob"], &sent["color"]),
        (&"AP8=".into(), &"GREEN".into())
    );
    assert_eq!(sent["colors"]["1"], 9, "a number without a name");
    assert_eq!(sent["sku"], "\"\n\u{1}é");
    for (value, text) in [
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(item(&[double(10, value)])["weight"], text);
    }
}

#[test]
fn unknown_fields_stand_at_their_numbers_as_bytes() {
    let sent = item(&[varint(99, 5), length(98, "x"), varint(99, 6)]);
    // The tag of 99 as a varint is 0x98 0x06.
    assert_eq!(sent["#99"], "mAYFmAYG");
    assert_ne!(
        item(&[length(99, [5])])["#99"],
        item(&[varint(99, 5)])["#99"]
    );
}

#[test]
fn any_is_resolved_as_far_as_its_type_is_described() {
    let any = |url: &str, value: &[u8]| length(16, [length(1, url), length(2, value)].concat());
    let get = length(1, "a");
    let sent = item(&[any("type.googleapis.com/shop.v1.Get", &get)]);
    assert_eq!(
        sent["extra"].to_string(),
        r#"{"@type":"type.googleapis.com/shop.v1.Get","sku":"a"}"#
    );
    let unknown = item(&[any("x/shop.v1.Nothing", b"a")]);
    assert_eq!(
        unknown["extra"].to_string(),
        r#"{"type_url":"x/shop.v1.Nothing","value":"YQ=="}"#
    );
    let malformed = item(&[any("x/shop.v1.Get", b"\x0a")]);
    assert_eq!(malformed["extra"]["value"], "Cg==");
    let mut nested = get;
    for _ in 0..3 {
        let inner = [length(1, "x/google.protobuf.Any"), length(2, nested)].concat();
        nested = inner;
    }
    let sent = item(&[length(16, nested)]);
    assert_eq!(
        sent["extra"]["value"]["value"]["@type"],
        "x/google.protobuf.Any"
    );
}

#[test]
fn a_stream_is_an_array_and_a_unary_answer_is_its_message() {
    let two = [framed(0, length(1, "a")), framed(0, length(1, "b"))].concat();
    let streamed = read(two.clone(), "/shop.v1.Catalogue/List").unwrap();
    let streamed: serde_json::Value = serde_json::from_str(&streamed).unwrap();
    assert_eq!(
        (&streamed[0]["sku"], &streamed[1]["sku"]),
        (&"a".into(), &"b".into())
    );
    assert_eq!(read(Vec::new(), "/shop.v1.Catalogue/List").unwrap(), "[]");
    let unary = read(two, "/shop.v1.Catalogue/Get");
    assert_eq!(unary, Err(Unreadable::NotOne { messages: 2 }));
}

#[test]
fn what_is_cut_or_malformed_is_refused() {
    let whole = framed(0, length(1, "abc"));
    for end in 1..whole.len() {
        let cut = [&whole[..], &whole[..end]].concat();
        let cut = read(cut, "/shop.v1.Catalogue/List");
        assert_eq!(cut, Err(Unreadable::Cut { messages: 1 }), "{end}");
    }
    let flag = read(framed(2, ""), "/shop.v1.Catalogue/Get");
    assert_eq!(flag, Err(Unreadable::Flag { index: 0, flag: 2 }));
    let coding = read(framed(1, ""), "/shop.v1.Catalogue/Get");
    assert_eq!(coding, Err(Unreadable::NoCoding { index: 0 }));
    for message in [
        &b"\x0a\x05ab"[..],
        b"\x0a\x01\xff",
        b"\x0b",
        b"\x08\x01",
        b"\x00\x01",
    ] {
        let read = read(framed(0, message), "/shop.v1.Catalogue/Get");
        assert!(
            matches!(read, Err(Unreadable::Malformed { .. })),
            "{message:?} {read:?}"
        );
    }
}

#[test]
fn messages_are_decompressed_one_by_one() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&length(1, "a")).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(&length(1, "a")).unwrap();
    let zlib = zlib.finish().unwrap();
    for (coding, bytes) in [("gzip", &gzip), ("deflate", &zlib)] {
        let body = [framed(1, bytes), framed(0, length(1, "a"))].concat();
        let messages = frames(&body.into(), coding, 100).unwrap();
        assert_eq!(messages, [length(1, "a"), length(1, "a")], "{coding}");
    }
    let snappy = frames(&framed(1, "x").into(), "snappy", 100);
    assert!(matches!(
        snappy,
        Err(Unreadable::Compressed { index: 0, .. })
    ));
    let bomb = frames(&framed(1, &gzip).into(), "gzip", 2);
    assert_eq!(bomb, Err(Unreadable::TooLarge));
    let many = frames(&[framed(0, "ab"), framed(0, "ab")].concat().into(), "", 3);
    assert_eq!(many, Err(Unreadable::TooLarge));
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    let get = "/shop.v1.Catalogue/Get";
    let parts = length(12, "").repeat((1 << 20) + 1);
    assert_eq!(
        read_up_to(parts, get, usize::MAX),
        Err(Unreadable::TooLarge)
    );
    let sizes = length(2, packed(&[1; 1 << 20]));
    assert_eq!(
        read_up_to(sizes, get, usize::MAX),
        Err(Unreadable::TooLarge)
    );
    let sizes = length(2, packed(&[1; 1000]));
    assert_eq!(
        read_up_to(sizes.clone(), get, 1999),
        Err(Unreadable::TooLarge)
    );
    assert!(read_up_to(sizes, get, 3000).is_ok());
    // An empty message writes all of its defaults.
    let parts = length(12, "").repeat(100);
    assert_eq!(read_up_to(parts, get, 5000), Err(Unreadable::TooLarge));
    let deep = (0..70).fold(Vec::new(), |inner, _| length(8, inner));
    assert_eq!(read_up_to(deep, get, usize::MAX), Err(Unreadable::TooDeep));
    let any = (0..70).fold(Vec::new(), |inner, _| {
        [length(1, "x/google.protobuf.Any"), length(2, inner)].concat()
    });
    assert_eq!(
        read_up_to(length(16, any), get, usize::MAX),
        Err(Unreadable::TooDeep)
    );
}

fn read_up_to(message: Vec<u8>, path: &str, max_text: usize) -> Result<usize, Unreadable> {
    let descriptors = described(SHOP);
    let of = &descriptors.call(path).unwrap().answer;
    let messages = [message.into()];
    let limits = Limits { max_text, ..LIMITS };
    json(&messages, of, limits).map(|text| text.len())
}

#[test]
fn metadata_is_decoded() {
    let descriptors = described(SHOP);
    let decoded = |name: &'static str, value: &'static str| {
        let decoded = decoded(
            &HeaderName::from_static(name),
            value.as_bytes(),
            &descriptors,
        );
        String::from_utf8(decoded.into_owned()).unwrap()
    };
    assert_eq!(
        decoded("grpc-message", "no%20such%20item%"),
        "no such item%"
    );
    assert_eq!(
        [decoded("x-a-bin", "YQ"), decoded("x-a-bin", "YQ==")],
        ["a", "a"]
    );
    assert_eq!(decoded("x-a", "YQ"), "YQ");
    assert_eq!(decoded("x-a-bin", "!"), "!");
    // Code 5, message `no`, and a detail of a described type.
    let detail = [length(1, "x/shop.v1.Get"), length(2, length(1, "a"))].concat();
    let status = [varint(1, 5), length(2, "no"), length(3, detail)].concat();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD_NO_PAD, status);
    let encoded: &'static str = encoded.leak();
    assert_eq!(
        decoded("grpc-status-details-bin", encoded),
        r#"{"code":5,"message":"no","details":[{"@type":"x/shop.v1.Get","sku":"a"}]}"#
    );
}

#[test]
fn a_media_type_is_that_of_grpc_or_not() {
    for (media_type, expected) in [
        ("application/grpc", true),
        ("Application/gRPC+proto", true),
        ("application/grpc+json", true),
        ("application/grpc-web", false),
        ("application/grpcx", false),
        ("application/json", false),
        ("é", false),
    ] {
        assert_eq!(is_grpc(media_type), expected, "{media_type}");
    }
    let coding = |value| {
        coding(&HeaderMap::from_iter([(
            GRPC_ENCODING,
            HeaderValue::from_static(value),
        )]))
    };
    assert_eq!(
        [coding("identity"), coding("GZIP"), coding("")],
        ["", "gzip", ""]
    );
}

#[test]
fn only_one_whole_message_is_one() {
    assert!(is_one_message(&framed(0, "abc")) && is_one_message(&framed(1, "")));
    for body in [
        vec![],
        framed(2, ""),
        framed(0, "a")[..5].to_vec(),
        framed(0, "").repeat(2),
    ] {
        assert!(!is_one_message(&body), "{body:?}");
    }
}

#[test]
fn comments_are_no_part_of_the_fingerprint() {
    let print = |proto: &str| described(proto).fingerprint().map(str::to_owned);
    assert_eq!(print(SHOP), print(&format!("// A shop.\n{SHOP}")));
    assert_ne!(print(SHOP), print(&SHOP.replace("blob = 9", "blob = 19")));
    assert_eq!(Descriptors::default().fingerprint(), None);
}
