//! The action `time`: instants, exact to the nanosecond, in any spelling.

use super::{Subject, listed, spelled};
use crate::value::number::Decimal;
use jiff::{Timestamp, civil, fmt::strtime, tz::TimeZone};
use regex::Regex;
use std::{fmt, sync::LazyLock, time::Duration};

/// Instants this close count as equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Time {
    /// The maximum distance of two equal instants.
    pub within: Duration,
    /// The spellings that are read; at least one.
    pub formats: Vec<Format>,
}

/// The spelling of an instant. A value that several formats can read has several instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 3339, section 5.6, without leap seconds.
    Rfc3339,
    /// HTTP dates in all three spellings of RFC 9110, section 5.6.7.
    Rfc9110,
    /// Seconds since 1970, as a number or the text of one.
    Unix,
    /// Milliseconds since 1970, as a number or the text of one.
    UnixMs,
    /// A `strftime` pattern; UTC if it has no zone, midnight if it has no time.
    Pattern(String),
}

/// In nanoseconds: smaller numbers are seconds (up to the year 5138), all others milliseconds (since 1973).
const SECONDS_BELOW: u128 = 100_000_000_000 * 1_000_000_000;

/// RFC 3339, section 5.6, without leap seconds, because they have no unique instant.
static RFC3339: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$")
        .expect("a pattern that a test reads")
});

// === impl Time ===

impl Time {
    /// Whether the values have readings that are this close.
    pub fn covers(&self, old: &Subject<'_>, new: &Subject<'_>) -> bool {
        let within = self.within.as_nanos();
        let news: Vec<i128> = self.instants(new).collect();
        self.instants(old)
            .any(|old| news.iter().any(|new| old.abs_diff(*new) <= within))
    }

    /// The only instant of a value, in nanoseconds since 1970; values with equal instants are then equal. `Err` if
    /// closeness is more than equality.
    pub fn canonical(&self, subject: &Subject<'_>) -> Result<Option<i128>, Near> {
        let distinct = |format: &Format| matches!(format, Format::Rfc3339 | Format::Rfc9110);
        let first = self.instants(subject).next();
        let ambiguous = self
            .formats
            .iter()
            .filter(|format| !distinct(format))
            .count();
        let is_pattern = |format: &Format| matches!(format, Format::Pattern(_));
        let is_plain =
            self.formats.len() == 1 || ambiguous <= 1 && !self.formats.iter().any(is_pattern);
        match first {
            Some(instant) if !self.within.is_zero() || !is_plain => Err(Near(instant)),
            first => Ok(first),
        }
    }

    fn instants(&self, subject: &Subject<'_>) -> impl Iterator<Item = i128> {
        self.formats
            .iter()
            .filter(|format| !self.is_misread(format, subject))
            .filter_map(move |format| format.instant(subject))
    }

    /// If seconds and milliseconds are both allowed, each number is one of the two by its size. Otherwise two numbers
    /// of seconds, read as milliseconds, would seem a thousand times closer.
    fn is_misread(&self, format: &Format, subject: &Subject<'_>) -> bool {
        let other = match format {
            Format::Unix => Format::UnixMs,
            Format::UnixMs => Format::Unix,
            _ => return false,
        };
        let is_seconds = || {
            let instant = Format::Unix.instant(subject);
            instant.is_some_and(|instant| instant.unsigned_abs() < SECONDS_BELOW)
        };
        self.formats.contains(&other) && is_seconds() != (*format == Format::Unix)
    }
}

/// An instant that may be close to others without being equal to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near(pub i128);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (within, formats) = (self.within, listed(&self.formats));
        write!(f, "{{within: {within:?}, formats: [{formats}]}}")
    }
}

// === impl Format ===

impl Format {
    const NAMED: [(&'static str, Self); 4] = [
        ("rfc3339", Self::Rfc3339),
        ("rfc9110", Self::Rfc9110),
        ("unix", Self::Unix),
        ("unix_ms", Self::UnixMs),
    ];

    /// A format by its name, or a pattern that can read an instant.
    ///
    /// # Errors
    /// Why the text is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = Self::NAMED.iter().find(|(name, _)| *name == text);
        if let Some((_, format)) = named {
            return Ok(format.clone());
        }
        if !text.contains('%') {
            let names = listed(Self::NAMED.map(|(name, _)| name));
            return Err(format!("expected {names} or a pattern such as '%d/%m/%Y'"));
        }
        let format = Self::Pattern(text.to_owned());
        let sample = civil::date(2001, 2, 3).at(4, 5, 6, 0);
        let sample = sample
            .to_zoned(TimeZone::UTC)
            .map_err(|error| error.to_string())?;
        let spelled = strtime::format(text, &sample).map_err(|error| error.to_string())?;
        match format.instant(&Subject::Text(spelled.into())) {
            Some(_) => Ok(format),
            None => Err("the pattern does not tell a date".to_owned()),
        }
    }

    /// Whether a value has this format.
    pub fn reads(&self, subject: &Subject<'_>) -> bool {
        self.instant(subject).is_some()
    }

    fn instant(&self, subject: &Subject<'_>) -> Option<i128> {
        let text = match (self, subject) {
            (_, Subject::Text(text)) | (Self::Unix | Self::UnixMs, Subject::Number(text)) => text,
            _ => return None,
        };
        match self {
            Self::Rfc3339 => {
                let is_rfc3339 = RFC3339.is_match(text);
                is_rfc3339
                    .then(|| text.parse::<Timestamp>().ok())?
                    .map(Timestamp::as_nanosecond)
            }
            Self::Rfc9110 => {
                let date = httpdate::parse_http_date(text).ok()?;
                Timestamp::try_from(date).ok().map(Timestamp::as_nanosecond)
            }
            Self::Unix => Decimal::parse(text)?.scaled(9),
            Self::UnixMs => Decimal::parse(text)?.scaled(6),
            Self::Pattern(pattern) => by_pattern(pattern, text),
        }
    }
}

fn by_pattern(pattern: &str, text: &str) -> Option<i128> {
    let parsed = strtime::parse(pattern, text).ok()?;
    if let Ok(instant) = parsed.to_timestamp() {
        return Some(instant.as_nanosecond());
    }
    let date = parsed.to_date().ok()?;
    let time = parsed.to_time().unwrap_or(civil::Time::midnight());
    let zoned = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_nanosecond())
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "{pattern:?}"),
            named => f.write_str(spelled(&Self::NAMED, named)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(format: &str, text: &str) -> Option<i128> {
        Format::parse(format)
            .unwrap()
            .instant(&Subject::Text(text.to_owned().into()))
    }

    #[test]
    fn one_instant_has_many_spellings() {
        let expected = Some(1_764_000_000_000_000_000);
        for (format, text) in [
            ("rfc3339", "2025-11-24T16:00:00Z"),
            ("rfc3339", "2025-11-24t17:00:00.000+01:00"),
            ("rfc9110", "Mon, 24 Nov 2025 16:00:00 GMT"),
            ("rfc9110", "Mon Nov 24 16:00:00 2025"),
            ("unix", "1764000000"),
            ("unix", "1764000000.000"),
            ("unix_ms", "1764000000000"),
            ("%d/%m/%Y %H:%M", "24/11/2025 16:00"),
            ("%Y-%m-%d %H:%M:%S %z", "2025-11-24 17:00:00 +0100"),
        ] {
            assert_eq!(instant(format, text), expected, "{format} {text}");
        }
        assert_eq!(
            instant("%d/%m/%Y", "24/11/2025"),
            Some(1_763_942_400_000_000_000)
        );
        assert_eq!(instant("unix", "1.000000001"), Some(1_000_000_001));
    }

    #[test]
    fn what_is_no_instant_is_none() {
        for (format, text) in [
            ("rfc3339", "2025-11-24"),
            ("rfc3339", "2025-11-24T16:00:00"),
            ("rfc3339", "2025-13-24T16:00:00Z"),
            ("rfc3339", "2025-11-24T16:00:60Z"),
            ("rfc9110", "24 Nov 2025"),
            ("unix", "soon"),
            ("unix", "1e99"),
            ("unix", "0.0000000001"),
            ("%d/%m/%Y", "31/02/2025"),
        ] {
            assert_eq!(instant(format, text), None, "{format} {text}");
        }
    }

    #[test]
    fn seconds_and_milliseconds_are_distinguished_by_their_size() {
        let time = Time {
            within: Duration::from_secs(60),
            formats: vec![Format::Unix, Format::UnixMs],
        };
        let number = |text: &str| Subject::Number(text.to_owned().into());
        for (old, new, covered) in [
            ("1764000000", "1764000060000", true),
            ("1764000000", "1764000061000", false),
            ("1764000000", "1764003600", false),
            ("1764000000", "1764000059", true),
            ("-5", "55", true),
        ] {
            assert_eq!(
                time.covers(&number(old), &number(new)),
                covered,
                "{old} {new}"
            );
        }
    }

    #[test]
    fn formats_without_a_date_are_refused() {
        for format in ["rfc3339 ", "iso", "%H:%M", "%Q!"] {
            assert!(Format::parse(format).is_err(), "{format}");
        }
    }
}
