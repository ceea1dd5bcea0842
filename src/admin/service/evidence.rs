//! Evidence of other processes: kept in the store, the newest of each [`Subject`], and never counted with that of callers.

use crate::{
    admin::documents::{Epoch, Evidence, EvidenceState, Given, Subject, Verdict},
    config::{Comparable, Config},
    store::{Database, Journal},
    verdict::Cause,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct GivenEvidence {
    journal: Journal,
    latest: Arc<Mutex<Latest>>,
}

type Latest = BTreeMap<Subject, Evidence>;

/// What evidence has to be about.
#[derive(Clone, Debug)]
pub(crate) struct Fits {
    pub(crate) rules: String,
    pub(crate) epoch: Epoch,
}

/// Documents kept of all together: more than there are routes to sweep.
const KEPT: u32 = 1_000;

// === impl GivenEvidence ===

impl GivenEvidence {
    /// What the store has.
    pub fn open(database: &Database) -> Self {
        let journal = Journal::new(database.clone(), "evidence", KEPT);
        let stored = journal.page::<Value>(None, KEPT as usize);
        let stored = stored.map(|page| page.entries).unwrap_or_else(|error| {
            tracing::warn!(%error, "evidence of earlier replays and sweeps cannot be read");
            Vec::new()
        });
        let mut latest = BTreeMap::new();
        for document in stored.into_iter().rev() {
            match serde_json::from_value::<Evidence>(document) {
                Ok(evidence) => drop(latest.insert(evidence.given.summary.subject(), evidence)),
                Err(error) => tracing::warn!(%error, "stored evidence cannot be read"),
            }
        }
        Self {
            journal,
            latest: Arc::new(Mutex::new(latest)),
        }
    }

    /// Takes evidence in the place of earlier evidence of its subject.
    pub(in crate::admin) fn put(&self, given: Given, fits: &Fits) -> Evidence {
        let evidence = Evidence {
            epoch: fits.epoch.clone(),
            state: fits.state(&given),
            given,
        };
        self.journal.append(evidence.given.at, &evidence);
        let subject = evidence.given.summary.subject();
        self.lock().insert(subject, evidence.clone());
        evidence
    }

    /// All that was given, as it stands now.
    pub(in crate::admin) fn list(&self, fits: &Fits) -> Vec<Evidence> {
        let mut evidence: Vec<_> = self.lock().values().cloned().collect();
        for one in &mut evidence {
            one.state = fits.state(&one.given);
        }
        evidence
    }

    pub(super) fn states(&self, fits: &Fits) -> Vec<EvidenceState> {
        let latest = self.lock();
        latest.values().map(|one| fits.state(&one.given)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Fits ===

impl Fits {
    pub(super) fn of(config: &Config, verdict: &Verdict) -> Self {
        Self {
            rules: Comparable::of(config).rules_hash(),
            epoch: verdict.epoch.clone(),
        }
    }

    fn state(&self, given: &Given) -> EvidenceState {
        let epoch = &self.epoch;
        // Somebody said that a new build runs, which need not name itself.
        let is_of_before = epoch.cause == Cause::Asked && given.at < epoch.since;
        let summary = &given.summary;
        EvidenceState {
            source: summary.source(),
            verdict: summary.verdict(),
            at: given.at,
            current: given.rules == self.rules
                && given.build == epoch.version
                && !given.mixed_builds
                && !is_of_before,
            detail: summary.to_string(),
        }
    }
}
