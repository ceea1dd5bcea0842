//! Reads both stacks at the same moment, each by its way and past its guards.

use super::{
    Settings,
    concurrency::Place,
    context::CheckContext,
    guarded_client::{GuardedClient, Permit},
    replay::{self, Failure, Purpose, Room},
};
use crate::{
    budget::Held,
    compare::Answer,
    outcome::{Outcome, Reason},
    pipeline::ReadRequest,
    stack::Stack,
    trace_context::TraceContext,
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A whole answer of a stack.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) answer: Answer,
    pub(super) took: Duration,
}

/// How long a request that comes on top waits for leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads stacks by the same request.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualReader<'r> {
    pub(super) bench: &'r CheckContext,
    pub(super) settings: &'r Settings,
    pub(super) request: &'r ReadRequest,
    /// What the stacks are told as the parent of their own spans.
    pub(super) span: &'r TraceContext,
}

/// By which way a stack is read.
#[derive(Debug)]
pub(super) enum StackAccess<'l> {
    /// It asks for leave first.
    Asks(&'l Arc<GuardedClient>),
    Granted(Permit),
}

/// Why both stacks could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// A guard refused.
    Refused(Reason),
    Failed(Stack, Failure),
}

// === impl DualReader ===

impl DualReader<'_> {
    /// Old's first in what comes. What is kept of the answers is taken from `held`, unless it is as `expected`.
    pub(super) async fn both(
        self,
        [old, new]: [StackAccess<'_>; 2],
        expected: [&Bytes; 2],
        held: &mut Held,
    ) -> Result<[Reading; 2], ReadError> {
        let _place = self.place().await;
        let now = Instant::now();
        let admit = |way| match way {
            StackAccess::Granted(passage) => Ok(passage),
            StackAccess::Asks(lane) => lane.admit(now, self.settings).map_err(ReadError::Refused),
        };
        let (old, new) = (admit(old)?, admit(new)?);
        let mut shares = [held.beside(), held.beside()];
        let [of_old, of_new] = &mut shares;
        let (old, new) = tokio::join!(
            self.one(old, expected[0], of_old),
            self.one(new, expected[1], of_new)
        );
        let old = old.map_err(|failure| ReadError::Failed(Stack::Old, failure))?;
        let new = new.map_err(|failure| ReadError::Failed(Stack::New, failure))?;
        shares.into_iter().for_each(|share| held.merge(share));
        Ok([old, new])
    }

    /// Asks the new stack once more, when there is leave for that.
    pub(super) async fn new_again(
        self,
        lane: &Arc<GuardedClient>,
        expected: &Bytes,
        held: &mut Held,
    ) -> Result<Reading, ReadError> {
        let passage = lane.admit_within(PATIENCE, self.settings).await;
        let passage = passage.map_err(ReadError::Refused)?;
        let _place = self.place().await;
        let read = self.one(passage, expected, held).await;
        read.map_err(|failure| ReadError::Failed(Stack::New, failure))
    }

    /// One of the requests that may be in flight.
    async fn place(self) -> Place {
        let current = &self.bench.settings;
        let max = || current.get().max_in_flight.get();
        self.bench.places.take(max).await
    }

    async fn one(
        self,
        passage: Permit,
        expected: &Bytes,
        held: &mut Held,
    ) -> Result<Reading, Failure> {
        let begun = Instant::now();
        let target = passage.lane().client().target();
        let request = replay::request(self.request, target, self.span, Purpose::Recheck);
        let room = Room {
            max_body: self.settings.max_body,
            held,
            expected: expected.clone(),
            rival: None,
        };
        let answer = replay::send(passage, request, room, self.settings.timeout).await?;
        Ok(Reading {
            answer,
            took: begun.elapsed(),
        })
    }
}

// === impl ReadError ===

impl ReadError {
    /// How a check ends whose first answers could not be read.
    pub(super) fn outcome(self, primary: Stack) -> Outcome {
        match self {
            Self::Refused(reason) => Outcome::NotCompared(reason),
            Self::Failed(stack, Failure::Shadow(_)) if stack == primary => {
                Outcome::NotCompared(Reason::PrimaryError)
            }
            Self::Failed(_, failure) => failure.outcome(),
        }
    }
}
