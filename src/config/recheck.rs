//! The sections `recheck`, `conditional` and `control`: second reads.

use super::{
    not_yet, stacks,
    values::{self, HOUR, MS},
};
use crate::{
    http_client::Target,
    sample::Frequency,
    shadow::Conditional,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor},
};
use std::time::Duration;

/// The section `recheck`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// Delays from the first difference on, each longer than the one before; empty: no rechecks.
    pub after: Vec<Duration>,
    pub max_per_second: Frequency,
}

/// Each delay costs a request to either stack, so there must be few.
const MAX_DELAYS: usize = 10;

// === impl Recheck ===

impl Recheck {
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = not_yet::open(at.clone());
        let after = fields.optional("after", delays);
        let max_per_second = fields.optional("max_per_second", values::per_second);
        let read = after.zip(max_per_second);
        let recheck = read.map(|(after, max_per_second)| Self {
            after,
            max_per_second,
        });
        values::complete(fields, recheck)
    }

    /// How long after a write its effect may still differ: until the last recheck. Zero without rechecks.
    pub fn window(&self) -> Duration {
        self.after.last().copied().unwrap_or_default()
    }
}

fn delays(at: &Cursor<'_>) -> Result<Vec<Duration>, ConfigErrors> {
    let after = at.each(|at| Ok(values::duration(at, MS, HOUR)?))?;
    if after.len() > MAX_DELAYS {
        return Err(at.fault(format!("more than {MAX_DELAYS} delays")).into());
    }
    if after.is_sorted_by(|one, next| one < next) {
        Ok(after)
    } else {
        let expected = "each delay is from the first difference on: expected them to grow";
        Err(at.fault(expected).into())
    }
}

pub(super) fn conditional(at: &Cursor<'_>) -> Result<Conditional, ConfigError> {
    let choices = [("reread", Conditional::Reread), ("skip", Conditional::Skip)];
    values::one_of(at, &choices)
}

/// The control instance: the old stack at another address.
pub(super) fn control(
    at: &Cursor<'_>,
    old: Option<&Target>,
    new: Option<&Target>,
) -> Result<Option<Target>, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let url = fields.optional("url", |at| {
        let url = stacks::url(at)?;
        let is_new = |new: &Target| (&new.authority, &new.base_path) == (&url.0, &url.1);
        // Otherwise every defect would count as noise.
        if new.is_some_and(is_new) {
            return Err(at.expected("another instance of the old stack, not the new one"));
        }
        Ok(url)
    });
    let control = old.zip(url).map(|(old, (authority, base_path))| Target {
        authority,
        base_path,
        ..old.clone()
    });
    fields.finish().into_result(control)
}
