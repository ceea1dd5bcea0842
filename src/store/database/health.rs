//! The health of the database. Logs each change once, counts it, and reports it in sentences.

use super::locked;
use crate::ledger::Gauges;
use jiff::Timestamp;
use std::{
    error::Error,
    path::Path,
    sync::{Arc, Mutex},
};

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    told: Arc<Mutex<Told>>,
    gauges: Gauges,
}

#[derive(Debug, Default)]
struct Told {
    /// Problems that last until the process ends.
    lasting: Vec<String>,
    /// Since when writes have failed, and why.
    failing: Option<(Timestamp, String)>,
}

// === impl Condition ===

impl Condition {
    pub(super) fn new(gauges: Gauges) -> Self {
        let told = Arc::default();
        Self { told, gauges }
    }

    pub(super) fn in_memory(&self) {
        tracing::warn!(
            "no store.path is set: evidence is kept in memory and will not survive a restart"
        );
        self.lasts("evidence is kept in memory and will not survive a restart".to_owned());
    }

    pub(super) fn cannot_open(&self, path: &Path, error: &dyn Error) {
        let (path, why) = (path.display(), chain(error));
        tracing::error!(%path, why, "the store cannot be opened: evidence is kept in memory until a restart");
        self.gauges.store_failed();
        self.gauges.set_store_failing(true);
        self.lasts(format!(
            "the store {path} cannot be opened ({why}): evidence is kept in memory and will not survive a restart"
        ));
    }

    pub(super) fn set_aside(&self, aside: &Path) {
        let aside = aside.display();
        tracing::error!(%aside, "the store's file was damaged or not ours: it was set aside, and a new one begun");
        self.gauges.store_set_aside();
        self.lasts(format!(
            "the store's file was damaged or not ours: it was set aside as {aside}, and a new one begun"
        ));
    }

    pub(super) fn removed(&self, path: &Path) {
        let path = path.display();
        tracing::error!(%path, "the store's file was removed while it was in use: a new one was begun");
        self.gauges.store_failed();
        self.lasts(format!(
            "the store's file {path} was removed while it was in use: a new one was begun, without the mismatches and the \
             histories of before"
        ));
    }

    pub(super) fn fails(&self, why: String) {
        self.gauges.store_failed();
        let mut told = locked(&self.told);
        match &mut told.failing {
            Some((_, known)) if *known == why => {}
            Some((_, known)) => {
                tracing::error!(why, "the store still cannot be written, for another reason");
                *known = why;
            }
            failing @ None => {
                tracing::error!(
                    why,
                    "the store cannot be written: it is tried again, evidence is kept in memory until then"
                );
                self.gauges.set_store_failing(true);
                *failing = Some((Timestamp::now(), why));
            }
        }
    }

    pub(super) fn works(&self) {
        if let Some((since, why)) = locked(&self.told).failing.take() {
            tracing::info!(%since, why, "the store can be written again");
            self.gauges.set_store_failing(false);
        }
    }

    pub(super) fn sentences(&self) -> Vec<String> {
        let told = locked(&self.told);
        let mut sentences = told.lasting.clone();
        if let Some((since, why)) = &told.failing {
            let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
            sentences.push(format!(
                "the store cannot be written since {since} ({why}): what is found out now may not survive a restart"
            ));
        }
        sentences
    }

    pub(super) fn lasts(&self, sentence: String) {
        let lasting = &mut locked(&self.told).lasting;
        if !lasting.contains(&sentence) {
            lasting.push(sentence);
        }
    }
}

pub(super) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
