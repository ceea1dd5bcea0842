//! The process's log: the format of lines, and the line for each mismatch.

use crate::{
    outcome::Outcome,
    pipeline::{Report, ReportedDifference, Sent},
    spanned_yaml::{Choice, settings},
};
use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tracing::Dispatch;
use tracing_subscriber::{
    EnvFilter,
    filter::LevelFilter,
    fmt::{self, MakeWriter},
};

settings! {
    /// The section `log` of the configuration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Config: Default {
        /// Lines for people, or JSON for collectors.
        #[setting(default: "text")]
        pub format: Format,
        /// The least severe level that is logged.
        #[setting(default: "info")]
        pub level: LevelFilter,
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether lines of text are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    Plain,
    Coloured,
}

/// Logs one line per mismatch, [`MAX_PER_SECOND`] at most.
#[derive(Debug)]
pub(crate) struct Mismatches {
    reports: mpsc::Receiver<Sent>,
    second: Instant,
    written: u32,
    left_out: u64,
}

/// Limits the log, because a stack that differs everywhere must not fill the disk. The next line reports how many were
/// omitted.
pub(crate) const MAX_PER_SECOND: u32 = 10;

/// Levels of libraries. [`Delivery`](super::Delivery) reports the collector's state once per change. The access log has
/// a setting of its own.
const LEVELS: &str = "twinread::access=info,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,opentelemetry-http=off,\
    hyper_util=warn,hyper=warn,h2=warn,tonic=warn,tower=warn";

// === impl Format ===

impl Choice for Format {
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

// === impl LevelFilter ===

impl Choice for LevelFilter {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}

// === impl Config ===

impl Config {
    /// Installs the log of the whole process, written to stderr.
    ///
    /// # Errors
    /// A log is already set up.
    pub fn install(&self) -> Result<(), tracing::dispatcher::SetGlobalDefaultError> {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colours = if is_wanted && io::stderr().is_terminal() {
            Colours::Coloured
        } else {
            Colours::Plain
        };
        tracing::dispatcher::set_global_default(self.dispatch(colours, io::stderr))
    }

    /// A log that writes to `writer`.
    pub fn dispatch<W>(&self, colours: Colours, writer: W) -> Dispatch
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let lines = fmt::fmt()
            .with_env_filter(self.filter())
            .with_writer(writer);
        match self.format {
            Format::Text => Dispatch::new(lines.with_ansi(colours == Colours::Coloured).finish()),
            Format::Json => Dispatch::new(lines.json().flatten_event(true).finish()),
        }
    }

    fn filter(&self) -> EnvFilter {
        EnvFilter::builder()
            .parse(format!("{LEVELS},{}", self.level))
            .expect("the directives for libraries must be valid")
    }
}

// === impl Mismatches ===

impl Mismatches {
    pub(crate) fn new(reports: mpsc::Receiver<Sent>) -> Self {
        Self {
            reports,
            second: Instant::now(),
            written: 0,
            left_out: 0,
        }
    }

    /// Ends when every sender of reports is dropped.
    pub(crate) async fn run(mut self) {
        while let Some(report) = self.reports.recv().await {
            if !matches!(report.outcome, Outcome::Mismatch(_)) {
                continue;
            }
            if self.admits(Instant::now()) {
                self.write(&report);
            } else {
                self.left_out += 1;
            }
        }
    }

    fn admits(&mut self, now: Instant) -> bool {
        if now - self.second >= Duration::from_secs(1) {
            self.second = now;
            self.written = 0;
        }
        self.written += 1;
        self.written <= MAX_PER_SECOND
    }

    fn write(&mut self, report: &Report) {
        let first = report.differences.first();
        let mark = Some(report.outcome.detail()).filter(|mark| !mark.is_empty());
        tracing::warn!(
            route = &*report.route,
            mark,
            place = first.map(|difference| difference.place.as_str()),
            kind = first.map(|difference| difference.kind.name()),
            old = first.and_then(|difference| difference.old.as_deref()),
            new = first.and_then(|difference| difference.new.as_deref()),
            class = first.map(|difference: &ReportedDifference| difference.class.as_str()),
            differences = report.count,
            trace_id = format_args!("{:032x}", report.span.trace_id),
            left_out = (self.left_out > 0).then_some(self.left_out),
            "mismatch"
        );
        self.left_out = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{Gauges, Signal},
        outcome::Mark,
        pipeline::{Rechecked, ReportedRequest, Reports, RuleEvidence},
        trace_context::TraceContext,
        value::Kind,
    };
    use std::{
        sync::{Arc, Mutex},
        time::SystemTime,
    };
    use tracing::instrument::WithSubscriber as _;

    /// Captures what is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(config: &Config) -> String {
        let page = Page::default();
        let writer = page.clone();
        let dispatch = config.dispatch(Colours::Plain, move || writer.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::info!(route = "get-user", "shown");
            tracing::debug!("not shown");
            tracing::warn!(target: "opentelemetry-otlp", "not shown either");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_one_plain_line_an_event() {
        let text = written(&Config::default());
        assert!(text.ends_with("shown route=\"get-user\"\n"), "{text}");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn json_is_one_object_an_event() {
        let text = written(&Config {
            format: Format::Json,
            ..Config::default()
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "shown");
        assert_eq!(line["route"], "get-user");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn mismatches_beyond_the_rate_wait_for_the_next_second() {
        let (_tx, rx) = mpsc::channel(1);
        let mut mismatches = Mismatches::new(rx);
        let now = mismatches.second;
        let admitted = (0..100).filter(|_| mismatches.admits(now)).count();
        assert_eq!(admitted, MAX_PER_SECOND as usize);
        assert!(mismatches.admits(now + Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_mismatch_is_one_line_that_leads_to_its_trace() {
        let mut reports = Reports::new(Gauges::default());
        let mismatches = Mismatches::new(reports.listen(Signal::Logs, 100));
        for _ in 1..MAX_PER_SECOND {
            reports.send(report(Outcome::Mismatch(Mark::Plain)));
        }
        for _ in 0..2 {
            reports.send(report(Outcome::Mismatch(Mark::Unconfirmed)));
        }
        reports.send(report(Outcome::Transient));
        drop(reports);
        let page = Page::default();
        let writer = page.clone();
        let dispatch = Config::default().dispatch(Colours::Plain, move || writer.clone());

        mismatches.run().with_subscriber(dispatch).await;

        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), MAX_PER_SECOND as usize, "{text}");
        assert!(
            text.lines()
                .last()
                .unwrap()
                .contains(" mark=\"unconfirmed\""),
            "{text}"
        );
        let line = text.lines().next().unwrap();
        for part in [
            "WARN",
            "mismatch route=\"get-item\" place=\"$.price\" kind=\"value\" old=\"number(3)\" class=\"c1a55\" differences=1",
            "trace_id=00000000000000000000000000000abc",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[tokio::test]
    async fn a_mismatch_is_logged_with_its_mark_where_it_has_one() {
        for (mark, text, json) in [
            (Mark::Plain, "mismatch route=\"get-item\" place", None),
            (Mark::Auth, "mark=\"auth\"", Some("auth")),
            (
                Mark::Unconfirmed,
                "mark=\"unconfirmed\"",
                Some("unconfirmed"),
            ),
            (Mark::Vanished, "mark=\"vanished\"", Some("vanished")),
        ] {
            let written = line(Format::Text, mark).await;
            assert!(written.contains(text), "{written}");
            let written = line(Format::Json, mark).await;
            let written: serde_json::Value = serde_json::from_str(&written).unwrap();
            assert_eq!(written["mark"].as_str(), json, "{written}");
        }
    }

    /// The line for one mismatch.
    async fn line(format: Format, mark: Mark) -> String {
        let mut reports = Reports::new(Gauges::default());
        let mismatches = Mismatches::new(reports.listen(Signal::Logs, 1));
        reports.send(report(Outcome::Mismatch(mark)));
        drop(reports);
        let page = Page::default();
        let writer = page.clone();
        let config = Config {
            format,
            ..Config::default()
        };
        let dispatch = config.dispatch(Colours::Plain, move || writer.clone());
        mismatches.run().with_subscriber(dispatch).await;
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    fn report(outcome: Outcome) -> Report {
        let difference = ReportedDifference {
            place: "$.price".to_owned(),
            kind: Kind::Value,
            class: "c1a55".to_owned(),
            class_place: "$.price".to_owned(),
            old: Some("number(3)".to_owned()),
            new: None,
            basis: RuleEvidence::default(),
        };
        Report {
            outcome,
            route: "get-item".into(),
            template: None,
            epoch: "e1".into(),
            request: ReportedRequest::default(),
            span: TraceContext {
                trace_id: 0xabc,
                span_id: 1,
                flags: 1,
                state: String::new(),
            },
            live: None,
            sent: Vec::new(),
            started: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            old: None,
            new: None,
            differences: vec![difference],
            count: 1,
            rechecked: Rechecked::default(),
        }
    }
}
