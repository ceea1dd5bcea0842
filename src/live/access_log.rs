//! One log line for each live request, if `access_log` asks for it.
//!
//! Lines are written on another thread, because a log that nobody reads must not hold up callers. A line that does not
//! fit is dropped and counted.

use super::{problem::Problem, settings::LiveSettings};
use crate::{
    http_client::NoAnswer,
    ledger::{AnsweredBy, Gauges, Signal},
    spanned_yaml::Choice,
};
use http::{Method, Request, StatusCode, Uri};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc::{self, error::TrySendError};

/// Which live requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    #[default]
    None,
    /// Those with a status of 5xx, without a whole answer, or answered by twinread itself.
    Errors,
    All,
}

/// Takes lines, and never waits.
#[derive(Clone, Debug)]
pub struct AccessLines {
    lines: mpsc::Sender<Box<Line>>,
    gauges: Gauges,
}

/// Writes lines.
#[derive(Debug)]
pub struct AccessWriter(mpsc::Receiver<Box<Line>>);

/// One live request.
#[derive(Debug)]
pub(super) struct Line {
    live: Arc<LiveSettings>,
    /// `None` if the head cannot be read.
    request: Option<(Method, Uri)>,
    /// Redacted, once the line is on its way.
    path: Option<String>,
    /// `None` until the body is complete, if the route depends on it.
    pub(super) route: Option<Arc<str>>,
    status: Option<StatusCode>,
    answered_by: Option<AnsweredBy>,
    cause: Option<String>,
    took: Option<Duration>,
}

/// Lines that wait to be written.
const WAITING: usize = 4_096;

/// Both ends of the access log.
pub fn access_log(gauges: Gauges) -> (AccessLines, AccessWriter) {
    let (lines, written) = mpsc::channel(WAITING);
    (AccessLines { lines, gauges }, AccessWriter(written))
}

// === impl AccessLog ===

/// The values of the setting `access_log`.
impl Choice for AccessLog {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("errors", Self::Errors),
        ("all", Self::All),
    ];
}

// === impl AccessLines ===

impl AccessLines {
    /// Sends the line, if such requests are logged.
    pub(super) fn send(&self, mut line: Box<Line>) {
        if line.live.access_log == AccessLog::Errors && !line.is_error() {
            return;
        }
        line.redact();
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.gauges.export_dropped(Signal::Logs, 1);
        }
    }
}

// === impl AccessWriter ===

impl AccessWriter {
    /// Ends when the live path has ended.
    pub async fn run(mut self) {
        while let Some(line) = self.0.recv().await {
            line.write();
        }
    }
}

// === impl Line ===

impl Line {
    /// `None` if no requests are logged.
    pub(super) fn of<B>(request: &Request<B>, live: &Arc<LiveSettings>) -> Option<Box<Self>> {
        let mut line = Self::begin(live)?;
        line.request = Some((request.method().clone(), request.uri().clone()));
        Some(line)
    }

    /// The line for a head that cannot be read.
    pub(super) fn unreadable(live: &Arc<LiveSettings>, status: StatusCode) -> Option<Box<Self>> {
        let mut line = Self::begin(live)?;
        line.status = Some(status);
        line.answered_by = Some(AnsweredBy::Twinread);
        line.cause = Some("the head of the request is not acceptable".to_owned());
        Some(line)
    }

    fn begin(live: &Arc<LiveSettings>) -> Option<Box<Self>> {
        let line = || Self {
            live: live.clone(),
            request: None,
            path: None,
            route: None,
            status: None,
            answered_by: None,
            cause: None,
            took: None,
        };
        (live.access_log != AccessLog::None).then(|| Box::new(line()))
    }

    fn redact(&mut self) {
        let path = self.request.as_ref().map(|(_, uri)| uri.path());
        // CONNECT has none.
        let path = path.filter(|path| !path.is_empty());
        self.path = path.map(|path| self.live.redactor.path(path));
    }

    pub(super) fn answered(&mut self, by: AnsweredBy, status: StatusCode) {
        self.answered_by = Some(by);
        self.status = Some(status);
    }

    pub(super) fn answered_with(&mut self, problem: Problem) {
        self.cause = Some(match problem {
            Problem::NoAnswer(_, why) => why.to_string(),
            problem => problem.to_string(),
        });
    }

    pub(super) fn truncated(&mut self) {
        self.cause = Some(NoAnswer::Truncated.to_string());
    }

    pub(super) fn ended(&mut self, took: Duration) {
        self.took = Some(took);
        if self.status.is_none() {
            self.cause = Some("the caller left".to_owned());
        }
    }

    fn is_error(&self) -> bool {
        self.cause.is_some() || self.status.is_some_and(|status| status.is_server_error())
    }

    fn write(&self) {
        let method = self.request.as_ref().map(|(method, _)| method.as_str());
        tracing::info!(
            target: "twinread::access",
            method,
            path = self.path.as_deref(),
            route = self.route.as_deref(),
            status = self.status.map(|status| status.as_u16()),
            answered_by = self.answered_by.map(|by| by.into_str()),
            duration_ms = self.took.map(|took| took.as_micros() as f64 / 1e3),
            cause = self.cause.as_deref(),
            "live request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(access_log: AccessLog) -> Arc<LiveSettings> {
        Arc::new(LiveSettings {
            access_log,
            ..LiveSettings::default()
        })
    }

    #[test]
    fn a_request_has_no_line_unless_one_is_wanted() {
        let request = Request::get("/").body(()).unwrap();
        assert!(Line::of(&request, &live(AccessLog::None)).is_none());
        assert!(Line::of(&request, &live(AccessLog::Errors)).is_some());
    }

    #[test]
    fn lines_past_those_that_wait_are_dropped_and_counted() {
        let gauges = Gauges::default();
        let (lines, _writer) = access_log(gauges.clone());
        let line = || Line::unreadable(&live(AccessLog::All), StatusCode::BAD_REQUEST);
        for _ in 0..WAITING + 3 {
            lines.send(line().unwrap());
        }
        assert_eq!(gauges.exports_dropped(Signal::Logs), 3);
    }
}
