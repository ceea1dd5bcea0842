//! Describes what is wrong with a path, in terms of the grammar and with the column.

use crate::spanned_yaml::closest;
use jsonpath_rust::parser::{Rule, errors::JsonPathError, parse_json_path};
use pest::error::{ErrorVariant, InputLocation};

/// Why a text is not a query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("not a JSONPath (RFC 9535){}: {reason}", .column.map(|column| format!(", see its column {column}")).unwrap_or_default())]
pub struct InvalidPath {
    /// In characters from 1, if it is known.
    pub column: Option<usize>,
    /// What is wrong, for people.
    pub reason: String,
}

/// A character and its offset.
type Placed = (usize, char);

/// The functions of RFC 9535, section 2.4.
const FUNCTIONS: [&str; 5] = ["length", "count", "match", "search", "value"];

/// The message of the grammar's crate when it reaches the limit.
const CALL_LIMIT: &str = "call limit reached";

// === impl InvalidPath ===

impl InvalidPath {
    /// Converts an error of the grammar's crate about `text`.
    pub fn new(text: &str, error: &JsonPathError) -> Self {
        let JsonPathError::PestError(error) = error else {
            return Self::without_column(error.to_string());
        };
        if let Some(plain) = Self::unknown_function(text).or_else(|| Self::not_closed(text)) {
            return plain;
        }
        let (InputLocation::Pos(offset) | InputLocation::Span((offset, _))) = error.location;
        let found = match text[offset..].chars().next() {
            Some(c) => format!("`{c}`"),
            None => "its end".to_owned(),
        };
        let reason = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => {
                format!("expected {}, found {found}", words(positives))
            }
            ErrorVariant::CustomError { message } if message == CALL_LIMIT => {
                return Self::without_column("its filters nest too deep to be read".to_owned());
            }
            ErrorVariant::CustomError { message } => message.clone(),
        };
        Self::at(text, offset, reason)
    }

    pub(super) fn without_column(reason: String) -> Self {
        Self {
            column: None,
            reason,
        }
    }

    /// A name before a parenthesis: the grammar accepts only the names of functions, and cannot report another one.
    fn unknown_function(text: &str) -> Option<Self> {
        let (plain, _) = unquoted(text);
        let is_letter = |c: char| c.is_alphanumeric() || c == '_';
        let calls = (0..plain.len()).filter(|at| plain[*at].1 == '(');
        let names = calls.filter_map(|call| {
            let before = plain[..call].iter().rposition(|(_, c)| !is_letter(*c))?;
            let name = &text[plain[before + 1].0..plain[call].0];
            let is_function = plain[before].1 != '.' && !name.is_empty();
            is_function.then_some((plain[before + 1].0, name))
        });
        let mut unknown = names.filter(|(_, name)| !FUNCTIONS.contains(name));
        let (offset, name) = unknown.next()?;
        let meant = match closest(name, FUNCTIONS.into_iter()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("expected one of {}", FUNCTIONS.join(", ")),
        };
        let reason = format!("unknown function `{name}`, {meant}");
        Some(Self::at(text, offset, reason))
    }

    /// A text that would be a path if its open brackets and quotes were closed.
    fn not_closed(text: &str) -> Option<Self> {
        let (plain, quote) = unquoted(text);
        let mut open = Vec::new();
        for (offset, c) in plain {
            match c {
                '[' => open.push((offset, c, ']')),
                '(' => open.push((offset, c, ')')),
                ']' | ')' => drop(open.pop()),
                _ => {}
            }
        }
        open.extend(quote.map(|(offset, quote)| (offset, quote, quote)));
        let (offset, opened, _) = *open.last()?;
        let closed = open.iter().rev().map(|(.., close)| *close);
        let closed = text.chars().chain(closed).collect::<String>();
        let is_all = parse_json_path(&closed).is_ok();
        is_all.then(|| Self::at(text, offset, format!("`{opened}` is not closed")))
    }

    /// The grammar's crate accepts white space within a name and at the end; RFC 9535 does not.
    pub(super) fn check_spaces(text: &str) -> Result<(), Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        let mut before = ' ';
        for (offset, c) in unquoted(text).0 {
            if c.is_ascii_whitespace() && !before.is_ascii_whitespace() {
                let rest = text[offset..].trim_ascii_start();
                if rest.is_empty() || is_name(before) && rest.starts_with(is_name) {
                    let reason = "white space must not stand within a name or at the end";
                    return Err(Self::at(text, offset, reason.to_owned()));
                }
            }
            before = c;
        }
        Ok(())
    }

    fn at(text: &str, offset: usize, reason: String) -> Self {
        Self {
            column: Some(text[..offset].chars().count() + 1),
            reason,
        }
    }
}

/// The characters outside of quotes, including the quotes, each with its offset; and the unclosed quote.
fn unquoted(text: &str) -> (Vec<Placed>, Option<Placed>) {
    let mut plain = Vec::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((offset, c)) = chars.next() {
        match quote {
            Some(_) if c == '\\' => drop(chars.next()),
            Some((_, end)) if c != end => {}
            Some(_) => {
                quote = None;
                plain.push((offset, c));
            }
            None => {
                quote = matches!(c, '\'' | '"').then_some((offset, c));
                plain.push((offset, c));
            }
        }
    }
    (plain, quote)
}

fn words(expected: &[Rule]) -> String {
    let mut words: Vec<_> = expected.iter().map(word).collect();
    words.sort_unstable();
    words.dedup();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "something else".to_owned(),
    }
}

/// Names a rule of the grammar.
fn word(rule: &Rule) -> &'static str {
    match rule {
        Rule::EOI => "its end",
        Rule::jp_query => "`$`",
        Rule::segment | Rule::name_segment | Rule::index_segment | Rule::child_segment => {
            "`.name`, `[…]`"
        }
        Rule::bracketed_selection => "`[…]`",
        Rule::selector | Rule::slice_selector | Rule::string | Rule::name_selector => {
            "a quoted name, an index, a slice, `*`, `?` with a condition"
        }
        Rule::wildcard_selector => "`*`",
        Rule::ALPHA | Rule::member_name_shorthand | Rule::name_first => "a name",
        Rule::atom_expr | Rule::logical_expr | Rule::logical_expr_and => "a condition",
        Rule::comparable | Rule::function_argument | Rule::literal => {
            "a value, a query, a function"
        }
        Rule::comp_op => "an operator such as `==`",
        Rule::int | Rule::start | Rule::end | Rule::step | Rule::frac | Rule::exp => "a number",
        _ => "the rest of the path",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Query;

    #[test]
    fn a_path_that_takes_the_grammar_too_long_is_refused() {
        let nested = |depth: usize| {
            let filters = "@[?length(@.a)>=1&&count($[?".repeat(depth);
            Query::parse(&format!("$[?{filters}@.a)>")).unwrap_err()
        };
        assert!(nested(2).column.is_some(), "this deep the fault is found");
        assert_eq!(nested(30).reason, "its filters nest too deep to be read");
    }

    #[test]
    fn a_fault_says_where_it_is_and_what_was_expected() {
        for (path, column, reported) in [
            (
                "$.b[",
                5,
                "a quoted name, an index, a slice, `*`, `?` with a condition, found its end",
            ),
            ("$[a]", 3, "with a condition, found `a`"),
            ("$.é.", 5, "expected `*` or a name, found its end"),
            (
                "$.x-y",
                4,
                "expected `.name`, `[…]`, a name or its end, found `-`",
            ),
            ("$.a[?b]", 6, "expected a condition, found `b`"),
            (
                "$.a[?b(@)]",
                6,
                "unknown function `b`, expected one of length, count, match, search, value",
            ),
            (
                "$['é('][?@.x && lenght(@.y) > 1]",
                17,
                "unknown function `lenght`, did you mean `length`?",
            ),
            (
                "$.a(",
                4,
                "expected `.name`, `[…]`, a name or its end, found `(`",
            ),
            ("$['a'", 2, "`[` is not closed"),
            ("$.é['a", 5, "`'` is not closed"),
            ("$[?(@.a == ']'", 4, "`(` is not closed"),
            ("$.a[0", 4, "`[` is not closed"),
            ("$.a[?@.b = 1]", 10, "an operator such as `==`"),
            (
                "$.a[?@.b == ]",
                13,
                "expected a value, a query, a function, found `]`",
            ),
            ("$.a[1:2:x]", 9, "expected a number, found `x`"),
            ("$.a b", 4, "white space must not stand within a name"),
            ("$[?@.a b]", 7, "white space must not stand within a name"),
            ("$.a\n", 4, "white space must not stand within a name"),
        ] {
            let invalid = Query::parse(path).unwrap_err();
            assert_eq!(invalid.column, Some(column), "{path}: {invalid}");
            assert!(invalid.to_string().contains(reported), "{path}: {invalid}");
        }
        let invalid = Query::parse("$[?count(@.a)]").unwrap_err();
        assert_eq!(invalid.column, None);
        assert!(
            invalid.reason.contains("compare it with a value"),
            "{invalid}"
        );
    }

    #[test]
    fn white_space_stays_where_it_may_stand() {
        for path in [
            "$ [ 'a  b' , 1 ]",
            "$[?@.a == 'it\\'s  b' && ! @ .c]",
            "$['a ']\t.b",
        ] {
            assert!(Query::parse(path).is_ok(), "{path}");
        }
    }
}
