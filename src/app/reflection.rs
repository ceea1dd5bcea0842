//! Asks a stack what describes its services (`grpc.reflection`), in the background, and stores what it says: after a
//! restart, an epoch goes on only under the same descriptors.

use crate::{
    budget::Budget,
    config::{Config, Loaded, Running},
    drain,
    ledger::Ledger,
    settings::Current,
    shadow::Reflector,
    stack::Stack,
    store::{Database, Journal},
    value::grpc::Reflected,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use prost_reflect::{prost::Message as _, prost_types::FileDescriptorSet};
use std::{future::pending, sync::Arc, time::Duration};
use tokio::{sync::watch, task, time};

#[derive(Debug)]
pub(super) struct Reflecting {
    pub(super) reflector: Reflector,
    pub(super) running: Arc<Running>,
    pub(super) config: Current<Config>,
    pub(super) ledger: Ledger,
    pub(super) budget: Budget,
    pub(super) database: Database,
}

/// What a stack has said.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Stored {
    stack: Stack,
    url: String,
    /// A descriptor set in base64.
    files: String,
    gaps: Vec<String>,
}

/// Pause after the first attempt that fails; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause between attempts that fail.
const LONGEST: Duration = Duration::from_secs(60);

/// Pause after an answer, unless an epoch begins before: another build may have other services.
const EVERY: Duration = Duration::from_secs(300);

/// The shortest pause after an answer.
const APART: Duration = Duration::from_secs(10);

// === impl Reflecting ===

impl Reflecting {
    /// Asks again and again until the drain. Runs on the shadow's threads.
    pub(super) async fn run(self, mut drain: drain::Watch) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.ask_on() => {}
        }
    }

    async fn ask_on(mut self) {
        let mut epochs = self.ledger.epochs_begun();
        let mut backoff = FIRST;
        loop {
            epochs.borrow_and_update();
            let asked = self.config.get().settings.grpc.reflection;
            let is_done = match asked {
                Some(stack) => self.ask(stack).await,
                None => true,
            };
            let pause = if is_done { EVERY } else { backoff };
            backoff = if is_done {
                FIRST
            } else {
                LONGEST.min(backoff * 2)
            };
            tokio::select! {
                () = time::sleep(pause) => {}
                // Not at once: of a stack of two builds, each answer could begin an epoch.
                Ok(()) = changed_after(&mut epochs, APART), if is_done => {}
                () = other_stack(&mut self.config, asked) => {}
            }
        }
    }

    /// Returns whether the stack has answered.
    async fn ask(&self, stack: Stack) -> bool {
        let config = self.config.get();
        let primary = config.settings.serve.primary();
        let found = self.reflector.ask(stack, primary, &self.budget).await;
        let found = found.map_err(|error| error.to_string());
        let is_done = found.is_ok();
        let stored = found.as_ref().ok();
        let stored = stored.map(|found| Stored::new(stack, &config, found));
        let (running, journal) = (self.running.clone(), journal(&self.database));
        // Building descriptors takes long for a thread that serves checks.
        let reflected = task::spawn_blocking(move || {
            if running.reflect(stack, found)
                && let Some(stored) = stored
            {
                journal.append(Timestamp::now(), &stored);
            }
        });
        if let Err(error) = reflected.await {
            tracing::error!(%error, "server reflection did not finish");
        }
        is_done
    }
}

/// Waits until an epoch begins, for at least `pause`.
async fn changed_after(
    epochs: &mut watch::Receiver<u64>,
    pause: Duration,
) -> Result<(), watch::error::RecvError> {
    time::sleep(pause).await;
    epochs.changed().await
}

/// Waits until another stack is to be asked.
async fn other_stack(config: &mut Current<Config>, asked: Option<Stack>) {
    while let Some(config) = config.changed().await {
        if config.settings.grpc.reflection != asked {
            return;
        }
    }
    pending().await
}

/// `loaded` with what its stack has said to an earlier process, if anything.
pub(super) fn recalled(loaded: Loaded, database: &Database) -> Loaded {
    let Some(stack) = loaded.config.settings.grpc.reflection else {
        return loaded;
    };
    let stored = journal(database).page::<Stored>(None, 1);
    let stored = stored.ok().and_then(|mut page| page.entries.pop());
    let is_same =
        |stored: &Stored| stored.stack == stack && stored.url == url(stack, &loaded.config);
    let recalled = stored.filter(is_same).and_then(Stored::open);
    let recalled = recalled.and_then(|found| loaded.reflected(stack, Arc::new(found)).ok());
    recalled.unwrap_or(loaded)
}

fn journal(database: &Database) -> Journal {
    Journal::new(database.clone(), "reflection", 1)
}

fn url(stack: Stack, config: &Config) -> String {
    match stack {
        Stack::Old => config.old.url(),
        Stack::New => config.new.url(),
    }
}

// === impl Stored ===

impl Stored {
    fn new(stack: Stack, config: &Config, found: &Reflected) -> Self {
        let set = FileDescriptorSet {
            file: found.files.clone(),
        };
        Self {
            stack,
            url: url(stack, config),
            files: STANDARD.encode(set.encode_to_vec()),
            gaps: found.gaps.clone(),
        }
    }

    fn open(self) -> Option<Reflected> {
        let set = STANDARD.decode(self.files).ok()?;
        let set = FileDescriptorSet::decode(&set[..]).ok()?;
        Some(Reflected {
            files: set.file,
            gaps: self.gaps,
        })
    }
}
