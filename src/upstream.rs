//! Requests to one stack: where it is, what its requests look like, and pooled connections to it.
