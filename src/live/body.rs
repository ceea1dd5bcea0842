//! The streamed bodies: of a request to the primary, and of an answer to the caller.

pub(crate) mod request;
pub(crate) mod response;
