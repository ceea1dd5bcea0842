//! `POST /v1/classes/{id}/recheck`: reads the stored mismatches of a class again and reports which remain.

use crate::{
    admin::{
        documents::{ClassRecheck, Found, Rechecked},
        problem::Problem,
    },
    budget::Budget,
    compare::Compared,
    config::Config,
    ledger::Ledger,
    live,
    redact::Redactor,
    settings::Current,
    shadow::{Reread, RereadRequest, Rereader},
    store::{Class, Filter, Mismatch, QueryError, Store},
    value::Difference,
};
use http::{HeaderName, StatusCode};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{self, JoinSet},
    time,
};

/// Re-reads stored mismatches on both stacks.
#[derive(Debug)]
pub struct Rechecks {
    pub store: Store,
    pub rereader: Rereader,
    /// Runtime that drives requests to the stacks.
    pub shadow: runtime::Handle,
    pub live: Current<live::LiveSettings>,
    pub redactor: Current<Redactor>,
    pub ledger: Ledger,
    pub budget: Budget,
    /// Headers that the configuration adds to every request to either stack.
    pub supplied: Vec<HeaderName>,
    /// Permits one call at a time.
    pub turn: Arc<Semaphore>,
}

/// Time limit of a call; the remaining examples are reported as not judged.
const WITHIN: Duration = Duration::from_secs(20);

/// The headers that the configuration sets on both stacks.
pub(crate) fn supplied(config: &Config) -> Vec<HeaderName> {
    let names = config.old.set.iter().map(|(name, _)| name);
    let on_new = |name: &&HeaderName| config.new.set.iter().any(|(own, _)| own == *name);
    names.filter(on_new).cloned().collect()
}

/// The newest stored mismatches of a class.
struct Newest {
    mismatches: Vec<Mismatch>,
    /// Number of older stored ones.
    older: u64,
}

// === impl Rechecks ===

impl Rechecks {
    /// Re-reads up to `limit` mismatches of a class, the newest first.
    pub(in crate::admin) async fn recheck(
        self: Arc<Self>,
        id: String,
        limit: usize,
    ) -> Result<ClassRecheck, Problem> {
        let Ok(permit) = self.turn.clone().try_acquire_owned() else {
            let detail = "another call is reading stored mismatches again: try again in a moment";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        };
        let shadow = self.shadow.clone();
        // Dropping the set when the caller hangs up cancels the work.
        let mut run = JoinSet::new();
        run.spawn_on(self.run(id, limit, permit), &shadow);
        match run.join_next().await {
            Some(Ok(rechecked)) => rechecked,
            // Cancelled by the end of the process.
            _ => Err(ending()),
        }
    }

    async fn run(
        self: Arc<Self>,
        id: String,
        limit: usize,
        permit: OwnedSemaphorePermit,
    ) -> Result<ClassRecheck, Problem> {
        let begun = Instant::now();
        let (parts, asked) = (self.clone(), id.clone());
        // Reading the store may block on disk I/O.
        let stored = task::spawn_blocking(move || parts.stored(&asked, limit)).await;
        let stored = stored.map_err(|_| ending())??;
        let (class, newest) = stored.ok_or_else(|| Problem::unknown("mismatch class", &id))?;
        let mut examples = Vec::new();
        for mismatch in &newest.mismatches {
            let left = WITHIN.saturating_sub(begun.elapsed());
            let reading = time::timeout(left, self.reread(mismatch, left)).await;
            let reread = reading.unwrap_or_else(|_| Err("time was up".to_owned()));
            examples.push(self.rechecked(&class, mismatch, reread));
        }
        drop(permit);
        Ok(document(class, examples, newest.older))
    }

    /// The class with the newest of its mismatches, and the number of older ones.
    fn stored(&self, id: &str, limit: usize) -> Result<Option<(Class, Newest)>, QueryError> {
        let Some(class) = self.store.class(id)? else {
            return Ok(None);
        };
        let filter = Filter {
            class: Some(id.to_owned()),
            outcome: Some("mismatch".to_owned()),
            ..Filter::all(limit)
        };
        let page = self.store.mismatches(&filter)?;
        let older = class.kept.saturating_sub(page.mismatches.len() as u64);
        let newest = Newest {
            // A mismatch stored between the two queries is newer.
            older: page.next.map_or(0, |_| older.max(1)),
            mismatches: page.mismatches,
        };
        Ok(Some((class, newest)))
    }

    /// # Errors
    /// Why it was not read again.
    async fn reread(&self, mismatch: &Mismatch, patience: Duration) -> Result<Reread, String> {
        let live = self.live.get();
        let rebuilt = mismatch.request.rebuild(&self.supplied);
        let request = rebuilt.map_err(|error| error.to_string())?;
        if !live.reads.admits(&request.head(), &request.body) {
            return Err("it is not declared a read any more".to_owned());
        }
        let asked = RereadRequest {
            request,
            route: mismatch.route.clone(),
            epoch: self.ledger.epoch(),
            primary: live.serve.primary(),
            comparing: live.comparing.clone(),
            held: self.budget.share(),
        };
        let reread = self.rereader.reread(asked, patience).await;
        reread.map_err(|error| error.to_string())
    }

    fn rechecked(
        &self,
        class: &Class,
        mismatch: &Mismatch,
        reread: Result<Reread, String>,
    ) -> Rechecked {
        let (found, detail) = match &reread {
            Ok(reread) => self.judge(class, mismatch, reread),
            Err(why) => (Found::NotJudged, Some(why.clone())),
        };
        let statuses = reread.ok().map(|reread| reread.statuses);
        Rechecked {
            id: mismatch.id.clone(),
            method: mismatch.request.method.clone(),
            path: mismatch.request.path.clone(),
            found,
            detail,
            old_status: statuses.map(|[old, _]| old.as_u16()),
            new_status: statuses.map(|[_, new]| new.as_u16()),
        }
    }

    fn judge(
        &self,
        class: &Class,
        mismatch: &Mismatch,
        reread: &Reread,
    ) -> (Found, Option<String>) {
        let [old, now] = reread.statuses.map(|status| status.as_u16());
        let not_judged = |detail| (Found::NotJudged, Some(detail));
        let then = mismatch.old.as_ref().map(|answer| answer.status);
        if then != Some(old) {
            let then = then.map_or("nothing".to_owned(), |status| status.to_string());
            return not_judged(format!("the old stack answers {old} now, and {then} then"));
        }
        let Compared::Different { differences, count } = &reread.compared else {
            return (Found::Vanished, None);
        };
        let redactor = self.redactor.get();
        let covers = |difference: &Difference| {
            let place = redactor.place(&difference.place).class_text();
            covers(&place, &class.place) || covers(&class.place, &place)
        };
        if differences.iter().any(covers) {
            return (Found::StillThere, None);
        }
        let then = mismatch.new.as_ref().map(|answer| answer.status);
        // An answer that cannot be compared does not count as equal.
        if now != old && then != Some(now) {
            let detail = format!("the new stack answers {now} now, and the old one {old}");
            return not_judged(detail);
        }
        if *count > differences.len() {
            let detail = "more differences than are kept, none of them of this class";
            return not_judged(detail.to_owned());
        }
        let detail = format!("differs elsewhere now: {count}");
        (Found::Vanished, Some(detail))
    }
}

fn ending() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the process is ending")
}

fn document(class: Class, examples: Vec<Rechecked>, not_read: u64) -> ClassRecheck {
    let count = |found| {
        let examples = examples.iter();
        examples.filter(|example| example.found == found).count()
    };
    ClassRecheck {
        class: class.id,
        route: class.route,
        place: class.place,
        kind: class.kind,
        still_there: count(Found::StillThere),
        vanished: count(Found::Vanished),
        not_judged: count(Found::NotJudged),
        not_read,
        examples,
    }
}

/// Whether a difference at `place` covers one at `of`: it is the same place, or contains it.
fn covers(place: &str, of: &str) -> bool {
    match of.strip_prefix(place) {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        None => {
            let heads = ["status", "header.", "trailer."];
            place == "body" && !heads.iter().any(|head| of.starts_with(head))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_covers_its_place_and_what_lies_within() {
        for (place, of, expected) in [
            ("$.price", "$.price", true),
            ("$.items[*]", "$.items[*].price", true),
            ("$.items", "$.items[*].price", true),
            ("$", "$.price", true),
            ("$.price", "$.prices", false),
            ("$.items[*].price", "$.items", false),
            ("body", "$.price", true),
            ("body", "line", true),
            ("body", "header.etag", false),
            ("status", "$.price", false),
            ("header.a", "header.a", true),
            ("header.a", "header.ab", false),
        ] {
            assert_eq!(covers(place, of), expected, "{place} {of}");
        }
    }
}
