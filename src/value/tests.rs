//! What tests of this module and of others share.

pub(crate) mod generated;
pub(crate) mod wire;
