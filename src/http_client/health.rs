//! Whether a stack answers, and if not, why: for the log, `/readyz` and `twinread status`.
//!
//! What happens last decides. A stack that answered before counts as failing once no connection to it can be made, or
//! once three requests have failed without an answer between them. So one slow read says nothing about it. An answer that
//! breaks off counts by itself, because its head was an answer.

use super::{Target, error::is_out_of_files};
use crate::{budget::Paced, transport::TlsFailure};
use jiff::Timestamp;
use std::{
    error::Error,
    fmt, io, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Why a stack gave no answer. Its text names no address, so that callers may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    NameNotFound,
    Connect(io::ErrorKind),
    /// This process, or the host, has no file descriptor left.
    NoFile,
    ConnectTimeout(Duration),
    /// There is a connection, but TLS failed on it.
    Tls(TlsFailure),
    /// No whole answer in time; of a live read, no head.
    Timeout(Duration),
    /// The connection broke.
    Reset,
    /// What came is not acceptable HTTP.
    Protocol,
    /// The answer broke off after its head.
    Truncated,
}

/// What is known of a stack. Its clients share it.
#[derive(Debug)]
pub struct Health {
    name: &'static str,
    url: String,
    /// Whether the stack has not answered yet, or not since a failure. Read for each answer, so that the lock is only taken
    /// then.
    is_unclear: AtomicBool,
    state: Mutex<State>,
}

/// A stack that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    pub why: NoAnswer,
    /// Of the first of these attempts.
    pub since: Timestamp,
    /// Requests and connections that failed, one after the other.
    pub attempts: u64,
}

#[derive(Debug, Default)]
struct State {
    has_answered: bool,
    /// The failures since the last answer.
    failing: Option<Failing>,
    /// Whether they say that the stack does not answer.
    is_down: bool,
    lines: Lines,
}

/// The lines of each event. `None` is a stack that answers again.
#[derive(Debug, Default)]
struct Lines(Vec<(Option<NoAnswer>, Paced)>);

/// Failed requests after which a stack that can be connected to counts as failing.
const IN_A_ROW: u64 = 3;

/// Bounds the memory; a stack has fewer causes at once.
const MAX_EVENTS: usize = 16;

// === impl NoAnswer ===

impl NoAnswer {
    /// Of an error before the connection is there.
    pub(super) fn of_connect(error: &io::Error) -> Self {
        if is_out_of_files(error) {
            Self::NoFile
        } else {
            Self::Connect(error.kind())
        }
    }

    /// Whether one such failure says that the stack does not answer.
    fn counts_alone(self) -> bool {
        match self {
            Self::NameNotFound
            | Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::Tls(_)
            | Self::Truncated => true,
            Self::NoFile | Self::Timeout(_) | Self::Reset | Self::Protocol => false,
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameNotFound => f.write_str("name not found"),
            Self::Connect(kind) => write!(f, "{kind}"),
            Self::NoFile => f.write_str("no file descriptor left"),
            Self::ConnectTimeout(limit) => write!(f, "connecting {}", Self::Timeout(*limit)),
            Self::Tls(failure) => write!(f, "TLS: {failure}"),
            Self::Timeout(limit) if limit.as_secs() > 0 => {
                write!(f, "timed out after {} s", limit.as_secs_f64())
            }
            Self::Timeout(limit) => {
                write!(f, "timed out after {} ms", limit.as_micros() as f64 / 1e3)
            }
            Self::Reset => f.write_str("connection reset"),
            Self::Protocol => f.write_str("protocol error"),
            Self::Truncated => f.write_str("the answer broke off"),
        }
    }
}

// === impl Health ===

impl Health {
    /// `name` is `old`, `new` or `control`.
    pub fn new(name: &'static str, target: &Target) -> Self {
        Self {
            name,
            url: target.url(),
            is_unclear: AtomicBool::new(true),
            state: Mutex::default(),
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `None` if the stack answers, as far as is known.
    pub fn failing(&self) -> Option<Failing> {
        let state = self.lock();
        state.failing.filter(|_| state.is_down)
    }

    pub fn failed(&self, why: NoAnswer, error: Option<&(dyn Error + 'static)>) {
        let mut state = self.lock();
        // Without a file the stack was not asked.
        if why != NoAnswer::NoFile {
            let failing = state.failing.get_or_insert_with(|| Failing {
                why,
                since: Timestamp::now(),
                attempts: 0,
            });
            failing.why = why;
            failing.attempts += 1;
            let is_enough = failing.attempts >= IN_A_ROW || why.counts_alone();
            state.is_down |= is_enough || !state.has_answered;
            self.is_unclear.store(true, Ordering::Relaxed);
        }
        let admitted = state.lines.admit(Some(why), Instant::now());
        drop(state);
        if let Some(suppressed) = admitted {
            tracing::warn!(
                stack = self.name,
                url = self.url,
                cause = why.to_string(),
                error,
                suppressed = (suppressed > 0).then_some(suppressed),
                "a stack gives no answer"
            );
        }
    }

    /// Costs one load while the stack is well.
    pub fn answered(&self) {
        if self.is_unclear.load(Ordering::Relaxed) {
            self.has_answered();
        }
    }

    /// A connection was opened, which is no answer: whoever accepts it may speak another protocol.
    pub fn reached(&self) {
        self.recovered(self.lock());
    }

    fn has_answered(&self) {
        let mut state = self.lock();
        self.is_unclear.store(false, Ordering::Relaxed);
        state.has_answered = true;
        self.recovered(state);
    }

    fn recovered(&self, mut state: MutexGuard<'_, State>) {
        let was_down = mem::take(&mut state.is_down);
        let Some(failing) = state.failing.take().filter(|_| was_down) else {
            return;
        };
        let admitted = state.lines.admit(None, Instant::now());
        drop(state);
        if let Some(suppressed) = admitted {
            tracing::info!(
                stack = self.name,
                url = self.url,
                attempts = failing.attempts,
                suppressed = (suppressed > 0).then_some(suppressed),
                "a stack answers again"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Lines ===

impl Lines {
    /// Whether a line may be written now, and how many were suppressed before it.
    fn admit(&mut self, event: Option<NoAnswer>, now: Instant) -> Option<u64> {
        let mut lines = self.0.iter_mut();
        if let Some((_, line)) = lines.find(|(known, _)| *known == event) {
            return line.admit(now);
        }
        if self.0.len() == MAX_EVENTS {
            self.0.remove(0);
        }
        self.0.push((event, Paced::default()));
        let (_, line) = self.0.last_mut()?;
        line.admit(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::PAUSE;

    fn health() -> Health {
        Health::new("old", &Target::new("me@old:9001".parse().unwrap()))
    }

    #[test]
    fn one_line_a_minute_for_each_cause_with_the_number_left_out() {
        let mut lines = Lines::default();
        let now = Instant::now();
        let refused = Some(NoAnswer::Connect(io::ErrorKind::ConnectionRefused));
        assert_eq!(lines.admit(refused, now), Some(0));
        assert_eq!(lines.admit(Some(NoAnswer::Reset), now), Some(0));
        for _ in 0..7 {
            assert_eq!(lines.admit(refused, now + PAUSE / 2), None);
        }
        assert_eq!(lines.admit(refused, now + PAUSE), Some(7));
        assert_eq!(lines.admit(refused, now + PAUSE), None);
    }

    #[test]
    fn events_without_end_take_no_memory_without_end() {
        let mut lines = Lines::default();
        for seconds in 0..100 {
            let timeout = NoAnswer::Timeout(Duration::from_secs(seconds));
            assert_eq!(lines.admit(Some(timeout), Instant::now()), Some(0));
        }
        assert_eq!(lines.0.len(), MAX_EVENTS);
    }

    #[test]
    fn a_slow_read_between_answers_says_nothing_of_the_stack() {
        let health = health();
        let slow = NoAnswer::Timeout(Duration::from_secs(5));
        for _ in 0..9 {
            health.answered();
            health.failed(slow, None);
            health.failed(NoAnswer::Reset, None);
            assert_eq!(health.failing(), None);
        }
        health.failed(slow, None);
        let failing = health.failing().unwrap();
        assert_eq!((failing.why, failing.attempts), (slow, 3));
        health.answered();
        assert_eq!(health.failing(), None);
        assert_eq!(health.url(), "http://old:9001");
    }

    #[test]
    fn a_stack_without_connections_or_any_answer_fails_at_once() {
        let never = health();
        never.failed(NoAnswer::Protocol, None);
        assert_eq!(never.failing().unwrap().why, NoAnswer::Protocol);

        let another = health();
        another.failed(NoAnswer::Connect(io::ErrorKind::ConnectionRefused), None);
        another.reached();
        assert_eq!(another.failing(), None);
        another.failed(NoAnswer::Reset, None);
        let failing = another.failing().unwrap();
        assert_eq!(failing.why, NoAnswer::Reset, "to be reached is no answer");

        let gone = health();
        gone.answered();
        gone.failed(NoAnswer::ConnectTimeout(Duration::from_secs(2)), None);
        assert_eq!(gone.failing().unwrap().attempts, 1);
        gone.failed(NoAnswer::Reset, None);
        assert_eq!(
            gone.failing().unwrap().why,
            NoAnswer::Reset,
            "until it answers"
        );
        gone.answered();
        gone.failed(NoAnswer::Reset, None);
        assert_eq!(gone.failing(), None);
    }

    #[test]
    fn causes_are_in_plain_words() {
        for (why, text) in [
            (NoAnswer::NameNotFound, "name not found"),
            (
                NoAnswer::Connect(io::ErrorKind::ConnectionRefused),
                "connection refused",
            ),
            (
                NoAnswer::Connect(io::ErrorKind::HostUnreachable),
                "host unreachable",
            ),
            (
                NoAnswer::ConnectTimeout(Duration::from_secs(2)),
                "connecting timed out after 2 s",
            ),
            (
                NoAnswer::Timeout(Duration::from_millis(1_500)),
                "timed out after 1.5 s",
            ),
            (
                NoAnswer::Timeout(Duration::from_millis(290)),
                "timed out after 290 ms",
            ),
            (
                NoAnswer::Tls(TlsFailure::UnknownIssuer),
                "TLS: unknown issuer of the certificate",
            ),
            (NoAnswer::Reset, "connection reset"),
            (NoAnswer::Protocol, "protocol error"),
        ] {
            assert_eq!(why.to_string(), text);
        }
        let no_file = io::Error::from_raw_os_error(24);
        assert_eq!(NoAnswer::of_connect(&no_file), NoAnswer::NoFile);
    }
}
