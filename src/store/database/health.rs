//! The health of the database. Logs each change once, counts it, and reports it in sentences.

use super::locked;
use crate::ledger::Gauges;
use jiff::Timestamp;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Health {
    problems: Arc<Mutex<Problems>>,
    gauges: Gauges,
}

#[derive(Debug, Default)]
struct Problems {
    /// Intended states that are worth knowing.
    notes: Vec<&'static str>,
    /// Problems that last until the process ends.
    lasting: Vec<String>,
    /// Since when writes have failed, and why.
    failing: Option<(Timestamp, String)>,
    /// When the write under way began, until it is found to hang.
    writing: Option<Instant>,
}

// === impl Health ===

impl Health {
    pub(super) fn new(gauges: Gauges) -> Self {
        let problems = Arc::default();
        Self { problems, gauges }
    }

    pub(super) fn in_memory(&self) {
        let note =
            "no store.path is set: evidence is kept in memory and will not survive a restart";
        tracing::info!("{note}");
        locked(&self.problems).notes.push(note);
    }

    pub(super) fn cannot_open(&self, path: &Path, why: String) {
        let path = path.display();
        tracing::error!(%path, why, "the store cannot be opened: evidence is kept in memory until a restart");
        self.gauges.store_failures.add(1);
        self.gauges.store_failing.set(true);
        self.lasts(format!(
            "the store {path} cannot be opened ({why}): evidence is kept in memory and will not survive a restart"
        ));
    }

    pub(super) fn set_aside(&self, aside: &Path, consequence: &str) {
        let aside = aside.display();
        let what = "the store's file was damaged or not ours: it was set aside";
        tracing::error!(%aside, "{what}, {consequence}");
        self.gauges.stores_set_aside.add(1);
        self.lasts(format!("{what} as {aside}, {consequence}"));
    }

    pub(super) fn begins(&self) {
        locked(&self.problems).writing = Some(Instant::now());
    }

    /// Reports a write that takes longer than `limit` as failing, once.
    pub(super) fn look(&self, limit: Duration) {
        let mut problems = locked(&self.problems);
        let hanging = problems.writing.take_if(|began| began.elapsed() > limit);
        drop(problems);
        if hanging.is_some() {
            self.fails(format!("a write has not ended within {limit:?}"));
        }
    }

    pub(super) fn fails(&self, why: String) {
        self.gauges.store_failures.add(1);
        let mut problems = locked(&self.problems);
        problems.writing = None;
        match &mut problems.failing {
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
                self.gauges.store_failing.set(true);
                *failing = Some((Timestamp::now(), why));
            }
        }
    }

    pub(super) fn works(&self) {
        let mut problems = locked(&self.problems);
        problems.writing = None;
        if let Some((since, why)) = problems.failing.take() {
            tracing::info!(%since, why, "the store can be written again");
            self.gauges.store_failing.set(false);
        }
    }

    pub(super) fn notes(&self) -> Vec<&'static str> {
        locked(&self.problems).notes.clone()
    }

    pub(super) fn sentences(&self) -> Vec<String> {
        let problems = locked(&self.problems);
        let mut sentences = problems.lasting.clone();
        if let Some((since, why)) = &problems.failing {
            let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
            sentences.push(format!(
                "the store cannot be written since {since} ({why}): what is found out now may not survive a restart"
            ));
        }
        sentences
    }

    pub(super) fn lasts(&self, sentence: String) {
        let lasting = &mut locked(&self.problems).lasting;
        if !lasting.contains(&sentence) {
            lasting.push(sentence);
        }
    }
}
