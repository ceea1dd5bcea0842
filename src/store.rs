//! Keeps examples of what went wrong, and counts their classes.
//!
//! Everything is bounded: examples in number and in bytes, examples of one class, classes. The newest are kept; what
//! has to go is counted. One class that occurs a thousand times a second takes no room from one that occurs once.

mod database;
mod document;
mod journal;
mod rebuild;
mod shelf;

pub use database::{Behind, Database, OpenError, Source};
pub use document::{Class, Mismatch, Stamp};
pub use journal::{Entries, Entry, Journal};

use crate::{
    handoff::{Report, Sent},
    telemetry::Gauges,
};
use shelf::Shelf;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;
use utoipa::ToSchema;

/// The section `store` of the configuration, and bounds that it does not name.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file; `None`: everything is kept in memory.
    pub path: Option<PathBuf>,
    pub keep_mismatches: usize,
    pub keep_per_class: usize,
    pub max_classes: usize,
    /// Of all examples together.
    pub max_bytes: usize,
    /// How long figures of the past are kept.
    pub keep: Duration,
}

/// The examples and classes of this process. Shared by clones.
#[derive(Clone, Debug)]
pub struct Store(Arc<Mutex<Shelf>>);

/// Which examples are asked for; what is `None` does not matter.
#[derive(Clone, Debug)]
pub struct Filter {
    pub route: Option<String>,
    /// The id of a class.
    pub class: Option<String>,
    /// The name of an outcome.
    pub outcome: Option<String>,
    /// Checks that ended then or later.
    pub since: Option<SystemTime>,
    /// At most so many.
    pub limit: usize,
    /// Where the last page ended: [`Page::next`].
    pub cursor: Option<String>,
}

/// Every class, the most frequent first.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
pub struct Classes {
    pub classes: Vec<Class>,
}

/// Examples, the newest first.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
#[schema(as = MismatchPage)]
pub struct Page {
    pub mismatches: Vec<Arc<Mismatch>>,
    /// Where the next page begins; null: there is none.
    #[schema(required)]
    pub next: Option<String>,
}

/// A cursor that no page has given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: {0}")]
pub struct InvalidCursor(pub String);

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            path: None,
            keep_mismatches: 10_000,
            keep_per_class: 50,
            max_classes: 1_000,
            max_bytes: 32 << 20,
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

// === impl Store ===

impl Store {
    pub fn new(config: Config, gauges: Gauges) -> Self {
        Self(Arc::new(Mutex::new(Shelf::new(config, gauges))))
    }

    /// Keeps what is reported, until nobody can report any more.
    pub async fn run(self, mut reports: mpsc::Receiver<Sent>) {
        while let Some(report) = reports.recv().await {
            self.keep(&report);
        }
    }

    /// Keeps the check as an example if it showed something.
    pub fn keep(&self, report: &Report) {
        if report.outcome.is_deviation() {
            // Made before the lock is taken: readers wait for the shelf only.
            let mismatch = Mismatch::of(report);
            self.shelf().put(mismatch, report);
        }
    }

    /// Every class, the most frequent first.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes = self.shelf().classes();
        classes.sort_by(|one, other| (other.count, &one.id).cmp(&(one.count, &other.id)));
        classes
    }

    pub fn class(&self, id: &str) -> Option<Class> {
        self.shelf().class(id)
    }

    /// The examples that `filter` asks for, the newest first.
    ///
    /// # Errors
    /// [`InvalidCursor`].
    pub fn mismatches(&self, filter: &Filter) -> Result<Page, InvalidCursor> {
        let before = match &filter.cursor {
            None => u64::MAX,
            Some(text) => u64::from_str_radix(text, 16).map_err(|_| InvalidCursor(text.clone()))?,
        };
        Ok(self.shelf().page(filter, before))
    }

    /// Every stored mismatch and all noise, for which rules are wanted as much, the newest first; not what differed for
    /// another reason.
    pub fn all_mismatches(&self) -> Vec<Arc<Mismatch>> {
        let filter = Filter::all(usize::MAX);
        let mut found = self.shelf().page(&filter, u64::MAX).mismatches;
        found.retain(|example| ["mismatch", "noise"].contains(&example.outcome));
        found
    }

    pub fn mismatch(&self, id: &str) -> Option<Arc<Mismatch>> {
        self.shelf().mismatch(id)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Filter ===

impl Filter {
    /// Everything, `limit` at a time.
    pub fn all(limit: usize) -> Self {
        Self {
            route: None,
            class: None,
            outcome: None,
            since: None,
            limit,
            cursor: None,
        }
    }

    fn admits(&self, mismatch: &Mismatch) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let is_of_class = self
            .class
            .as_deref()
            .is_none_or(|class| mismatch.differences.iter().any(|told| told.class == class));
        is(&self.route, &mismatch.route)
            && is(&self.outcome, mismatch.outcome)
            && is_of_class
            && self.since.is_none_or(|since| mismatch.ended.0 >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::Kind,
        handoff::{Basis, Rechecked, Told},
        telemetry::Bound,
        trace_context::TraceContext,
        verdict::{Mark, Outcome, ShadowError, Via},
    };

    fn report(number: u64, outcome: Outcome, classes: &[&str]) -> Report {
        let ended = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
        let told = |class: &&str| Told {
            place: "$.items[3].price".to_owned(),
            kind: Kind::Value,
            class: (*class).to_owned(),
            class_place: "$.items[*].price".to_owned(),
            old: Some("number(3)".to_owned()),
            new: Some("number(4)".to_owned()),
            basis: Basis::default(),
        };
        Report {
            outcome,
            route: "get-item".into(),
            epoch: "e1".into(),
            method: "GET".to_owned(),
            path: format!("/items/{number}"),
            query: None,
            request_headers: Vec::new(),
            request_body: None,
            request_masked: Vec::new(),
            span: TraceContext {
                trace_id: 1,
                span_id: number,
                flags: 1,
                state: String::new(),
            },
            live: None,
            started: ended,
            ended,
            old: None,
            new: None,
            differences: classes.iter().map(told).collect(),
            count: classes.len(),
            rechecked: Rechecked::default(),
        }
    }

    fn mismatch(number: u64, classes: &[&str]) -> Report {
        report(number, Outcome::Mismatch(Mark::Plain), classes)
    }

    fn store(config: Config) -> (Store, Gauges) {
        let gauges = Gauges::default();
        (Store::new(config, gauges.clone()), gauges)
    }

    fn paths(page: &Page) -> Vec<&str> {
        let requests = page.mismatches.iter().map(|mismatch| &mismatch.request);
        requests.map(|request| request.path.as_str()).collect()
    }

    #[test]
    fn a_frequent_class_takes_no_room_from_a_rare_one() {
        let (store, gauges) = store(Config {
            keep_per_class: 2,
            ..Config::default()
        });
        store.keep(&mismatch(1, &["rare", "rare"]));
        for number in 2..=6 {
            store.keep(&mismatch(number, &["frequent"]));
        }

        let page = store.mismatches(&Filter::all(10)).unwrap();
        assert_eq!(paths(&page), ["/items/6", "/items/5", "/items/1"]);
        assert_eq!(gauges.bounds_reached(Bound::Mismatches), 3);
        let classes = store.classes();
        assert_eq!(classes[0].id, "frequent");
        assert_eq!(classes[0].count, 5);
        assert_eq!(classes[0].place, "$.items[*].price");
        assert_eq!(classes[0].examples.len(), 2);
        assert_eq!(classes[1].count, 1);
    }

    #[test]
    fn an_example_of_two_classes_stays_while_one_of_them_holds_it() {
        let (store, _) = store(Config {
            keep_per_class: 1,
            ..Config::default()
        });
        store.keep(&mismatch(1, &["one", "other"]));
        store.keep(&mismatch(2, &["one"]));
        assert_eq!(store.class("other").unwrap().examples, ["0000000000000001"]);
        store.keep(&mismatch(3, &["other"]));
        assert!(store.mismatch("0000000000000001").is_none());
        assert!(store.mismatch("0000000000000002").is_some());
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many_or_too_large() {
        let (few, _) = store(Config {
            keep_mismatches: 2,
            ..Config::default()
        });
        let (small, _) = store(Config {
            max_bytes: 2 * mismatch(1, &["one"]).size(),
            ..Config::default()
        });
        for store in [few, small] {
            for number in 1..=3 {
                store.keep(&mismatch(number, &["one"]));
            }
            let page = store.mismatches(&Filter::all(10)).unwrap();
            assert_eq!(paths(&page), ["/items/3", "/items/2"]);
            assert_eq!(store.classes()[0].examples.len(), 2);
            assert_eq!(store.classes()[0].count, 3);
        }
    }

    #[test]
    fn classes_past_the_bound_are_counted_and_their_examples_kept() {
        let (store, gauges) = store(Config {
            max_classes: 1,
            ..Config::default()
        });
        store.keep(&mismatch(1, &["one"]));
        store.keep(&mismatch(2, &["other"]));
        assert_eq!(store.classes().len(), 1);
        assert_eq!(gauges.bounds_reached(Bound::Classes), 1);
        assert_eq!(
            store.mismatches(&Filter::all(10)).unwrap().mismatches.len(),
            2
        );
    }

    #[test]
    fn shadow_errors_are_kept_by_outcome_and_matches_not_at_all() {
        let (store, _) = store(Config {
            keep_per_class: 2,
            ..Config::default()
        });
        store.keep(&mismatch(1, &["one"]));
        for number in 2..=9 {
            let timeout = Outcome::ShadowError(ShadowError::Timeout);
            store.keep(&report(number, timeout, &[]));
        }
        store.keep(&report(10, Outcome::Match(Via::Exact), &[]));

        let page = store.mismatches(&Filter::all(10)).unwrap();
        assert_eq!(paths(&page), ["/items/9", "/items/8", "/items/1"]);
    }

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let (store, _) = store(Config::default());
        for number in 1..=5 {
            store.keep(&mismatch(number, &["one"]));
        }
        let mut filter = Filter::all(2);
        let mut seen = Vec::new();
        loop {
            let page = store.mismatches(&filter).unwrap();
            seen.extend(paths(&page).into_iter().map(str::to_owned));
            // What comes meanwhile belongs to no later page.
            store.keep(&mismatch(6, &["one"]));
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                break;
            }
        }
        assert_eq!(
            seen,
            ["/items/5", "/items/4", "/items/3", "/items/2", "/items/1"]
        );
    }

    #[test]
    fn filters_admit_what_matches_all_of_them() {
        let (store, _) = store(Config::default());
        store.keep(&mismatch(1, &["one"]));
        store.keep(&mismatch(2, &["other"]));
        store.keep(&report(3, Outcome::Transient, &["one"]));
        let found = |filter: Filter| {
            let page = store.mismatches(&filter).unwrap();
            paths(&page)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let class = Some("one".to_owned());
        let by_class = Filter {
            class,
            ..Filter::all(9)
        };
        assert_eq!(found(by_class.clone()), ["/items/3", "/items/1"]);
        let outcome = Some("mismatch".to_owned());
        assert_eq!(
            found(Filter {
                outcome,
                ..by_class
            }),
            ["/items/1"]
        );
        let since = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(2));
        assert_eq!(
            found(Filter {
                since,
                ..Filter::all(9)
            }),
            ["/items/3", "/items/2"]
        );
        let route = Some("other".to_owned());
        assert!(
            found(Filter {
                route,
                ..Filter::all(9)
            })
            .is_empty()
        );
        let cursor = Some("nonsense".to_owned());
        assert!(
            store
                .mismatches(&Filter {
                    cursor,
                    ..Filter::all(9)
                })
                .is_err()
        );
    }

    #[test]
    fn a_document_has_stamps_and_no_empty_detail() {
        let (store, _) = store(Config::default());
        store.keep(&mismatch(1, &["one"]));
        let document = serde_json::to_value(store.mismatch("0000000000000001").unwrap()).unwrap();
        assert_eq!(document["ended"], "1970-01-01T00:00:01.000Z");
        assert_eq!(document["outcome"], "mismatch");
        assert_eq!(document.get("detail"), None);
        assert_eq!(document["differences"][0]["place"], "$.items[3].price");
        assert_eq!(document["request"]["path"], "/items/1");
    }
}
