//! Composes the sidecar from its modules, runs it, and shuts it down.
//!
//! Three sets of threads: the live runtime, which nothing else may slow; the shadow runtime, at lower priority; and one
//! control thread (admin API, exporters, reloads), which starts and ends the other two.

mod background;
mod builder;
mod clock;
mod control;
mod open_files;
mod recovered;
mod reflection;
mod settings_publisher;

pub(crate) use background::{Background, Overrides};

use crate::{
    config::{Loaded, Origin},
    transport::{Address, Sockets},
};
use std::{io, sync::mpsc, thread};
use tokio::sync::oneshot;

/// A running sidecar. Dropping it is the same as [`App::stop`].
#[derive(Debug)]
pub struct App {
    addresses: control::Addresses,
    stop: Option<oneshot::Sender<()>>,
    control: Option<thread::JoinHandle<()>>,
}

/// Why the sidecar cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {addr}")]
    Bind {
        /// `listen`, `mirror.listen`, `ext_proc.listen` or `admin`.
        setting: &'static str,
        addr: Address,
        #[source]
        source: io::Error,
    },
    #[error("cannot export telemetry")]
    Telemetry(#[from] crate::export::Invalid),
    #[error(transparent)]
    Store(#[from] crate::store::OpenError),
    #[error("cannot start")]
    Threads(#[from] io::Error),
}

// === impl App ===

impl App {
    /// Starts the sidecar. It is listening when this returns.
    ///
    /// # Errors
    /// [`StartError`]. In that case nothing is left running.
    pub fn start(origin: Origin, loaded: Loaded) -> Result<Self, StartError> {
        Self::start_on(Sockets::default(), origin, loaded)
    }

    /// The same on sockets that are bound already.
    ///
    /// # Errors
    /// [`StartError`].
    pub(crate) fn start_on(
        sockets: Sockets,
        origin: Origin,
        loaded: Loaded,
    ) -> Result<Self, StartError> {
        let (started, starts) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let control = thread::Builder::new()
            .name("twinread-control".to_owned())
            .spawn(move || control::run((origin, loaded, sockets), started, stopped))?;
        let addresses = starts.recv().unwrap_or_else(|_| {
            let gone = io::Error::other("the control thread ended before it listened");
            Err(StartError::Threads(gone))
        });
        Ok(Self {
            addresses: addresses?,
            stop: Some(stop),
            control: Some(control),
        })
    }

    /// Address for live requests; `None` if it is not in their path.
    pub fn listen_addr(&self) -> Option<&Address> {
        self.addresses.listen.as_ref()
    }

    /// Address for mirrored copies of requests, if they are taken.
    pub fn mirror_addr(&self) -> Option<&Address> {
        self.addresses.mirror.as_ref()
    }

    /// Address for Envoy's external processing, if it is served.
    pub fn ext_proc_addr(&self) -> Option<&Address> {
        self.addresses.ext_proc.as_ref()
    }

    /// Address of the admin API.
    pub fn admin_addr(&self) -> &Address {
        &self.addresses.admin
    }

    /// Lets callers leave and accepted checks finish, then stops accepting, within `drain.grace` in all, and flushes the
    /// exporters. Returns when all of that is done.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for App {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(control) = self.control.take()
            && control.join().is_err()
        {
            tracing::error!("the control thread panicked");
        }
    }
}
