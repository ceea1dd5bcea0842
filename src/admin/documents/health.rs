//! Whether the process can do its work, and how both stacks are.

use crate::{
    http_client::{self, Health},
    stack::Stack,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What keeps the process from its work, what impairs it, and both stacks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProcessHealth {
    /// Why it is not ready, each in a sentence; empty if it is.
    pub missing: Vec<String>,
    /// Faults that do not stop the process from working, each in a sentence.
    pub impaired: Vec<String>,
    /// Intended states that are worth knowing, each in a sentence.
    #[serde(default)]
    #[schema(required)]
    pub notes: Vec<String>,
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
    pub role: Role,
    /// Without credentials.
    pub url: String,
    /// Null if it answered last, or was not asked yet.
    #[schema(required)]
    pub failing: Option<StackFailure>,
}

/// What a stack is for at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// It answers callers, if only some.
    Primary,
    /// It answers replays alone.
    Shadow,
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
    pub(in crate::admin) fn new(stack: Stack, serves: bool, health: &Health) -> Self {
        let role = if serves { Role::Primary } else { Role::Shadow };
        Self {
            stack,
            role,
            url: health.url().to_owned(),
            failing: health.failing().map(StackFailure::from),
        }
    }

    /// Why it does not answer, in a sentence; `None` if it does.
    pub(in crate::admin) fn trouble(&self) -> Option<String> {
        let Self { stack, url, .. } = self;
        let cause = &self.failing.as_ref()?.cause;
        Some(format!(
            "the {stack} stack at {url} does not answer: {cause}"
        ))
    }
}

// === impl Role ===

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Shadow => "shadow",
        })
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
