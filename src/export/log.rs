//! The process's log: the format of lines, and the line for each mismatch.

use super::log_writer::{LogWriter, log_panics};
use crate::{
    budget::{PAUSE, Paced},
    outcome::Outcome,
    pipeline::{Report, ReportedDifference, Sent},
    spanned_yaml::{Change, Choice, settings},
};
use std::{
    collections::HashMap,
    io::{self, IsTerminal as _},
    sync::OnceLock,
    time::Instant,
};
use tokio::{
    sync::mpsc,
    time::{self, MissedTickBehavior},
};
use tracing::Dispatch;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::LevelFilter,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    reload::{self, Handle},
};

settings! {
    /// The section `log` of the configuration.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Config: Default {
        /// Lines for people, or JSON for collectors.
        #[setting(default: "text")]
        pub format: Format,
        /// The least severe level that is logged.
        #[setting(default: "info", change: Change::Runtime)]
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
enum Colours {
    Plain,
    Coloured,
}

/// Logs mismatches, one line per class and minute. A stack that differs everywhere must not fill the disk.
#[derive(Debug)]
pub(crate) struct Mismatches {
    reports: mpsc::Receiver<Sent>,
    classes: HashMap<String, Paced>,
}

/// Classes with lines of their own. All others together have one.
const MAX_CLASSES: usize = 100;

/// The class of mismatches beyond [`MAX_CLASSES`].
const OTHERS: &str = "";

/// Levels of libraries. [`Delivery`](super::Delivery) reports the collector's state once per change. The access log has
/// a setting of its own.
const LEVELS: &str = "twinread::access=info,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,opentelemetry-http=off,\
    hyper_util=warn,hyper=warn,h2=warn,tonic=warn,tower=warn";

/// Filters the log of the process.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

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
    /// Installs the log of the whole process, written to stderr by a thread of its own. It has the panics, too.
    ///
    /// # Errors
    /// A log is already set up, or there can be no further thread.
    pub fn install(&self) -> io::Result<()> {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let colours = if is_wanted && io::stderr().is_terminal() {
            Colours::Coloured
        } else {
            Colours::Plain
        };
        let writer = LogWriter::start()?;
        let (filter, handle) = reload::Layer::new(self.filter());
        let dispatch = self.dispatch(filter, colours, move || writer.clone());
        tracing::dispatcher::set_global_default(dispatch).map_err(io::Error::other)?;
        let _ = FILTER.set(handle);
        log_panics();
        Ok(())
    }

    /// Puts the level in force for the log of the process, if one is installed.
    pub(crate) fn put_level(&self) {
        if let Some(filter) = FILTER.get()
            && let Err(error) = filter.reload(self.filter())
        {
            tracing::error!(%error, "the level of the log stays as it was");
        }
    }

    fn dispatch<F, W>(&self, filter: F, colours: Colours, writer: W) -> Dispatch
    where
        F: Layer<Registry> + Send + Sync + 'static,
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let filtered = Registry::default().with(filter);
        let lines = fmt::layer().with_writer(writer);
        match self.format {
            Format::Text => {
                Dispatch::new(filtered.with(lines.with_ansi(colours == Colours::Coloured)))
            }
            Format::Json => Dispatch::new(filtered.with(lines.json().flatten_event(true))),
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
            classes: HashMap::new(),
        }
    }

    /// Ends when every sender of reports is dropped.
    pub(crate) async fn run(mut self) {
        let mut minutes = time::interval(PAUSE);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                report = self.reports.recv() => match report {
                    Some(report) => self.log(&report, Instant::now()),
                    None => break,
                },
                _ = minutes.tick() => self.flush_ended(Instant::now()),
            }
        }
        self.flush(|_| true);
    }

    fn log(&mut self, report: &Report, now: Instant) {
        if !matches!(report.outcome, Outcome::Mismatch(_)) {
            return;
        }
        let worst = most_severe(&report.differences);
        let class = worst.map_or(OTHERS, |difference| &difference.class);
        if let Some(suppressed) = self.admits(class, now) {
            write(report, worst, suppressed);
        }
    }

    /// Flushes the classes whose pause is over.
    fn flush_ended(&mut self, now: Instant) {
        self.flush(|last| !last.is_recent(now));
    }

    /// Logs how many mismatches of each chosen class had no line since its last one: no further mismatch may come to
    /// report it.
    fn flush(&mut self, is_due: impl Fn(&Paced) -> bool) {
        let due = self.classes.iter_mut().filter(|(_, last)| is_due(last));
        for (class, last) in due {
            if let Some(suppressed) = last.take_suppressed() {
                let class = Some(class).filter(|class| *class != OTHERS);
                tracing::warn!(class, suppressed, "further mismatches");
            }
        }
    }

    /// Returns how many mismatches of the class had no line since its last one; `None` if this one has none either.
    fn admits(&mut self, class: &str, now: Instant) -> Option<u64> {
        let is_new = !self.classes.contains_key(class);
        if is_new && self.classes.len() >= MAX_CLASSES {
            self.flush_ended(now);
            self.classes
                .retain(|class, last| class == OTHERS || last.is_recent(now));
        }
        let is_full = self.classes.len() >= MAX_CLASSES;
        let class = if is_new && is_full { OTHERS } else { class };
        let last = self.classes.entry(class.to_owned()).or_default();
        last.admit(now)
    }
}

/// The first of the most severe differences.
fn most_severe(differences: &[ReportedDifference]) -> Option<&ReportedDifference> {
    let mut all = differences.iter();
    let breaking = all.find(|difference| difference.kind.is_breaking());
    breaking.or(differences.first())
}

fn write(report: &Report, worst: Option<&ReportedDifference>, suppressed: u64) {
    let mark = Some(report.outcome.detail()).filter(|mark| !mark.is_empty());
    tracing::warn!(
        route = &*report.route,
        mark,
        place = worst.map(|difference| difference.place.as_str()),
        kind = worst.map(|difference| difference.kind.name()),
        old = worst.and_then(|difference| difference.old.as_deref()),
        new = worst.and_then(|difference| difference.new.as_deref()),
        class = worst.map(|difference| difference.class.as_str()),
        differences = report.count,
        trace_id = format_args!("{:032x}", report.span.trace_id),
        suppressed,
        "mismatch"
    );
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
        let dispatch = config.dispatch(config.filter(), Colours::Plain, move || writer.clone());
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
    fn a_class_has_one_line_a_minute_with_the_number_suppressed() {
        let (_tx, rx) = mpsc::channel(1);
        let mut mismatches = Mismatches::new(rx);
        let now = Instant::now();
        assert_eq!(mismatches.admits("a", now), Some(0));
        for _ in 0..3 {
            assert_eq!(mismatches.admits("a", now + PAUSE / 2), None);
        }
        assert_eq!(mismatches.admits("b", now + PAUSE / 2), Some(0));
        assert_eq!(mismatches.admits("a", now + PAUSE), Some(3));
        assert_eq!(mismatches.admits("a", now + PAUSE), None);
    }

    #[test]
    fn classes_beyond_the_bound_share_one_line() {
        let (_tx, rx) = mpsc::channel(1);
        let mut mismatches = Mismatches::new(rx);
        let now = Instant::now();
        let admitted = |mismatches: &mut Mismatches, now| {
            let classes = 0..10 * MAX_CLASSES;
            let admits = |class: &usize| mismatches.admits(&class.to_string(), now).is_some();
            classes.filter(admits).count()
        };
        assert_eq!(admitted(&mut mismatches, now), MAX_CLASSES + 1);
        assert_eq!(admitted(&mut mismatches, now), 0);
        assert_eq!(
            admitted(&mut mismatches, now + 2 * PAUSE),
            MAX_CLASSES + 1,
            "classes of the last minute leave room"
        );
        assert!(mismatches.classes.len() <= MAX_CLASSES + 1);
    }

    #[test]
    fn suppressed_mismatches_of_a_class_that_stops_are_counted() {
        let (_tx, rx) = mpsc::channel(1);
        let mut mismatches = Mismatches::new(rx);
        let now = Instant::now();
        let mismatch = report(Outcome::Mismatch(Mark::Plain));
        let page = Page::default();
        let writer = page.clone();
        let config = Config::default();
        let dispatch = config.dispatch(config.filter(), Colours::Plain, move || writer.clone());
        tracing::dispatcher::with_default(&dispatch, || {
            (0..3).for_each(|_| mismatches.log(&mismatch, now));
            mismatches.flush_ended(now + PAUSE / 2);
            mismatches.flush_ended(now + PAUSE);
            mismatches.flush_ended(now + 2 * PAUSE);
            mismatches.log(&mismatch, now + 2 * PAUSE);
        });
        let written = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let ends = [
            "suppressed=0",
            "further mismatches class=\"c1a55\" suppressed=2",
            "suppressed=0",
        ];
        assert_eq!(written.lines().count(), ends.len(), "{written}");
        for (line, end) in written.lines().zip(ends) {
            assert!(line.ends_with(end), "{end}: {written}");
        }
    }

    #[tokio::test]
    async fn a_mismatch_is_one_line_that_leads_to_its_trace() {
        let lines = lines(Format::Text, |reports| {
            reports.send(report(Outcome::Mismatch(Mark::Plain)));
            reports.send(report(Outcome::Mismatch(Mark::Unconfirmed)));
            reports.send(report(Outcome::Transient));
        });
        let lines = lines.await;
        assert_eq!(lines.lines().count(), 2, "{lines}");
        for part in [
            "WARN",
            "mismatch route=\"get-item\" place=\"$.price\" kind=\"value\" old=\"number(3)\" class=\"c1a55\" differences=1",
            "trace_id=00000000000000000000000000000abc suppressed=0",
            "further mismatches class=\"c1a55\" suppressed=1",
        ] {
            assert!(lines.contains(part), "{part} in {lines}");
        }
    }

    #[tokio::test]
    async fn the_most_severe_difference_is_logged() {
        let mut report = report(Outcome::Mismatch(Mark::Plain));
        for (kind, class) in [(Kind::Extra, "e"), (Kind::Type, "f"), (Kind::Status, "g")] {
            let mut other = report.differences[0].clone();
            (other.kind, other.class) = (kind, class.to_owned());
            report.differences.push(other);
        }
        let line = lines(Format::Json, |reports| reports.send(report)).await;
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["kind"], &line["class"]),
            (&"type".into(), &"f".into())
        );
        assert_eq!(line["message"], "mismatch");
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
            let send = |reports: &Reports| reports.send(report(Outcome::Mismatch(mark)));
            let written = lines(Format::Text, send).await;
            assert!(written.contains(text), "{written}");
            let written = lines(Format::Json, send).await;
            let written: serde_json::Value = serde_json::from_str(&written).unwrap();
            assert_eq!(written["mark"].as_str(), json, "{written}");
        }
    }

    /// What is logged of the reports that `send` sends.
    async fn lines(format: Format, send: impl FnOnce(&Reports)) -> String {
        let mut reports = Reports::new(Gauges::default());
        let mismatches = Mismatches::new(reports.listen(Signal::Logs, 100));
        send(&reports);
        drop(reports);
        let page = Page::default();
        let writer = page.clone();
        let config = Config {
            format,
            ..Config::default()
        };
        let dispatch = config.dispatch(config.filter(), Colours::Plain, move || writer.clone());
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
