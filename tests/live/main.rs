//! The live path over real sockets: what a caller sends and gets, byte for byte (DESIGN.md section 4, invariants 1 to 3 and 5).

#[path = "../support/harness.rs"]
mod support;

mod bodies;
mod forwarding;
