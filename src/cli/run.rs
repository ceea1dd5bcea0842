//! `twinread run`: the sidecar.

use super::{chain, exit};
use crate::{
    app::{App, StartError},
    config::{self, Flags, Origin},
};
use std::{io, path::PathBuf, process::ExitCode};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// Run the sidecar: forward every request, check a sample of the reads.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address for live requests [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Url of the old stack
    #[arg(long, value_name = "URL")]
    old: Option<String>,
    /// Url of the new stack
    #[arg(long, value_name = "URL")]
    new: Option<String>,
    /// Address for the admin API [default: 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Share of the reads that are checked, from 0 to 1
    #[arg(long, value_name = "RATE")]
    sample: Option<String>,
}

/// The signals that end the process.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
    /// Handled, so that exceeding the file size limit fails the write and does not kill the process.
    _file_size: Signal,
}

const FILE_SIZE: rustix::process::Signal = rustix::process::Signal::XFSZ;

/// Runs until SIGTERM or SIGINT; a second one ends it immediately.
pub(crate) fn run(args: Args) -> ExitCode {
    let origin = args.origin();
    let loaded = match config::load(&origin) {
        Ok(loaded) => loaded,
        Err(faults) => {
            anstream::eprintln!("{faults}");
            return ExitCode::from(exit::USAGE);
        }
    };
    if let Err(error) = loaded.config().settings.log.install() {
        anstream::eprintln!("twinread: {error}");
    }
    for warning in loaded.warnings() {
        tracing::warn!(%warning, "configuration warning");
    }
    match serve(origin, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("twinread: {}", chain(&error));
            let code = match error {
                StartError::Telemetry(_) => exit::USAGE,
                StartError::Store(error) if error.is_of_the_configuration() => exit::USAGE,
                _ => exit::UNAVAILABLE,
            };
            ExitCode::from(code)
        }
    }
}

fn serve(origin: Origin, loaded: config::Loaded) -> Result<(), StartError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before the start, so that no signal is missed.
    let mut ends = Ends::listen(&runtime)?;
    let app = App::start(origin, loaded)?;
    let (listen, admin) = (app.listen_addr(), app.admin_addr());
    tracing::info!(%listen, %admin, "listening");
    runtime.block_on(async {
        ends.next().await;
        let stopped = tokio::task::spawn_blocking(move || app.stop());
        tokio::select! {
            _ = stopped => {}
            () = ends.next() => {
                tracing::warn!("a second signal: ending at once");
                std::process::exit(0);
            }
        }
    });
    Ok(())
}

// === impl Args ===

impl Args {
    fn origin(self) -> Origin {
        let flags = Flags {
            listen: self.listen,
            admin: self.admin,
            old: self.old,
            new: self.new,
            sample: self.sample,
        };
        Origin::new(self.config, flags)
    }
}

// === impl Ends ===

impl Ends {
    fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _entered = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(FILE_SIZE.as_raw()))?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
