//! The outcome of one check: a closed list, each with its names in metrics and reports.

/// The outcome of a check. `docs/verdict.md` says how each of them counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Equal.
    Match(Via),
    /// Different, beyond lag and noise.
    Mismatch(Mark),
    /// First different, then equal on a re-check.
    Transient,
    /// Every place that differs also differs between two readings of the old stack.
    Noise,
    /// The shadow did not answer.
    ShadowError(ShadowError),
    /// No comparison was possible.
    NotCompared(Reason),
}

/// What made two answers equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Equal without any rule.
    Exact,
    /// At least one difference was masked by a rule.
    Rules,
}

/// A detail of a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    Plain,
    /// 401 or 403 only from the new stack: usually a wrong credential in the configuration.
    Auth,
    /// The re-check budget was used up, or the stacks could not be read again.
    Unconfirmed,
    /// A 5xx from the new stack only, which was gone at the second read. It counts as confirmed.
    Vanished,
}

/// Why the shadow failed to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShadowError {
    /// No connection.
    Connect,
    /// Not complete within `timeout`.
    Timeout,
    /// The connection broke before the answer was complete.
    Reset,
    /// The response was not HTTP.
    Protocol,
}

/// Why a sample was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    QueueFull,
    MemoryFull,
    Expired,
    OverBudget,
    BreakerOpen,
    BodyTooLarge,
    Streaming,
    /// One stack answered that the caller's copy is current, and such reads are skipped.
    Conditional,
    PrimaryError,
    ClientGone,
    /// A write to the same resource was pending until the last re-check.
    WritePending,
    ShuttingDown,
    Internal,
}

// === impl Outcome ===

impl Outcome {
    /// Every outcome once, in the order of [`Outcome::index`].
    pub const ALL: [Self; 25] = [
        Self::Match(Via::Exact),
        Self::Match(Via::Rules),
        Self::Mismatch(Mark::Plain),
        Self::Mismatch(Mark::Auth),
        Self::Mismatch(Mark::Unconfirmed),
        Self::Mismatch(Mark::Vanished),
        Self::Transient,
        Self::Noise,
        Self::ShadowError(ShadowError::Connect),
        Self::ShadowError(ShadowError::Timeout),
        Self::ShadowError(ShadowError::Reset),
        Self::ShadowError(ShadowError::Protocol),
        Self::NotCompared(Reason::QueueFull),
        Self::NotCompared(Reason::MemoryFull),
        Self::NotCompared(Reason::Expired),
        Self::NotCompared(Reason::OverBudget),
        Self::NotCompared(Reason::BreakerOpen),
        Self::NotCompared(Reason::BodyTooLarge),
        Self::NotCompared(Reason::Streaming),
        Self::NotCompared(Reason::Conditional),
        Self::NotCompared(Reason::PrimaryError),
        Self::NotCompared(Reason::ClientGone),
        Self::NotCompared(Reason::WritePending),
        Self::NotCompared(Reason::ShuttingDown),
        Self::NotCompared(Reason::Internal),
    ];

    /// A dense index into a table of counters.
    pub fn index(self) -> usize {
        match self {
            Self::Match(via) => via as usize,
            Self::Mismatch(mark) => 2 + mark as usize,
            Self::Transient => 6,
            Self::Noise => 7,
            Self::ShadowError(kind) => 8 + kind as usize,
            Self::NotCompared(reason) => 12 + reason as usize,
        }
    }

    /// The value of the label `outcome`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Match(_) => "match",
            Self::Mismatch(_) => "mismatch",
            Self::Transient => "transient",
            Self::Noise => "noise",
            Self::ShadowError(_) => "shadow_error",
            Self::NotCompared(_) => "not_compared",
        }
    }

    /// The value of the label `detail`; empty if the outcome has no details.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Match(via) => via.name(),
            Self::Mismatch(Mark::Plain) | Self::Transient | Self::Noise => "",
            Self::Mismatch(Mark::Auth) => "auth",
            Self::Mismatch(Mark::Unconfirmed) => "unconfirmed",
            Self::Mismatch(Mark::Vanished) => "vanished",
            Self::ShadowError(kind) => kind.name(),
            Self::NotCompared(reason) => reason.name(),
        }
    }

    /// Whether two answers were compared to the end.
    pub fn is_compared(self) -> bool {
        !matches!(self, Self::ShadowError(_) | Self::NotCompared(_))
    }

    /// Whether an operator should see the check: its answers were neither equal nor uncompared.
    pub fn is_deviation(self) -> bool {
        !matches!(self, Self::Match(_) | Self::NotCompared(_))
    }
}

// === impl Via ===

impl Via {
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Rules => "rules",
        }
    }
}

// === impl ShadowError ===

impl ShadowError {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
        }
    }
}

// === impl Reason ===

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::MemoryFull => "memory_full",
            Self::Expired => "expired",
            Self::OverBudget => "over_budget",
            Self::BreakerOpen => "breaker_open",
            Self::BodyTooLarge => "body_too_large",
            Self::Streaming => "streaming",
            Self::Conditional => "conditional",
            Self::PrimaryError => "primary_error",
            Self::ClientGone => "client_gone",
            Self::WritePending => "write_pending",
            Self::ShuttingDown => "shutting_down",
            Self::Internal => "internal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_index() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome.index(), index, "{outcome:?}");
        }
    }
}
