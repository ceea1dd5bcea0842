//! The parameters of a query string or a form.

use percent_encoding::percent_decode_str;

/// Names and values, decoded; what is not UTF-8 is replaced. A semicolon separates as well, as some stacks have it.
pub(super) fn of(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
