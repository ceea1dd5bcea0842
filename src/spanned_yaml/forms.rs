//! The forms of values that several sections have: numbers, durations, sizes, texts, headers, urls.

use super::{
    Choice, ConfigError, ConfigErrors, Cursor, Form, Range, Setting,
    read::{parse_duration, parse_size},
};
use crate::stack::Stack;
use http::{HeaderName, HeaderValue, Uri, uri::Authority};
use regex::Regex;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// The range of a size without its own. More than any sensible size of one body or of all of them is a typing mistake.
const ANY_SIZE: Range = Range("1B..64GiB");

/// A size in bytes.
pub(crate) const SIZE: Form<usize> = Form {
    read: |at, range| Ok(size(at, range.or(ANY_SIZE))?),
    schema: |range| {
        let range = range.or(ANY_SIZE);
        range.described(reference("size"), ["x-minimum", "x-maximum"])
    },
};

/// A share of all.
pub(crate) const SHARE: Form<f64> = Form {
    read: |at, _| Ok(at.number_within(0.0, 1.0)?),
    schema: |_| reference("share"),
};

/// A reference to one of the [`definitions`].
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// The schemas of forms, by the names that [`reference`] gives them.
pub(crate) fn definitions() -> Value {
    json!({
        "variable": {"description": "From the environment.", "type": "string", "pattern": r"\$\{"},
        "address": {
            "type": "string",
            "pattern": r"^((\d{1,3}(\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]):\d{1,5}|unix:/.*[^/])$",
            "examples": ["127.0.0.1:8080", "unix:/run/twinread.sock"],
        },
        "stack_url": {
            "type": "string",
            "pattern": "^(https?://[^/?#@]+(/[^?#]*)?|unix:/.*[^/])$",
            "examples": ["http://127.0.0.1:9001", "https://old.example", "unix:/run/old.sock"],
        },
        "url": {"type": "string", "pattern": "^https?://[^/?#@]+(/[^?#]*)?$", "examples": ["http://127.0.0.1:9001"]},
        "duration": {
            "type": "string",
            "pattern": r"^(\d+(\.\d*)?|\.\d+)(ms|s|m|h|d)$",
            "examples": ["250ms", "10s", "5m", "1h", "7d"],
        },
        "size": {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^[1-9]\d*(B|KiB|MiB|GiB)?$"}],
            "examples": ["64KiB", "1MiB"],
        },
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "header": {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"},
        "header_or_start": {
            "description": "x-a, or x-* for all that begin so.",
            "type": "string",
            "pattern": r"^([!#$%&'+.^_`|~0-9A-Za-z-]+\*?|\*)$",
        },
        "pairs": {"type": "object", "propertyNames": reference("header"), "additionalProperties": reference("text")},
        // Not `format: regex`: that would be the language of ECMAScript.
        "pattern": {"description": "A regular expression, as the crate regex reads it.", "type": "string"},
        "text": {"type": ["string", "number", "boolean"]},
    })
}

// === impl Setting ===

impl Choice for bool {
    const WORDS: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

impl Choice for Stack {
    const WORDS: &'static [(&'static str, Self)] = &[("old", Self::Old), ("new", Self::New)];
}

impl Setting for f64 {
    const FORM: Form<Self> = Form {
        read: |at, range| {
            let (least, greatest) = range.numbers();
            Ok(at.number_within(least, greatest)?)
        },
        schema: number,
    };
}

/// The schema of a number.
pub(crate) fn number(range: Range) -> Value {
    range.described(json!({"type": "number"}), ["minimum", "maximum"])
}

impl Setting for usize {
    const FORM: Form<Self> = Form {
        read: |at, range| {
            let (least, greatest) = range.numbers();
            let number = at.integer_within(least, greatest)?;
            Ok(usize::try_from(number).expect("a range must fit in the type"))
        },
        schema: |range| range.described(json!({"type": "integer"}), ["minimum", "maximum"]),
    };
}

impl Setting for NonZeroUsize {
    const FORM: Form<Self> = Form {
        read: |at, range| {
            let number = (usize::FORM.read)(at, range)?;
            Ok(Self::new(number).expect("the range begins above zero"))
        },
        schema: usize::FORM.schema,
    };
}

impl Setting for NonZeroU32 {
    const FORM: Form<Self> = Form {
        read: |at, range| {
            let number = (NonZeroUsize::FORM.read)(at, range)?;
            Ok(Self::try_from(number).expect("a range must fit in the type"))
        },
        schema: usize::FORM.schema,
    };
}

impl Setting for Duration {
    const FORM: Form<Self> = Form {
        read: |at, range| Ok(duration(at, range)?),
        schema: |range| range.described(reference("duration"), ["x-minimum", "x-maximum"]),
    };
}

impl Setting for String {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(at.text()?.to_owned()),
        schema: |_| reference("text"),
    };
}

impl Setting for Arc<str> {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(at.text()?.into()),
        schema: String::FORM.schema,
    };
}

impl Setting for PathBuf {
    // Does not check that its folder exists: the configuration may be checked on another machine.
    const FORM: Form<Self> = Form {
        read: |at, _| match at.text() {
            Ok(path) if !path.is_empty() => Ok(path.into()),
            _ => Err(at.expected("the path of a file").into()),
        },
        schema: |_| json!({"type": "string", "minLength": 1}),
    };
}

impl Setting for Regex {
    const FORM: Form<Self> = Form {
        read: |at, _| Ok(at.pattern()?),
        schema: |_| reference("pattern"),
    };
}

impl Setting for HeaderName {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let name = header_name(at.text()?);
            Ok(name.ok_or_else(|| at.expected("the name of a header"))?)
        },
        schema: |_| reference("header"),
    };
}

impl<T: Setting> Setting for Vec<T> {
    const FORM: Form<Self> = Form {
        read: |at, range| at.each(|at| (T::FORM.read)(at, range)),
        schema: |range| json!({"type": "array", "items": (T::FORM.schema)(range)}),
    };
}

impl<T: Setting> Setting for Arc<T> {
    const FORM: Form<Self> = Form {
        read: |at, range| (T::FORM.read)(at, range).map(Arc::new),
        schema: T::FORM.schema,
    };
    const DEFAULT: &'static str = T::DEFAULT;
}

/// Texts by name.
impl Setting for BTreeMap<String, String> {
    const FORM: Form<Self> = Form {
        read: |at, _| {
            let mut faults = ConfigErrors::default();
            let mut texts = Self::new();
            for (key, at) in at.entries()? {
                let text = faults.collect(at.text());
                texts.extend(text.map(|text| (key.name.clone(), text.to_owned())));
            }
            faults.into_result(texts)
        },
        schema: |_| json!({"type": "object", "additionalProperties": reference("text")}),
    };
}

impl Setting for Vec<(HeaderName, HeaderValue)> {
    const FORM: Form<Self> = Form {
        read: |at, _| header_values(at, |_, _| Ok(())),
        schema: |_| reference("pairs"),
    };
}

/// Values by header name, if `admit` accepts the name. A value never appears in a fault, because it may be a secret.
pub(crate) fn header_values(
    at: &Cursor<'_>,
    admit: fn(&Cursor<'_>, &HeaderName) -> Result<(), ConfigError>,
) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut pairs: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (key, at) in at.entries()? {
        let header = header_name(&key.name)
            .ok_or_else(|| at.fault(format!("`{}` is not the name of a header", key.name)))
            .and_then(|name| admit(&at, &name).map(|()| name))
            .and_then(|name| Ok((name, header_value(&at)?)));
        let Some((name, value)) = faults.collect(header) else {
            continue;
        };
        if pairs.iter().any(|(other, _)| *other == name) {
            faults.push(at.fault("given twice, headers do not tell upper from lower case"));
        }
        pairs.push((name, value));
    }
    faults.into_result(pairs)
}

fn header_name(text: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(text.as_bytes()).ok()
}

fn header_value(at: &Cursor<'_>) -> Result<HeaderValue, ConfigError> {
    let text = at.text()?;
    HeaderValue::from_str(text).map_err(|_| at.fault("expected the value of a header"))
}

/// An absolute `http` or `https` url; `what` describes it in faults.
pub(crate) fn http_url(at: &Cursor<'_>, what: &str) -> Result<(Uri, Authority), ConfigError> {
    let uri: Uri = at.parse(what)?;
    let authority = uri.authority().cloned();
    let authority = authority.ok_or_else(|| at.expected(what))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok((uri, authority)),
        _ => Err(at.expected(what)),
    }
}

/// Whether it is a host, with a valid port or none.
pub(crate) fn is_reachable(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host());
    let is_port = |rest: &str| match rest.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => rest.is_empty(),
    };
    !authority.host().is_empty() && rest.is_some_and(is_port)
}

fn duration(at: &Cursor<'_>, range: Range) -> Result<Duration, ConfigError> {
    let what = "a duration such as 250ms, 10s, 5m, 1h or 7d";
    let duration = at.parse_by(parse_duration, what).map_err(|mut fault| {
        let meant = at.text().ok().and_then(meant_duration);
        fault.message += &meant.map_or(String::new(), |meant| format!(", did you mean `{meant}`?"));
        fault
    })?;
    let Some((least, greatest)) = range.ends() else {
        return Ok(duration);
    };
    let is_above = parse_duration(greatest).is_some_and(|greatest| duration > greatest);
    if !is_above && Some(duration) >= parse_duration(least) {
        return Ok(duration);
    }
    Err(at.expected(match greatest {
        "" => format!("a duration of at least {least}"),
        _ => format!("a duration from {least} to {greatest}"),
    }))
}

/// A number with another name of a unit, or without any: seconds are meant then.
fn meant_duration(text: &str) -> Option<String> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.trim().to_lowercase();
    let unit = match unit.as_str() {
        "" | "sec" | "secs" | "second" | "seconds" => "s",
        "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => "ms",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        unit @ ("ms" | "s" | "m" | "h" | "d") => unit,
        _ => return None,
    };
    let meant = format!("{number}{unit}");
    parse_duration(&meant).map(|_| meant)
}

fn size(at: &Cursor<'_>, range: Range) -> Result<usize, ConfigError> {
    let what = "a size such as 512B, 64KiB, 1MiB or 1GiB";
    let size = at.parse_by(parse_size, what)?;
    let (least, greatest) = range.ends().expect("a size must have a range");
    if Some(size) >= parse_size(least) && Some(size) <= parse_size(greatest) {
        Ok(size)
    } else {
        Err(at.expected(format!("a size from {least} to {greatest}")))
    }
}

/// Whether `text` matches `pattern`, in which `*` matches any run of characters.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    // The leftmost match is best, because it leaves the most text to later parts.
    for part in middle.split('*') {
        let Some(found) = text.find(part) else {
            return false;
        };
        text = &text[found + part.len()..];
    }
    text.ends_with(last)
}
