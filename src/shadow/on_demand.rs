//! Reads both stacks on request, with the guards and the budget of a re-check. No tally counts these readings.

use super::{
    context::{CheckContext, IdMemory, Subject, start_span},
    dual_read::{DualReader, PATIENCE, ReadError, StackAccess},
    guarded_client::{GuardedClient, Instance},
    replay::{Failure, Purpose, Room},
};
use crate::{
    budget::Held,
    compare::{Answer, CompareConfig, Compared},
    http_client::NoAnswer,
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

/// A weak handle to the shadow. Cheap to clone; it does not delay shutdown.
#[derive(Clone, Debug)]
pub struct Rereader(Weak<CheckContext>);

/// What to read, and how to compare the answers.
#[derive(Debug)]
pub struct RereadRequest {
    pub request: ReadRequest,
    pub route: Arc<str>,
    /// The epoch's id. Its id pairs are used.
    pub epoch: Arc<str>,
    pub primary: Stack,
    pub comparing: Arc<CompareConfig>,
    /// Accounts for the answers.
    pub held: Held,
}

/// The comparison of both answers.
#[derive(Debug)]
pub struct Reread {
    pub compared: Compared,
    /// The old stack's first.
    pub statuses: [StatusCode; 2],
}

/// Why there is nothing to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RereadError {
    #[error("the process is ending")]
    Ending,
    #[error("past recheck.max_per_second")]
    OverBudget,
    /// A guard refused, with a reason of `not_compared`.
    #[error("not sent: {}", .0.name())]
    Refused(Reason),
    #[error("no answer from {stack}: {why}")]
    Failed { stack: Stack, why: NoAnswer },
    #[error("the answers were not compared: {}", .0.name())]
    NotCompared(Reason),
}

// === impl Rereader ===

impl Rereader {
    pub(super) fn new(context: &Arc<CheckContext>) -> Self {
        Self(Arc::downgrade(context))
    }

    /// Reads both stacks once, after waiting at most `patience` for its turn. Call it on the shadow's threads.
    ///
    /// # Errors
    /// [`RereadError`].
    pub async fn reread(
        &self,
        mut asked: RereadRequest,
        patience: Duration,
    ) -> Result<Reread, RereadError> {
        let context = self.0.upgrade().ok_or(RereadError::Ending)?;
        let settings = context.handles.settings.get();
        let wait = context.clients.book(&settings, patience);
        let wait = wait.ok_or(RereadError::OverBudget)?;
        time::sleep(wait).await;
        let span = start_span(&asked.request, &settings);
        let reader = DualReader {
            context: &context,
            settings: &settings,
            request: &asked.request,
            span: &span,
        };
        let [old, new] = context.clients.again(asked.primary, Instance::Own);
        let left = patience.saturating_sub(wait);
        let granted = async |client: &Arc<GuardedClient>| {
            let permit = client.admit_within(left, &settings).await;
            permit
                .map(StackAccess::Granted)
                .map_err(RereadError::Refused)
        };
        let accesses = tokio::try_join!(granted(old), granted(new))?.into();
        let nothing = Bytes::new();
        let read = reader.both(accesses, [&nothing; 2], &mut asked.held).await;
        let [old, new] = read?.map(|reading| reading.answer);
        let compared = asked.compare(&context, (&old, &new))?;
        Ok(Reread {
            compared,
            statuses: [old.status, new.status],
        })
    }

    /// Reads one stack once, while old is primary. Call it on the shadow's threads.
    ///
    /// # Errors
    /// [`RereadError`].
    pub(crate) async fn read(
        &self,
        stack: Stack,
        request: ReadRequest,
        held: &mut Held,
    ) -> Result<Answer, RereadError> {
        let context = self.0.upgrade().ok_or(RereadError::Ending)?;
        let settings = context.handles.settings.get();
        let span = start_span(&request, &settings);
        let reader = DualReader {
            context: &context,
            settings: &settings,
            request: &request,
            span: &span,
        };
        let client = context.clients.again(Stack::Old, Instance::Own)[stack as usize];
        let permit = client.admit_within(PATIENCE, &settings).await;
        let permit = permit.map_err(RereadError::Refused)?;
        let _slot = reader.slot().await;
        let room = Room {
            max_body: settings.capture.max_body,
            held,
            expected: Bytes::new(),
            rival: None,
        };
        let read = reader.read(permit, Purpose::Shadow, room).await;
        let failed = |failure| RereadError::from(ReadError::Failed(stack, failure));
        Ok(read.map_err(failed)?.answer)
    }
}

// === impl RereadRequest ===

impl RereadRequest {
    fn compare(
        &self,
        context: &CheckContext,
        answers: (&Answer, &Answer),
    ) -> Result<Compared, RereadError> {
        let call = self.comparing.descriptors.call(self.request.uri.path());
        let subject = Subject {
            route: &self.route,
            epoch: &self.epoch,
            method: &self.request.method,
            message_type: call.map(|call| &call.answer),
        };
        let compared = context.compare(&subject, answers, &self.comparing, IdMemory::Known);
        match compared.comparison.result {
            Compared::NotCompared(reason) => Err(RereadError::NotCompared(reason)),
            compared => Ok(compared),
        }
    }
}

// === impl RereadError ===

impl From<ReadError> for RereadError {
    fn from(obstacle: ReadError) -> Self {
        match obstacle {
            ReadError::Refused(_, reason) => Self::Refused(reason),
            ReadError::Failed(stack, Failure::NoAnswer(why)) => Self::Failed { stack, why },
            ReadError::Failed(_, failure) => match failure.outcome() {
                Outcome::NotCompared(reason) => Self::NotCompared(reason),
                _ => Self::NotCompared(Reason::Internal),
            },
        }
    }
}
