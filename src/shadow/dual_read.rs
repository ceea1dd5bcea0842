//! Reads both stacks at the same moment, each through its guarded client.

use super::{
    Settings,
    bounds::Slot,
    context::CheckContext,
    guarded_client::{GuardedClient, Permit},
    replay::{self, Failure, Purpose, Room},
};
use crate::{
    budget::Held,
    outcome::{Outcome, Reason},
    pipeline::{ReadRequest, SentRequest, Span, TimedAnswer},
    stack::Stack,
    value::grpc,
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

/// How long an additional request waits for a permit.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// Reads stacks with the same request.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualReader<'r> {
    pub(super) context: &'r CheckContext,
    pub(super) settings: &'r Settings,
    pub(super) request: &'r ReadRequest,
    /// Every request is a span below it.
    pub(super) span: &'r Span,
}

/// How a stack is accessed.
#[derive(Debug)]
pub(super) enum StackAccess<'l> {
    /// Asks for a permit first.
    Asks(&'l Arc<GuardedClient>),
    Granted(Permit),
}

/// Why both stacks could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// A guard of the stack refused.
    Refused(Stack, Reason),
    Failed(Stack, Failure),
}

// === impl DualReader ===

impl DualReader<'_> {
    /// Returns the old stack's answer first. Kept bodies count in `held` unless they equal `expected`.
    pub(super) async fn both(
        self,
        accesses: [StackAccess<'_>; 2],
        expected: [&Bytes; 2],
        held: &mut Held,
    ) -> Result<[TimedAnswer; 2], ReadError> {
        let _slot = self.slot().await;
        let purpose = Purpose::Recheck;
        self.both_in_slot(purpose, accesses, expected, held).await
    }

    /// The same in a slot that the caller holds.
    pub(super) async fn both_in_slot(
        self,
        purpose: Purpose,
        [old, new]: [StackAccess<'_>; 2],
        expected: [&Bytes; 2],
        held: &mut Held,
    ) -> Result<[TimedAnswer; 2], ReadError> {
        let _old_slot = self.old_slot().await;
        let now = Instant::now();
        let admit = |stack, access| match access {
            StackAccess::Granted(permit) => Ok(permit),
            StackAccess::Asks(client) => {
                let permit = client.admit(now, self.settings);
                permit.map_err(|reason| ReadError::Refused(stack, reason))
            }
        };
        let (old, new) = (admit(Stack::Old, old)?, admit(Stack::New, new)?);
        let mut shares = [held.empty_share(), held.empty_share()];
        let [of_old, of_new] = &mut shares;
        let (old, new) = tokio::join!(
            self.one(purpose, old, expected[0], of_old),
            self.one(purpose, new, expected[1], of_new)
        );
        let old = old.map_err(|failure| ReadError::Failed(Stack::Old, failure))?;
        let new = new.map_err(|failure| ReadError::Failed(Stack::New, failure))?;
        shares.iter_mut().for_each(|share| held.merge(share));
        Ok([old, new])
    }

    /// Reads the new stack once more, when a permit is available.
    pub(super) async fn new_again(
        self,
        client: &Arc<GuardedClient>,
        expected: &Bytes,
        held: &mut Held,
    ) -> Result<TimedAnswer, ReadError> {
        let permit = client.admit_within(PATIENCE, self.settings).await;
        let permit = permit.map_err(|reason| ReadError::Refused(Stack::New, reason))?;
        let _slot = self.slot().await;
        let read = self.one(Purpose::Recheck, permit, expected, held).await;
        read.map_err(|failure| ReadError::Failed(Stack::New, failure))
    }

    /// Takes a slot for a request in flight.
    pub(super) async fn slot(self) -> Slot {
        let current = &self.context.handles.settings;
        let max = || current.get().new.max_in_flight.get();
        self.context.slots.take(max).await
    }

    /// Takes a slot for a request to the old stack. Who holds a [`slot`](Self::slot) may wait for it, not the other way
    /// round.
    pub(super) async fn old_slot(self) -> Slot {
        let current = &self.context.handles.settings;
        let max = || current.get().old.max_in_flight.get();
        self.context.old_slots.take(max).await
    }

    async fn one(
        self,
        purpose: Purpose,
        permit: Permit,
        expected: &Bytes,
        held: &mut Held,
    ) -> Result<TimedAnswer, Failure> {
        let room = Room {
            max_body: self.settings.capture.max_body,
            held,
            expected: expected.clone(),
            rival: None,
        };
        self.read(permit, purpose, room).await
    }

    /// Reads one stack once.
    pub(super) async fn read(
        self,
        permit: Permit,
        purpose: Purpose,
        room: Room<'_>,
    ) -> Result<TimedAnswer, Failure> {
        let (started, begun) = (SystemTime::now(), Instant::now());
        let (stack, target) = (permit.stack(), permit.client().target().clone());
        let child = self.span.child();
        let request = replay::request(self.request, &target, &child, purpose);
        let answer = replay::send(permit, request, room, self.settings.of(stack).timeout).await;
        let took = begun.elapsed();
        let result = match &answer {
            Ok(answer) => Some(Ok(answer.status.as_u16())),
            Err(failure) => failure.of_sent().map(Err),
        };
        let answered = answer.as_ref().ok();
        let grpc_status =
            answered.and_then(|answer| grpc::status(&answer.headers, &answer.trailers));
        if let Some(result) = result {
            self.span.add(SentRequest {
                stack,
                target,
                span_id: child.span_id,
                started,
                ended: started + took,
                result,
                grpc_status,
            });
        }
        answer.map(|answer| TimedAnswer { answer, took })
    }
}

// === impl ReadError ===

impl ReadError {
    /// The outcome of a check whose first answers could not be read.
    pub(super) fn outcome(self, primary: Stack) -> Outcome {
        match self {
            // The breaker of the primary is open because that fails, which says nothing about the shadow.
            Self::Refused(stack, Reason::BreakerOpen) if stack == primary => {
                Outcome::NotCompared(Reason::PrimaryError)
            }
            Self::Refused(_, reason) => Outcome::NotCompared(reason),
            Self::Failed(stack, Failure::NoAnswer(_)) if stack == primary => {
                Outcome::NotCompared(Reason::PrimaryError)
            }
            Self::Failed(_, failure) => failure.outcome(),
        }
    }
}
