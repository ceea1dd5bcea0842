//! Properties over generated documents.
