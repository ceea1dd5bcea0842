//! Counts classes of differences.

use crate::pipeline::Report;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BTreeMap};
use utoipa::ToSchema;

/// A class of differences, and how many reads showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct FoundClass {
    pub(crate) id: String,
    pub(crate) route: String,
    /// With array indices as `[*]`.
    pub(crate) place: String,
    pub(crate) kind: String,
    /// The number of reads.
    pub(crate) count: u64,
}

/// By id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Classes(BTreeMap<String, FoundClass>);

/// Further classes are not kept.
const MAX: usize = 1_000;

// === impl Classes ===

impl Classes {
    /// Counts each class of a read once.
    pub(super) fn enter(&mut self, report: Option<&Report>) {
        let Some(report) = report else { return };
        let mut seen: Vec<&str> = Vec::new();
        for difference in &report.differences {
            let id = difference.class.as_str();
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            if let Some(class) = self.0.get_mut(id) {
                class.count += 1;
            } else if self.0.len() < MAX {
                let class = FoundClass {
                    id: id.to_owned(),
                    route: report.route.to_string(),
                    place: difference.class_place.clone(),
                    kind: difference.kind.to_string(),
                    count: 1,
                };
                self.0.insert(id.to_owned(), class);
            }
        }
    }

    /// The most frequent first.
    pub(crate) fn sorted(&self) -> Vec<FoundClass> {
        let mut classes: Vec<_> = self.0.values().cloned().collect();
        classes.sort_by_key(|class| Reverse(class.count));
        classes
    }
}
