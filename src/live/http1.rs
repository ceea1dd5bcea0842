//! HTTP/1.1: checks before hyper parses, informational answers, upgrades.

pub(crate) mod expect_continue;
pub(crate) mod framing;
pub(crate) mod guard;
pub(crate) mod informational;
pub(crate) mod upgrade;
