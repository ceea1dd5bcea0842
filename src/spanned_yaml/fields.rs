//! Sections: each takes the fields that it knows, and every remaining field is a fault.

use super::{ConfigError, ConfigErrors, Cursor, Data, Key, Node};

/// The fields of one section. Fields that remain when it is [finished](Fields::finish) are faults.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) at: Cursor<'n>,
    entries: Vec<(&'n Key, Option<&'n Node>)>,
    known: Vec<&'static str>,
    /// Those found so far.
    pub(crate) faults: ConfigErrors,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// Starts to read a section. A node that is not a map is a fault, and reads as an empty section.
    pub(crate) fn of(at: Cursor<'n>) -> Self {
        let mut faults = ConfigErrors::default();
        let mut entries = Vec::new();
        match &at.node.data {
            Data::Map(members) => {
                entries.extend(members.iter().map(|(key, node)| (key, Some(node))))
            }
            _ if at.node.is_null() => {}
            _ => faults.push(at.expected("a map")),
        }
        Self {
            at,
            entries,
            known: Vec::new(),
            faults,
        }
    }

    /// The node of a field, to be read by the caller; null counts as a value.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Cursor<'n>> {
        self.known.push(name);
        let (_, slot) = self.entries.iter_mut().find(|(key, _)| key.name == name)?;
        let node = slot.take()?;
        Some(self.at.member(name, node))
    }

    /// Reads a field if it is present; null counts as absent.
    pub(crate) fn optional<T, E: Into<ConfigErrors>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Cursor<'n>) -> Result<T, E>,
    ) -> Option<T> {
        let at = self.take(name).filter(|at| !at.node.is_null())?;
        self.faults.collect(read(&at))
    }

    /// Reads a field that must be present.
    pub(crate) fn required<T, E: Into<ConfigErrors>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Cursor<'n>) -> Result<T, E>,
    ) -> Option<T> {
        match self.take(name) {
            Some(at) => self.faults.collect(read(&at)),
            None => {
                // A node that is not a map was reported before, and has no missing fields.
                if matches!(self.at.node.data, Data::Map(_)) || self.at.node.is_null() {
                    let fault = self.at.fault(format!("`{name}` is missing"));
                    self.faults.push(fault);
                }
                None
            }
        }
    }

    /// Ends the section: every field that was not taken is unknown.
    pub(crate) fn finish(mut self) -> ConfigErrors {
        for (key, _) in self.entries.iter().filter(|(_, node)| node.is_some()) {
            let hint = match closest(&key.name, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("expected one of {}", self.known.join(", ")),
            };
            self.faults.push(ConfigError {
                mark: key.mark,
                ..self
                    .at
                    .fault(format!("unknown field `{}`, {hint}", key.name))
            });
        }
        self.faults
    }
}

/// The most likely intended name: at most two edits away.
pub(crate) fn closest<'c>(
    name: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
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
