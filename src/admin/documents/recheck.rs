//! Stored mismatches that were read again.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Result of reading the stored mismatches of a class again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClassRecheck {
    /// The id of the class.
    pub class: String,
    pub route: Arc<str>,
    pub place: String,
    pub kind: String,
    pub still_there: usize,
    pub vanished: usize,
    pub not_judged: usize,
    /// Stored mismatches of the class that are older than these and were not read.
    pub not_read: u64,
    /// The newest first.
    pub examples: Vec<Rechecked>,
}

/// A stored mismatch that was to be read again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rechecked {
    /// As at `/v1/mismatches/{id}`.
    pub id: String,
    pub method: String,
    pub path: String,
    pub found: Found,
    /// Why it was not judged, or a further remark.
    #[schema(required)]
    pub detail: Option<String>,
    /// What the stacks answer now; null: not asked, or no answer.
    #[schema(required)]
    pub old_status: Option<u16>,
    #[schema(required)]
    pub new_status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Found {
    /// The answers differ at the place of the class, or the place can no longer be compared.
    StillThere,
    /// They no longer differ there.
    Vanished,
    /// It could not be requested or not be compared.
    NotJudged,
}
