//! The sections `capture` and `queue`: limits of the live reads kept until their checks.

use super::{
    not_yet,
    values::{self, HOUR, MS},
};
use crate::spanned_yaml::{ConfigErrors, Cursor};
use std::time::Duration;

/// The section `capture`.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Maximum size of one body, in bytes.
    pub max_body: usize,
    /// Maximum size of all captured bodies in the process, in bytes.
    pub max_total: usize,
}

/// The section `queue`.
#[derive(Clone, Debug, PartialEq)]
pub struct Queue {
    /// Maximum number of samples that wait for their check.
    pub max_length: usize,
    /// A sample that has waited longer is not compared.
    pub max_age: Duration,
}

// === impl Capture ===

impl Capture {
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = not_yet::open(at.clone());
        let max_body = fields.optional("max_body", values::room);
        let max_total = fields.optional("max_total", values::room);
        let read = max_body.zip(max_total);
        if read.is_some_and(|(max_body, max_total)| max_body > max_total) {
            let fault = fields.at().fault("max_body is more than max_total");
            fields.fault(fault);
        }
        let capture = read.map(|(max_body, max_total)| Self {
            max_body,
            max_total,
        });
        values::complete(fields, capture)
    }
}

// === impl Queue ===

impl Queue {
    pub(super) fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let mut fields = not_yet::open(at.clone());
        let max_length = fields.optional("max_length", |at| values::count(at, 1_000_000));
        let max_age = fields.optional("max_age", |at| values::duration(at, MS, HOUR));
        let read = max_length.zip(max_age);
        let queue = read.map(|(max_length, max_age)| Self {
            max_length: max_length.get(),
            max_age,
        });
        values::complete(fields, queue)
    }
}
