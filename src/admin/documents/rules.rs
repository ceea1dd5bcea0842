//! Rules in force, suggested rules, and what rules would hide.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Every rule in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rules {
    pub rules: Vec<Rule>,
}

/// A rule in force, and what it did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rule {
    pub id: String,
    pub why: String,
    #[schema(required)]
    pub owner: Option<String>,
    /// The last day on which it applies.
    #[schema(required, format = Date)]
    pub expires: Option<String>,
    pub expired: bool,
    /// How often it was evaluated.
    pub applied: u64,
    /// Differences that would have been reported without it.
    pub masked: u64,
}

/// Rules that would explain stored mismatches.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Suggestions {
    /// Built-in rule files that would mask much. The other suggestions are for what these leave.
    pub builtin: Vec<BuiltinSuggestion>,
    /// Those that would mask the most first.
    pub suggestions: Vec<Suggestion>,
    /// Rules that hide what callers may see: no evidence decides on them. Those that would mask the most first.
    pub decisions: Vec<Suggestion>,
    /// Mismatches that would be none under all suggestions together, without built-in files and decisions.
    pub masked_together: usize,
    /// Under the suggestions and the built-in files.
    pub masked_with_builtin: usize,
    /// Under the suggestions, the built-in files and the decisions.
    pub masked_with_decisions: usize,
    /// Ids of classes that no single rule explains.
    pub unexplained: Vec<String>,
    /// Ids of classes for which that is unknown, because too few of their differences were tried.
    pub not_tried: Vec<String>,
    /// Differences on which no rule was tried, for lack of space.
    pub differences_not_tried: usize,
    /// Number of stored mismatches.
    pub mismatches: u64,
    /// How many of them were examined.
    pub looked_at: usize,
    /// At most this many of each class are examined.
    pub newest_per_class: usize,
    pub classes: usize,
    /// Fewer than `classes` if time was up.
    pub classes_looked_at: usize,
}

/// A built-in rule file, and its effect on the stored mismatches.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BuiltinSuggestion {
    /// As in the configuration's list of rules: `builtin:aws`.
    pub name: String,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// Mismatches that would be none under it.
    pub masks: usize,
    /// Of the mismatches that show one of the classes, those in which it explains them entirely.
    pub explains: usize,
    /// Mismatches that show one of the classes.
    pub of: usize,
}

/// A rule, and its effect on the stored mismatches.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Suggestion {
    /// As in a rule file, without its reason.
    #[schema(value_type = Object)]
    pub rule: Value,
    /// The same as YAML, as an item of a rule file.
    pub yaml: String,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// What a person has to know to judge it.
    #[schema(required)]
    pub note: Option<String>,
    /// Mismatches that would be none under it.
    pub masks: usize,
    /// Of the mismatches that show one of the classes, those in which it explains the class entirely.
    pub explains: usize,
    /// Mismatches that show one of the classes.
    pub of: usize,
    /// Those of them for which it is unknown.
    pub not_tried: usize,
    /// Ids of up to three that it does not explain.
    pub not_explained: Vec<String>,
}

/// What rules would hide of the stored mismatches.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Preview {
    /// Number of stored mismatches.
    pub mismatches: u64,
    /// How many of them were examined.
    pub looked_at: usize,
    /// At most this many of each class are examined.
    pub newest_per_class: usize,
    pub rules: Vec<Hiding>,
    /// Rules that have expired, or that can apply to nothing: their route, header or place never occurs, or what is there
    /// has another type.
    pub warnings: Vec<String>,
    pub hidden: Affected,
    pub kept: Affected,
    /// Unknown, because the stored values are redacted.
    pub cannot_be_judged: Affected,
}

/// What one rule would hide.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Hiding {
    pub id: String,
    pub differences_hidden: u64,
    /// Mismatches in which it hides at least one difference, even if others stay.
    pub in_mismatches: u64,
    /// Mismatches in which it may hide a difference, but whose values are masked or whose differences are not all kept.
    pub unknown_in: u64,
    /// Mismatches in which it is for a header that differs between readings of the old stack: noise, and no difference.
    pub ends_noise_in: u64,
    /// Whether a rule with this id is in force. What that hides is not stored.
    pub in_force: bool,
}

/// Mismatches with the same result.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Affected {
    pub count: usize,
    /// Ids of up to three.
    pub examples: Vec<String>,
}
