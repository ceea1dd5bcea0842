//! Two small embedded stacks with known defects between them, and traffic for them.
//!
//! Both serve one catalogue over real sockets. The new stack formats its answers differently (key order, white space,
//! number spelling, clocks), which must not be reported. It has the defects in [`PLANTED`], which must. This module does
//! not know the sidecar.

pub(crate) mod catalogue;
pub(crate) mod defects;
pub(crate) mod stacks;
pub(crate) mod style;
pub(crate) mod traffic;

pub(crate) use defects::{PLANTED, Planted};
pub(crate) use stacks::BoundStack;
pub(crate) use traffic::Traffic;
