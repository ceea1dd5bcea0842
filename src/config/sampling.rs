//! The section `sample`.

use super::{not_yet, places, stacks, values};
use crate::{
    sample::{By, Sampling},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor},
    verdict::{DistinctKeys, Limits, Percent, Trials},
};

pub(super) fn read(at: &Cursor<'_>) -> Result<Sampling, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let rate = fields.optional("rate", |at| at.number_within(0.0, 1.0));
    let per_route_floor = fields.optional("per_route_floor", |at| {
        at.parse("a frequency such as 1/s, 30/m or 10/h")
    });
    let max_per_second = fields.optional("max_per_second", values::per_second);
    let by = fields.optional("by", |at| {
        at.parse("null, header:NAME, cookie:NAME or trace")
    });
    let force_header = fields.optional("force_header", stacks::header);
    let read = || {
        Some(Sampling {
            rate: rate?,
            per_route_floor: per_route_floor?,
            max_per_second: max_per_second?,
            by: by.unwrap_or(By::Chance),
            force_header,
        })
    };
    let read = read();
    values::complete(fields, read)
}

/// Warns of a limit that no number of keys can prove if reads are sampled by key: under it, the verdict is never
/// `safe`.
pub(super) fn too_few_keys(
    root: &Cursor<'_>,
    sampling: &Sampling,
    limits: &Limits,
) -> Option<ConfigError> {
    let most = Trials::new(DistinctKeys::MAX, 0);
    let (limit, alpha) = (limits.max_mismatch, limits.alpha());
    if sampling.by == By::Chance || most.is_within(limit, alpha) {
        return None;
    }
    let by = places::at(root, &["sample", "by"]);
    Some(by.fault(format!(
        "the {} keys that are told apart cannot show a verdict.max_mismatch of {}, so the verdict is never safe; \
         sample by chance (`by: null`), or set the limit to {} or more",
        DistinctKeys::MAX,
        Percent(limit),
        Percent(most.upper(alpha) * 1.05),
    )))
}
