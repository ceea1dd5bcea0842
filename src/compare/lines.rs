//! Compares text line by line.

use super::align;
use crate::value::difference::{Difference, Kind, Place, Value};
use std::time::Instant;

/// The runs of lines that differ. A line includes its end, so `a` and `a\n` differ.
///
/// Line numbers are those of old; lines that only new has get the number of the line after them.
pub(super) fn differences(old: &str, new: &str, deadline: Option<Instant>) -> Vec<Difference> {
    let olds: Vec<&str> = old.split_inclusive('\n').collect();
    let news: Vec<&str> = new.split_inclusive('\n').collect();
    let value = |lines: &[&str]| {
        let length = lines.iter().map(|line| line.len()).sum();
        (length > 0).then(|| Value::text_of(length, "text", || lines.concat()))
    };
    align::runs(&olds, &news, deadline)
        .into_iter()
        .filter(|run| !run.is_equal)
        .map(|run| Difference {
            place: Place::Lines {
                first: run.olds.start + 1,
                last: run.olds.end.max(run.olds.start + 1),
            },
            kind: Kind::Text,
            old: value(&olds[run.olds]),
            new: value(&news[run.news]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported_as(old: &str, new: &str) -> Vec<(String, Option<String>, Option<String>)> {
        let text = |value: Option<Value>| match value {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
        let differences = differences(old, new, None).into_iter();
        differences
            .map(|difference| {
                let place = difference.place.to_string();
                (place, text(difference.old), text(difference.new))
            })
            .collect()
    }

    #[test]
    fn runs_of_lines_are_reported_by_olds_numbers() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            reported_as("a\nb\nc\nd\n", "a\nX\nY\nd\n"),
            [("lines 2-3".to_owned(), some("b\nc\n"), some("X\nY\n"))]
        );
        assert_eq!(
            reported_as("a\nb\n", "a\nnew\nb\n"),
            [("line 2".to_owned(), None, some("new\n"))]
        );
        assert_eq!(
            reported_as("a\nb\n", "b\n"),
            [("line 1".to_owned(), some("a\n"), None)]
        );
        assert_eq!(
            reported_as("a", "a\n"),
            [("line 1".to_owned(), some("a"), some("a\n"))]
        );
        assert_eq!(reported_as("a\r\n", "a\n").len(), 1);
        assert_eq!(
            reported_as("a\n", "a\nb"),
            [("line 2".to_owned(), None, some("b"))]
        );
    }
}
