//! The stored form of an example: its compressed document, and the keys that find it.

use crate::{
    advise::suggest::Hints,
    pipeline::{Report, ReportedDifference, RuleEvidence},
    store::document::{Mismatch, Stamp},
    value::{Kind, Place},
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::{collections::HashSet, io, mem, sync::Arc};

/// A check that showed something.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: i64,
    pub(super) route: Arc<str>,
    /// Its id.
    pub(super) epoch: Arc<str>,
    /// One of [`OUTCOMES`].
    pub(super) outcome: i64,
    /// Milliseconds since 1970.
    pub(super) ended: i64,
    /// The classes of its differences, without duplicates.
    pub(super) classes: Vec<Shown>,
    /// `None` if it only counts, because all its holders have enough newer examples.
    pub(super) document: Option<Vec<u8>>,
}

/// A class that an example shows.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) id: i64,
    pub(super) place: String,
    pub(super) kind: Kind,
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it cannot be decompressed: {0}")]
    Compressed(#[from] io::Error),
    #[error("it is no document of this version: {0}")]
    Document(#[from] serde_json::Error),
}

/// The compressed content: the report, and the evidence for judging rules.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    mismatch: Mismatch,
    /// The hints are valid for this list of probes, and for the process that made their prints.
    probes: u64,
    process: u64,
    #[serde(rename = "beside")]
    evidence: Vec<Evidence>,
}

/// The evidence of one difference.
#[derive(Debug, Serialize, Deserialize)]
struct Evidence {
    class_place: String,
    at: Option<Place>,
    hints: Hints,
    /// JSON has only one null, so a value is a list of one and absence an empty list.
    shown: Option<[Vec<Json>; 2]>,
}

/// The outcomes of examples, and how they are stored, which must never change.
pub(super) const OUTCOMES: [(i64, &str); 4] = [
    (MISMATCH, "mismatch"),
    (2, "transient"),
    (NOISE, "noise"),
    (4, "shadow_error"),
];
pub(super) const MISMATCH: i64 = 0;
pub(super) const NOISE: i64 = 3;

/// The zstd compression level.
const LEVEL: i32 = 1;

/// Larger than any report, whose limits are much lower.
const MAX_DOCUMENT: usize = 64 << 20;

// === impl Record ===

impl Record {
    /// Returns the record without its document; `None` if the check showed nothing.
    pub(super) fn of(report: &Report) -> Option<Self> {
        let mut outcomes = OUTCOMES.into_iter();
        let (outcome, _) = outcomes.find(|(_, name)| *name == report.outcome.name())?;
        let mut seen = HashSet::new();
        let classes = report.differences.iter().filter_map(|difference| {
            let id = number_of(&difference.class)?;
            seen.insert(id).then(|| Shown {
                id,
                place: difference.class_place.clone(),
                kind: difference.kind,
            })
        });
        Some(Self {
            id: report.span.span_id.cast_signed(),
            route: report.route.clone(),
            epoch: report.epoch.clone(),
            outcome,
            ended: Stamp(report.ended).millis(),
            classes: classes.collect(),
            document: None,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let places = self.classes.iter().map(|class| class.place.len());
        let document = self.document.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + size_of_val(&self.classes[..]) + places.sum::<usize>() + document
    }
}

/// Parses the id of a class or example: 16 hexadecimal digits.
pub(super) fn number_of(id: &str) -> Option<i64> {
    let is_id = id.len() == 16 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u64::from_str_radix(id, 16).ok().filter(|_| is_id)?;
    Some(number.cast_signed())
}

pub(super) fn id_of(number: i64) -> String {
    format!("{:016x}", number.cast_unsigned())
}

/// Serializes a report. `process` identifies this process.
pub(super) fn document(report: &Report, process: u64) -> Vec<u8> {
    let mut mismatch = Mismatch::of(report);
    let evidence = mismatch.differences.iter_mut().map(Evidence::take);
    let kept = Kept {
        evidence: evidence.collect(),
        mismatch,
        probes: Hints::edition(),
        process,
    };
    let json = serde_json::to_vec(&kept).expect("a report has only what JSON has");
    zstd::bulk::compress(&json, LEVEL).expect("memory takes what is compressed")
}

/// Reads the output of `document`.
pub(super) fn read(document: &[u8], process: u64) -> Result<Mismatch, Unreadable> {
    let json = zstd::bulk::decompress(document, MAX_DOCUMENT)?;
    let kept: Kept = serde_json::from_slice(&json)?;
    let mut mismatch = kept.mismatch;
    for (difference, mut evidence) in mismatch.differences.iter_mut().zip(kept.evidence) {
        let hints = mem::take(&mut evidence.hints);
        evidence.hints = match (kept.probes == Hints::edition(), kept.process == process) {
            (true, true) => hints,
            (true, false) => hints.without_prints(),
            (false, _) => Hints::unknown(),
        };
        evidence.give(difference);
    }
    Ok(mismatch)
}

// === impl Evidence ===

impl Evidence {
    fn take(difference: &mut ReportedDifference) -> Self {
        let RuleEvidence { at, hints, shown } = mem::take(&mut difference.basis);
        Self {
            class_place: mem::take(&mut difference.class_place),
            at,
            hints,
            shown: shown.map(|sides| sides.map(|side| side.into_iter().collect())),
        }
    }

    fn give(self, difference: &mut ReportedDifference) {
        difference.class_place = self.class_place;
        difference.basis = RuleEvidence {
            at: self.at,
            hints: self.hints,
            shown: self.shown.map(|sides| sides.map(|mut side| side.pop())),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    #[test]
    fn outcomes_of_examples_are_named_as_those_of_checks() {
        for outcome in Outcome::ALL {
            let mut names = OUTCOMES.iter().map(|(_, name)| *name);
            let is_kept = names.any(|name| name == outcome.name());
            assert_eq!(is_kept, outcome.is_deviation(), "{outcome:?}");
        }
    }
}
