//! Reads recorded requests on both stacks, or on the new one alone where the old stack's answers were recorded.

use super::{
    classes::Classes,
    offer::{Offers, RecordedAnswer},
    recorded::{self, Entry, Format, Mapping, Reason},
    run::{Job, Next, OnTick, Pace},
};
use crate::{
    outcome::Outcome,
    pipeline::{FinishedRead, ReadRequest},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    fmt, io,
    path::PathBuf,
};
use utoipa::ToSchema;
use xxhash_rust::xxh3::Xxh3Default;

/// What the new stack's answers are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The old stack's answer of now.
    Now,
    Recorded,
}

/// Lines or entries that cannot be used, of one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Unusable {
    pub(crate) reason: Reason,
    pub(crate) count: u64,
    /// The first of them: file, number, text.
    pub(crate) first: String,
}

/// A read that differed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ReadExample {
    pub(crate) method: String,
    /// Redacted.
    pub(crate) path: String,
    pub(crate) outcome: String,
    /// The class of the first difference; null without one.
    #[schema(required)]
    pub(crate) class: Option<String>,
}

/// All that a replay goes on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Replayed {
    /// Of the files, the stacks, the rules.
    pub(crate) fingerprint: String,
    /// Lines or entries.
    pub(crate) recorded: u64,
    pub(crate) read: u64,
    pub(crate) duplicates: u64,
    /// The reads that mismatched.
    pub(crate) differing: u64,
    unusable: BTreeMap<Reason, Unusable>,
    pub(crate) classes: Classes,
    pub(crate) examples: Vec<ReadExample>,
}

/// What is replayed.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) format: Format,
    pub(crate) mapping: Mapping,
    pub(crate) against: Against,
    /// Whether the same request is read once.
    pub(crate) dedupe: bool,
}

/// A replay under way.
pub(crate) struct Replay<'r> {
    files: &'r Files,
    offers: Offers,
    reader: Option<recorded::Reader<'r>>,
    /// The number of files opened.
    opened: usize,
    /// Entries that were replayed before.
    skip: u64,
    seen: HashSet<u64>,
    pub(crate) state: Replayed,
    /// Called each second and at the end, with what a replay goes on from.
    on_tick: OnTick<'r, Replayed>,
}

/// A line or an entry.
pub(crate) enum Item {
    Read,
    Duplicate,
    Unusable(Reason, String),
}

const MAX_EXAMPLES: usize = 100;

/// Requests of which is known whether they come again. Past it, they are read again.
const MAX_SEEN: usize = 1 << 23;

// === impl Replayed ===

impl Replayed {
    pub(crate) fn new(fingerprint: String) -> Self {
        Self {
            fingerprint,
            ..Self::default()
        }
    }

    /// The most frequent first.
    pub(crate) fn unusable(&self) -> Vec<Unusable> {
        let mut unusable: Vec<_> = self.unusable.values().cloned().collect();
        unusable.sort_by_key(|unusable| std::cmp::Reverse(unusable.count));
        unusable
    }

    fn enter(&mut self, item: Item, end: Option<FinishedRead>) {
        self.recorded += 1;
        match item {
            Item::Read => self.read += 1,
            Item::Duplicate => self.duplicates += 1,
            Item::Unusable(reason, first) => {
                let unusable = self.unusable.entry(reason).or_insert(Unusable {
                    reason,
                    count: 0,
                    first,
                });
                unusable.count += 1;
            }
        }
        let is_mismatch = |end: &FinishedRead| matches!(end.outcome, Outcome::Mismatch(_));
        self.differing += u64::from(end.as_ref().is_some_and(is_mismatch));
        let report = end.filter(is_mismatch).and_then(|end| end.report);
        let Some(report) = report else { return };
        self.classes.enter(Some(&report));
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(ReadExample {
                method: report.request.method.clone(),
                path: report.request.path.clone(),
                outcome: report.outcome.name().to_owned(),
                class: report.differences.first().map(|first| first.class.clone()),
            });
        }
    }
}

// === impl Replay ===

impl<'r> Replay<'r> {
    /// Begins, or goes on from a checkpoint.
    pub(crate) fn new(
        files: &'r Files,
        offers: Offers,
        state: Replayed,
        on_tick: impl FnMut(&Replayed, Pace) + 'r,
    ) -> Self {
        Self {
            files,
            offers,
            reader: None,
            opened: 0,
            skip: state.recorded,
            seen: HashSet::new(),
            state,
            on_tick: Box::new(on_tick),
        }
    }

    /// The next entry of all files.
    fn entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if let Some(reader) = &mut self.reader {
                let next = reader.next();
                let next =
                    next.map_err(|error| named(&self.files.paths[self.opened - 1], &error))?;
                if let Some(entry) = next {
                    return Ok(Some(entry));
                }
            }
            let Some(path) = self.files.paths.get(self.opened) else {
                return Ok(None);
            };
            let reader = recorded::Reader::open(path, self.files.format, &self.files.mapping);
            self.reader = Some(reader.map_err(|error| named(path, &error))?);
            self.opened += 1;
        }
    }

    /// The request and the recorded answer of an entry.
    fn usable(&self, entry: &Entry) -> Result<(ReadRequest, Option<Box<RecordedAnswer>>), Reason> {
        let recorded = entry.found.as_ref().map_err(|reason| *reason)?;
        let request = recorded.request.read().ok_or(Reason::Malformed)?;
        if !self.offers.is_read(&request) {
            return Err(Reason::NotARead);
        }
        if self.files.against == Against::Now {
            return Ok((request, None));
        }
        let answer = recorded.answer.as_ref().map_err(|reason| *reason)?;
        let is_whole = !matches!(
            answer.status,
            StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED
        );
        if !is_whole || !answer.status.is_success() && answer.status.as_u16() < 200 {
            return Err(Reason::Conditional);
        }
        Ok((request, Some(Box::new(answer.clone()))))
    }

    /// Whether the same request came before.
    fn is_duplicate(&mut self, request: &ReadRequest) -> bool {
        if !self.files.dedupe {
            return false;
        }
        let mut hash = Xxh3Default::new();
        hash.update(request.method.as_str().as_bytes());
        hash.update(b" ");
        hash.update(request.uri.to_string().as_bytes());
        hash.update(b"\n");
        hash.update(&request.body);
        let hash = hash.digest();
        if self.seen.len() >= MAX_SEEN {
            return self.seen.contains(&hash);
        }
        !self.seen.insert(hash)
    }
}

fn named(path: &std::path::Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

impl fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("files", self.files)
            .finish_non_exhaustive()
    }
}

impl Job for Replay<'_> {
    type Item = Item;
    type Error = io::Error;

    fn next(&mut self) -> io::Result<Next<Item>> {
        loop {
            let Some(entry) = self.entry()? else {
                return Ok(Next::End);
            };
            let usable = self.usable(&entry);
            let is_duplicate = usable
                .as_ref()
                .is_ok_and(|(request, _)| self.is_duplicate(request));
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            return Ok(match usable {
                Ok(_) if is_duplicate => Next::Skip(Item::Duplicate),
                Ok((request, answer)) => Next::Read {
                    item: Item::Read,
                    request: Box::new(request),
                    answer,
                },
                Err(reason) => {
                    let file = self.files.paths[self.opened - 1].display();
                    let first = format!("{file}:{}: {}", entry.number, entry.text);
                    Next::Skip(Item::Unusable(reason, first))
                }
            });
        }
    }

    fn ended(&mut self, item: Item, end: Option<FinishedRead>) -> io::Result<()> {
        self.state.enter(item, end);
        Ok(())
    }

    fn tick(&mut self, pace: Pace) -> io::Result<()> {
        (self.on_tick)(&self.state, pace);
        Ok(())
    }
}
