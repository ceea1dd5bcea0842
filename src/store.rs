//! Data that survives a restart: figures, settings, histories, and examples of what went wrong.

mod database;
mod document;
mod figures;
mod journal;
mod mismatches;
mod settings;

pub use database::Database;
pub(crate) use database::{OpenError, Source, peek};
pub(crate) use document::{Class, Mismatch};
pub(crate) use figures::{Counted, FigureStore, Past};
pub(crate) use journal::{Entries, Journal};
pub use mismatches::Store;
pub(crate) use mismatches::{ClassFilter, Classes, Filter, Order, Page, QueryError};
pub(crate) use settings::{Kept, KeptSettings};

use crate::spanned_yaml::{SIZE, settings};
use std::{path::PathBuf, time::Duration};

settings! {
    /// The section `store` of the configuration, with limits that it does not expose.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config: Default {
        /// The file, of this process alone; relative to the folder that twinread is started in. Null: in memory.
        #[setting]
        pub path: Option<PathBuf>,
        /// Mismatches that are kept in all.
        #[setting(default: "10000", range: "1..10000000")]
        pub keep_mismatches: usize,
        /// Mismatches that are kept of one class.
        #[setting(default: "50", range: "1..100000")]
        pub keep_per_class: usize,
        /// Of all stored mismatches; null: 32MiB in memory, 2GiB in a file.
        #[setting(form: SIZE)]
        pub max_bytes: Option<usize>,
        /// How long figures and mismatches are kept.
        #[setting(default: "30d", range: "1h..3650d")]
        pub keep: Duration,
        ..
        pub max_classes: usize = 1_000,
    }
}

// === impl Config ===

impl Config {
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_bytes.unwrap_or(match self.path {
            None => 32 << 20,
            Some(_) => 2 << 30,
        })
    }
}
