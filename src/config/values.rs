//! Value types that several sections share, with their ranges.

use crate::{
    sample::Frequency,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Fields},
};
use std::{num::NonZeroUsize, time::Duration};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Above any sensible size of one body or of all of them: a larger one is a typing mistake.
const MAX_ROOM: usize = 64 << 30;

/// Finishes a section: returns its faults, or the value.
pub(super) fn complete<T>(fields: Fields<'_>, read: Option<T>) -> Result<T, ConfigErrors> {
    // The tree includes every default, so an unreadable field has left a fault, unless the section is read without its
    // defaults.
    let incomplete = fields.at().fault("a field is missing");
    let faults = fields.finish();
    match read {
        Some(read) => faults.into_result(read),
        None if faults.is_empty() => Err(incomplete.into()),
        None => Err(faults),
    }
}

/// A duration from `min` to `max`.
pub(super) fn duration(
    at: &Cursor<'_>,
    min: Duration,
    max: Duration,
) -> Result<Duration, ConfigError> {
    let duration = at.duration()?;
    if (min..=max).contains(&duration) {
        return Ok(duration);
    }
    let (min, max) = (spell(min), spell(max));
    Err(at.expected(format!("a duration from {min} to {max}")))
}

/// A whole number from 1 to `max`.
pub(super) fn count(at: &Cursor<'_>, max: u32) -> Result<NonZeroUsize, ConfigError> {
    let count = at.integer_within(1, max.into())?;
    let count = usize::try_from(count).ok().and_then(NonZeroUsize::new);
    Ok(count.expect("the range was checked"))
}

/// A positive number of events per second.
pub(super) fn per_second(at: &Cursor<'_>) -> Result<Frequency, ConfigError> {
    let events = at.number_within(1e-3, 1e6)?;
    Ok(Frequency::per_second(events).expect("the range was checked"))
}

/// A size of at least one byte.
pub(super) fn room(at: &Cursor<'_>) -> Result<usize, ConfigError> {
    match at.size()? {
        0 => Err(at.expected("a size of at least one byte")),
        size if size > MAX_ROOM => Err(at.expected("a size of at most 64GiB")),
        size => Ok(size),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(at: &Cursor<'_>, choices: &[(&str, T)]) -> Result<T, ConfigError> {
    let chosen = at.text().ok().and_then(|text| {
        let mut choices = choices.iter();
        choices.find(|(name, _)| *name == text)
    });
    chosen.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        at.expected(match names.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        })
    })
}

/// Spells a duration in the largest unit that divides it.
fn spell(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    match units
        .iter()
        .find(|(_, unit)| ms > 0 && ms.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}
