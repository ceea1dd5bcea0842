//! A YAML or JSON document whose every node knows its place, and a reader that collects every fault.
//!
//! Configuration and rule files are read through [`Fields`]: each section takes the fields it knows,
//! and what is left over is a fault too, so that one edit can mend everything that is wrong.

mod fault;
mod fields;
mod node;
mod read;
mod scalar;

pub use fault::{ConfigError, ConfigErrors};
pub use fields::{Fields, closest};
pub use node::{Data, Key, Node, Position};
pub use read::{Cursor, parse_duration, without_user};
