//! Bodies on their way through: that of the request to the primary, and that of the answer to the caller.

pub(crate) mod request;
pub(crate) mod response;
