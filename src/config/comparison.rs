//! The section `compare`.

use super::{
    not_yet, stacks,
    values::{self, MINUTE, MS},
};
use crate::{
    compare::{Explain, HeaderScope, Options},
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data},
    value::Numbers,
};
use http::HeaderName;
use std::time::Duration;

/// Options of the comparison, and the time limit of aligning.
pub(super) fn read(at: &Cursor<'_>) -> Result<(Options, Duration), ConfigErrors> {
    let mut fields = not_yet::open(at.clone());
    let headers = fields.optional("headers", headers);
    let numbers = fields.optional("numbers", numbers);
    let max_differences = fields.optional("max_differences", |at| values::count(at, 100_000));
    let max_depth = fields.optional("max_depth", |at| values::count(at, 1_024));
    let deadline = fields.optional("deadline", |at| values::duration(at, MS, MINUTE));
    let max_decoded = fields.optional("max_decoded", values::room);
    let read = || {
        let options = Options {
            headers: headers?,
            numbers: numbers?,
            max_differences: max_differences?.get(),
            max_depth: max_depth?.get(),
            max_decoded: max_decoded?,
            explain: Explain::default(),
        };
        Some((options, deadline?))
    };
    let read = read();
    values::complete(fields, read)
}

fn headers(at: &Cursor<'_>) -> Result<HeaderScope, ConfigErrors> {
    let expected = || at.expected("all, none, {listed: [names]} or {except: [names]}");
    if let Data::Map(_) = at.node.data {
        let mut fields = not_yet::open(at.clone());
        let names = |at: &Cursor<'_>| at.each(|at| Ok(header_or_start(at)?));
        let listed = fields.take("listed").map(|at| names(&at));
        let except = fields.take("except").map(|at| names(&at));
        fields.finish().into_result(())?;
        return match (listed, except) {
            (Some(listed), None) => listed.map(HeaderScope::Listed),
            (None, Some(except)) => except.map(HeaderScope::Except),
            _ => Err(expected().into()),
        };
    }
    match at.text() {
        Ok("all") => Ok(HeaderScope::All),
        Ok("none") => Ok(HeaderScope::None),
        _ => Err(expected().into()),
    }
}

/// The name of a header, or a prefix of names: `x-internal-*`.
fn header_or_start(at: &Cursor<'_>) -> Result<HeaderName, ConfigError> {
    let name = stacks::header(at)?;
    let start = name.as_str().strip_suffix('*').unwrap_or(name.as_str());
    if start.contains('*') {
        Err(at.expected("`*` at the end of a name only"))
    } else {
        Ok(name)
    }
}

fn numbers(at: &Cursor<'_>) -> Result<Numbers, ConfigError> {
    let choices = [("numeric", Numbers::Numeric), ("lexical", Numbers::Lexical)];
    values::one_of(at, &choices)
}
