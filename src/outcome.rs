//! The outcome of one check: a closed list, each with its names in metrics and reports.

#![deny(missing_docs)]

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
    /// No detail: the answers differ, and reading again confirmed it where it was needed.
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
    /// The TLS handshake failed.
    Tls,
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
    /// The queue of samples was full.
    QueueFull,
    /// The budget for captured bytes (`capture.max_total`) was used up.
    MemoryFull,
    /// It waited in the queue for longer than `queue.max_age`.
    Expired,
    /// A rate budget for requests of twinread's own was used up, or no file was left for a connection.
    OverBudget,
    /// The circuit breaker of the shadow was open.
    BreakerOpen,
    /// A body is over `capture.max_body` (an answer's only if the hashes differ), or over `compare.max_decoded`.
    BodyTooLarge,
    /// The bodies differ, and have none of the places of `compare.only`.
    NothingSelected,
    /// The answer was no message to wait for: server-sent events, another protocol after an upgrade, or an answer before
    /// the end of its request.
    Streaming,
    /// One stack answered that the caller's copy is current, and such reads are skipped.
    Conditional,
    /// The primary gave no complete answer.
    PrimaryError,
    /// The caller left before the answer was complete.
    ClientGone,
    /// Reserved: a check of what was just written is delayed instead, and none ends like this.
    WritePending,
    /// The process ended before the check.
    ShuttingDown,
    /// The comparison failed, or the end of a process cut the check off.
    Internal,
}

/// Every outcome with its value of the label `detail`; empty if it has none.
const DETAILS: [(Outcome, &str); 27] = [
    (Outcome::Match(Via::Exact), "exact"),
    (Outcome::Match(Via::Rules), "rules"),
    (Outcome::Mismatch(Mark::Plain), ""),
    (Outcome::Mismatch(Mark::Auth), "auth"),
    (Outcome::Mismatch(Mark::Unconfirmed), "unconfirmed"),
    (Outcome::Mismatch(Mark::Vanished), "vanished"),
    (Outcome::Transient, ""),
    (Outcome::Noise, ""),
    (Outcome::ShadowError(ShadowError::Connect), "connect"),
    (Outcome::ShadowError(ShadowError::Tls), "tls"),
    (Outcome::ShadowError(ShadowError::Timeout), "timeout"),
    (Outcome::ShadowError(ShadowError::Reset), "reset"),
    (Outcome::ShadowError(ShadowError::Protocol), "protocol"),
    (Outcome::NotCompared(Reason::QueueFull), "queue_full"),
    (Outcome::NotCompared(Reason::MemoryFull), "memory_full"),
    (Outcome::NotCompared(Reason::Expired), "expired"),
    (Outcome::NotCompared(Reason::OverBudget), "over_budget"),
    (Outcome::NotCompared(Reason::BreakerOpen), "breaker_open"),
    (Outcome::NotCompared(Reason::BodyTooLarge), "body_too_large"),
    (
        Outcome::NotCompared(Reason::NothingSelected),
        "nothing_selected",
    ),
    (Outcome::NotCompared(Reason::Streaming), "streaming"),
    (Outcome::NotCompared(Reason::Conditional), "conditional"),
    (Outcome::NotCompared(Reason::PrimaryError), "primary_error"),
    (Outcome::NotCompared(Reason::ClientGone), "client_gone"),
    (Outcome::NotCompared(Reason::WritePending), "write_pending"),
    (Outcome::NotCompared(Reason::ShuttingDown), "shutting_down"),
    (Outcome::NotCompared(Reason::Internal), "internal"),
];

// === impl Outcome ===

impl Outcome {
    /// Every outcome once, in the order of [`Outcome::index`].
    pub const ALL: [Self; 27] = {
        let mut all = [Self::Transient; 27];
        let mut index = 0;
        while index < all.len() {
            all[index] = DETAILS[index].0;
            index += 1;
        }
        all
    };

    /// A dense index into a table of counters.
    pub fn index(self) -> usize {
        match self {
            Self::Match(via) => via as usize,
            Self::Mismatch(mark) => 2 + mark as usize,
            Self::Transient => 6,
            Self::Noise => 7,
            Self::ShadowError(kind) => 8 + kind as usize,
            Self::NotCompared(reason) => 13 + reason as usize,
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
        DETAILS[self.index()].1
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

impl Via {
    /// The value of the label `detail`.
    pub fn name(self) -> &'static str {
        Outcome::Match(self).detail()
    }
}

impl ShadowError {
    /// The value of the label `detail`.
    pub fn name(self) -> &'static str {
        Outcome::ShadowError(self).detail()
    }
}

impl Reason {
    /// The value of the label `detail`.
    pub fn name(self) -> &'static str {
        Outcome::NotCompared(self).detail()
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
