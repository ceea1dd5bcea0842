//! The two systems that are compared.

#![deny(missing_docs)]

use std::fmt;

/// The identity of a system; it never changes during a migration.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stack {
    /// The system that is to be replaced. Its answers are the reference.
    #[default]
    Old,
    /// The system that is to replace it.
    New,
}

// === impl Stack ===

impl Stack {
    /// `old` or `new`, as in configuration, metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// The stack that it is compared with.
    pub fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
