//! The examples and the groups that hold them.
//!
//! An example is held by each class of its differences, or, where it has none, by its outcome on its route. It stays
//! while one of them holds it.

use super::{
    Config, Filter, Page,
    document::{Class, Mismatch, Stamp},
};
use crate::{
    handoff::{Report, Told},
    telemetry::{Bound, Gauges},
    verdict::Outcome,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

#[derive(Debug)]
pub(super) struct Shelf {
    config: Config,
    gauges: Gauges,
    /// By number, in the order in which they came.
    examples: BTreeMap<u64, Example>,
    by_id: HashMap<String, u64>,
    classes: HashMap<String, Counted>,
    /// Bounded by routes and outcomes.
    unclassed: HashMap<(Arc<str>, &'static str), VecDeque<u64>>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Example {
    mismatch: Arc<Mismatch>,
    bytes: usize,
    holders: usize,
}

/// A class with the numbers of its examples, the oldest first.
#[derive(Debug)]
struct Counted {
    class: Class,
    examples: VecDeque<u64>,
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn new(config: Config, gauges: Gauges) -> Self {
        Self {
            config,
            gauges,
            examples: BTreeMap::new(),
            by_id: HashMap::new(),
            classes: HashMap::new(),
            unclassed: HashMap::new(),
            next: 0,
            bytes: 0,
        }
    }

    pub(super) fn put(&mut self, mismatch: Mismatch, report: &Report) {
        let number = self.next;
        self.next += 1;
        let bytes = report.size();
        self.bytes += bytes;
        self.by_id.insert(mismatch.id.clone(), number);
        let example = Example {
            mismatch: Arc::new(mismatch),
            bytes,
            holders: 0,
        };
        self.examples.insert(number, example);
        let mut holders = 0;
        for (index, told) in report.differences.iter().enumerate() {
            let is_first = report.differences[..index]
                .iter()
                .all(|before| before.class != told.class);
            // What was lag or noise is kept as an example, and is no class of mismatches.
            let is_mismatch = matches!(report.outcome, Outcome::Mismatch(_));
            if is_first && is_mismatch && self.count(told, report) {
                self.hold_by_class(&told.class, number);
                holders += 1;
            }
        }
        if holders == 0 {
            self.hold_by_outcome(number);
        }
        self.make_room();
    }

    pub(super) fn classes(&self) -> Vec<Class> {
        self.classes
            .values()
            .map(|counted| self.shown(counted))
            .collect()
    }

    pub(super) fn class(&self, id: &str) -> Option<Class> {
        self.classes.get(id).map(|counted| self.shown(counted))
    }

    pub(super) fn mismatch(&self, id: &str) -> Option<Arc<Mismatch>> {
        let number = self.by_id.get(id)?;
        Some(self.examples.get(number)?.mismatch.clone())
    }

    /// The newest examples before number `before` that `filter` admits.
    pub(super) fn page(&self, filter: &Filter, before: u64) -> Page {
        let found = self.examples.range(..before).rev();
        let mut found = found.filter(|(_, example)| filter.admits(&example.mismatch));
        let mut last = None;
        let mut mismatches = Vec::new();
        for (number, example) in found.by_ref().take(filter.limit) {
            last = Some(*number);
            mismatches.push(example.mismatch.clone());
        }
        let next = found.next().and(last).map(|last| format!("{last:x}"));
        Page { mismatches, next }
    }

    /// Counts a difference under its class; `false`: there are too many classes for another.
    fn count(&mut self, told: &Told, report: &Report) -> bool {
        let seen = Stamp(report.ended);
        if let Some(Counted { class, .. }) = self.classes.get_mut(&told.class) {
            class.count += 1;
            class.first_seen = class.first_seen.min(seen);
            class.last_seen = class.last_seen.max(seen);
            return true;
        }
        if self.classes.len() >= self.config.max_classes {
            self.gauges.bound_reached(Bound::Classes);
            return false;
        }
        let class = Class {
            id: told.class.clone(),
            route: report.route.clone(),
            place: told.class_place.clone(),
            kind: told.kind.name(),
            count: 1,
            first_seen: seen,
            last_seen: seen,
            examples: Vec::new(),
        };
        let examples = VecDeque::new();
        self.classes
            .insert(told.class.clone(), Counted { class, examples });
        true
    }

    fn hold_by_class(&mut self, class: &str, number: u64) {
        if let Some(counted) = self.classes.get_mut(class) {
            counted.examples.push_back(number);
            let surplus = surplus(&mut counted.examples, self.config.keep_per_class);
            self.hold(number, surplus);
        }
    }

    fn hold_by_outcome(&mut self, number: u64) {
        let Some(example) = self.examples.get(&number) else {
            return;
        };
        let group = (example.mismatch.route.clone(), example.mismatch.outcome);
        let group = self.unclassed.entry(group).or_default();
        group.push_back(number);
        let surplus = surplus(group, self.config.keep_per_class);
        self.hold(number, surplus);
    }

    /// One more group holds `number`, and lets go of `surplus`.
    fn hold(&mut self, number: u64, surplus: Option<u64>) {
        if let Some(example) = self.examples.get_mut(&number) {
            example.holders += 1;
        }
        let Some(surplus) = surplus else { return };
        let Some(example) = self.examples.get_mut(&surplus) else {
            return;
        };
        example.holders -= 1;
        if example.holders == 0 {
            self.remove(surplus);
        }
    }

    fn make_room(&mut self) {
        while self.examples.len() > self.config.keep_mismatches
            || self.bytes > self.config.max_bytes
        {
            let Some((&oldest, example)) = self.examples.first_key_value() else {
                return;
            };
            let mismatch = example.mismatch.clone();
            for told in &mismatch.differences {
                if let Some(counted) = self.classes.get_mut(&told.class) {
                    counted.examples.retain(|number| *number != oldest);
                }
            }
            let group = (mismatch.route.clone(), mismatch.outcome);
            if let Some(group) = self.unclassed.get_mut(&group) {
                group.retain(|number| *number != oldest);
            }
            self.remove(oldest);
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(example) = self.examples.remove(&number) {
            self.bytes -= example.bytes;
            self.by_id.remove(&example.mismatch.id);
            self.gauges.bound_reached(Bound::Mismatches);
        }
    }

    fn shown(&self, counted: &Counted) -> Class {
        let newest_first = counted.examples.iter().rev();
        let kept = newest_first.filter_map(|number| self.examples.get(number));
        Class {
            examples: kept.map(|example| example.mismatch.id.clone()).collect(),
            ..counted.class.clone()
        }
    }
}

/// Takes out the oldest where there are more than `keep`.
fn surplus(examples: &mut VecDeque<u64>, keep: usize) -> Option<u64> {
    match examples.len() > keep {
        true => examples.pop_front(),
        false => None,
    }
}
