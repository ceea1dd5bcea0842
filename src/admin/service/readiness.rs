//! Whether the process can do its work, and what impairs it.

use crate::{
    http_client::Target,
    ledger::{Gauges, Signal},
    store::Database,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use strum::VariantArray as _;
use tokio::{net::TcpStream, time};

/// Shared by clones.
#[derive(Clone, Debug)]
pub struct Readiness {
    gauges: Gauges,
    database: Database,
    is_primary_reached: Arc<AtomicBool>,
    is_ending: Arc<AtomicBool>,
}

/// Pause between two attempts to reach the primary.
const PAUSE: Duration = Duration::from_millis(500);

// === impl Readiness ===

impl Readiness {
    /// Not ready until the primary is reached.
    pub fn new(gauges: Gauges, database: Database) -> Self {
        Self {
            gauges,
            database,
            is_primary_reached: Arc::default(),
            is_ending: Arc::default(),
        }
    }

    /// Opens connections to the primary, without sending anything, until one succeeds.
    pub async fn reach(self, primary: Arc<Target>) {
        loop {
            let connect = TcpStream::connect(primary.authority.as_str());
            match time::timeout(primary.connect_timeout, connect).await {
                Ok(Ok(_)) => break,
                Ok(Err(error)) => tracing::debug!(%error, "the primary is not reachable yet"),
                Err(_) => {
                    tracing::debug!("the primary is not reachable yet: no connection in time");
                }
            }
            time::sleep(PAUSE).await;
        }
        self.is_primary_reached.store(true, Ordering::Relaxed);
    }

    /// From now on not ready, because the process is ending.
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// What is missing, each in a sentence; empty if ready.
    pub(in crate::admin) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.is_primary_reached.load(Ordering::Relaxed) {
            missing.push("the primary has not been reachable yet".to_owned());
        }
        if self.is_ending.load(Ordering::Relaxed) {
            missing.push("it is ending, and takes no new connections".to_owned());
        }
        missing
    }

    /// Faults that do not stop the process from working.
    pub(in crate::admin) fn impaired(&self) -> Vec<String> {
        let mut impaired = Vec::new();
        if self.gauges.breaker_open.get() > 0 {
            impaired.push("the shadow's circuit breaker is open".to_owned());
        }
        if self.gauges.control_open.get() > 0 {
            let detail = "the control instance does not answer, its circuit breaker is open: differences stay unconfirmed";
            impaired.push(detail.to_owned());
        }
        for signal in Signal::VARIANTS {
            let dropped = self.gauges.exports_dropped(*signal);
            if dropped > 0 {
                let name = signal.into_str();
                impaired.push(format!("{dropped} of {name} were dropped since the start"));
            }
        }
        impaired.extend(self.database.impairments());
        impaired
    }
}
