//! A YAML or JSON document whose nodes all know their position, and a reader that collects every fault.
//!
//! Configuration and rule files are read through [`Fields`]. Each section takes the fields it knows, and every
//! remaining field is a fault too, so that one edit can fix everything.

mod fault;
mod fields;
mod node;
mod read;
mod scalar;

pub use fault::{ConfigError, ConfigErrors};
pub use fields::{Fields, closest};
pub use node::{Data, Key, Node, Position};
pub use read::{Cursor, parse_duration, without_user};
