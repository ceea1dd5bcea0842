//! Whether the process can do its work, and how both stacks are.

use crate::{
    http_client::{self, Health},
    stack::Stack,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What keeps the process from its work, what impairs it, and both stacks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProcessHealth {
    /// Why it is not ready, each in a sentence; empty if it is.
    pub missing: Vec<String>,
    /// Faults that do not stop the process from working, each in a sentence.
    pub impaired: Vec<String>,
    /// Both stacks, old first.
    pub stacks: Vec<StackHealth>,
}

/// The process does its work.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Ready {
    #[schema(example = "ready")]
    pub status: String,
    #[serde(flatten)]
    pub health: ProcessHealth,
}

/// One of the two stacks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct StackHealth {
    /// `old` or `new`.
    #[schema(value_type = String)]
    pub stack: Stack,
    /// `primary`, which answers callers, or `shadow`.
    pub role: String,
    /// Without credentials.
    pub url: String,
    /// Null if it answered last, or was not asked yet.
    #[schema(required)]
    pub failing: Option<StackFailure>,
}

/// A stack that does not answer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct StackFailure {
    /// Why the last attempt failed.
    #[schema(example = "connection refused")]
    pub cause: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Requests and connections that failed since then.
    pub attempts: u64,
}

// === impl StackHealth ===

impl StackHealth {
    pub(in crate::admin) fn new(stack: Stack, primary: Stack, health: &Health) -> Self {
        let role = if stack == primary {
            "primary"
        } else {
            "shadow"
        };
        Self {
            stack,
            role: role.to_owned(),
            url: health.url().to_owned(),
            failing: health.failing().map(StackFailure::from),
        }
    }
}

// === impl StackFailure ===

impl From<http_client::Failing> for StackFailure {
    fn from(failing: http_client::Failing) -> Self {
        Self {
            cause: failing.why.to_string(),
            since: failing.since,
            attempts: failing.attempts,
        }
    }
}
