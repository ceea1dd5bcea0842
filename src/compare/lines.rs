//! Compares text line by line.

use super::align;
use crate::value::difference::{Difference, Kind, Place, Value};
use similar::DiffOp;
use std::time::Instant;

/// A longer run of lines, in bytes, is reported by length only.
const MAX_VALUE: usize = 16 << 10;

/// The runs of lines that differ. A line includes its end, so `a` and `a\n` differ.
///
/// Line numbers are those of old; lines that only new has get the number of the line after them.
pub(super) fn differences(old: &str, new: &str, deadline: Option<Instant>) -> Vec<Difference> {
    let olds: Vec<&str> = old.split_inclusive('\n').collect();
    let news: Vec<&str> = new.split_inclusive('\n').collect();
    align::steps(&olds, &news, deadline)
        .into_iter()
        .filter(|op| !matches!(op, DiffOp::Equal { .. }))
        .map(|op| {
            let (lines, range) = (op.old_range(), op.new_range());
            Difference {
                place: Place::Lines {
                    first: lines.start + 1,
                    last: lines.end.max(lines.start + 1),
                },
                kind: Kind::Text,
                old: told(&olds[lines]),
                new: told(&news[range]),
            }
        })
        .collect()
}

fn told(lines: &[&str]) -> Option<Value> {
    let length = lines.iter().map(|line| line.len()).sum();
    match lines {
        [] => None,
        _ if length > MAX_VALUE => Some(Value::Summary {
            class: "text",
            length,
        }),
        _ => Some(Value::Text(lines.concat())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_as(old: &str, new: &str) -> Vec<(String, Option<String>, Option<String>)> {
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
    fn runs_of_lines_are_told_by_olds_numbers() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told_as("a\nb\nc\nd\n", "a\nX\nY\nd\n"),
            [("lines 2-3".to_owned(), some("b\nc\n"), some("X\nY\n"))]
        );
        assert_eq!(
            told_as("a\nb\n", "a\nnew\nb\n"),
            [("line 2".to_owned(), None, some("new\n"))]
        );
        assert_eq!(
            told_as("a\nb\n", "b\n"),
            [("line 1".to_owned(), some("a\n"), None)]
        );
        assert_eq!(
            told_as("a", "a\n"),
            [("line 1".to_owned(), some("a"), some("a\n"))]
        );
        assert_eq!(told_as("a\r\n", "a\n").len(), 1);
        assert_eq!(
            told_as("a\n", "a\nb"),
            [("line 2".to_owned(), None, some("b"))]
        );
    }
}
