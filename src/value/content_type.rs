//! Content types by meaning (RFC 9110, section 8.3.1).
//!
//! Type, subtype, parameter names and the charset are case-insensitive; the order of parameters and quotes around their
//! values do not matter. Nor does it matter whether JSON says that it is UTF-8. Every other parameter is compared exactly,
//! because the spelling of a `boundary` or `profile` matters.

use http::HeaderValue;

/// A content type. Equal ones mean the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    media_type: String,
    /// Sorted by name.
    parameters: Vec<(String, String)>,
}

// === impl ContentType ===

impl ContentType {
    /// `None` if RFC 9110 does not allow it: such a value is compared only by its bytes.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let (media_type, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let media_type = media_type.trim().to_ascii_lowercase();
        let (main, sub) = media_type.split_once('/')?;
        if !is_token(main) || !is_token(sub) {
            return None;
        }
        let mut parameters = Vec::new();
        loop {
            // Parameters may be empty: `text/html; ;charset=utf-8;`.
            rest = rest.trim_start_matches([' ', '\t', ';']);
            if rest.is_empty() {
                break;
            }
            let (name, value) = rest.split_once('=').filter(|(name, _)| is_token(name))?;
            let name = name.to_ascii_lowercase();
            let (mut value, behind) = parameter_value(value)?;
            if name == "charset" {
                value.make_ascii_lowercase();
            }
            parameters.push((name, value));
            rest = behind;
        }
        if is_json(&media_type) {
            parameters.retain(|(name, value)| name != "charset" || value != "utf-8");
        }
        parameters.sort_by(|one, other| one.0.cmp(&other.0));
        Some(Self {
            media_type,
            parameters,
        })
    }

    /// In lower case.
    pub fn charset(&self) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        parameters
            .find(|(name, _)| name == "charset")
            .map(|(_, value)| value.as_str())
    }

    /// Whether two values mean the same content type, or are the same bytes.
    pub fn is_same(one: &HeaderValue, other: &HeaderValue) -> bool {
        one == other
            || Self::parse(one).is_some_and(|content_type| Some(content_type) == Self::parse(other))
    }
}

/// JSON is UTF-8, whether or not a content type says so (RFC 8259, section 11).
fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

/// The value at the beginning of `text`, and the rest: empty, or starting with a semicolon.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        let value = text[..end].trim_end();
        return is_token(value).then(|| (value.to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '"' => {
                let behind = quoted[at + 1..].trim_start();
                return (behind.is_empty() || behind.starts_with(';')).then_some((value, behind));
            }
            c => value.push(c),
        }
    }
    None
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_same(one: &'static str, other: &'static str) -> bool {
        ContentType::is_same(
            &HeaderValue::from_static(one),
            &HeaderValue::from_static(other),
        )
    }

    #[test]
    fn spelling_that_means_nothing_does_not_count() {
        for (one, other) in [
            ("text/html; charset=UTF-8", "text/html;charset=\"utf-8\""),
            ("Text/HTML", "text/html"),
            ("text/html;", "text/html"),
            ("a/b; x=1; y=\"2\"", "a/b;Y=2 ; X=\"1\""),
            ("a/b; x=\"a;b=c\"; y=1", "a/b; y=1; x=\"\\a;b=c\""),
            ("application/json; charset=utf-8", "application/json"),
            (
                "application/problem+json; x=1; charset=UTF-8",
                "application/problem+json; x=1",
            ),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn what_means_something_counts() {
        for (one, other) in [
            ("text/html", "text/plain"),
            ("text/html", "text/html; charset=utf-8"),
            ("application/json; charset=utf-16", "application/json"),
            ("application/jsonl; charset=utf-8", "application/jsonl"),
            ("a/b; x=a", "a/b; x=A"),
            ("a/b; x=1; x=2", "a/b; x=2; x=1"),
            ("a/b; x=\"\"", "a/b"),
            ("a/b; x", "a/b; X"),
            ("a/b; x=1 y=2", "a/b; x=1  y=2"),
            ("a/b; x=\"1", "A/b; x=\"1"),
            ("a/b; x=\"1\"2", "A/b; x=\"1\"2"),
            ("nonsense", "Nonsense"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
