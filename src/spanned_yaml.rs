//! A YAML or JSON document whose nodes all know their position, and a reader that collects every fault.
//!
//! Configuration and rule files are read through [`Fields`]. Each section takes the fields it knows, and every
//! remaining field is a fault too, so that one edit can fix everything. `settings!` declares the sections of the
//! configuration: a field with its range, default and description, from which its reader and its schema come.

mod fault;
mod fields;
mod forms;
mod node;
mod read;
mod scalar;
mod setting;

pub(crate) use fault::ConfigError;
pub use fault::ConfigErrors;
pub(crate) use fields::{Fields, closest};
pub(crate) use forms::{
    SHARE, SIZE, definitions, header_values, http_url, is_reachable, matches_glob, number,
    reference,
};
pub use node::Node;
pub(crate) use node::{Data, Key, Position};
pub use read::Cursor;
pub(crate) use read::{parse_duration, without_user};
pub(crate) use setting::settings;
pub(crate) use setting::{Change, Choice, Facts, Form, Members, Range, Section, Setting, built_in};
