//! Values of answers and their places: JSON as a tape, decimals, formats, codings, charsets, places, differences.
//!
//! Everything here is exact and pure: nothing is rounded, and nothing depends on rules.

pub mod charset;
pub mod coding;
pub mod content_type;
pub mod difference;
pub mod format;
pub mod json;
pub mod number;
#[cfg(test)]
pub(crate) mod tests;

pub use difference::{Difference, Kind, Place, Step, Value};
pub use number::Numbers;
