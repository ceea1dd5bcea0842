//! `twinread demo`: runs everything embedded, to show what the sidecar finds without real stacks.

mod findings;

use super::{
    chain,
    client::{self, Address, Client},
    exit,
};
use crate::{
    admin::documents::{RouteVerdict, Verdict},
    app::{App, StartError},
    config::{self, Origin},
    demo::{BoundStack, Traffic, traffic::Sent},
    drain,
    spanned_yaml::ConfigErrors,
    stack::Stack,
};
use anstream::eprintln;
use findings::Findings;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io,
    net::SocketAddr,
    num::NonZeroU32,
    process::{self, ExitCode},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// Start two small stacks with known defects between them, traffic, and the sidecar; show what it finds.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How long the traffic lasts; it requests every page at least once, however long that takes
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Requests per second
    #[arg(long, default_value = "400")]
    rate: NonZeroU32,
    /// Print one JSON document: the verdict, with `classes` and `planted`
    #[arg(long)]
    json: bool,
    /// Keep running with its traffic until interrupted, and print the address of the admin API
    #[arg(long)]
    keep: bool,
}

/// Everything that runs.
struct Demo {
    app: App,
    client: Client,
    traffic: Traffic,
    stacks: drain::Signal,
    runtime: Runtime,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot start the stacks")]
    Stacks(#[from] io::Error),
    #[error("the demo's configuration is wrong: {0}")]
    Config(ConfigErrors),
    #[error("cannot start the sidecar")]
    Sidecar(#[from] StartError),
    #[error(transparent)]
    Admin(#[from] client::Error),
}

const CONFIG: &str = include_str!("demo/twinread.yaml");

/// Time limit for the last checks after the traffic has ended.
const QUIET_WITHIN: Duration = Duration::from_secs(20);

/// Interval between two queries of the figures.
const PAUSE: Duration = Duration::from_millis(50);

/// Exits with 0 whatever was found; 69 if a part of it cannot start.
pub(crate) fn run(args: Args) -> ExitCode {
    match Demo::start(args.rate).and_then(|demo| demo.show(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twinread: {}", chain(&error));
            ExitCode::from(exit::UNAVAILABLE)
        }
    }
}

/// Ends the process on a hang-up, because the sidecar takes it as a request to reload.
fn end_with_its_terminal(runtime: &Runtime) -> io::Result<()> {
    let _entered = runtime.enter();
    let mut hangups = signal(SignalKind::hangup())?;
    runtime.spawn(async move {
        if hangups.recv().await.is_some() {
            process::exit(exit::UNAVAILABLE.into());
        }
    });
    Ok(())
}

// === impl Demo ===

impl Demo {
    fn start(rate: NonZeroU32) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        end_with_its_terminal(&runtime)?;
        let (stacks, watch) = drain::channel();
        let serve = |stack| -> io::Result<SocketAddr> {
            let bound = runtime.block_on(BoundStack::bind(stack))?;
            let addr = bound.addr();
            runtime.spawn(bound.run(watch.clone()));
            Ok(addr)
        };
        let (old, new) = (serve(Stack::Old)?, serve(Stack::New)?);

        let origin = Origin::written("demo", CONFIG).with_environment(move |name| match name {
            "OLD" => Some(format!("http://{old}")),
            "NEW" => Some(format!("http://{new}")),
            _ => None,
        });
        let loaded = config::load(&origin).map_err(Error::Config)?;
        let app = App::start(origin, loaded)?;
        let admin = Address {
            admin: format!("http://{}", app.admin_addr()),
            token: None,
        };
        Ok(Self {
            client: admin.client()?,
            traffic: Traffic::new(app.listen_addr(), rate),
            app,
            stacks,
            runtime,
        })
    }

    fn show(self, args: &Args) -> Result<(), Error> {
        let sent = self.send(Duration::from_secs(args.seconds), args.rate);
        self.wait_until_quiet()?;
        let findings = Findings::ask(&self.client)?;
        let text = format_args!("{sent}\n{findings}");
        client::print(args.json, &findings.document(), text);
        if args.keep {
            self.keep();
        }
        self.app.stop();
        self.runtime.block_on(self.stacks.drain());
        Ok(())
    }

    /// Sends the traffic, with a progress bar on a terminal.
    fn send(&self, duration: Duration, rate: NonZeroU32) -> Sent {
        let expected = duration.as_secs() * u64::from(rate.get());
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} reads  {elapsed}");
        let bar =
            ProgressBar::new(expected).with_style(style.expect("the template is well-formed"));
        let sent = self.traffic.run(duration, || bar.inc(1));
        let sent = self.runtime.block_on(sent);
        bar.finish_and_clear();
        sent
    }

    /// Waits until every sample has its outcome, or the time limit.
    fn wait_until_quiet(&self) -> Result<(), Error> {
        let deadline = Instant::now() + QUIET_WITHIN;
        while Instant::now() < deadline {
            let verdict: Verdict = self.client.get("/v1/verdict")?;
            let is_quiet = |route: &RouteVerdict| route.counts.waiting == 0;
            if verdict.routes.iter().all(is_quiet) && !verdict.routes.is_empty() {
                break;
            }
            self.client.wait(PAUSE);
        }
        Ok(())
    }

    /// Keeps running until interrupted.
    fn keep(&self) {
        let (listen, admin) = (self.app.listen_addr(), self.app.admin_addr());
        eprintln!("\nstill running: live traffic at http://{listen}, admin API at http://{admin}");
        eprintln!("try `twinread status --admin http://{admin}`; interrupt to end");
        let traffic = self.traffic.run(Duration::MAX, || {});
        self.runtime.block_on(async {
            tokio::select! {
                _ = traffic => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        });
    }
}
