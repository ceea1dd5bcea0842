//! One log line for each live request, if `access_log` asks for it.

use super::{problem::Problem, settings::LiveSettings};
use crate::{http_client::NoAnswer, ledger::AnsweredBy, spanned_yaml::Choice};
use http::{Method, Request, StatusCode, Uri};
use std::{sync::Arc, time::Duration};

/// Which live requests are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    #[default]
    None,
    /// Those with a status of 5xx, without a whole answer, or answered by twinread itself.
    Errors,
    All,
}

/// One live request.
#[derive(Debug)]
pub(super) struct Line {
    live: Arc<LiveSettings>,
    /// `None` if the head cannot be read.
    request: Option<(Method, Uri)>,
    /// `None` until the body is complete, if the route depends on it.
    pub(super) route: Option<Arc<str>>,
    status: Option<StatusCode>,
    answered_by: Option<AnsweredBy>,
    cause: Option<String>,
    took: Option<Duration>,
    /// Whether all of the answer was passed on.
    is_complete: bool,
}

/// Characters of a path or a method that a line shows.
const MAX_SHOWN: usize = 2_048;

// === impl AccessLog ===

/// The values of the setting `access_log`.
impl Choice for AccessLog {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("none", Self::None),
        ("errors", Self::Errors),
        ("all", Self::All),
    ];
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
            route: None,
            status: None,
            answered_by: None,
            cause: None,
            took: None,
            is_complete: false,
        };
        (live.access_log != AccessLog::None).then(|| Box::new(line()))
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

    pub(super) fn complete(&mut self) {
        self.is_complete = true;
    }

    pub(super) fn truncated(&mut self) {
        self.cause = Some(NoAnswer::Truncated.to_string());
    }

    pub(super) fn ended(&mut self, took: Duration) {
        self.took = Some(took);
        if self.status.is_none() {
            self.cause = Some("the caller left".to_owned());
        } else if !self.is_complete && self.cause.is_none() {
            self.cause = Some("the caller left within the answer".to_owned());
        }
    }

    fn is_error(&self) -> bool {
        self.cause.is_some() || self.status.is_some_and(|status| status.is_server_error())
    }

    /// Writes the line, if such requests are logged.
    pub(super) fn write(&self) {
        if self.live.access_log == AccessLog::Errors && !self.is_error() {
            return;
        }
        let path = self.request.as_ref().map(|(_, uri)| uri.path());
        // CONNECT has none.
        let path = path.filter(|path| !path.is_empty());
        let path = path.map(|path| shortened(&self.live.redactor.path(path)));
        let method = self.request.as_ref().map(|(method, _)| method.as_str());
        let method = method.map(shortened);
        tracing::info!(
            target: "twinread::access",
            method = method.as_deref(),
            path = path.as_deref(),
            route = self.route.as_deref(),
            status = self.status.map(|status| status.as_u16()),
            answered_by = self.answered_by.map(|by| by.into_str()),
            duration_ms = self.took.map(|took| took.as_micros() as f64 / 1e3),
            cause = self.cause.as_deref(),
            "live request"
        );
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
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
}
