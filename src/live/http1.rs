//! HTTP/1.1: what is refused before hyper reads it, headers for one connection, interim answers, upgrades.

pub(crate) mod expect_continue;
pub(crate) mod framing;
pub(crate) mod guard;
pub(crate) mod hop;
pub(crate) mod informational;
pub(crate) mod upgrade;
