//! Two small embedded stacks with known defects between them, and traffic for them.
//!
//! Both serve one catalogue over real sockets. The new stack writes its answers in its own way (key order,
//! white space, number spelling, clocks), which must not be reported, and has the defects of [`PLANTED`],
//! which must. Nothing here knows of the sidecar that is to find them.

pub mod catalogue;
pub mod defects;
pub mod stacks;
pub mod style;
pub mod traffic;

pub use defects::{PLANTED, Planted};
pub use stacks::BoundStack;
pub use traffic::Traffic;
