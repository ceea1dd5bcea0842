//! Processes one sample: replays it, compares it, reads both stacks again if it differs, counts and reports it.

use super::{
    Settings,
    bounds::Slot,
    conditions,
    context::{self, CheckContext, ComparisonOutput, IdMemory, Subject, start_span},
    dual_read::{DualReader, ReadError, StackAccess},
    guarded_client::{Instance, Permit},
    recheck,
    replace_primary::{self, ReplaceReason},
    replay::{Failure, Purpose, Room},
};
use crate::{
    budget::Held,
    compare::{Answer, Compared, IdPairs},
    drain,
    outcome::{Mark, Outcome, Reason},
    pipeline::{CapturedRead, CheckInput, ReadRequest, Rechecked, Span, TimedAnswer},
    route::{Access, Naming},
    stack::Stack,
    value,
    verdict::Version,
};
use bytes::Bytes;
use http::StatusCode;
use std::{mem, sync::Arc, time::Instant};

/// The resources that a check starts with.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) permit: Permit,
    pub(super) slot: Slot,
    pub(super) settings: Arc<Settings>,
    pub(super) drain: Arc<drain::Watch>,
}

/// A check in progress.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) context: Arc<CheckContext>,
    pub(super) sample: CheckInput,
    /// The original read with its conditions, once `sample` has none.
    pub(super) conditional: Option<ReadRequest>,
    /// The shadow's first answer, if there is one.
    pub(super) shadow: Option<TimedAnswer>,
    pub(super) span: Span,
    pub(super) settings: Arc<Settings>,
}

/// The outcome of a check, and what was found.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) compared: Compared,
    /// Why the bodies were not compared although other differences were found.
    pub(super) uncompared: Option<Reason>,
    pub(super) rechecked: Rechecked<value::Place>,
    /// Ids paired in this check, remembered if it stays a mismatch.
    pub(super) met: IdPairs,
}

/// Approximate bytes that a pair of ids takes while its check waits.
const PAIR: usize = 64;

/// Processes one sample up to its outcome.
pub(super) async fn run(context: Arc<CheckContext>, sample: Box<CapturedRead>, entry: Entry) {
    let (slot, drain) = (entry.slot, entry.drain);
    let mut check = Check::open(context, sample, entry.settings);
    let mut finding = match check.replace_reason() {
        None => {
            let shadow = check.replay(entry.permit).await;
            if let Ok(reading) = &shadow
                && (check.is_conditional() || check.is_part_of(&reading.answer))
            {
                drop(slot);
                check
                    .replace_primary(ReplaceReason::Conditional, None, &drain)
                    .await
            } else {
                let judged = check.judge(shadow);
                drop(slot);
                judged
            }
        }
        Some(why) => {
            // It may wait, and must not occupy a slot that others could use.
            drop(slot);
            check.replace_primary(why, Some(entry.permit), &drain).await
        }
    };
    if finding.is_suspect() && !check.settings.recheck.after.is_empty() {
        Box::pin(recheck::confirm(&check, &mut finding, &drain)).await;
    }
    if let Outcome::Mismatch(_) = finding.outcome {
        check.context.learn(&check, mem::take(&mut finding.met));
    }
    finding.rechecked.is_conditional = check.conditional.is_some();
    check.context.count_differences(&check, &finding);
    context::finish(check, &finding);
}

/// Finishes a sample whose read is not sent.
pub(super) fn refuse(
    context: &Arc<CheckContext>,
    sample: Box<CapturedRead>,
    reason: Reason,
    settings: Arc<Settings>,
) {
    let check = Check::open(context.clone(), sample, settings);
    let finding = Finding::from(Outcome::NotCompared(reason));
    context::finish(check, &finding);
}

// === impl Check ===

impl Check {
    fn open(
        context: Arc<CheckContext>,
        sample: Box<CapturedRead>,
        settings: Arc<Settings>,
    ) -> Self {
        let sample = sample.open();
        let span = start_span(&sample.request, &settings);
        Self {
            context,
            sample,
            conditional: None,
            shadow: None,
            span,
            settings,
        }
    }

    /// Describes the answers for a comparison.
    pub(super) fn subject(&self) -> Subject<'_> {
        let ticket = &self.sample.meta.ticket;
        Subject {
            route: ticket.route().name(),
            epoch: ticket.epoch(),
            method: &self.sample.request.method,
            message_type: self.sample.answer_type(),
        }
    }

    /// The primary's first answer.
    pub(super) fn primary(&self) -> &TimedAnswer {
        let primary = self.sample.primary.as_ref();
        primary.expect("the primary is read before anything is compared")
    }

    /// Learns the name of a route from a read whose answer the live side has not seen.
    pub(super) fn learn_name(&self) {
        let (request, meta) = (&self.sample.request, &self.sample.meta);
        let named = meta.routes.name(&request.head(), Some(&request.body));
        if matches!(named, Naming::Named(_, None)) {
            self.context.handles.ledger.learn(meta.ticket.route());
        }
    }

    pub(super) fn reader(&self) -> DualReader<'_> {
        DualReader {
            context: &self.context,
            settings: &self.settings,
            request: &self.sample.request,
            span: &self.span,
        }
    }

    fn replace_reason(&self) -> Option<ReplaceReason> {
        let sample = &self.sample;
        let keys = || {
            let request = &sample.request;
            let body = Some(&request.body[..]);
            sample.meta.routes.keys(&request.head(), body, Access::Read)
        };
        if self.context.handles.writes.touch(keys, Instant::now()) {
            Some(ReplaceReason::Written)
        } else {
            self.is_conditional().then_some(ReplaceReason::Conditional)
        }
    }

    async fn replace_primary(
        &mut self,
        why: ReplaceReason,
        permit: Option<Permit>,
        drain: &Arc<drain::Watch>,
    ) -> Finding {
        let shadow = Box::pin(replace_primary::read(self, why, permit, drain)).await;
        self.judge(shadow)
    }

    /// Whether the primary's answer has nothing to compare because of what the caller already had.
    pub(super) fn is_conditional(&self) -> bool {
        let headers = &self.sample.request.headers;
        let primary = self.sample.primary.as_ref();
        primary.is_some_and(|primary| conditions::has_decided(headers, &primary.answer))
    }

    /// Whether the primary sends a part and the shadow the whole, because the shadow does not know the caller's
    /// validator.
    fn is_part_of(&self, shadow: &Answer) -> bool {
        let headers = &self.sample.request.headers;
        conditions::is_part_of(headers, &self.primary().answer, shadow)
    }

    /// Removes the conditions, so that later reads ask for the whole answer.
    pub(super) fn drop_conditions(&mut self) {
        let request = &mut self.sample.request;
        if conditions::has_any(&request.headers) {
            self.conditional = Some(request.clone());
        }
        conditions::remove(&mut request.headers);
    }

    /// Reads both stacks; the old one's answer comes first. If the caller had conditions, the new stack is also read
    /// with them. That answer is returned instead if the new stack's own answer without conditions proves it wrong.
    pub(super) async fn read_both(
        &self,
        accesses: [StackAccess<'_>; 2],
        expected: [&Bytes; 2],
        held: &mut Held,
    ) -> Result<[TimedAnswer; 2], ReadError> {
        let [old, new] = self.reader().both(accesses, expected, held).await?;
        let may_be_unmodified =
            |request: &&ReadRequest| conditions::may_be_unmodified(&request.headers);
        let Some(request) = self.conditional.as_ref().filter(may_be_unmodified) else {
            return Ok([old, new]);
        };
        let reader = DualReader {
            request,
            ..self.reader()
        };
        let mut share = held.empty_share();
        let [_, client] = self
            .context
            .clients
            .again(self.sample.meta.ticket.primary(), Instance::Own);
        let body = new.answer.body.kept();
        let asked = reader.new_again(client, body, &mut share).await?;
        if !self.is_broken(&asked.answer, &new.answer) {
            return Ok([old, new]);
        }
        held.merge(&mut share);
        Ok([old, asked])
    }

    /// Whether the new stack's answer to the conditions is contradicted by its answer without them.
    pub(super) fn is_broken(&self, answer: &Answer, whole: &Answer) -> bool {
        let request = self.conditional.as_ref();
        request.is_some_and(|request| conditions::is_broken(&request.headers, answer, whole))
    }

    async fn replay(&mut self, permit: Permit) -> Result<TimedAnswer, Outcome> {
        if self.sample.primary.is_none() {
            return Box::pin(replace_primary::read_first(self, permit)).await;
        }
        let _old_slot = match permit.stack() {
            Stack::Old => Some(self.reader().old_slot().await),
            Stack::New => None,
        };
        let mut held = self.sample.meta.held.empty_share();
        let body = &self.primary().answer.body;
        let room = Room {
            max_body: self.settings.capture.max_body,
            held: &mut held,
            expected: body.kept().clone(),
            rival: body.length(),
        };
        let read = self.reader().read(permit, Purpose::Shadow, room).await;
        let read = read.map_err(Failure::outcome)?;
        self.sample.meta.held.merge(&mut held);
        Ok(read)
    }

    /// Compares the first answers, if the shadow answered.
    fn judge(&mut self, shadow: Result<TimedAnswer, Outcome>) -> Finding {
        let shadow = match shadow {
            Ok(shadow) => shadow,
            Err(outcome) => return Finding::from(outcome),
        };
        // This comes first, because the epoch determines which ids have been paired.
        self.attribute_build(&shadow.answer);
        let (old, new) = self.sides(&shadow.answer);
        let comparing = &self.sample.meta.comparing;
        let ComparisonOutput { comparison, met } =
            self.context
                .compare(&self.subject(), (old, new), comparing, IdMemory::Kept);
        self.context.count(self, &comparison, &shadow);
        let finding = Finding {
            outcome: outcome(&comparison.result, old, new),
            met: match comparison.result {
                Compared::Different { .. } => self.hold(met),
                _ => IdPairs::default(),
            },
            compared: comparison.result,
            uncompared: comparison.uncompared,
            rechecked: Rechecked::default(),
        };
        self.shadow = Some(shadow);
        finding
    }

    /// Keeps paired ids if the byte budget has room for them.
    fn hold(&mut self, met: IdPairs) -> IdPairs {
        if self.sample.meta.held.grow(met.len() * PAIR) {
            met
        } else {
            IdPairs::default()
        }
    }

    /// Counts the check in the epoch of the build that answered it, if answers name one.
    fn attribute_build(&mut self, shadow: &Answer) {
        if self.settings.version_header.is_none() {
            return;
        }
        let (_, new) = self.sides(shadow);
        let version = self.build(new);
        // A proxy before the new stack may answer a 5xx in its place and names no build. A 304 need not name it either
        // (RFC 9110, 15.4.5).
        let may_lack_it = new.status.is_server_error() || new.status == StatusCode::NOT_MODIFIED;
        if version.is_none() && may_lack_it {
            return;
        }
        let ticket = &mut self.sample.meta.ticket;
        let ledger = &self.context.handles.ledger;
        if ledger.attribute(version.as_ref(), ticket) {
            let version = version.as_ref().map_or("none", Version::as_str);
            tracing::info!(%version, epoch = %ticket.epoch(), "the new stack names another build: an epoch began");
        }
    }

    /// The build that an answer of the new stack names.
    pub(super) fn build(&self, answer: &Answer) -> Option<Version> {
        let name = self.settings.version_header.as_ref()?;
        let version = answer.headers.get(name)?;
        Version::of(version.as_bytes())
    }

    /// The first answers; the old one's comes first.
    pub(super) fn sides<'a>(&'a self, shadow: &'a Answer) -> (&'a Answer, &'a Answer) {
        match self.sample.meta.ticket.primary() {
            Stack::Old => (&self.primary().answer, shadow),
            Stack::New => (shadow, &self.primary().answer),
        }
    }
}

// === impl Finding ===

impl Finding {
    /// Whether another reading may change the result.
    fn is_suspect(&self) -> bool {
        matches!(self.compared, Compared::Different { .. })
    }
}

impl From<Outcome> for Finding {
    fn from(outcome: Outcome) -> Self {
        let reason = match outcome {
            Outcome::NotCompared(reason) => reason,
            _ => Reason::Internal,
        };
        Self {
            outcome,
            compared: Compared::NotCompared(reason),
            uncompared: None,
            rechecked: Rechecked::default(),
            met: IdPairs::default(),
        }
    }
}

fn outcome(compared: &Compared, old: &Answer, new: &Answer) -> Outcome {
    match compared {
        Compared::Equal(via) => Outcome::Match(*via),
        Compared::NotCompared(reason) => Outcome::NotCompared(*reason),
        Compared::Different { .. } if is_refused(new) && !is_refused(old) => {
            Outcome::Mismatch(Mark::Auth)
        }
        Compared::Different { .. } => Outcome::Mismatch(Mark::Plain),
    }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(
        answer.effective_status(),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}
