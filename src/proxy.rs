//! The live path: forwards every request to the primary, and offers a copy of sampled reads.
