//! Which requests are reads, and which reads are checked.
