//! `twinread run`: the sidecar.

use super::{bad_input, chain, exit};
use crate::{
    app::{App, StartError},
    config::{self, Flags, Origin},
    export,
    transport::Sockets,
};
use std::{io, path::PathBuf, process::ExitCode};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};
use tracing::field::display;

/// Run the sidecar: forward every request, check a sample of the reads
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   ended by SIGTERM or SIGINT
  64  wrong arguments, or a wrong configuration
  69  an address cannot be bound, or the store is in use

Example:
  twinread run --old http://127.0.0.1:9001 --new http://127.0.0.1:9002 --sample 0.2")]
pub(crate) struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
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
    let sockets = match Sockets::take() {
        Ok(sockets) => sockets,
        Err(error) => return bad_input(error),
    };
    let origin = Origin::new(args.config, args.flags);
    let loaded = match config::load(&origin) {
        Ok(loaded) => loaded,
        Err(faults) => return bad_input(faults),
    };
    if let Err(error) = loaded.config.settings.log.install() {
        anstream::eprintln!("twinread: {error}");
    }
    for warning in loaded.warnings() {
        tracing::warn!(%warning, "configuration warning");
    }
    let listeners = ["listen", "mirror", "ext_proc", "admin"].map(|setting| loaded.place(setting));
    let served = serve(sockets, origin, loaded);
    export::flush();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let [listen, mirror, ext_proc, admin] = listeners;
            let place = match error {
                StartError::Bind {
                    setting: "listen", ..
                } => listen,
                StartError::Bind {
                    setting: "mirror.listen",
                    ..
                } => mirror,
                StartError::Bind {
                    setting: "ext_proc.listen",
                    ..
                } => ext_proc,
                StartError::Bind { .. } => admin,
                _ => String::new(),
            };
            anstream::eprintln!("twinread: {place}{}", chain(&error));
            let code = match error {
                StartError::Telemetry(_) => exit::USAGE,
                StartError::Store(error) if error.is_of_the_configuration() => exit::USAGE,
                _ => exit::UNAVAILABLE,
            };
            ExitCode::from(code)
        }
    }
}

fn serve(sockets: Sockets, origin: Origin, loaded: config::Loaded) -> Result<(), StartError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before the start, so that no signal is missed.
    let mut ends = Ends::listen(&runtime)?;
    runtime.block_on(async {
        // It may wait for the process before.
        let started = tokio::task::spawn_blocking(move || App::start_on(sockets, origin, loaded));
        let app = tokio::select! {
            started = started => started.map_err(io::Error::other)??,
            () = ends.next() => end_at_once("a signal before the start was complete"),
        };
        let intakes = [app.listen_addr(), app.mirror_addr(), app.ext_proc_addr()];
        let [listen, mirror, ext_proc] = intakes.map(|addr| addr.map(display));
        tracing::info!(listen, mirror, ext_proc, admin = %app.admin_addr(), "listening");
        ends.next().await;
        let stopped = tokio::task::spawn_blocking(move || app.stop());
        tokio::select! {
            _ = stopped => Ok(()),
            () = ends.next() => end_at_once("a second signal"),
        }
    })
}

fn end_at_once(cause: &str) -> ! {
    tracing::warn!("{cause}: ending at once");
    export::flush();
    std::process::exit(0);
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
