//! Normalization rules: why two unlike values count as equal.

/// Rules of all files, compiled into one tree over places.
#[derive(Debug, Default)]
pub struct RuleSet {}
