//! Data that survives a restart: figures, settings, histories, and examples of what went wrong.

mod database;
mod document;
mod figures;
mod journal;
mod mismatches;
mod rebuild;
mod settings;

pub use database::{Behind, Database, OpenError, Source};
pub use document::{Class, Mismatch, Stamp};
pub use figures::{Counted, Figures, Past};
pub use journal::{Entries, Entry, Journal};
pub use mismatches::{Classes, Filter, LookError, Order, Page, Selection, Store};
pub use settings::{Kept, KeptSettings};

use std::{path::PathBuf, time::Duration};

/// The section `store` of the configuration, with limits that it does not expose.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file; `None` keeps everything in memory.
    pub path: Option<PathBuf>,
    pub keep_mismatches: usize,
    pub keep_per_class: usize,
    pub max_classes: usize,
    /// Bytes of all stored examples, with their share of the indexes; `None`: 32 MiB in memory, 2 GiB in a file.
    pub max_bytes: Option<usize>,
    /// How long past figures and examples are kept.
    pub keep: Duration,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            path: None,
            keep_mismatches: 10_000,
            keep_per_class: 50,
            max_classes: 1_000,
            max_bytes: None,
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Config {
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes.unwrap_or(match self.path {
            None => 32 << 20,
            Some(_) => 2 << 30,
        })
    }
}
