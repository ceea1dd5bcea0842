//! The parameters of a query string or a form.

use percent_encoding::percent_decode_str;

/// Decoded names and values; invalid UTF-8 is replaced. A semicolon also separates pairs, as in some stacks.
pub(super) fn of(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// The name as some servers read it: they cut names at NUL and at a bracket, and trim them.
pub(super) fn bare(name: &str) -> &str {
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    let is_bracket = |c: char| matches!(c, '[' | ']');
    let name = name.trim_start_matches(|c| is_blank(c) || is_bracket(c));
    let end = name.find(|c: char| c.is_control() || is_bracket(c));
    name[..end.unwrap_or(name.len())].trim_end()
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
