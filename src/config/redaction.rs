//! The section `redact`.

use super::{not_yet, stacks, values};
use crate::{
    redact::{Config, Values},
    spanned_yaml::{ConfigErrors, Cursor},
};

pub(super) fn read(at: &Cursor<'_>) -> Result<Config, ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let headers = fields.optional("headers", |at| at.each(|at| Ok(stacks::header(at)?)));
    let patterns = fields.optional("fields", |at| at.each(|at| Ok(at.pattern()?)));
    let choices = [
        ("shown", Values::Shown),
        ("masked", Values::Masked),
        ("hashed", Values::Hashed),
    ];
    let shown = fields.optional("values", |at| values::one_of(at, &choices));
    let max_value = fields.optional("max_value", |at| values::count(at, 1 << 20));
    let read = || {
        Some(Config {
            headers: headers?,
            fields: patterns?,
            values: shown?,
            max_value: max_value?.get(),
            ..Config::default()
        })
    };
    let read = read();
    values::complete(fields, read)
}
