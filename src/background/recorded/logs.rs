//! Access logs of servers and of load balancers: one request a line, without headers or body.

use super::{Reason, Recorded, RecordedRequest};

/// A field of a line.
enum Field {
    Plain(String),
    Quoted(String),
    Bracketed,
}

/// The request's place among the fields of ALB.
const ALB_REQUEST: usize = 12;

const ALB_TYPES: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];

/// `127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326`, with more before or after it.
pub(super) fn combined(line: &str) -> Result<Recorded, Reason> {
    let mut fields = fields(line).into_iter();
    fields
        .find(|field| matches!(field, Field::Bracketed))
        .ok_or(Reason::Malformed)?;
    let Some(Field::Quoted(request)) = fields.next() else {
        return Err(Reason::Malformed);
    };
    let is_status = |field| matches!(field, Some(Field::Plain(text)) if text.len() == 3);
    if !is_status(fields.next()) {
        return Err(Reason::Malformed);
    }
    request_line(&request)
}

pub(super) fn is_combined(line: &str) -> bool {
    !matches!(combined(line), Err(Reason::Malformed))
}

/// An entry of AWS Application Load Balancer.
pub(super) fn alb(line: &str) -> Result<Recorded, Reason> {
    match fields(line).into_iter().nth(ALB_REQUEST) {
        Some(Field::Quoted(request)) if is_alb(line) => request_line(&request),
        _ => Err(Reason::Malformed),
    }
}

pub(super) fn is_alb(line: &str) -> bool {
    let mut words = line.split(' ');
    let is_type = words.next().is_some_and(|word| ALB_TYPES.contains(&word));
    is_type
        && words
            .next()
            .is_some_and(|time| time.contains('T') && time.ends_with('Z'))
}

/// An entry of CloudFront's standard log, by the fields that its header names.
pub(super) fn cloudfront(line: &str, names: &[String]) -> Result<Recorded, Reason> {
    let values: Vec<_> = line.split('\t').collect();
    let field = |name: &str| {
        let place = names.iter().position(|own| own == name)?;
        values.get(place).copied().filter(|value| *value != "-")
    };
    let method = field("cs-method").ok_or(Reason::Malformed)?;
    let path = field("cs-uri-stem").ok_or(Reason::Malformed)?;
    // A percent sign of the request is written as %25.
    let decoded = |text: &str| text.replace("%25", "%");
    let mut target = decoded(path);
    if let Some(query) = field("cs-uri-query") {
        target = format!("{target}?{}", decoded(query));
    }
    Ok(Recorded::request(RecordedRequest::of(method, &target)))
}

/// `GET /a HTTP/1.1`.
pub(super) fn request_line(line: &str) -> Result<Recorded, Reason> {
    let mut words = line.split(' ');
    let (method, target) = (words.next(), words.next());
    match (method, target, words.next(), words.next()) {
        (Some(method), Some(target), version, None)
            if method.chars().all(|c| c.is_ascii_uppercase() || c == '-')
                && version.is_none_or(|version| version.starts_with("HTTP/"))
                && (target.starts_with('/') || target.contains("://")) =>
        {
            Ok(Recorded::request(RecordedRequest::of(method, target)))
        }
        _ => Err(Reason::NoRequest),
    }
}

/// Splits a line at spaces outside of quotes and brackets.
fn fields(line: &str) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut left = line.trim_start();
    while let Some(first) = left.chars().next() {
        let (field, rest) = match first {
            '"' => quoted(&left[1..]),
            '[' => {
                let end = left.find(']').map_or(left.len(), |end| end + 1);
                (Field::Bracketed, &left[end..])
            }
            _ => {
                let end = left.find(' ').unwrap_or(left.len());
                (Field::Plain(left[..end].to_owned()), &left[end..])
            }
        };
        fields.push(field);
        left = rest.trim_start();
    }
    fields
}

/// The field up to the closing quote, without its escapes (`\"`, `\x22`), and what follows.
fn quoted(text: &str) -> (Field, &str) {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, letter)) = chars.next() {
        match letter {
            '"' => {
                let field = String::from_utf8_lossy(&bytes).into_owned();
                return (Field::Quoted(field), &text[at + 1..]);
            }
            '\\' => match chars.next() {
                Some((at, 'x')) => {
                    let digits = text.get(at + 1..at + 3);
                    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    bytes.extend(byte);
                    if byte.is_some() {
                        chars.by_ref().take(2).for_each(drop);
                    }
                }
                Some((_, letter)) => bytes.extend(letter.to_string().as_bytes()),
                None => {}
            },
            letter => bytes.extend(letter.to_string().as_bytes()),
        }
    }
    (
        Field::Quoted(String::from_utf8_lossy(&bytes).into_owned()),
        "",
    )
}
