//! What is wrong with a path, in words of its own grammar and with the column.

use jsonpath_rust::parser::{Rule, errors::JsonPathError};
use pest::error::{ErrorVariant, InputLocation};

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("not a JSONPath (RFC 9535){}: {reason}", .column.map(|column| format!(", see its column {column}")).unwrap_or_default())]
pub struct InvalidPath {
    /// Counted from 1 in characters, where it can be told.
    pub column: Option<usize>,
    pub reason: String,
}

/// What the grammar's crate says where it was made to give up.
const CALL_LIMIT: &str = "call limit reached";

// === impl InvalidPath ===

impl InvalidPath {
    /// What the grammar's crate says of `text`.
    pub fn new(text: &str, error: &JsonPathError) -> Self {
        let JsonPathError::PestError(error) = error else {
            return Self::without_column(error.to_string());
        };
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

    /// The grammar's crate lets white space pass within a name and at the end, RFC 9535 does not.
    pub(super) fn check_spaces(text: &str) -> Result<(), Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        let mut quote = None;
        let mut before = ' ';
        let mut chars = text.char_indices();
        while let Some((offset, c)) = chars.next() {
            match quote {
                Some(_) if c == '\\' => drop(chars.next()),
                Some(end) if c == end => quote = None,
                Some(_) => {}
                None if matches!(c, '\'' | '"') => quote = Some(c),
                None if c.is_ascii_whitespace() && !before.is_ascii_whitespace() => {
                    let rest = text[offset..].trim_ascii_start();
                    if rest.is_empty() || is_name(before) && rest.starts_with(is_name) {
                        let reason = "white space must not stand within a name or at the end";
                        return Err(Self::at(text, offset, reason.to_owned()));
                    }
                }
                None => {}
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

/// A rule of the grammar, in words.
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
        for (path, column, told) in [
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
            ("$.a[?b(@)]", 6, "expected a condition, found `b`"),
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
            assert!(invalid.to_string().contains(told), "{path}: {invalid}");
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
