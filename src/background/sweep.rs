//! Reads enumerated keys of one route on both stacks, in a random order.
//!
//! Keys enter the figures in the order of a keyed permutation, so the figures, the keyed order and one number, the keys
//! read so far, are all that a [`Checkpoint`] needs.

use super::{
    classes::Classes,
    keys::Keys,
    offer::Offers,
    pattern::Pattern,
    permutation::Permutation,
    run::{Job, Next, OnTick, Pace},
};
use crate::{
    outcome::{Mark, Outcome, Reason},
    pipeline::{FinishedRead, Report},
    verdict::{Decision, Enumeration},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};
use utoipa::ToSchema;

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum KeyResult {
    Equal,
    Differs,
    /// 2xx from old, 404 or 410 from new.
    OnlyInOld,
    OnlyInNew,
    /// 404 or 410 from both, alike.
    Absent,
    Transient,
    Noise,
    /// A stack did not answer.
    Error,
    /// Not compared, or no read.
    Skipped,
}

/// The number of keys by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct SweepCounts {
    pub(crate) equal: u64,
    pub(crate) differs: u64,
    pub(crate) only_in_old: u64,
    pub(crate) only_in_new: u64,
    pub(crate) absent: u64,
    pub(crate) transient: u64,
    pub(crate) noise: u64,
    pub(crate) error: u64,
    pub(crate) skipped: u64,
}

/// A key that is neither equal nor absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct KeyExample {
    /// The value, or an object of several by name.
    pub(crate) key: Value,
    pub(crate) result: KeyResult,
    /// The class of the first difference; null without one.
    #[schema(required)]
    pub(crate) class: Option<String>,
}

/// All that a sweep goes on from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Of the route, the keys, the stacks, the rules.
    pub(crate) fingerprint: String,
    seed: u64,
    pub(crate) enumeration: Enumeration,
    pub(crate) counts: SweepCounts,
    pub(crate) classes: Classes,
    pub(crate) examples: Vec<KeyExample>,
    /// Length of the file of `--out`.
    written: u64,
}

/// A sweep under way.
pub(crate) struct Sweep<'s> {
    pattern: Pattern,
    keys: Keys,
    order: Permutation,
    offers: Offers,
    /// The place in the order of the next key.
    next: u64,
    pub(crate) state: Checkpoint,
    out: Option<BufWriter<File>>,
    /// Called each second and at the end, with what a sweep goes on from.
    on_tick: OnTick<'s, Checkpoint>,
}

/// A key that was offered. `None`: its line is no key.
pub(crate) struct Key(Option<Vec<String>>);

const MAX_EXAMPLES: usize = 100;
const EXAMPLES_OF_A_CLASS: usize = 5;

// === impl Checkpoint ===

impl Checkpoint {
    pub(crate) fn new(fingerprint: String, keys: u64, seed: u64) -> Self {
        Self {
            fingerprint,
            seed,
            enumeration: Enumeration::new(keys),
            counts: SweepCounts::default(),
            classes: Classes::default(),
            examples: Vec::new(),
            written: 0,
        }
    }

    /// `safe` while at most the share `limit` of all keys can differ, `unsafe` once more of them do.
    pub(crate) fn verdict(&self, limit: f64, upper: u64) -> Decision {
        let keys = self.enumeration.keys() as f64;
        if self.counts.differing() as f64 > limit * keys {
            Decision::Unsafe
        } else if upper as f64 <= limit * keys {
            Decision::Safe
        } else {
            Decision::Undecided
        }
    }

    fn enter(&mut self, example: &KeyExample, report: Option<&Report>) {
        let result = example.result;
        *self.counts.of(result) += 1;
        self.enumeration.enter(result.may_differ());
        if result.is_found() {
            self.classes.enter(report);
        }
        let is_like = |other: &&KeyExample| other.class == example.class && other.result == result;
        if !result.is_in_order()
            && self.examples.len() < MAX_EXAMPLES
            && self.examples.iter().filter(is_like).count() < EXAMPLES_OF_A_CLASS
        {
            self.examples.push(example.clone());
        }
    }
}

// === impl SweepCounts ===

impl SweepCounts {
    /// The keys that were seen to differ.
    pub(crate) fn differing(&self) -> u64 {
        self.differs + self.only_in_old + self.only_in_new
    }

    fn of(&mut self, result: KeyResult) -> &mut u64 {
        match result {
            KeyResult::Equal => &mut self.equal,
            KeyResult::Differs => &mut self.differs,
            KeyResult::OnlyInOld => &mut self.only_in_old,
            KeyResult::OnlyInNew => &mut self.only_in_new,
            KeyResult::Absent => &mut self.absent,
            KeyResult::Transient => &mut self.transient,
            KeyResult::Noise => &mut self.noise,
            KeyResult::Error => &mut self.error,
            KeyResult::Skipped => &mut self.skipped,
        }
    }
}

// === impl KeyResult ===

impl KeyResult {
    fn of(end: &FinishedRead) -> Self {
        let is =
            |status: Option<StatusCode>, test: fn(StatusCode) -> bool| status.is_some_and(test);
        let is_gone = |status| matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let [old, new] = end.statuses;
        match end.outcome {
            Outcome::Match(_) if is(old, is_gone) && is(new, is_gone) => Self::Absent,
            Outcome::Match(_) => Self::Equal,
            Outcome::Mismatch(_) if is(old, |s| s.is_success()) && is(new, is_gone) => {
                Self::OnlyInOld
            }
            Outcome::Mismatch(_) if is(new, |s| s.is_success()) && is(old, is_gone) => {
                Self::OnlyInNew
            }
            Outcome::Mismatch(_) => Self::Differs,
            Outcome::Transient => Self::Transient,
            Outcome::Noise => Self::Noise,
            Outcome::ShadowError(_) => Self::Error,
            Outcome::NotCompared(Reason::PrimaryError) => Self::Error,
            Outcome::NotCompared(_) => Self::Skipped,
        }
    }

    /// Whether the key was seen to differ.
    fn is_found(self) -> bool {
        matches!(self, Self::Differs | Self::OnlyInOld | Self::OnlyInNew)
    }

    /// Whether the key counts as one that differs in the bound: what is not known to be equal does.
    fn may_differ(self) -> bool {
        self.is_found() || matches!(self, Self::Error | Self::Skipped)
    }

    fn is_in_order(self) -> bool {
        matches!(self, Self::Equal | Self::Absent)
    }
}

// === impl Sweep ===

impl<'s> Sweep<'s> {
    /// Begins, or goes on from a checkpoint. Keys that are neither equal nor absent are written to `out`.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn new(
        (pattern, keys): (Pattern, Keys),
        offers: Offers,
        state: Checkpoint,
        out: Option<&Path>,
        on_tick: impl FnMut(&Checkpoint, Pace) + 's,
    ) -> io::Result<Self> {
        let open = |path| -> io::Result<BufWriter<File>> {
            let mut options = OpenOptions::new();
            let mut file = options
                .create(true)
                .write(true)
                .truncate(false)
                .mode(0o600)
                .open(path)?;
            if file.metadata()?.len() < state.written {
                let message = "it is not the file that the checkpoint was written with";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            // What was written after the checkpoint is written again.
            file.set_len(state.written)?;
            file.seek(io::SeekFrom::End(0))?;
            Ok(BufWriter::new(file))
        };
        Ok(Self {
            pattern,
            order: Permutation::new(keys.count(), state.seed),
            keys,
            offers,
            next: state.enumeration.read(),
            out: out.map(open).transpose()?,
            state,
            on_tick: Box::new(on_tick),
        })
    }

    fn example(&self, key: &Key, result: KeyResult, end: Option<&FinishedRead>) -> KeyExample {
        let names = self.pattern.names();
        let values = key
            .0
            .iter()
            .flatten()
            .map(|value| Value::from(value.as_str()));
        let mut values: Vec<_> = values.collect();
        let report = end.and_then(|end| end.report.as_ref());
        let first = report.and_then(|report| report.differences.first());
        KeyExample {
            key: if values.len() == 1 {
                values.remove(0)
            } else {
                Map::from_iter(names.iter().cloned().zip(values)).into()
            },
            result,
            class: first.map(|difference| difference.class.clone()),
        }
    }
}

impl fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Job for Sweep<'_> {
    type Item = Key;
    type Error = io::Error;

    fn next(&mut self) -> io::Result<Next<Key>> {
        if self.next >= self.keys.count() {
            return Ok(Next::End);
        }
        let number = self.order.at(self.next);
        self.next += 1;
        let key = Key(self.keys.get(number)?);
        let request = key
            .0
            .as_ref()
            .and_then(|values| self.pattern.request(values));
        let request = request.filter(|request| self.offers.is_read(request));
        Ok(match request {
            Some(request) => Next::Read {
                item: key,
                request: Box::new(request),
                answer: None,
            },
            None => Next::Skip(key),
        })
    }

    fn is_final(&self, end: &FinishedRead) -> bool {
        end.outcome != Outcome::Mismatch(Mark::Unconfirmed)
    }

    fn ended(&mut self, key: Key, end: Option<FinishedRead>) -> io::Result<()> {
        let result = end.as_ref().map_or(KeyResult::Skipped, KeyResult::of);
        let example = self.example(&key, result, end.as_ref());
        let report = end.as_ref().and_then(|end| end.report.as_deref());
        self.state.enter(&example, report);
        if let Some(out) = &mut self.out
            && !result.is_in_order()
        {
            let mut line = serde_json::to_vec(&example)?;
            line.push(b'\n');
            out.write_all(&line)?;
            self.state.written += line.len() as u64;
        }
        Ok(())
    }

    fn tick(&mut self, pace: Pace) -> io::Result<()> {
        if let Some(out) = &mut self.out {
            out.flush()?;
        }
        (self.on_tick)(&self.state, pace);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{ShadowError, Via};

    fn result(outcome: Outcome, old: u16, new: u16) -> KeyResult {
        let statuses = [old, new].map(|status| StatusCode::from_u16(status).ok());
        KeyResult::of(&FinishedRead {
            statuses,
            ..FinishedRead::unsent(outcome)
        })
    }

    #[test]
    fn results_follow_outcome_and_statuses() {
        let (equal, differs) = (Outcome::Match(Via::Exact), Outcome::Mismatch(Mark::Plain));
        for (outcome, old, new, expected) in [
            (equal, 200, 200, KeyResult::Equal),
            (equal, 404, 404, KeyResult::Absent),
            (equal, 500, 500, KeyResult::Equal),
            (differs, 200, 200, KeyResult::Differs),
            (differs, 200, 404, KeyResult::OnlyInOld),
            (differs, 410, 200, KeyResult::OnlyInNew),
            // Their callers see the difference.
            (differs, 404, 404, KeyResult::Differs),
            (differs, 200, 500, KeyResult::Differs),
            (Outcome::Transient, 200, 404, KeyResult::Transient),
            (Outcome::Noise, 200, 200, KeyResult::Noise),
            (
                Outcome::ShadowError(ShadowError::Reset),
                200,
                0,
                KeyResult::Error,
            ),
            (
                Outcome::NotCompared(Reason::PrimaryError),
                0,
                200,
                KeyResult::Error,
            ),
            (
                Outcome::NotCompared(Reason::BodyTooLarge),
                200,
                200,
                KeyResult::Skipped,
            ),
        ] {
            assert_eq!(
                result(outcome, old, new),
                expected,
                "{outcome:?} {old} {new}"
            );
        }
    }

    #[test]
    fn what_is_not_known_to_be_equal_keeps_the_verdict_from_safe() {
        let mut state = Checkpoint::new(String::new(), 1_000, 1);
        let mut enter = |result, times| {
            let example = KeyExample {
                key: Value::Null,
                result,
                class: None,
            };
            (0..times).for_each(|_| state.enter(&example, None));
            let upper = state.enumeration.upper(0.05);
            state.verdict(2e-3, upper)
        };
        assert_eq!(enter(KeyResult::Equal, 500), Decision::Undecided);
        assert_eq!(enter(KeyResult::Transient, 400), Decision::Safe);
        assert_eq!(enter(KeyResult::Skipped, 3), Decision::Undecided);
        assert_eq!(enter(KeyResult::Differs, 2), Decision::Undecided);
        assert_eq!(enter(KeyResult::OnlyInNew, 1), Decision::Unsafe);
        assert_eq!(state.examples.len(), 5 + 3 + 2 + 1);
        assert_eq!(state.counts.differing(), 3);
    }
}
