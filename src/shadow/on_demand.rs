//! Reads both stacks for somebody who asks: past the same guards and within the same budget as a re-check, and counted
//! in no tally.

use super::{
    context::{Bench, Memory, Subject},
    dual_read::{Obstacle, Reader, Way},
    lanes::Instance,
    replay::Failure,
    span::Span,
};
use crate::{
    budget::Held,
    compare::{Answer, Compared, Comparing},
    outcome::{Outcome, Reason},
    pipeline::ReadRequest,
    stack::Stack,
};
use bytes::Bytes;
use http::StatusCode;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time;

/// The shadow, as long as it works. Cheap to clone; holds up nothing.
#[derive(Clone, Debug)]
pub struct Rereader(Weak<Bench>);

/// What is to be read, and how the answers are compared.
#[derive(Debug)]
pub struct Asked {
    pub request: ReadRequest,
    pub route: Arc<str>,
    /// The id of the epoch whose renumbered ids are known.
    pub epoch: Arc<str>,
    pub primary: Stack,
    pub comparing: Arc<Comparing>,
    /// Accounts for the answers.
    pub held: Held,
}

/// Both answers, compared.
#[derive(Debug)]
pub struct Reread {
    pub compared: Compared,
    /// Old's first.
    pub statuses: [StatusCode; 2],
}

/// Why there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReread {
    #[error("the process is ending")]
    Ending,
    #[error("past recheck.max_per_second")]
    OverBudget,
    /// A guard refused: a reason of `not_compared`.
    #[error("not sent: {}", .0.name())]
    Refused(Reason),
    /// `timeout`, `reset` and the like.
    #[error("no answer from {stack}: {kind}")]
    Failed { stack: Stack, kind: &'static str },
    #[error("the answers were not compared: {}", .0.name())]
    NotCompared(Reason),
}

// === impl Rereader ===

impl Rereader {
    pub(super) fn new(bench: &Arc<Bench>) -> Self {
        Self(Arc::downgrade(bench))
    }

    /// Reads both stacks once, when it is this reading's turn, but within `patience`. Runs on threads of the shadow's own.
    ///
    /// # Errors
    /// [`NotReread`].
    pub async fn reread(&self, mut asked: Asked, patience: Duration) -> Result<Reread, NotReread> {
        let bench = self.0.upgrade().ok_or(NotReread::Ending)?;
        let settings = bench.settings.get();
        let wait = bench.lanes.book(&settings, patience);
        time::sleep(wait.ok_or(NotReread::OverBudget)?).await;
        let span = Span::new(&asked.request, &settings).own;
        let reader = Reader {
            bench: &bench,
            settings: &settings,
            request: &asked.request,
            span: &span,
        };
        let ways = bench.lanes.again(asked.primary, Instance::Own);
        let nothing = Bytes::new();
        let read = reader
            .both(ways.map(Way::Asks), [&nothing; 2], &mut asked.held)
            .await;
        let [old, new] = read?.map(|reading| reading.answer);
        let compared = asked.compare(&bench, (&old, &new), settings.deadline)?;
        Ok(Reread {
            compared,
            statuses: [old.status, new.status],
        })
    }
}

// === impl Asked ===

impl Asked {
    fn compare(
        &self,
        bench: &Bench,
        answers: (&Answer, &Answer),
        deadline: Duration,
    ) -> Result<Compared, NotReread> {
        let subject = Subject {
            route: &self.route,
            epoch: &self.epoch,
            method: &self.request.method,
            deadline,
        };
        let compared = bench.compare(&subject, answers, &self.comparing, Memory::Known);
        match compared {
            Ok(seen) => match seen.comparison.result {
                Compared::NotCompared(reason) => Err(NotReread::NotCompared(reason)),
                compared => Ok(compared),
            },
            Err(_) => Err(NotReread::NotCompared(Reason::Internal)),
        }
    }
}

// === impl NotReread ===

impl From<Obstacle> for NotReread {
    fn from(obstacle: Obstacle) -> Self {
        match obstacle {
            Obstacle::Refused(reason) => Self::Refused(reason),
            Obstacle::Failed(stack, Failure::Shadow(error)) => Self::Failed {
                stack,
                kind: error.name(),
            },
            Obstacle::Failed(_, failure) => match failure.outcome() {
                Outcome::NotCompared(reason) => Self::NotCompared(reason),
                _ => Self::NotCompared(Reason::Internal),
            },
        }
    }
}
