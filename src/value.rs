//! Values of answers and their places: JSON as a tape, decimals, formats, codings, charsets, places, differences.
//!
//! Everything here is exact and pure: nothing is rounded, and nothing depends on rules.
//!
//! ```
//! use twinread::value::{Place, Step, json::Document, number::Decimal};
//!
//! let document = Document::parse(br#"{"items": [{"price": 1.50}]}"#, 64)?;
//! let steps = [Step::Name("items".into()), Step::Index(0), Step::Name("price".into())];
//! let node = document.find(&steps).expect("the document has this node");
//! assert_eq!(document.raw(node), "1.50");
//! assert_eq!(Decimal::parse(document.raw(node)), Decimal::parse("15e-1"));
//! assert_eq!(Place::Node(steps.to_vec()).to_string(), "$.items[0].price");
//! # Ok::<(), twinread::value::json::Invalid>(())
//! ```

#![deny(missing_docs)]

pub mod charset;
pub mod coding;
pub mod content_type;
pub mod difference;
pub mod format;
pub mod grpc;
pub mod json;
pub mod number;
#[cfg(test)]
pub(crate) mod tests;

pub use difference::{Difference, Kind, Place, Step, Value};
pub use number::Numbers;
