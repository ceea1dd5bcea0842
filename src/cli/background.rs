//! What `replay` and `sweep` share: arguments, the process, progress, and handing over what was found.

use super::{
    chain,
    client::{Address, Error as ClientError},
    exit,
    print::complain,
};
use crate::{
    admin::documents::{Evidence, EvidenceSummary, Given},
    app::{Background, Overrides, StartError},
    background::{End, Job, Limits, Pace, run},
    config::{self, Comparable, EpochFingerprint, Flags, Loaded, Origin},
    sample::Frequency,
    spanned_yaml::{ConfigErrors, parse_duration},
    verdict::{Decision, Span},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::{
    fmt,
    io::{self, IsTerminal as _},
    num::NonZeroUsize,
    ops::RangeInclusive,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::signal::unix::{SignalKind, signal};

// The arguments of both commands. Not a doc comment, because clap would use it as the help of each.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Common {
    /// The configuration of the sidecar
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Reads at most, such as 50/s; 0: as fast as the limits of the configuration allow
    #[arg(long, value_name = "RATE", default_value = "50/s", value_parser = rate)]
    rate: Frequency,
    /// Requests to each stack at once
    #[arg(long, value_name = "N", default_value = "16")]
    in_flight: NonZeroUsize,
    /// Keep figures, examples and checkpoints in this file
    #[arg(long, value_name = "FILE")]
    pub(super) store: Option<PathBuf>,
    /// Go on from the checkpoint in the store
    #[arg(long, requires = "store")]
    pub(super) resume: bool,
    /// Slow down while the old stack takes longer than this on average; 0: never
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    max_latency: Duration,
    /// Hand the result to this twinread as evidence: a url, or unix:/path
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Its token (`admin_token`), if one is set
    #[arg(long, env = "TWINREAD_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print the result as a JSON document
    #[arg(long)]
    pub(super) json: bool,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Config(ConfigErrors),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("stopped")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Admin(#[from] ClientError),
}

/// A process that can read both stacks.
pub(super) struct Process {
    pub(super) background: Background,
    args: Common,
    admin: Option<Address>,
}

/// How far a run is.
pub(super) struct Progress {
    pub(super) done: u64,
    /// `None` if that is not known.
    pub(super) total: Option<u64>,
    pub(super) differing: u64,
    /// More for people.
    pub(super) more: String,
}

/// Shows progress on stderr: in place on a terminal, else a line now and then.
pub(super) struct Bar {
    begun: Instant,
    first: Option<u64>,
    shown: Option<Instant>,
    is_terminal: bool,
}

/// The exit code of a run that was interrupted.
const INTERRUPTED: u8 = 130;

/// The share of the limits on requests to a stack that is used. The rest is for reading again what differs.
const SHARE: f64 = 0.8;

/// Lines of classes and of examples in a result for people.
pub(super) const SHOWN: usize = 10;

/// How often a line is shown that goes to no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Reads per second that `--rate` may ask for.
const RATES: RangeInclusive<f64> = 0.001..=1_000_000.0;

// === impl Process ===

impl Process {
    /// Loads the configuration, and starts what reads both stacks, if somebody takes the result.
    pub(super) fn start(args: &Common, is_old_recorded: bool) -> Result<Self, Error> {
        let admin = args.admin.as_ref().map(|admin| Address {
            admin: admin.clone(),
            token: args.token.clone(),
            ca: None,
            cert: None,
            key: None,
        });
        if let Some(admin) = &admin {
            // Better now than after hours.
            admin.client()?.get::<serde_json::Value>("/v1/evidence")?;
        }
        let origin = Origin::new(Some(args.config.clone()), Flags::default());
        let loaded: Loaded = config::load(&origin).map_err(Error::Config)?;
        if let Err(error) = Overrides::log(&loaded.config).install() {
            complain(error);
        }
        let overrides = Overrides {
            store: args.store.clone(),
            in_flight: args.in_flight,
            is_old_recorded,
            is_resumed: args.resume,
        };
        Ok(Self {
            background: Background::start(loaded, &overrides)?,
            args: args.clone(),
            admin,
        })
    }

    /// Runs a job to its end or to a signal.
    pub(super) fn run<J: Job<Error = io::Error>>(&self, job: &mut J) -> Result<End, Error> {
        let limits = self.limits();
        let offers = self.background.offers();
        let end = self.background.run(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let stop = async {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminate.recv() => {}
                }
            };
            run(job, &offers, &limits, stop).await
        });
        Ok(end?)
    }

    /// Between two reads, where each waits for the one before.
    pub(super) fn pause(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.limits().rate)
    }

    fn limits(&self) -> Limits {
        let settings = &self.background.config.settings;
        let protections = [&settings.old.protection, &settings.new.protection];
        let allowed = protections.map(|protection| protection.max_per_second.as_per_second());
        let allowed = allowed[0].min(allowed[1]) * SHARE;
        let rate = self.args.rate.as_per_second();
        Limits {
            rate: if rate > 0.0 {
                rate.min(allowed)
            } else {
                allowed
            },
            in_flight: self.args.in_flight.get(),
            open: settings.queue.max_length,
            max_latency: Some(self.args.max_latency).filter(|max| !max.is_zero()),
            cool_down: protections[0]
                .breaker
                .cool_down
                .max(protections[1].breaker.cool_down),
        }
    }

    /// Identifies a run: what is read, `of`, from which stacks, and what answers are compared by.
    pub(super) fn fingerprint(&self, of: &str) -> String {
        let measured = EpochFingerprint::of(&self.background.config).text();
        format!("{measured} {of}")
    }

    /// The checkpoint to go on from, if `--resume` is given. It has to be of this run; `parts` names what may be others'.
    pub(super) fn checkpoint<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        fingerprint: &str,
        parts: &str,
    ) -> Result<Option<T>, Error> {
        if !self.args.resume {
            return Ok(None);
        }
        let page = self
            .background
            .checkpoints(kind)
            .page::<serde_json::Value>(None, 1);
        let page = page.map_err(|error| Error::Usage(format!("the store: {error}")))?;
        let Some(newest) = page.entries.into_iter().next() else {
            let message = format!("the store has no checkpoint of a {kind} to go on from");
            return Err(Error::Usage(message));
        };
        if newest["fingerprint"] != fingerprint {
            return Err(Error::Usage(format!("the checkpoint is of other {parts}")));
        }
        let read = serde_json::from_value(newest);
        read.map(Some)
            .map_err(|error| Error::Usage(format!("the checkpoint: {error}")))
    }

    /// Hands the summary over, ends the process, and prints.
    pub(super) fn finish(
        self,
        end: End,
        summary: EvidenceSummary,
        text: impl fmt::Display,
    ) -> Result<ExitCode, Error> {
        let (build, mixed_builds) = self.background.build();
        let given = Given {
            rules: Comparable::of(&self.background.config).rules_hash(),
            build,
            mixed_builds,
            at: Timestamp::now(),
            summary,
        };
        super::client::print(self.args.json, &given.summary, text);
        self.background.stop();
        if self.admin.is_some() && end == End::Interrupted {
            complain("interrupted: nothing is handed over as evidence");
        } else if let Some(admin) = &self.admin {
            let path = format!("/v1/evidence/{}", given.summary.source());
            // On a connection of its own: one of the start would have been idle for too long.
            let kept: Evidence = admin.client()?.put(&path, &given)?;
            complain(format!("handed over as evidence: {}", kept.state.detail));
        }
        Ok(match (end, given.summary.verdict()) {
            (End::Interrupted, _) => ExitCode::from(INTERRUPTED),
            (End::Complete, Decision::Safe) => ExitCode::SUCCESS,
            (End::Complete, Decision::Unsafe) => ExitCode::from(1),
            (End::Complete, Decision::Undecided) => ExitCode::from(2),
        })
    }
}

/// The exit code of a command. Prints why there is no result.
pub(super) fn exit_code(ended: Result<ExitCode, Error>) -> ExitCode {
    ended.unwrap_or_else(|error| {
        complain(format!("twinread: {}", chain(&error)));
        ExitCode::from(match &error {
            Error::Admin(error) => error.exit_code(),
            Error::Start(StartError::Store(error)) if !error.is_of_the_configuration() => {
                exit::UNAVAILABLE
            }
            _ => exit::USAGE,
        })
    })
}

fn rate(text: &str) -> Result<Frequency, String> {
    if text == "0" {
        return Ok(Frequency::ZERO);
    }
    let read = text.parse().ok();
    let read = read.filter(|rate: &Frequency| RATES.contains(&rate.as_per_second()));
    read.ok_or_else(|| "expected 0, or a rate from 0.001/s to 1000000/s such as 50/s".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let zero = (text == "0").then_some(Duration::ZERO);
    let read = zero.or_else(|| parse_duration(text));
    read.ok_or_else(|| "expected a duration such as 500ms, or 0".to_owned())
}

// === impl Bar ===

impl Bar {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            first: None,
            shown: None,
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// Shows the progress if that is due.
    pub(super) fn show(&mut self, progress: impl FnOnce() -> Progress, pace: Pace) {
        let now = Instant::now();
        let is_due = self.shown.is_none_or(|shown| now - shown >= LINE_EVERY);
        if !self.is_terminal && !is_due && !pace.is_end {
            return;
        }
        let progress = &progress();
        let first = *self.first.get_or_insert(progress.done);
        self.shown = Some(now);
        let line = self.line(progress, progress.done - first, pace);
        if !self.is_terminal {
            anstream::eprintln!("{line}");
            return;
        }
        let width = super::print::width();
        let line = super::print::fit(&line, width.saturating_sub(1));
        anstream::eprint!("\r\x1b[K{line}");
        if pace.is_end {
            anstream::eprintln!();
        }
    }

    fn line(&self, progress: &Progress, done: u64, pace: Pace) -> String {
        let elapsed = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = done as f64 / elapsed;
        let mut line = match progress.total {
            Some(total) => {
                let percent = 100.0 * progress.done as f64 / (total as f64).max(1.0);
                format!("{} of {total} ({percent:.1} %)", progress.done)
            }
            None => progress.done.to_string(),
        };
        line += &format!(
            ", {rate:.0}/s, {} differ{}",
            progress.differing, progress.more
        );
        if pace.is_paused {
            line += ", paused: a circuit breaker is open";
        } else if let Some(total) = progress.total.filter(|_| rate > 0.0 && !pace.is_end) {
            let left = (total - progress.done) as f64 / rate;
            line += &format!(", {} left", Span(left as u64));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_durations_may_be_zero() {
        assert_eq!(rate("0").unwrap().as_per_second(), 0.0);
        assert_eq!(rate("30/m").unwrap().as_per_second(), 0.5);
        for refused in ["fast", "0/s", "1e-300/s", "1e9/s"] {
            assert!(rate(refused).is_err(), "{refused}");
        }
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("soon").is_err());
    }
}
