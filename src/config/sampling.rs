//! The section `sample`.

use super::{not_yet, stacks, values};
use crate::{
    document::{At, Faults},
    sample::{By, Sampling},
};

pub(super) fn read(at: &At<'_>) -> Result<Sampling, Faults> {
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
