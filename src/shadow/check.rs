//! One sample, carried through to its outcome: replayed, compared, where it differs read again, counted, reported.

use super::{
    Settings,
    afresh::{self, Why},
    bench::{Bench, Memory, Seen, Subject},
    lane::Passage,
    pair::{Reader, Reading},
    places::Place,
    recheck,
    replay::{self, Purpose, Room},
    span::Span,
};
use crate::{
    compare::{self, Answer, Compared, Met},
    drain,
    handoff::{Opened, Rechecked, Sample},
    route::Access,
    stack::Stack,
    verdict::{Mark, Outcome, Reason, Turn, Version},
};
use http::{
    HeaderName, StatusCode,
    header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE},
};
use std::{mem, sync::Arc, time::Instant};

/// What one check begins with.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) passage: Passage,
    pub(super) place: Place,
    pub(super) settings: Arc<Settings>,
    pub(super) drain: Arc<drain::Watch>,
}

/// A check under way.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) bench: Arc<Bench>,
    pub(super) sample: Opened,
    pub(super) span: Span,
    pub(super) settings: Arc<Settings>,
}

/// How a check ended, and what was found.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) compared: Compared,
    /// Why the bodies were not compared, where other differences were found.
    pub(super) uncompared: Option<Reason>,
    pub(super) rechecked: Rechecked<compare::Place>,
    /// Ids that have met in it and are remembered, should it stay a mismatch.
    pub(super) met: Met,
}

/// Bytes that a pair of ids takes while its check waits, roughly.
const PAIR: usize = 64;

/// What makes a stack answer by what the caller has.
const CONDITIONS: [HeaderName; 5] = [
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_RANGE,
    IF_MATCH,
    IF_UNMODIFIED_SINCE,
];

/// Carries one sample through to its outcome.
pub(super) async fn run(bench: Arc<Bench>, sample: Box<Sample>, entry: Entry) {
    let Entry {
        passage,
        place,
        settings,
        drain,
    } = entry;
    let mut check = Check::open(bench, sample, settings);
    let (shadow, mut finding) = match check.why_afresh() {
        None => {
            let shadow = check.replay(passage).await;
            if let Ok(reading) = &shadow
                && check.are_conditional(&reading.answer)
            {
                drop(place);
                check.afresh(Why::Conditional, None, &drain).await
            } else {
                let judged = check.judge(shadow);
                drop(place);
                judged
            }
        }
        Some(why) => {
            // It may have to wait, and not in a place that others could use.
            drop(place);
            check.afresh(why, Some(passage), &drain).await
        }
    };
    if let Some(shadow) = &shadow
        && finding.is_suspect()
        && !check.settings.recheck.after.is_empty()
    {
        Box::pin(recheck::confirm(&check, shadow, &mut finding, &drain)).await;
    }
    if let Outcome::Mismatch(_) = finding.outcome {
        check.bench.learn(&check, mem::take(&mut finding.met));
    }
    check.bench.count_differences(&check, &finding);
    check.bench.report(&check, shadow.as_ref(), &finding);
    check.sample.ticket.finish(finding.outcome);
}

/// Ends a sample whose read is not to be sent.
pub(super) fn refuse(
    bench: &Arc<Bench>,
    sample: Box<Sample>,
    reason: Reason,
    settings: Arc<Settings>,
) {
    let check = Check::open(bench.clone(), sample, settings);
    let finding = Finding::from(Outcome::NotCompared(reason));
    bench.report(&check, None, &finding);
    check.sample.ticket.finish(finding.outcome);
}

// === impl Check ===

impl Check {
    fn open(bench: Arc<Bench>, sample: Box<Sample>, settings: Arc<Settings>) -> Self {
        let sample = sample.open();
        let span = Span::new(&sample.request, &settings);
        Self {
            bench,
            sample,
            span,
            settings,
        }
    }

    /// What the answers are of, for comparing them.
    pub(super) fn subject(&self) -> Subject<'_> {
        let ticket = &self.sample.ticket;
        Subject {
            route: ticket.route().name(),
            epoch: ticket.epoch(),
            method: &self.sample.request.method,
            deadline: self.settings.deadline,
        }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            bench: &self.bench,
            settings: &self.settings,
            request: &self.sample.request,
            span: &self.span.own,
        }
    }

    fn why_afresh(&self) -> Option<Why> {
        let sample = &self.sample;
        let keys = || {
            let request = &sample.request;
            let body = Some(&request.body[..]);
            sample.routes.keys(&request.head(), body, Access::Read)
        };
        match self.bench.writes.touch(keys, Instant::now()) {
            true => Some(Why::Written),
            false => self
                .is_conditional(&self.sample.answer)
                .then_some(Why::Conditional),
        }
    }

    async fn afresh(
        &mut self,
        why: Why,
        passage: Option<Passage>,
        drain: &Arc<drain::Watch>,
    ) -> (Option<Reading>, Finding) {
        let shadow = Box::pin(afresh::read(self, why, passage, drain)).await;
        self.judge(shadow)
    }

    /// Whether there is nothing in an answer to compare because of what the caller had already. A stack on which that is
    /// known by another tag gives no such answer.
    pub(super) fn is_conditional(&self, answer: &Answer) -> bool {
        let headers = &self.sample.request.headers;
        matches!(
            answer.status,
            StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED
        ) && CONDITIONS.iter().any(|name| headers.contains_key(name))
    }

    /// Whether the first answers may differ only because the stacks know what the caller had by different tags: then one
    /// also sends the rest of it, and the other the whole.
    fn are_conditional(&self, shadow: &Answer) -> bool {
        let statuses = [self.sample.answer.status, shadow.status];
        let is_part = |status: &StatusCode| *status == StatusCode::PARTIAL_CONTENT;
        let are_apart = statuses.contains(&StatusCode::OK) && statuses.iter().any(is_part);
        self.is_conditional(shadow)
            || are_apart && self.sample.request.headers.contains_key(IF_RANGE)
    }

    /// From here on the read asks for the whole answer, whatever its caller has.
    pub(super) fn drop_conditions(&mut self) {
        for name in &CONDITIONS {
            self.sample.request.headers.remove(name);
        }
    }

    async fn replay(&mut self, passage: Passage) -> Result<Reading, Outcome> {
        let begun = Instant::now();
        let sample = &mut self.sample;
        let target = passage.lane().client().target();
        let request = replay::request(&sample.request, target, &self.span.own, Purpose::Shadow);
        let room = Room {
            max_body: self.settings.max_body,
            held: &mut sample.held,
            expected: sample.answer.body.kept().clone(),
            rival: sample.answer.body.length(),
        };
        let answer = replay::send(passage, request, room, self.settings.timeout).await;
        let took = begun.elapsed();
        match answer {
            Ok(answer) => Ok(Reading { answer, took }),
            Err(failure) => Err(failure.outcome()),
        }
    }

    /// Compares the first answers, if the shadow gave one.
    fn judge(&mut self, shadow: Result<Reading, Outcome>) -> (Option<Reading>, Finding) {
        let shadow = match shadow {
            Ok(shadow) => shadow,
            Err(outcome) => return (None, Finding::from(outcome)),
        };
        // First, for the epoch says which ids have met.
        self.hear_version(&shadow.answer);
        let (old, new) = self.sides(&shadow.answer);
        let comparing = &self.sample.comparing;
        let compared = self
            .bench
            .compare(&self.subject(), (old, new), comparing, Memory::Kept);
        let finding = match compared {
            Ok(Seen { comparison, met }) => {
                self.bench.count(self, &comparison, &shadow);
                Finding {
                    outcome: outcome(&comparison.result, old, new),
                    met: match comparison.result {
                        Compared::Different { .. } => self.hold(met),
                        _ => Met::default(),
                    },
                    compared: comparison.result,
                    uncompared: comparison.uncompared,
                    rechecked: Rechecked::default(),
                }
            }
            Err(_) => Finding::from(Outcome::NotCompared(Reason::Internal)),
        };
        (Some(shadow), finding)
    }

    /// Without room for them, ids are not remembered.
    fn hold(&mut self, met: Met) -> Met {
        match self.sample.held.grow(met.len() * PAIR) {
            true => met,
            false => Met::default(),
        }
    }

    /// Counts the check in the epoch of the build that answered it, where answers name one.
    fn hear_version(&mut self, shadow: &Answer) {
        if self.settings.version_header.is_none() {
            return;
        }
        let (_, new) = self.sides(shadow);
        let version = self.build(new);
        // What stands before the new stack answers so in its place, and names no build.
        if version.is_none() && new.status.is_server_error() {
            return;
        }
        let ticket = &mut self.sample.ticket;
        if self.bench.ledger.hear_version(version.as_ref(), ticket) == Turn::Begins {
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

    /// The first answers, old's first.
    pub(super) fn sides<'a>(&'a self, shadow: &'a Answer) -> (&'a Answer, &'a Answer) {
        match self.sample.primary {
            Stack::Old => (&self.sample.answer, shadow),
            Stack::New => (shadow, &self.sample.answer),
        }
    }
}

// === impl Finding ===

impl Finding {
    /// Whether reading again may show something else.
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
            met: Met::default(),
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
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    )
}
