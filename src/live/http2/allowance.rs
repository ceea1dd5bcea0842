//! How many frames that carry no message a caller may send.
//!
//! hyper answers each `SETTINGS` and `PING`, and drops what it does not know, without any limit. A real caller sends
//! such frames now and then, or in step with its messages: a window update for each piece of an answer, a ping to
//! measure the line. So messages in either direction earn some of them.

use super::frames::Kind;
use std::time::Instant;

/// What a caller may still send.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u32,
    /// When it was last topped up.
    since: Instant,
}

/// A connection begins with this much, and never has more.
const MOST: u32 = 1_000;
const PER_SECOND: u32 = 100;
/// A request that is given up right away costs more than it earned.
const RESET: u32 = 4;

/// Error codes (RFC 9113 7).
pub(super) const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;

// === impl Allowance ===

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            left: MOST,
            since: now,
        }
    }

    /// Counts a frame of the caller. Returns `false` if it is one too many.
    #[must_use]
    pub(crate) fn take(&mut self, kind: Kind, now: impl Fn() -> Instant) -> bool {
        let cost = match kind {
            Kind::Headers | Kind::Data => {
                self.earn(2);
                return true;
            }
            Kind::Reset(_) => RESET,
            Kind::Control => 1,
        };
        if self.left < cost {
            self.top_up(now());
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    /// Counts a frame to the caller. One that resets a stream because the caller is at fault costs as one of the caller:
    /// otherwise a caller could make us give up its requests (CVE-2025-8671).
    pub(crate) fn sent(&mut self, kind: Kind) {
        match kind {
            Kind::Headers | Kind::Data => self.earn(4),
            Kind::Reset(PROTOCOL_ERROR | FLOW_CONTROL_ERROR | STREAM_CLOSED) => {
                self.left = self.left.saturating_sub(RESET);
            }
            _ => {}
        }
    }

    fn earn(&mut self, count: u32) {
        self.left = (self.left + count).min(MOST);
    }

    fn top_up(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since);
        let earned = passed.as_millis() * u128::from(PER_SECOND) / 1_000;
        if earned > 0 {
            self.earn(u32::try_from(earned).unwrap_or(MOST).min(MOST));
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_ends_and_time_allows_more() {
        let begin = Instant::now();
        let mut allowance = Allowance::new(begin);
        let mut control = |after: Duration| allowance.take(Kind::Control, || begin + after);
        for _ in 0..MOST {
            assert!(control(Duration::ZERO));
        }
        assert!(!control(Duration::from_millis(9)));
        assert!(control(Duration::from_millis(10)));
        assert!(!control(Duration::from_millis(19)));
        for _ in 0..MOST {
            assert!(control(Duration::from_secs(3_600)));
        }
        assert!(!control(Duration::from_secs(3_600)));
    }

    #[test]
    fn messages_earn_what_goes_with_them() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        for _ in 0..10 * MOST {
            assert!(allowance.take(Kind::Headers, || now));
            allowance.sent(Kind::Headers);
            allowance.sent(Kind::Data);
            // Two window updates, a ping and its answer, and a reset.
            for kind in [Kind::Control; 4] {
                assert!(allowance.take(kind, || now));
            }
            assert!(allowance.take(Kind::Reset(8), || now));
        }
    }

    #[test]
    fn requests_that_are_given_up_at_once_are_a_flood() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        let mut begun = 0;
        while allowance.take(Kind::Headers, || now) && allowance.take(Kind::Reset(8), || now) {
            begun += 1;
        }
        assert_eq!(begun, MOST / 2 - 1);
    }
}
