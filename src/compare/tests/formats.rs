//! Bodies that are not JSON.

use super::*;

fn xml(body: impl Into<bytes::Bytes>) -> Answer {
    answer("application/xml", body)
}

fn form(body: &'static str) -> Answer {
    answer("application/x-www-form-urlencoded", body)
}

fn xml_differences(old: &str, new: &str) -> Vec<String> {
    differences(&xml(old.to_owned()), &xml(new.to_owned()), &[])
}

#[test]
fn xml_is_equal_however_it_is_spelled() {
    for (old, new) in [
        ("<a b='1' c='2'/>", "<a c=\"2\"\n b=\"1\"></a>"),
        ("<a>x&amp;y</a>", "<a><![CDATA[x&y]]></a>"),
        (
            "<a>xy</a>",
            "<?xml version='1.0'?><!-- z --><a>x<!-- z -->&#121;</a>",
        ),
        ("<a><b/><c/></a>", "<a>\n  <c/>\n  <b></b>\n</a>"),
        (
            "<p:a xmlns:p='urn:x'><p:b/></p:a>",
            "<a xmlns='urn:x'><b/></a>",
        ),
        (
            "<a xmlns:p='u' p:b='1'/>",
            "<a xmlns:q='u' q:b='1' xmlns:r='unused'/>",
        ),
        ("<a>é\r\n</a>", "<a>&#xe9;\n</a>"),
        ("<a><b/>x</a>", "<a><b/><!-- y -->x</a>"),
        ("<a> </a>", "<a/>"),
    ] {
        assert_eq!(xml_differences(old, new), [""; 0], "{old} {new}");
    }
}

#[test]
fn xml_differences_are_reported_at_their_place() {
    for (old, new, expected) in [
        ("<a>x</a>", "<a>y</a>", vec!["$.a['#text'] value"]),
        ("<a>x</a>", "<a/>", vec!["$.a['#text'] missing"]),
        ("<a/>", "<b/>", vec!["$.a missing", "$.b extra"]),
        ("<a b='1'/>", "<a b='2'/>", vec!["$.a['@b'] value"]),
        ("<a b='1'/>", "<a/>", vec!["$.a['@b'] missing"]),
        (
            "<o><l>1</l><l>2</l></o>",
            "<o><l>1</l><l>3</l></o>",
            vec!["$.o.l[1]['#text'] value"],
        ),
        (
            "<o><l>1</l></o>",
            "<o><l>1</l><l>2</l></o>",
            vec!["$.o.l[1] extra"],
        ),
        (
            "<o><l>1</l><l>2</l></o>",
            "<o><l>2</l><l>1</l></o>",
            vec!["$.o.l order"],
        ),
        (
            "<o><i><l/></i><i><l/><l>x</l></i></o>",
            "<o><i><l/></i><i><l/><l>y</l></i></o>",
            vec!["$.o.i[1].l[1]['#text'] value"],
        ),
    ] {
        assert_eq!(xml_differences(old, new), expected, "{old} {new}");
    }
}

#[test]
fn namespaces_and_mixed_content_are_reported_at_their_place() {
    for (old, new, expected) in [
        (
            "<a xmlns='urn:x'><b/></a>",
            "<a xmlns='urn:x'><b xmlns='urn:y'/></a>",
            vec!["$.a.b['@xmlns'] extra"],
        ),
        (
            "<a xmlns='urn:x'/>",
            "<a xmlns='urn:y'/>",
            vec!["$.a['@xmlns'] value"],
        ),
        (
            "<p:a xmlns:p='urn:x'/>",
            "<p:a xmlns:p='urn:y'/>",
            vec!["$.a['@xmlns'] value"],
        ),
        (
            "<a xmlns:p='u' p:b='1'/>",
            "<a b='1'/>",
            vec!["$.a['@{u}b'] missing", "$.a['@b'] extra"],
        ),
        (
            "<a xml:lang='de'/>",
            "<a xml:lang='fr'/>",
            vec!["$.a['@xml:lang'] value"],
        ),
        (
            "<p>one <b>two</b> three</p>",
            "<p>one <b>two</b> four</p>",
            vec!["$.p['#text'][1] value"],
        ),
        (
            "<p>one<b/><c/></p>",
            "<p><b/>one<c/></p>",
            vec!["$.p['#order'] order"],
        ),
        (
            "<a xml:space='preserve'> <b xml:space='default'> </b></a>",
            "<a xml:space='preserve'>  <b xml:space='default'>  </b></a>",
            vec!["$.a['#text'] value"],
        ),
        ("<a><?p x?></a>", "<a><?p y?></a>", vec!["$.a['?p'] value"]),
        ("<?p x?><a/>", "<a/>", vec!["$['?p'] missing"]),
        ("<a>1.0</a>", "<a>1</a>", vec!["$.a['#text'] value"]),
        ("<a>\u{a0}</a>", "<a/>", vec!["$.a['#text'] missing"]),
    ] {
        assert_eq!(xml_differences(old, new), expected, "{old} {new}");
    }
}

#[test]
fn rules_stand_at_places_in_xml_as_in_json() {
    let old = xml("<o><l id='1'>2024</l><l id='2'>b</l></o>");
    let new = xml("<o><l id='2'>b</l><l id='1'>2025</l></o>");
    let rules = [
        ("$.o.l", "unordered"),
        ("$.o.l[?@['@id']=='1']['#text']", "ignore"),
    ];
    assert_eq!(differences(&old, &new, &rules), [""; 0]);
}

#[test]
fn xml_is_read_in_its_charset() {
    let declared = |encoding: &str, text: &[u8]| {
        let head = format!("<?xml version='1.0' encoding='{encoding}'?><a>");
        xml([head.as_bytes(), text, b"</a>"].concat())
    };
    let utf_8 = xml("<a>é</a>");
    assert_eq!(
        differences(&declared("ISO-8859-1", b"\xe9"), &utf_8, &[]),
        [""; 0]
    );
    assert_eq!(
        differences(&declared("ISO-8859-1", b"\xe8"), &utf_8, &[]),
        ["$.a['#text'] value"]
    );
    let marked: Vec<u8> = "\u{feff}<a>é</a>"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(differences(&xml(marked), &utf_8, &[]), [""; 0]);
    let typed = answer("text/xml; charset=latin1", &b"<a>\xe9</a>"[..]);
    let reported = differences(&typed, &utf_8, &[]);
    assert_eq!(reported, ["header.content-type value"]);
    assert_eq!(
        differences(&declared("klingon", b"x"), &xml("<a>x</a>"), &[]),
        ["body undecodable"]
    );
}

#[test]
fn what_is_no_xml_is_undecodable() {
    let bomb = "<!DOCTYPE a [<!ENTITY b 'bbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
    assert_eq!(xml_differences(bomb, "<a/>"), ["body undecodable"]);
    assert_eq!(xml_differences("<a>", "<a/>"), ["body undecodable"]);
    assert_eq!(
        xml_differences(bomb, &bomb.replace("bbb", "b")),
        ["line 1 text"]
    );
}

#[test]
fn deep_and_involved_xml_is_undecodable_or_too_large_but_ends() {
    let deep =
        |depth: usize, leaf: &str| format!("{}{leaf}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(xml_differences(&deep(100, "1"), &deep(100, "2")).len(), 1);
    assert_eq!(
        xml_differences(&deep(10_000, "1"), &deep(100, "1")),
        ["body undecodable"]
    );
    assert_eq!(
        xml_differences(&deep(10_000, "1"), &deep(10_000, "2")),
        ["line 1 text"]
    );
    let mut comparing = CompareConfig::default();
    comparing.options.max_depth = usize::MAX;
    let (old, new) = (xml(deep(1000, "1")), xml(deep(1000, "2")));
    assert_eq!(
        reported(&compare(&old, &new, &context(), &comparing)).len(),
        1
    );
    let attributes: String = (0..20_000).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(
        xml_differences(&format!("<a{attributes}/>"), "<a/>"),
        ["body_too_large"]
    );
    let items = |leaf: &str| format!("<a>{}{leaf}</a>", "<b/>".repeat(200_000));
    assert_eq!(xml_differences(&items("<b/>"), &items("<b>1</b>")).len(), 1);
    let nodes = format!("<a>{}</a>", "<b/>".repeat(1 << 20));
    assert_eq!(xml_differences(&nodes, "<a/>"), ["body_too_large"]);
}

#[test]
fn names_of_namespaces_that_repeat_are_bounded() {
    let uri = "u".repeat(1000);
    let items = format!(
        "<x xmlns:p='{uri}'>{}</x>",
        "<p:a><b/></p:a>".repeat(70_000)
    );
    assert_eq!(xml_differences(&items, "<x/>"), ["body_too_large"]);
}

#[test]
fn records_are_aligned() {
    let ndjson = |body: &'static str| answer("application/x-ndjson", body);
    let old = ndjson("{\"id\":1,\"n\":2}\n{\"id\":2}\n\n");
    for (new, expected) in [
        ("{ \"n\":2.0, \"id\":1}\r\n{\"id\":2}", vec![]),
        ("{\"id\":1,\"n\":3}\n{\"id\":2}\n", vec!["$[0].n value"]),
        (
            "{\"id\":1,\"n\":2}\n{\"id\":0}\n{\"id\":2}\n",
            vec!["$[1] extra"],
        ),
        ("{\"id\":2}\n", vec!["$[0] missing"]),
        ("{\"id\":2}\n{\"id\":1,\"n\":2}\n", vec!["$ order"]),
        (
            "{\"id\":1,\n\"n\":2}\n{\"id\":2}\n",
            vec!["body undecodable"],
        ),
        ("", vec!["body missing"]),
    ] {
        assert_eq!(differences(&old, &ndjson(new), &[]), expected, "{new}");
    }
    assert_eq!(
        differences(
            &old,
            &ndjson("{\"id\":2}\n{\"id\":1,\"n\":2}\n"),
            &[("$", "unordered")]
        ),
        [""; 0]
    );
    let seq = |body: &'static str| answer("application/json-seq", body);
    assert_eq!(
        differences(
            &seq("\u{1e}{\"a\":1}\n\u{1e}2\n"),
            &seq("\u{1e}{\n\"a\":1}\u{1e}3\n"),
            &[]
        ),
        ["$[1] value"]
    );
    assert_eq!(
        differences(&seq("\u{1e}1\n"), &ndjson("1\n"), &[]),
        ["header.content-type value", "body format"]
    );
}

#[test]
fn fields_of_forms_are_compared_by_name() {
    let old = form("a=1&b=x+y&b=z&c");
    for (new, expected) in [
        ("c=&b=x%20y&%61=1&&b=%7a", vec![]),
        ("a=2&b=x+y&b=z&c=", vec!["form.a value"]),
        ("a=1&b=z&b=x+y&c=", vec!["form.b order"]),
        ("a=1&b=x+y&c=", vec!["form.b value"]),
        ("b=x+y&b=z&c&d=1", vec!["form.a missing", "form.d extra"]),
        ("a=1&b=x%2By&b=z&c", vec!["form.b value"]),
    ] {
        assert_eq!(differences(&old, &form(new), &[]), expected, "{new}");
    }
    let new = form("a=2&b=z&b=x+y&c=&d=1");
    let rules = [("form.a", "ignore"), ("form.b", "unordered")];
    assert_eq!(differences(&old, &new, &rules), ["form.d extra"]);
    assert_eq!(differences(&old, &new, &[("body", "ignore")]), [""; 0]);
}

#[test]
fn fields_of_forms_need_not_be_utf_8() {
    assert_eq!(differences(&form("a=%FF"), &form("a=%ff"), &[]), [""; 0]);
    assert_eq!(
        differences(&form("a=%FF"), &form("a=%FE"), &[]),
        ["form.a value"]
    );
    assert_eq!(
        differences(&form("%FF=1"), &form("%FE=1"), &[]),
        ["form.\\xff missing", "form.\\xfe extra"]
    );
    let comparison = compared(&form("a=%FF"), &form("a=%FE"), &[]);
    let Compared::Different { differences, .. } = comparison.result else {
        panic!("they differ");
    };
    assert_ne!(differences[0].old, differences[0].new);
}

#[test]
fn text_is_compared_by_its_characters() {
    let text = |charset: &str, body: &'static [u8]| {
        let mut answer = answer("text/plain", body);
        let content_type =
            HeaderValue::from_str(&format!("text/plain; charset={charset}")).unwrap();
        answer.headers.insert(CONTENT_TYPE, content_type);
        answer.headers.append("x-a", HeaderValue::from_static("1"));
        answer
    };
    let bodies = |old: &Answer, new: &Answer| {
        let mut comparing = CompareConfig::default();
        comparing.options.headers = HeaderScope::None;
        reported(&compare(old, new, &context(), &comparing))
    };
    let utf_8 = text("utf-8", b"caf\xc3\xa9");
    assert_eq!(bodies(&text("iso-8859-1", b"caf\xe9"), &utf_8), [""; 0]);
    assert_eq!(
        bodies(&text("utf-8", b"\xef\xbb\xbfcaf\xc3\xa9"), &utf_8),
        [""; 0]
    );
    assert_eq!(
        bodies(&text("iso-8859-1", b"caf\xe8"), &utf_8),
        ["line 1 text"]
    );
    assert_eq!(
        bodies(&text("iso-8859-1", b"caf\xc3\xa9"), &utf_8),
        ["line 1 text"],
        "the same bytes are another text in another charset"
    );
    assert_eq!(
        bodies(&text("utf-8", b"caf\xe9"), &utf_8),
        ["body undecodable"]
    );
    assert_eq!(
        bodies(&text("utf-8", b"caf\xe9"), &text("utf-8", b"caf\xe8")),
        ["byte 3 bytes"]
    );
    assert_eq!(
        bodies(&text("klingon", b"caf\xe9"), &utf_8),
        ["byte 3 bytes"]
    );
    assert_eq!(bodies(&text("klingon", b"caf\xc3\xa9"), &utf_8), [""; 0]);
}

#[test]
fn event_streams_are_text_and_parts_are_bytes() {
    let events = |body: &'static str| answer("text/event-stream", body);
    assert_eq!(
        differences(&events("data: 1\n\n"), &events("data: 2\n\n"), &[]),
        ["line 1 text"]
    );
    let parts = |body: &'static str| answer("multipart/mixed; boundary=x", body);
    assert_eq!(
        differences(
            &parts("--x\r\n\r\n1\r\n--x--"),
            &parts("--x\r\n\r\n2\r\n--x--"),
            &[]
        ),
        ["byte 7 bytes"]
    );
}

#[test]
fn a_byte_order_mark_before_json_counts_on_one_side_only() {
    assert_eq!(
        json_differences("\u{feff}{}", "{}", &[]),
        ["body undecodable"]
    );
    assert_eq!(
        json_differences("\u{feff}{\"a\":1}", "\u{feff}{\"a\": 1}", &[]),
        [""; 0]
    );
    assert_eq!(
        json_differences("\u{feff}[1]", "\u{feff}[2]", &[]),
        ["$[0] value"]
    );
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let wide = answer("application/json; charset=utf-16le", wide("{}"));
    assert_eq!(
        differences(
            &wide,
            &answer("application/json; charset=utf-16le", "{}"),
            &[]
        ),
        ["body undecodable"]
    );
}

#[test]
fn content_types_are_compared_by_what_they_mean() {
    let old = answer("text/plain; charset=UTF-8", "x");
    assert_eq!(
        differences(&old, &answer("Text/Plain;charset=\"utf-8\"", "x"), &[]),
        [""; 0]
    );
    let comparison = compared(&old, &answer("text/plain; charset=utf-8", "x"), &[]);
    assert_eq!(comparison.result, Compared::Equal(Via::Exact));
    assert_eq!(
        differences(&old, &answer("text/plain; charset=latin1", "x"), &[]),
        ["header.content-type value"]
    );
    let twice = with(old.clone(), "content-type", "text/plain");
    assert_eq!(
        differences(&old, &twice, &[]),
        ["header.content-type value"]
    );
}

#[test]
fn actions_serve_in_every_format() {
    for (old, new, rule) in [
        (
            xml("<a><p>9.90</p></a>"),
            xml("<a><p>9.9</p></a>"),
            ("$.a.p['#text']", "{parse: number}"),
        ),
        (
            xml("<a p='X'/>"),
            xml("<a p='x'/>"),
            ("$.a['@p']", "{case: fold}"),
        ),
        (
            xml("<a><p/></a>"),
            xml("<a><q/></a>"),
            ("$.a.p", "{rename: {to: q, on: old}}"),
        ),
        (form("p=9.90"), form("p=9.9"), ("form.p", "{parse: number}")),
        (
            form("p=1&p=2"),
            form("p=7&p=8"),
            ("form.p", "{bijection: check}"),
        ),
        (
            form("p=a"),
            form("p=b"),
            ("body", "{replace: {regex: 'p=b', with: 'p=a', on: new}}"),
        ),
        (
            answer("application/x-ndjson", "{\"p\":\"1\"}\n{\"p\":\"1\"}\n"),
            answer("application/x-ndjson", "{\"p\":\"7\"}\n{\"p\":\"7\"}\n"),
            ("$[*].p", "{bijection: check}"),
        ),
        (
            answer("text/plain; charset=utf-16le", &b"a\0"[..]),
            answer("text/plain; charset=utf-16le", &b"A\0"[..]),
            ("body", "{case: fold}"),
        ),
    ] {
        let comparison = compared(&old, &new, &[rule]);
        assert_eq!(comparison.result, Compared::Equal(Via::Rules), "{rule:?}");
        assert_ne!(differences(&old, &new, &[]), [""; 0], "{rule:?}");
    }
    let reported = differences(
        &form("p=1&p=1"),
        &form("p=7&p=8"),
        &[("form.p", "{bijection: check}")],
    );
    assert_eq!(reported, ["form.p value"]);
}
