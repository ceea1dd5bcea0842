//! Bodies without rules.

use super::*;
use crate::value::Numbers;

#[test]
fn json_is_equal_however_it_is_spelled() {
    for (old, new) in [
        (r#"{"a":1,"b":[1,2]}"#, "{ \"b\" : [1, 2],\n\"a\":1.0 }"),
        (r#"["\u00e9","a\/b"]"#, r#"["é","a/b"]"#),
        ("[1e0,-0,0.50]", "[1,0,0.5]"),
        (r#"{"\u0061":1}"#, r#"{"a":1}"#),
        ("1e400", "10e399"),
    ] {
        assert_eq!(json_differences(old, new, &[]), [""; 0], "{old} {new}");
    }
}

#[test]
fn json_differences_are_reported_at_their_place() {
    for (old, new, expected) in [
        ("9007199254740993", "9007199254740992", vec!["$ value"]),
        (r#"{"a":1}"#, r#"{"a":"1"}"#, vec!["$.a type"]),
        (r#"{"a":null}"#, r#"{"a":"x"}"#, vec!["$.a type"]),
        (r#"{"a":null}"#, "{}", vec!["$.a missing"]),
        ("{}", r#"{"a":null}"#, vec!["$.a extra"]),
        (r#"{"a":true}"#, r#"{"a":false}"#, vec!["$.a value"]),
        (
            r#"{"a b":{"@id":1}}"#,
            r#"{"a b":{"@id":2}}"#,
            vec!["$['a b']['@id'] value"],
        ),
        (
            r#"{"a":{},"b":1,"c":2}"#,
            r#"{"c":3,"d":4,"a":[]}"#,
            vec!["$.a type", "$.b missing", "$.c value", "$.d extra"],
        ),
        ("[1,2,3]", "[1,9,2,3]", vec!["$[1] extra"]),
        ("[1,2,3]", "[1,3]", vec!["$[1] missing"]),
        ("[1,2,3]", "[1,5,3]", vec!["$[1] value"]),
        ("[1,2,3]", "[3,1,2]", vec!["$ order"]),
        (
            r#"{"x":[{"a":1},{"a":2}]}"#,
            r#"{"x":[{"a":2},{"a":1}]}"#,
            vec!["$.x order"],
        ),
        (
            r#"[{"a":1,"b":1},{"a":2,"b":2},{"a":3,"b":3}]"#,
            r#"[{"a":0,"b":0},{"b":2,"a":2},{"a":3,"b":4}]"#,
            vec!["$[0].a value", "$[0].b value", "$[2].b value"],
        ),
        (
            "[1,2,3,4,5,6]",
            "[0,1,2,4,5,7,8]",
            vec!["$[0] extra", "$[2] missing", "$[5] value", "$[6] extra"],
        ),
        ("[[1],[2],[3]]", "[[1],[2,5],[3]]", vec!["$[1][1] extra"]),
    ] {
        assert_eq!(json_differences(old, new, &[]), expected, "{old} {new}");
    }
}

#[test]
fn numbers_may_be_compared_by_their_spelling() {
    let mut comparing = CompareConfig::default();
    comparing.options.numbers = Numbers::Lexical;
    let comparison = compare(&json("[1, 2]"), &json("[1.0, 2]"), &context(), &comparing);
    assert_eq!(reported(&comparison), ["$[0] value"]);
}

#[test]
fn many_members_find_each_other() {
    let members: Vec<_> = (0..1000)
        .map(|n| format!("\"k{n}\":{{\"n\":{n}}}"))
        .collect();
    let old = format!("{{{}}}", members.join(","));
    let mut reversed = members.clone();
    reversed.reverse();
    let new = format!("{{{}}}", reversed.join(", "));
    assert_eq!(json_differences(&old, &new, &[]), [""; 0]);
    let new = new
        .replace("\"n\":77}", "\"n\":78}")
        .replace("\"k5\"", "\"kk5\"");
    assert_eq!(
        json_differences(&old, &new, &[]),
        ["$.k5 missing", "$.k77.n value", "$.kk5 extra"]
    );
}

#[test]
fn only_so_many_differences_are_kept_but_all_are_counted() {
    let numbers = |from: usize| format!("{:?}", (from..from + 250).collect::<Vec<_>>());
    let comparison = compared(&json(numbers(0)), &json(numbers(1000)), &[]);
    let Compared::Different { differences, count } = comparison.result else {
        panic!("all differ");
    };
    assert_eq!((differences.len(), count), (100, 250));
}

#[test]
fn large_values_are_summed_up() {
    let long = "x".repeat(20_000);
    let comparison = compared(&json(format!("[\"{long}\"]")), &json("[1]"), &[]);
    let Compared::Different { differences, .. } = comparison.result else {
        panic!("they differ");
    };
    let summary = Value::Summary {
        class: "string",
        length: 20_002,
    };
    assert_eq!(differences[0].old, Some(summary));
    assert_eq!(differences[0].new, Some(Value::Json(1.into())));
}

#[test]
fn values_are_carried_exactly() {
    let comparison = compared(
        &json(r#"{"a":9007199254740993.10}"#),
        &json(r#"{"a":1e400}"#),
        &[],
    );
    let Compared::Different { differences, .. } = comparison.result else {
        panic!("they differ");
    };
    let shown = |value: &Option<Value>| match value {
        Some(Value::Json(value)) => value.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(&differences[0].old), "9007199254740993.10");
    assert!(
        shown(&differences[0].new).eq_ignore_ascii_case("1e400")
            || shown(&differences[0].new) == "1e+400"
    );
}

#[test]
fn unreadable_body_is_reported_with_reason_and_place_only() {
    let gzip = with(answer("text/plain", "secret"), "content-encoding", "gzip");
    let compress = with(
        answer("text/plain", "secret"),
        "content-encoding",
        "compress",
    );
    for (new, why) in [
        (
            json(r#"{"secret" 1}"#),
            "not JSON at byte 10: expected a colon",
        ),
        (
            json(r#"{"secret":1,"secret":2}"#),
            "not JSON at byte 12: a key is given twice",
        ),
        (
            json("[".repeat(200)),
            "not JSON at byte 128: nested too deep",
        ),
        (
            answer("application/x-ndjson", "1\n{secret\n"),
            "not JSON at byte 3: expected a key",
        ),
        (
            answer("application/xml", "<secret></a>"),
            "not well-formed XML without a DTD at byte 8",
        ),
        (
            answer("text/plain", &b"secret\xff"[..]),
            "not UTF-8 at byte 6",
        ),
        (gzip, "not gzip from decoded byte 0 on"),
        (
            compress,
            "`compress` is not a content coding that can be undone",
        ),
    ] {
        let mut old = new.clone();
        old.headers.remove("content-encoding");
        old.body = if old.headers[CONTENT_TYPE] == "application/xml" {
            "<a/>".into()
        } else {
            "1".into()
        };
        let comparison = compared(&old, &new, &[]);
        let unreadable = Value::Unreadable {
            why: why.to_owned(),
            length: new.body.kept().len(),
        };
        assert_eq!(comparison.differences()[0].new, Some(unreadable));
        let mirrored = compared(&new, &old, &[]);
        assert_eq!(
            mirrored.differences()[0].old,
            comparison.differences()[0].new
        );
    }
}

#[test]
fn what_is_undecodable_on_one_side_is_one_difference() {
    assert_eq!(json_differences("{", "{}", &[]), ["body undecodable"]);
    assert_eq!(
        json_differences("{}", r#"{"a":1,"a":1}"#, &[]),
        ["body undecodable"]
    );
    assert_eq!(
        json_differences("{\n", "{ \n", &[]),
        ["line 1 text"],
        "both are text then"
    );
    let gzip = |body: &'static [u8]| with(answer("text/plain", body), "content-encoding", "gzip");
    assert_eq!(
        differences(&gzip(b"no gzip"), &answer("text/plain", "no gzip"), &[]),
        ["body undecodable"]
    );
    assert_eq!(
        differences(&gzip(b"no gzip"), &gzip(b"no gzip"), &[]),
        [""; 0]
    );
    assert_eq!(
        differences(&gzip(b"no gzip"), &gzip(b"nor this"), &[]),
        ["line 1 text"]
    );
}

#[test]
fn codings_are_undone_before_comparing() {
    let zipped = zstd::encode_all(&br#"{"a": 1}"#[..], 3).unwrap();
    let old = with(
        answer("application/json", zipped),
        "content-encoding",
        "zstd",
    );
    assert_eq!(differences(&old, &json(r#"{"a":1}"#), &[]), [""; 0]);
    assert_eq!(differences(&old, &json(r#"{"a":2}"#), &[]), ["$.a value"]);
}

#[test]
fn a_body_too_large_is_not_compared() {
    let zipped = zstd::encode_all(&vec![b' '; 20 << 20][..], 3).unwrap();
    let old = with(
        answer("application/json", zipped),
        "content-encoding",
        "zstd",
    );
    assert_eq!(differences(&old, &json("1"), &[]), ["body_too_large"]);
}

#[test]
fn formats_that_differ_are_one_difference() {
    let text = answer("text/plain", "{ }");
    assert_eq!(
        differences(&json("{}"), &text, &[]),
        ["header.content-type value", "body format"]
    );
    assert_eq!(
        differences(&json("{}"), &answer("application/hal+json", "{ }"), &[]),
        ["header.content-type value"]
    );
}

#[test]
fn equal_bytes_never_differ_in_format() {
    let header = ["header.content-type value"];
    for kind in ["text/plain", "application/octet-stream", "application/xml"] {
        let other = answer(kind, "{}");
        assert_eq!(differences(&json("{}"), &other, &[]), header, "{kind}");
        assert_eq!(differences(&other, &json("{}"), &[]), header, "{kind}");
    }
    let zipped = zstd::encode_all(&b"{}"[..], 3).unwrap();
    let zipped = with(answer("text/plain", zipped), "content-encoding", "zstd");
    assert_eq!(differences(&json("{}"), &zipped, &[]), header, "decoded");
}

#[test]
fn rule_for_the_content_type_decides_the_format_too() {
    let (old, new) = (answer("text/plain", "{\"a\": 1}"), json("{\"a\":1.0}"));
    let map = "{map: {table: {text/plain: application/json}, on: old}}";
    for action in ["ignore", "{same: any}", map] {
        let rule = [("header.content-type", action)];
        assert_eq!(differences(&old, &new, &rule), [""; 0], "{action}");
        let other = json("{\"a\":2}");
        assert_eq!(differences(&old, &other, &rule), ["$.a value"], "{action}");
        assert_eq!(
            differences(&other, &old, &[("header.content-type", "ignore")]),
            ["$.a value"]
        );
    }
    let elsewhere = "{map: {table: {text/plain: application/xml}, on: old}}";
    let expected = ["header.content-type value", "body format"];
    let rule = [("header.content-type", elsewhere)];
    assert_eq!(differences(&old, &new, &rule), expected);
    let untyped = |mut answer: Answer| {
        answer.headers.clear();
        answer
    };
    let optional = [("header.content-type", "ignore")];
    assert_eq!(differences(&untyped(old), &new, &optional), [""; 0]);
}

#[test]
fn one_record_of_ndjson_is_the_same_as_json() {
    let records = |body: &'static str| answer("application/x-ndjson", body);
    let header = "header.content-type value";
    for record in ["{\"a\":1}", "{\"a\":1}\n", "\n{ \"a\": 1.0 }\r\n\n"] {
        let [one, document] = [records(record), json("{\"a\": 1}")];
        assert_eq!(differences(&one, &document, &[]), [header], "{record}");
        assert_eq!(differences(&document, &one, &[]), [header], "{record}");
    }
    let changed = json("{\"a\": 2}");
    assert_eq!(
        differences(&records("{\"a\":1}\n"), &changed, &[]),
        [header, "$.a value"]
    );
    for other in ["{\"a\":1}\n{\"a\":1}\n", "\n"] {
        let reported = differences(&records(other), &json("{\"a\": 1}"), &[]);
        assert_eq!(reported, [header, "body format"], "{other}");
    }
}

#[test]
fn bytes_differ_at_an_offset() {
    let bytes = |body: &'static [u8]| answer("image/png", body);
    assert_eq!(
        differences(&bytes(b"\x89PNG1"), &bytes(b"\x89PNG2"), &[]),
        ["byte 4 bytes"]
    );
    assert_eq!(
        differences(&bytes(b"abc"), &bytes(b"abcd"), &[]),
        ["byte 3 bytes"]
    );
    let latin = |body: &'static [u8]| answer("text/plain; charset=latin-1", body);
    assert_eq!(
        differences(&latin(b"caf\xe9"), &latin(b"caf\xe8"), &[]),
        ["byte 3 bytes"],
        "not UTF-8"
    );
}

#[test]
fn a_body_on_one_side_only_is_missing_or_extra() {
    assert_eq!(json_differences("{}", "", &[]), ["body missing"]);
    assert_eq!(json_differences("", "{}", &[]), ["body extra"]);
    assert_eq!(json_differences("", "", &[]), [""; 0]);
}

#[test]
fn head_and_bodiless_statuses_have_no_body() {
    let head = Context {
        method: &Method::HEAD,
        ..context()
    };
    let comparison = compare(&json("1"), &json("2"), &head, &CompareConfig::default());
    assert_eq!(comparison.result, Compared::Equal(Via::Exact));
    let mut old = json("1");
    let mut new = json("2");
    old.status = StatusCode::NOT_MODIFIED;
    new.status = StatusCode::NOT_MODIFIED;
    assert_eq!(differences(&old, &new, &[]), [""; 0]);
}

#[test]
fn deep_documents_never_overflow_the_stack() {
    let deep =
        |depth: usize, leaf: &str| format!("{}{leaf}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        json_differences(&deep(100, "1"), &deep(100, "2"), &[]).len(),
        1
    );
    assert_eq!(
        json_differences(&deep(10_000, "1"), &deep(10_000, "1 "), &[]),
        ["line 1 text"]
    );
}

#[test]
fn the_deepest_documents_fit_the_stack_of_a_thread() {
    let nested = |depth: usize, leaf: &str| {
        let (open, close) = ("[0,{\"a\":".repeat(depth / 2), "},1]".repeat(depth / 2));
        format!("{open}{leaf}{close}")
    };
    for rules in [
        &[][..],
        &[("$..*", "unordered"), ("$..*", "{tolerance: {abs: 1}}")],
    ] {
        let mut comparing = ruled(rules);
        comparing.options.max_depth = usize::MAX;
        let (old, new) = (json(nested(1024, "1")), json(nested(1024, "\"x\"")));
        assert_eq!(
            reported(&compare(&old, &new, &context(), &comparing)).len(),
            1
        );
    }
    assert_eq!(
        json_differences(&nested(1026, "1"), &nested(1026, "2"), &[]).len(),
        1
    );
}

#[test]
fn long_arrays_end_in_time() {
    let numbers = |numbers: &mut dyn Iterator<Item = u32>| {
        let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
        format!("[{}]", numbers.join(","))
    };
    let old = numbers(&mut (0..100_000));
    assert_eq!(
        json_differences(&old, &numbers(&mut (0..100_000).rev()), &[]),
        ["$ order"]
    );
    let unordered = [("$", "unordered")];
    assert_eq!(
        json_differences(&old, &numbers(&mut (0..100_000).rev()), &unordered),
        [""; 0]
    );
}
