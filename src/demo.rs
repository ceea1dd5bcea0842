//! Two small embedded stacks with known defects between them, and traffic for them.
//!
//! Both serve one catalogue over real sockets. The new stack formats its answers differently (key order, white space,
//! number spelling, clocks), which must not be reported. It has the defects in [`PLANTED`], which must. This module does
//! not know the sidecar.

pub mod catalogue;
pub mod defects;
pub mod stacks;
pub mod style;
pub mod traffic;

pub use defects::{PLANTED, Planted};
pub use stacks::BoundStack;
pub use traffic::Traffic;
