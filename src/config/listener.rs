//! The section `limits`: limits for callers of the listener.

use super::{
    not_yet,
    values::{self, DAY, HOUR, MS},
};
use crate::{
    live::ListenerLimits,
    spanned_yaml::{ConfigError, ConfigErrors, Cursor},
};

const MIN_HEADER_BYTES: usize = 1 << 10;
const MAX_HEADER_BYTES: usize = 256 << 10;

/// Reads `limits`.
pub(super) fn read(at: &Cursor<'_>) -> Result<ListenerLimits, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let connections = fields.optional("connections", |at| values::count(at, 1_000_000));
    let header_bytes = fields.optional("header_bytes", header_bytes);
    let headers = fields.optional("headers", |at| values::count(at, 10_000));
    let head_timeout = fields.optional("head_timeout", |at| values::duration(at, MS, HOUR));
    let idle_timeout = fields.optional("idle_timeout", |at| values::duration(at, MS, DAY));
    let body_stall = fields.optional("body_stall", |at| values::duration(at, MS, DAY));
    let read = || {
        Some(ListenerLimits {
            connections: connections?,
            header_bytes: header_bytes?,
            headers: headers?,
            head_timeout: head_timeout?,
            idle_timeout: idle_timeout?,
            body_stall: body_stall?,
        })
    };
    let read = read();
    values::complete(fields, read)
}

fn header_bytes(at: &Cursor<'_>) -> Result<usize, ConfigError> {
    let size = at.size()?;
    if (MIN_HEADER_BYTES..=MAX_HEADER_BYTES).contains(&size) {
        return Ok(size);
    }
    Err(at.expected("a size from 1KiB to 256KiB"))
}
