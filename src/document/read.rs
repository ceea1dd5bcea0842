//! Reads nodes as what a section expects, and collects what is wrong.

use super::{Data, Key, Mark, Node};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// One thing that is wrong with a document: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: Option<Arc<str>>,
    pub mark: Option<Mark>,
    pub message: String,
}

/// Everything that is wrong with a document, in the order in which it was met.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(Vec<Fault>);

/// A node and where it stands: `sample.rate` in `twinread.yaml`.
#[derive(Clone, Debug)]
pub struct At<'n> {
    pub file: &'n Arc<str>,
    pub path: String,
    pub node: &'n Node,
    /// The text of the file, where the nodes stand in it as it is.
    pub source: Option<&'n str>,
}

/// The fields of one section. What is left when it is [finished](Fields::finish) is a fault.
#[derive(Debug)]
pub struct Fields<'n> {
    at: At<'n>,
    entries: Vec<(&'n Key, Option<&'n Node>)>,
    known: Vec<&'static str>,
    faults: Faults,
}

// === impl Fault ===

impl Fault {
    pub fn at(file: &Arc<str>, mark: Option<Mark>, message: impl Into<String>) -> Self {
        Self {
            file: Some(file.clone()),
            mark,
            message: message.into(),
        }
    }

    /// A fault that no line can be blamed for.
    pub fn bare(message: impl Into<String>) -> Self {
        Self {
            file: None,
            mark: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        if let Some(mark) = self.mark {
            write!(f, "{}:{}:", mark.line, mark.column)?;
        }
        if self.file.is_some() || self.mark.is_some() {
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}

// === impl Faults ===

impl Faults {
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// From the beginning of the file to its end. A section tells what is unknown after what is wrong.
    #[must_use]
    pub fn by_place(mut self) -> Self {
        self.0.sort_by_key(|fault| fault.mark);
        self
    }

    /// `value` if nothing is wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Keeps the faults of `result`, and its value if it has one.
    pub fn collect<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        result.map_err(|faults| self.extend(faults)).ok()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

// === impl At ===

impl<'n> At<'n> {
    pub fn root(file: &'n Arc<str>, node: &'n Node) -> Self {
        Self {
            file,
            path: String::new(),
            node,
            source: None,
        }
    }

    /// As [`root`](Self::root), with the text that the node was read from.
    pub fn of_text(file: &'n Arc<str>, node: &'n Node, text: &'n str) -> Self {
        Self {
            source: Some(text),
            ..Self::root(file, node)
        }
    }

    /// `<path>: expected <what>, found <node>`.
    pub fn expected(&self, what: impl fmt::Display) -> Fault {
        self.fault(format!("expected {what}, found {}", found(self.node)))
    }

    /// `<path>: <message>`.
    pub fn fault(&self, message: impl fmt::Display) -> Fault {
        let message = match self.path.as_str() {
            "" => message.to_string(),
            path => format!("{path}: {message}"),
        };
        Fault::at(self.file, self.node.mark, message)
    }

    /// A text; a plain scalar counts as its spelling, null does not count.
    pub fn text(&self) -> Result<&'n str, Fault> {
        match &self.node.data {
            Data::Plain(_) if self.node.is_null() => Err(self.expected("a text")),
            Data::Plain(text) | Data::Quoted(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    /// A text that `T` can be parsed from; `what` says what that is.
    pub fn parse<T: FromStr>(&self, what: &str) -> Result<T, Fault> {
        let text = self.text().map_err(|_| self.expected(what))?;
        text.parse().map_err(|_| self.expected(what))
    }

    pub fn boolean(&self) -> Result<bool, Fault> {
        self.parse("true or false")
    }

    /// A number from `min` to `max`.
    pub fn number_within(&self, min: f64, max: f64) -> Result<f64, Fault> {
        let what = format!("a number from {min} to {max}");
        let number: f64 = self.parse(&what)?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.expected(what))
        }
    }

    /// A whole number from `min` to `max`.
    pub fn integer_within(&self, min: u64, max: u64) -> Result<u64, Fault> {
        let what = match max {
            u64::MAX => format!("a whole number of at least {min}"),
            max => format!("a whole number from {min} to {max}"),
        };
        let number: u64 = self.parse(&what)?;
        if (min..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.expected(what))
        }
    }

    /// `250ms`, `10s`, `5m`, `1h`, `7d`.
    pub fn duration(&self) -> Result<Duration, Fault> {
        let what = "a duration such as 250ms, 10s, 5m, 1h or 7d";
        let text = self.text().map_err(|_| self.expected(what))?;
        parse_duration(text).ok_or_else(|| self.expected(what))
    }

    /// `512B`, `64KiB`, `1MiB`, `1GiB`, or a number of bytes.
    pub fn size(&self) -> Result<usize, Fault> {
        let what = "a size such as 512B, 64KiB, 1MiB or 1GiB";
        let text = self.text().map_err(|_| self.expected(what))?;
        parse_size(text).ok_or_else(|| self.expected(what))
    }

    pub fn items(&self) -> Result<Vec<At<'n>>, Fault> {
        let Data::List(items) = &self.node.data else {
            return Err(self.expected("a list"));
        };
        let items = items.iter().enumerate();
        Ok(items
            .map(|(index, node)| At {
                file: self.file,
                path: format!("{}[{index}]", self.path),
                node,
                source: self.source,
            })
            .collect())
    }

    /// The members of a map whose names are free.
    pub fn entries(&self) -> Result<Vec<(&'n Key, At<'n>)>, Fault> {
        let Data::Map(entries) = &self.node.data else {
            return Err(self.expected("a map"));
        };
        Ok(entries
            .iter()
            .map(|(key, node)| (key, self.member(&key.name, node)))
            .collect())
    }

    /// Reads every item, and collects the faults of all.
    pub fn each<T>(&self, read: impl Fn(&At<'n>) -> Result<T, Faults>) -> Result<Vec<T>, Faults> {
        let mut faults = Faults::default();
        let items = self.items().map_err(Faults::from)?;
        let read = items.iter().filter_map(|item| faults.collect(read(item)));
        let read = read.collect();
        faults.into_result(read)
    }

    fn member(&self, name: &str, node: &'n Node) -> At<'n> {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        At {
            file: self.file,
            path,
            node,
            source: self.source,
        }
    }
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// Begins to read a section. What is not a map is a fault, and reads as an empty section.
    pub fn of(at: At<'n>) -> Self {
        let mut faults = Faults::default();
        let entries = match &at.node.data {
            Data::Map(entries) => entries
                .iter()
                .map(|(key, node)| (key, Some(node)))
                .collect(),
            _ if at.node.is_null() => Vec::new(),
            _ => {
                faults.push(at.expected("a map"));
                Vec::new()
            }
        };
        Self {
            at,
            entries,
            known: Vec::new(),
            faults,
        }
    }

    /// The node of a field, to be read by the caller; null counts as a value.
    pub fn take(&mut self, name: &'static str) -> Option<At<'n>> {
        self.known.push(name);
        let (_, slot) = self.entries.iter_mut().find(|(key, _)| key.name == name)?;
        let node = slot.take()?;
        Some(self.at.member(name, node))
    }

    /// Reads a field if it is there; null counts as absent.
    pub fn optional<T, E: Into<Faults>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&At<'n>) -> Result<T, E>,
    ) -> Option<T> {
        let at = self.take(name).filter(|at| !at.node.is_null())?;
        self.faults.collect(read(&at).map_err(Into::into))
    }

    /// Reads a field that has to be there.
    pub fn required<T, E: Into<Faults>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&At<'n>) -> Result<T, E>,
    ) -> Option<T> {
        match self.take(name) {
            Some(at) => self.faults.collect(read(&at).map_err(Into::into)),
            None => {
                // What is not a map has been told already, and has no fields to miss.
                if matches!(self.at.node.data, Data::Map(_)) || self.at.node.is_null() {
                    let fault = self.at.fault(format!("`{name}` is missing"));
                    self.faults.push(fault);
                }
                None
            }
        }
    }

    /// Where the section stands.
    pub fn at(&self) -> &At<'n> {
        &self.at
    }

    pub fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Whether something has gone wrong so far.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Ends the section: a field that nobody took is unknown.
    pub fn finish(mut self) -> Faults {
        for (key, node) in &self.entries {
            if node.is_none() {
                continue;
            }
            let path = match self.at.path.as_str() {
                "" => String::new(),
                path => format!("{path}: "),
            };
            let hint = match closest(&key.name, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("expected one of {}", self.known.join(", ")),
            };
            let message = format!("{path}unknown field `{}`, {hint}", key.name);
            self.faults.push(Fault::at(self.at.file, key.mark, message));
        }
        self.faults
    }
}

/// The name that was most likely meant: at most two edits away.
pub fn closest<'c>(name: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance, by bytes.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, x) in one.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in other.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

fn found(node: &Node) -> String {
    match &node.data {
        _ if node.is_null() => "null".to_owned(),
        Data::Plain(text) => format!("`{text}`"),
        Data::Quoted(text) => format!("{text:?}"),
        Data::List(_) => "a list".to_owned(),
        Data::Map(_) => "a map".to_owned(),
    }
}

/// `250ms`, `10s`, `5m`, `1h`, `7d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Option<u64>, Option<Duration>), Faults> {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text)?;
        let mut fields = Fields::of(At::root(&file, &node));
        let number = fields.required("number", |at| at.integer_within(1, 9));
        let wait = fields.optional("wait", At::duration);
        fields.finish().into_result((number, wait))
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let faults = read("number: 12\nwaits: 3s\nwait: soon\nwait: 1s\n").unwrap_err();
        assert_eq!(
            faults.to_string(),
            "f.yaml:4:1: `wait` is given twice",
            "what cannot be told apart is told first"
        );

        let faults = read("number: 12\nwaits: 3s\nwait: soon\n").unwrap_err();
        assert_eq!(
            faults.to_string(),
            "f.yaml:1:9: number: expected a whole number from 1 to 9, found `12`\n\
             f.yaml:3:7: wait: expected a duration such as 250ms, 10s, 5m, 1h or 7d, found `soon`\n\
             f.yaml:2:1: unknown field `waits`, did you mean `wait`?"
        );
    }

    #[test]
    fn a_good_section_is_read() {
        let (number, wait) = read("{number: 3, wait: 250ms}").unwrap();
        assert_eq!(number, Some(3));
        assert_eq!(wait, Some(Duration::from_millis(250)));
    }

    #[test]
    fn sizes_and_durations_have_units() {
        assert_eq!(parse_size("64KiB"), Some(65_536));
        assert_eq!(parse_size("12"), Some(12));
        assert_eq!(parse_size("1.5MiB"), None);
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("5"), None);
    }
}
