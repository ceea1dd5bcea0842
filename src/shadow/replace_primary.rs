//! Reads both stacks where no live answer was captured, or instead of using it: it may depend on what the caller already
//! had, or the resource may just have been written. A live 304 of the new stack is checked against its answer without
//! conditions.
//!
//! A reading instead of a captured answer counts against `recheck.max_per_second`. Without a turn there is nothing to compare, and the
//! check ends as `not_compared{over_budget}`.

use super::{
    Conditional,
    check::Check,
    dual_read::StackAccess,
    guarded_client::{GuardedClients, Instance, Permit},
    replay::Purpose,
};
use crate::{
    drain,
    heads::is_event_stream,
    ledger::Bound,
    outcome::{Outcome, Reason},
    pipeline::TimedAnswer,
    stack::Stack,
};
use bytes::Bytes;
use http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// How long such a reading waits for its turn in the budget. It waits less than a reading that confirms a difference,
/// so that those find room before everything is booked.
const PATIENCE: Duration = Duration::from_millis(500);

/// Why the shadow's answer is not compared with the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplaceReason {
    /// One of the two depends on the conditions of the read.
    Conditional,
    /// The resource was written so recently that the shadow may not have it yet. Both are read after the first delay of
    /// a re-check.
    Written,
}

/// Reads both stacks for the first time. Keeps the primary's answer, and returns the shadow's.
pub(super) async fn read_first(check: &mut Check, permit: Permit) -> Result<TimedAnswer, Outcome> {
    let primary = check.sample.meta.ticket.primary();
    let mut held = check.sample.meta.held.empty_share();
    let accesses = accesses(&check.context.clients, primary, Some(permit));
    let nothing = Bytes::new();
    let reader = check.reader();
    let read = reader.both_in_slot(Purpose::Shadow, accesses, [&nothing; 2], &mut held);
    let (own, shadow) = by_role(primary, read.await.map_err(|error| error.outcome(primary))?);
    check.sample.meta.held.merge(&mut held);
    let status = own.answer.status;
    let is_endless = is_event_stream(&own.answer.headers);
    check.sample.primary = Some(own);
    if is_endless {
        return Err(Outcome::NotCompared(Reason::Streaming));
    }
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        check.learn_name();
    }
    Ok(shadow)
}

/// Replaces the live answer by the primary's new one, and returns the shadow's.
pub(super) async fn read(
    check: &mut Check,
    why: ReplaceReason,
    permit: Option<Permit>,
    drain: &Arc<drain::Watch>,
) -> Result<TimedAnswer, Outcome> {
    let is_conditional = why == ReplaceReason::Conditional || check.is_conditional();
    if is_conditional && check.settings.conditional == Conditional::Skip {
        return Err(Outcome::NotCompared(Reason::Conditional));
    }
    // Also after a write, because by now only one stack may know the caller's tag.
    check.drop_conditions();
    match why {
        ReplaceReason::Conditional => both(check, why, permit).await,
        ReplaceReason::Written => {
            check.sample.meta.ticket.delay();
            // Return the permit: kept unused for so long, it would block others.
            drop(permit);
            wait(check, drain).await?;
            both(check, why, None).await
        }
    }
}

/// Waits for the first delay, within the bounds on waiting checks.
async fn wait(check: &Check, drain: &Arc<drain::Watch>) -> Result<(), Outcome> {
    let settings = &check.settings;
    let bytes = check.sample.meta.held.bytes();
    let Some(_wait) = check.context.waiting.enter(bytes, settings) else {
        check.context.handles.gauges.bound_reached(Bound::Rechecks);
        return Err(Outcome::NotCompared(Reason::OverBudget));
    };
    let delay = settings.recheck.after.first().copied().unwrap_or_default();
    let mut drain = drain::Watch::clone(drain);
    tokio::select! {
        biased;
        () = drain.signaled() => Err(Outcome::NotCompared(Reason::ShuttingDown)),
        () = time::sleep(delay) => Ok(()),
    }
}

async fn both(
    check: &mut Check,
    why: ReplaceReason,
    permit: Option<Permit>,
) -> Result<TimedAnswer, Outcome> {
    let clients = &check.context.clients;
    let Some(wait) = clients.book(&check.settings, PATIENCE) else {
        return Err(Outcome::NotCompared(Reason::OverBudget));
    };
    time::sleep(wait).await;
    let primary = check.sample.meta.ticket.primary();
    let accesses = accesses(clients, primary, permit);
    let mut held = check.sample.meta.held.empty_share();
    let captured = check.sample.primary.as_ref();
    let expected = captured.map(|captured| captured.answer.body.kept().clone());
    let expected = expected.unwrap_or_default();
    let expected = [&expected; 2];
    // If the new stack is the primary, its answer to the conditions is the live one.
    let is_asked = why == ReplaceReason::Written || primary == Stack::Old;
    let read = if is_asked {
        check.read_both(accesses, expected, &mut held).await
    } else {
        check.reader().both(accesses, expected, &mut held).await
    };
    let read = read.map_err(|obstacle| obstacle.outcome(primary))?;
    let (own, shadow) = by_role(primary, read);
    check.sample.meta.held.merge(&mut held);
    if is_asked || !check.is_broken(&check.primary().answer, &own.answer) {
        check.sample.primary = Some(own);
    }
    Ok(shadow)
}

/// How both stacks are accessed, the shadow with the permit if there is one.
fn accesses(
    clients: &GuardedClients,
    primary: Stack,
    permit: Option<Permit>,
) -> [StackAccess<'_>; 2] {
    let mut accesses = clients.again(primary, Instance::Own).map(StackAccess::Asks);
    if let Some(permit) = permit {
        accesses[primary.other() as usize] = StackAccess::Granted(permit);
    }
    accesses
}

/// The primary's first.
fn by_role(primary: Stack, [old, new]: [TimedAnswer; 2]) -> (TimedAnswer, TimedAnswer) {
    match primary {
        Stack::Old => (old, new),
        Stack::New => (new, old),
    }
}
