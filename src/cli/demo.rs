//! `twinread demo`: runs everything embedded, to show what the sidecar finds without real stacks.

mod findings;

use super::{
    chain,
    client::{self, Address, Client},
    exit,
    print::{complain, folded, width},
};
use crate::{
    admin::documents::{RouteVerdict, Verdict},
    app::{App, StartError},
    config::{self, Origin},
    demo::{BoundStack, Traffic, traffic::Sent},
    drain,
    spanned_yaml::ConfigErrors,
    stack::Stack,
    transport,
};
use anstream::{eprint, eprintln};
use findings::Findings;
use std::{
    fmt,
    io::{self, IsTerminal as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    process::{self, ExitCode},
    time::{Duration, Instant},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// Start two small stacks with known defects between them, traffic, and the sidecar; show what it finds
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   whatever was found
  64  wrong arguments
  69  a part of it cannot start

Example:
  twinread demo --keep")]
pub(crate) struct Args {
    /// How long the traffic lasts; it requests every page at least once, however long that takes
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
    /// Requests per second
    #[arg(long, default_value = "400")]
    rate: NonZeroU32,
    /// Print one JSON document: the verdict, with `classes` and `planted`
    #[arg(long)]
    json: bool,
    /// Keep running with slower traffic until interrupted, and print how to look at it
    #[arg(long)]
    keep: bool,
    /// Address for the admin API [default: 127.0.0.1:9900, or any port if it is taken]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
}

/// Everything that runs.
struct Demo {
    app: App,
    client: Client,
    traffic: Traffic,
    stacks: drain::Signal,
    runtime: Runtime,
}

/// How to look at a sidecar with this address of the admin API.
struct Hints(SocketAddr);

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

/// Where commands look for the admin API without `--admin`.
const USUAL_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
const ANY_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const NEXT: &str = "next: `twinread demo --keep` goes on, so that other commands can look at it; \
    README.md leads through the first hour on your own stacks";

/// Time limit for the last checks after the traffic has ended.
const QUIET_WITHIN: Duration = Duration::from_secs(20);

/// Most requests per second of a demo that keeps running, so that an example is kept for minutes after it is listed.
const KEPT_RATE: NonZeroU32 = NonZeroU32::new(40).expect("it is not zero");

/// Number of reads between two updates of the progress.
const STEP: u64 = 40;

/// Interval between two queries of the figures.
const PAUSE: Duration = Duration::from_millis(50);

/// Exits with 0 whatever was found; 69 if a part of it cannot start.
pub(crate) fn run(args: Args) -> ExitCode {
    match Demo::start(&args).and_then(|demo| demo.show(&args)) {
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

/// All of the result, for people.
fn text(sent: Sent, findings: &Findings, next: &str, width: usize) -> String {
    let next = folded(next, width, "next: ".len());
    let text = format!("{sent}\n{}\n\n{next}", findings.text(width));
    text.trim_end().to_owned()
}

/// The sidecar in front of the old and the new stack.
fn sidecar([old, new]: [SocketAddr; 2], admin: SocketAddr) -> Result<App, Error> {
    let origin = Origin::written("demo", CONFIG).with_environment(move |name| match name {
        "OLD" => Some(format!("http://{old}")),
        "NEW" => Some(format!("http://{new}")),
        "ADMIN" => Some(admin.to_string()),
        _ => None,
    });
    let loaded = config::load(&origin).map_err(Error::Config)?;
    Ok(App::start(origin, loaded)?)
}

/// Both are of the demo's own configuration or of `--admin`.
fn tcp(address: &transport::Address) -> SocketAddr {
    address.tcp().expect("the demo must listen on TCP")
}

fn listen_addr(app: &App) -> &transport::Address {
    let address = app.listen_addr();
    address.expect("the demo must be in the path of its traffic")
}

// === impl Demo ===

impl Demo {
    fn start(args: &Args) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        end_with_its_terminal(&runtime)?;
        let (stacks, watch) = drain::channel();
        let serve = |stack| -> io::Result<SocketAddr> {
            let bound = runtime.block_on(BoundStack::bind(stack))?;
            let addr = bound.addr();
            runtime.spawn(bound.run(watch.clone()));
            Ok(addr)
        };
        let addresses = [serve(Stack::Old)?, serve(Stack::New)?];
        let app = match sidecar(addresses, args.admin.unwrap_or(USUAL_ADMIN)) {
            Err(Error::Sidecar(StartError::Bind { .. })) if args.admin.is_none() => {
                sidecar(addresses, ANY_ADMIN)?
            }
            started => started?,
        };
        let admin = Address {
            admin: format!("http://{}", app.admin_addr()),
            token: None,
            ca: None,
            cert: None,
            key: None,
        };
        Ok(Self {
            client: admin.client()?,
            traffic: Traffic::new(tcp(listen_addr(&app)), args.rate),
            app,
            stacks,
            runtime,
        })
    }

    fn show(self, args: &Args) -> Result<(), Error> {
        let sent = self.send(Duration::from_secs(args.seconds), args.rate);
        self.wait_until_quiet()?;
        let findings = Findings::ask(&self.client)?;
        let next = if args.keep { "" } else { NEXT };
        let text = text(sent, &findings, next, width());
        client::print(args.json, &findings.document(), &text);
        if args.keep {
            self.keep(args.rate.min(KEPT_RATE))?;
        }
        self.app.stop();
        self.runtime.block_on(self.stacks.drain());
        Ok(())
    }

    /// Sends the traffic, and shows on a terminal how far it is.
    fn send(&self, duration: Duration, rate: NonZeroU32) -> Sent {
        let expected = duration.as_secs() * u64::from(rate.get());
        let is_shown = io::stderr().is_terminal();
        let mut count = 0_u64;
        let sent = self.traffic.run(duration, || {
            count += 1;
            if is_shown && count.is_multiple_of(STEP) {
                eprint!("\r{count} of {expected} reads");
            }
        });
        let sent = self.runtime.block_on(sent);
        if is_shown {
            eprint!("\r{:40}\r", "");
        }
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

    /// Keeps running until interrupted or terminated.
    fn keep(&self, rate: NonZeroU32) -> io::Result<()> {
        let _entered = self.runtime.enter();
        let mut terminate = signal(SignalKind::terminate())?;
        let (listen, admin) = (listen_addr(&self.app), self.app.admin_addr());
        let addresses = format!("live traffic at http://{listen}, admin API at http://{admin}");
        complain(format!(
            "\nstill running: {addresses}\n{}",
            Hints(tcp(admin))
        ));
        let traffic = Traffic::new(tcp(listen), rate);
        let traffic = traffic.run(Duration::MAX, || {});
        self.runtime.block_on(async {
            tokio::select! {
                _ = traffic => {}
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        Ok(())
    }
}

// === impl Hints ===

impl fmt::Display for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(admin) = self;
        let elsewhere = if *admin == USUAL_ADMIN {
            String::new()
        } else {
            format!(" --admin http://{admin}")
        };
        writeln!(f, "look at it from another terminal; Ctrl-C ends it:")?;
        writeln!(f, "  twinread status{elsewhere}")?;
        writeln!(f, "  twinread mismatches{elsewhere}")?;
        writeln!(f, "  twinread rules suggest{elsewhere}")?;
        write!(f, "  twinread gate{elsewhere}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;
    use findings::tests::findings;
    use std::{env, fs, path::Path};

    /// Holds the whole text to files; a terminal of 24 lines shows its end. `TWINREAD_WRITE_SCREENS=1` writes them.
    #[test]
    fn the_result_fits_every_terminal() {
        let sent = Sent {
            answered: 4_001,
            failed: 0,
        };
        for (columns, rows) in [(80, 24), (120, 40), (200, 60)] {
            let text = text(sent, &findings(), NEXT, columns);
            let shown = strip_str(&text).to_string() + "\n";
            let file = format!("tests/data/screens/demo-{columns}x{rows}.txt");
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            if env::var_os("TWINREAD_WRITE_SCREENS").is_some() {
                fs::write(&path, &shown).unwrap();
            }
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(shown, expected, "{file}");
        }
    }
}
