//! One difference with its context, as rows for either view.

use super::{bodies::Bodies, masks::Masks};
use crate::{
    cli::print::harmless,
    compare::Comparison,
    stack::Stack,
    value::{
        Difference, Kind, Place, Step, Value,
        json::{Document, Id},
    },
};
use serde_json::Value as Json;
use std::{collections::HashSet, ops::Range};

/// A line of an excerpt, as old and new have it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Whether it is reported as a difference. Others are equal, or rules mask how they differ.
    pub is_changed: bool,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Makes excerpts of the differences between two bodies.
#[derive(Debug)]
pub(super) struct Excerpts<'b> {
    bodies: Bodies<'b>,
    /// Paths to all nodes at or below which something differs.
    differing: HashSet<&'b [Step]>,
    masks: Masks<'b>,
    hunks: Vec<Hunk>,
    columns: usize,
}

/// A range of lines that differ.
#[derive(Debug)]
struct Hunk {
    /// Lines of old, counted from 0.
    olds: Range<usize>,
    /// Number of lines in new; `None` if unknown.
    news: Option<usize>,
}

/// A node and its name in its parent.
type Member = (Name, Id);

#[derive(Clone, Copy, Debug)]
enum Name {
    Key(Id),
    Index(usize),
}

/// Rows of context before and after a difference.
const AROUND: usize = 2;

/// Maximum number of lines of one value.
const MAX_LINES: usize = 12;

// === impl Excerpts ===

impl<'b> Excerpts<'b> {
    pub(super) fn new(bodies: Bodies<'b>, comparison: &'b Comparison, columns: usize) -> Self {
        let mut differing = HashSet::new();
        let mut hunks = Vec::new();
        for difference in comparison.differences() {
            match &difference.place {
                Place::Node(steps) => {
                    differing.extend((0..=steps.len()).map(|length| &steps[..length]));
                }
                Place::Lines { first, last } => hunks.push(Hunk::of(difference, *first, *last)),
                _ => {}
            }
        }
        Self {
            bodies,
            differing,
            masks: Masks::of(&comparison.masked),
            hunks,
            columns,
        }
    }

    /// The difference with its context.
    pub(super) fn of(&self, difference: &Difference) -> Vec<Row> {
        let around = match &difference.place {
            Place::Node(steps) => self.around_node(difference, steps),
            Place::Lines { first, last } => Some(self.around_lines(difference, *first, *last)),
            Place::Byte(offset) if !self.bodies.bytes.concat().is_empty() => {
                return self.hexadecimal(*offset);
            }
            _ => None,
        };
        let Some((before, after)) = around else {
            return self.changed(difference);
        };
        [before, self.changed(difference), after].concat()
    }

    /// The difference without context.
    pub(super) fn changed(&self, difference: &Difference) -> Vec<Row> {
        let label = match &difference.place {
            Place::Node(steps) => label(steps.last()),
            _ => String::new(),
        };
        let lines = |value: &Option<Value>| match value {
            Some(value) => self.spelled(&label, value),
            None => Vec::new(),
        };
        paired(lines(&difference.old), lines(&difference.new))
    }

    /// The sibling members or elements of a node, except those that differ themselves.
    fn around_node(&self, difference: &Difference, steps: &[Step]) -> Option<(Vec<Row>, Vec<Row>)> {
        let (_, above) = steps.split_last()?;
        let [old, new] = self.bodies.documents.as_ref()?;
        let (side, document, value) = match difference.kind {
            Kind::Extra => (Stack::New, new, difference.new.as_ref()),
            _ => (Stack::Old, old, difference.old.as_ref()),
        };
        let node = document.find(steps)?;
        // Indices on the path are old's and may lead elsewhere in new.
        if Some(&document.value(node)) != value {
            return None;
        }
        let siblings = members(document, document.find(above)?);
        let own = siblings.iter().position(|(_, value)| *value == node)?;
        let mut before = self.equal((side, document), above, siblings[..own].iter().rev());
        before.reverse();
        let after = self.equal((side, document), above, siblings[own + 1..].iter());
        Some((before, after))
    }

    /// The nearest members that do not differ, and whether there are more.
    fn equal<'m>(
        &self,
        (side, document): (Stack, &Document<'_>),
        above: &[Step],
        members: impl Iterator<Item = &'m Member>,
    ) -> Vec<Row> {
        let mut way = above.to_vec();
        let mut rows = Vec::new();
        for (name, value) in members {
            let step = match name {
                Name::Key(key) => Step::Name(document.text(*key).to_str().into_owned()),
                Name::Index(index) => Step::Index(*index),
            };
            way.push(step);
            if !self.differing.contains(&way[..]) {
                if rows.len() == AROUND {
                    rows.push(Row::same("…".to_owned()));
                    break;
                }
                rows.push(self.context((side, document), &way, *value));
            }
            way.pop();
        }
        rows
    }

    /// One line of a member that is equal, or whose differences rules mask.
    fn context(&self, (side, document): (Stack, &Document<'_>), way: &[Step], id: Id) -> Row {
        let line = |value: &str| harmless(&format!("{}{}", label(way.last()), one_line(value)));
        let own = line(document.raw(id));
        let other = match document.value(id) {
            Value::Json(json) => self.masks.other(way, &json, side),
            _ => None,
        };
        let Some(other) = other else {
            return Row::same(own);
        };
        let other = other.map(|json| line(&json.to_string()));
        let (old, new) = match side {
            Stack::Old => (Some(own), other),
            Stack::New => (other, Some(own)),
        };
        Row {
            is_changed: false,
            old,
            new,
        }
    }

    /// Context lines of a text. Lines outside of differences are equal in both, or rules mask how they differ.
    fn around_lines(
        &self,
        difference: &Difference,
        first: usize,
        last: usize,
    ) -> (Vec<Row>, Vec<Row>) {
        let Some([lines, news]) = &self.bodies.lines else {
            return Default::default();
        };
        let is_equal = |line: &usize| !self.hunks.iter().any(|hunk| hunk.olds.contains(line));
        let plain = |line: &String| harmless(line.trim_end_matches('\n'));
        let shown = |line: usize| {
            let new = self.new_line(line).and_then(|line| news.get(line));
            Row {
                is_changed: false,
                old: Some(plain(&lines[line])),
                new: Some(plain(new.unwrap_or(&lines[line]))),
            }
        };
        let own = Hunk::of(difference, first, last).olds;
        let (start, end) = (own.start.min(lines.len()), own.end.min(lines.len()));
        let before = (start.saturating_sub(AROUND)..start).rev();
        let mut before: Vec<Row> = before.take_while(is_equal).map(shown).collect();
        before.reverse();
        let after = end..(end + AROUND).min(lines.len());
        (before, after.take_while(is_equal).map(shown).collect())
    }

    /// The line of new that corresponds to a line of old outside of differences, both counted from 0.
    fn new_line(&self, line: usize) -> Option<usize> {
        let before = self.hunks.iter().filter(|hunk| hunk.olds.end <= line);
        let (olds, news) = before.fold((0, Some(0)), |(olds, news), hunk| {
            let more = news.zip(hunk.news).map(|(news, more)| news + more);
            (olds + hunk.olds.len(), more)
        });
        (line + news?).checked_sub(olds)
    }

    /// The bytes around the first that differs.
    fn hexadecimal(&self, offset: usize) -> Vec<Row> {
        let [old, new] = self.bodies.bytes;
        let length = [16, 8, 4]
            .into_iter()
            .find(|length| 10 + 4 * length <= self.columns)
            .unwrap_or(2);
        let start = offset - offset % length;
        let line = |bytes: &[u8], start: usize| {
            let bytes = bytes.get(start..)?;
            let bytes = &bytes[..bytes.len().min(length)];
            (!bytes.is_empty()).then(|| hexadecimal(start, bytes, length))
        };
        let first = start.saturating_sub(length);
        let rows = (first..=start + length).step_by(length).map(|start| {
            let (old, new) = (line(old, start), line(new, start));
            Row {
                is_changed: old != new,
                old,
                new,
            }
        });
        rows.filter(|row| row.old.is_some() || row.new.is_some())
            .collect()
    }

    /// A value with its name: on one line if it fits, else one line per member.
    fn spelled(&self, label: &str, value: &Value) -> Vec<String> {
        match value {
            Value::Json(json) => self.json(label, json),
            Value::Text(text) => {
                let lines = text.split_inclusive('\n').map(str::to_owned).collect();
                shortened(lines)
            }
            Value::Summary { class, length } => vec![format!("{label}{class} of {length} bytes")],
            Value::Unreadable { why, length } => vec![format!("{why}, {length} bytes")],
        }
    }

    fn json(&self, label: &str, json: &Json) -> Vec<String> {
        let whole = format!("{label}{json}");
        let is_short = whole.chars().count() <= self.columns;
        let (brackets, members): (_, Vec<String>) = match json {
            _ if is_short => return vec![whole],
            Json::Object(members) => {
                let members = members.iter();
                let lines =
                    members.map(|(name, value)| format!("  {}{value}", label_of_name(name)));
                (["{", "}"], lines.collect())
            }
            Json::Array(elements) => {
                let lines = elements.iter().map(|value| format!("  {value}"));
                (["[", "]"], lines.collect())
            }
            _ => return vec![whole],
        };
        let mut lines = vec![format!("{label}{}", brackets[0])];
        lines.extend(shortened(members));
        lines.push(brackets[1].to_owned());
        lines
    }
}

// === impl Row ===

impl Row {
    fn same(line: String) -> Self {
        Self {
            is_changed: false,
            old: Some(line.clone()),
            new: Some(line),
        }
    }
}

// === impl Hunk ===

impl Hunk {
    /// A difference between texts; it has no lines of old if only new has some.
    fn of(difference: &Difference, first: usize, last: usize) -> Self {
        let start = first - 1;
        let end = difference.old.as_ref().map_or(start, |_| last);
        Self {
            olds: start..end,
            news: match &difference.new {
                None => Some(0),
                Some(Value::Text(text)) => Some(text.split_inclusive('\n').count()),
                Some(_) => None,
            },
        }
    }
}

/// Old and new lines next to each other. Lines that look alike are shown with their line ends.
fn paired(olds: Vec<String>, news: Vec<String>) -> Vec<Row> {
    let plain = |line: &str| harmless(line.trim_end_matches('\n'));
    let rows = (0..olds.len().max(news.len())).map(|index| {
        let (old, new) = (olds.get(index), news.get(index));
        let looks_alike = old
            .zip(new)
            .is_some_and(|(old, new)| old != new && plain(old) == plain(new));
        let shown = |line: &String| {
            if looks_alike {
                harmless(line)
            } else {
                plain(line)
            }
        };
        Row {
            is_changed: true,
            old: old.map(shown),
            new: new.map(shown),
        }
    });
    rows.collect()
}

/// The members or elements of a node, in order.
fn members(document: &Document<'_>, parent: Id) -> Vec<Member> {
    let members = document.members(parent);
    let elements = document.elements(parent).enumerate();
    members
        .map(|(key, value)| (Name::Key(key), value))
        .chain(elements.map(|(index, value)| (Name::Index(index), value)))
        .collect()
}

fn shortened(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MAX_LINES {
        let more = lines.len() - (MAX_LINES - 1);
        lines.truncate(MAX_LINES - 1);
        lines.push(format!("… {more} more"));
    }
    lines
}

/// The label of a member on its line.
fn label(step: Option<&Step>) -> String {
    match step {
        Some(Step::Name(name)) => label_of_name(name),
        Some(Step::Index(index)) => format!("[{index}]: "),
        None => String::new(),
    }
}

fn label_of_name(name: &str) -> String {
    format!("{}: ", Json::from(name))
}

/// Raw JSON without line ends.
fn one_line(raw: &str) -> String {
    let short = &raw[..raw.floor_char_boundary(1_000)];
    let lines = short.lines().map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

fn hexadecimal(start: usize, bytes: &[u8], length: usize) -> String {
    let mut hex = String::new();
    let mut text = String::new();
    for byte in bytes {
        hex.push_str(&format!("{byte:02x} "));
        text.push(match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
    }
    format!("{start:08x}  {hex:width$} {text}", width = 3 * length)
}
