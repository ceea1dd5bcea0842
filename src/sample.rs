//! Which requests are reads, and which reads are checked.
//!
//! Both are decided here without clock, chance or lock: time and chance are arguments, and a
//! [`Bucket`] is one atomic number.

mod bucket;
mod key;
mod reads;
mod sampling;

pub use bucket::{Bucket, Frequency};
pub use key::By;
pub use reads::{Declared, Reads};
pub use sampling::{Ask, Decision, Sampling, share};
