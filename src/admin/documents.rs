//! Documents that other parts of the process fill in.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// Every rule in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rules {
    pub rules: Vec<Rule>,
}

/// A rule in force, and what it did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rule {
    pub id: String,
    pub why: String,
    #[schema(required)]
    pub owner: Option<String>,
    /// The last day on which it applies.
    #[schema(required, format = Date)]
    pub expires: Option<String>,
    pub expired: bool,
    /// How often it was looked at.
    pub applied: u64,
    /// Differences that would have been reported without it.
    pub masked: u64,
}

/// Rules that would explain stored mismatches.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Suggestions {
    /// Those first that would mask the most.
    pub suggestions: Vec<Suggestion>,
    /// Mismatches that would be none under all of the suggestions together.
    pub masked_together: usize,
    /// Ids of classes that no single rule would explain.
    pub unexplained: Vec<String>,
    /// Ids of classes of which that is not known, for too few of their differences were tried.
    pub not_tried: Vec<String>,
    /// Differences on which no rule was tried, for want of room.
    pub differences_not_tried: usize,
    /// Stored ones.
    pub mismatches: u64,
    /// Of these, the ones that were looked at.
    pub looked_at: usize,
    /// At most so many of each class are.
    pub newest_per_class: usize,
    pub classes: usize,
    /// Fewer than there are where time was up.
    pub classes_looked_at: usize,
}

/// A rule, and what it would do to what is stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Suggestion {
    /// As it stands in a rule file, but for its reason.
    #[schema(value_type = Object)]
    pub rule: Value,
    /// The same as an item of a rule file.
    pub yaml: String,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// Mismatches that would be none.
    pub masks: usize,
    /// Of the mismatches that show one of the classes, those in which it explains all of it.
    pub explains: usize,
    /// Mismatches that show one of the classes.
    pub of: usize,
    /// Those of them of which it is not known.
    pub not_tried: usize,
    /// Ids of up to three that it does not explain.
    pub not_explained: Vec<String>,
}

/// What rules would hide of the stored mismatches.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Preview {
    /// Stored ones.
    pub mismatches: u64,
    /// Of these, the ones that were looked at.
    pub looked_at: usize,
    /// At most so many of each class are.
    pub newest_per_class: usize,
    pub rules: Vec<Hiding>,
    pub warnings: Vec<String>,
    pub hidden: Affected,
    pub kept: Affected,
    /// What is stored is redacted, and does not tell.
    pub cannot_be_judged: Affected,
}

/// What one rule would hide.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hiding {
    pub id: String,
    pub differences_hidden: u64,
}

/// Mismatches that fare alike.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Affected {
    pub count: usize,
    /// Ids of up to three.
    pub examples: Vec<String>,
}

/// What reading the stored mismatches of a class again has shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ClassRecheck {
    /// The id of the class.
    pub class: String,
    pub route: Arc<str>,
    pub place: String,
    pub kind: String,
    pub still_there: usize,
    pub vanished: usize,
    pub not_judged: usize,
    /// Stored mismatches of the class that are older than these, and were not looked at.
    pub not_read: u64,
    /// The newest first.
    pub examples: Vec<Rechecked>,
}

/// A stored mismatch that was to be read again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Rechecked {
    /// As at `/v1/mismatches/{id}`.
    pub id: String,
    pub method: String,
    pub path: String,
    pub found: Found,
    /// Why it was not judged, or what else is to be said.
    #[schema(required)]
    pub detail: Option<String>,
    /// What the stacks answer now; null: they were not asked, or gave no answer.
    #[schema(required)]
    pub old_status: Option<u16>,
    #[schema(required)]
    pub new_status: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The answers differ at the place of the class, or where that is no longer to be seen.
    StillThere,
    /// They do not differ there any more.
    Vanished,
    /// It could not be asked, or not be compared.
    NotJudged,
}
