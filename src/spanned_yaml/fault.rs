//! What is wrong with a document, and where.

use super::Position;
use std::{fmt, sync::Arc};

/// One fault of a document: where it is, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub file: Option<Arc<str>>,
    pub mark: Option<Position>,
    pub message: String,
}

/// All faults of a document, in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(Vec<ConfigError>);

// === impl ConfigError ===

impl ConfigError {
    pub fn at(file: &Arc<str>, mark: Option<Position>, message: impl Into<String>) -> Self {
        Self {
            file: Some(file.clone()),
            mark,
            message: message.into(),
        }
    }

    /// A fault without a position.
    pub fn bare(message: impl Into<String>) -> Self {
        Self {
            file: None,
            mark: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for ConfigError {
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

// === impl ConfigErrors ===

impl ConfigErrors {
    pub fn push(&mut self, fault: ConfigError) {
        self.0.push(fault);
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// Sorts faults by position in the file, because a section reports its unknown fields last.
    #[must_use]
    pub fn by_place(mut self) -> Self {
        self.0.sort_by_key(|fault| fault.mark);
        self
    }

    /// Each fault as `change` leaves it.
    #[must_use]
    pub fn map(self, change: impl Fn(ConfigError) -> ConfigError) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }

    /// `value` if there are no faults.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }

    /// Keeps the faults of `result`, and returns its value if it has one.
    pub fn collect<T>(&mut self, result: Result<T, impl Into<Self>>) -> Option<T> {
        result.map_err(|faults| self.extend(faults.into())).ok()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(fault: ConfigError) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<_> = self.0.iter().map(ConfigError::to_string).collect();
        f.write_str(&faults.join("\n"))
    }
}
