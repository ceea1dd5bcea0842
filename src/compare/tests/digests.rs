//! Bodies of which only the hash is known, and those that are too large after decoding.

use super::*;

fn hashed(body: &str) -> Answer {
    let mut answer = json("");
    answer.body = BodyCopy::Hashed(Hashing::begin(body.as_bytes()).digest());
    answer
}

fn cut() -> Answer {
    let mut answer = json("");
    answer.body = BodyCopy::Cut;
    answer
}

fn result(old: &Answer, new: &Answer, rules: &[(&str, &str)]) -> Compared {
    compared(old, new, rules).result
}

const TOO_LARGE: Compared = Compared::NotCompared(Reason::BodyTooLarge);

#[test]
fn equal_hashes_are_equal_bodies() {
    let exact = Compared::Equal(Via::Exact);
    assert_eq!(result(&hashed("a"), &hashed("a"), &[]), exact);
    let stamped = with(hashed("a"), "date", "now");
    let rule = [("header.date", "ignore")];
    assert_eq!(
        result(&stamped, &hashed("a"), &rule),
        Compared::Equal(Via::Rules)
    );
    let ids = [("$.id", "{bijection: epoch}")];
    assert_eq!(result(&hashed("a"), &hashed("a"), &ids), exact);
}

#[test]
fn bodies_that_are_not_known_to_be_equal_are_too_large() {
    for (old, new) in [
        (hashed("a"), hashed("b")),
        (hashed("a"), json("a")),
        (hashed("a"), cut()),
        (cut(), cut()),
        (hashed("a"), with(hashed("a"), "content-encoding", "gzip")),
    ] {
        assert_eq!(result(&old, &new, &[]), TOO_LARGE, "{old:?} {new:?}");
        assert_eq!(result(&new, &old, &[]), TOO_LARGE, "{old:?} {new:?}");
    }
}

#[test]
fn rest_of_an_answer_is_compared_whatever_its_body() {
    let tagged = |body: &str, tag| with(hashed(body), "etag", tag);
    for (new, uncompared) in [
        (tagged("a", "2"), None),
        (tagged("b", "2"), Some(Reason::BodyTooLarge)),
    ] {
        let comparison = compared(&tagged("a", "1"), &new, &[]);
        assert_eq!(reported(&comparison), ["header.etag value"]);
        assert_eq!(comparison.uncompared, uncompared);
    }
    let mut failed = cut();
    failed.status = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(differences(&hashed("a"), &failed, &[]), ["status status"]);
}

#[test]
fn equal_bodies_that_decode_to_too_much_are_equal() {
    let spaces = |first| [&[first], &vec![b' '; 20 << 20][..]].concat();
    let zipped = |first, kind| {
        let body = zstd::encode_all(&spaces(first)[..], 3).unwrap();
        with(answer(kind, body), "content-encoding", "zstd")
    };
    let [old, other] = [b'1', b'2'].map(|first| zipped(first, "application/json"));
    let ids = [("$.id", "{bijection: epoch}")];
    for rules in [&[][..], &ids] {
        assert_eq!(
            result(&old, &old.clone(), rules),
            Compared::Equal(Via::Exact)
        );
        assert_eq!(result(&old, &other, rules), TOO_LARGE);
    }
    let plain = answer("application/json", spaces(b'1'));
    assert_eq!(
        result(&plain, &plain.clone(), &[]),
        Compared::Equal(Via::Exact)
    );
    assert_eq!(result(&plain, &old, &[]), TOO_LARGE, "another coding");
    let text = zipped(b'1', "text/plain");
    let comparison = compared(&old, &text, &[]);
    assert_eq!(reported(&comparison), ["header.content-type value"]);
    assert_eq!(comparison.uncompared, None, "the same bytes");
}
