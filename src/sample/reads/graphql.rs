//! Requests of GraphQL over HTTP: decides whether the executed operation is a query.
//!
//! Servers differ in where they look for a document and the operation's name, so anything ambiguous is no query: a
//! batch, a document in two places, two names, members that the specification does not define, or a persisted document,
//! whose text is unknown here.

use super::parameters;
use async_graphql_parser::{
    parse_query,
    types::{DocumentOperations, ExecutableDocument, OperationType},
};
use serde_json::Value;

/// Limits the time that parsing takes on the live path: a document of this size takes a few milliseconds.
const MAX_DOCUMENT: usize = 32 << 10;

/// Limits nesting, because the parser recurses without a bound inside lists, objects and types.
const MAX_NESTING: usize = 100;

/// The parameters of GraphQL over HTTP.
const QUERY: &str = "query";
const OPERATION_NAME: &str = "operationName";
const OTHERS: [&str; 2] = ["variables", "extensions"];

/// Names by which servers refer to persisted documents.
const PERSISTED: [&str; 4] = ["id", "documentId", "queryId", "doc_id"];

/// A document, and the requested operation.
#[derive(Debug, Default)]
struct Asked {
    document: Option<String>,
    operation: Option<String>,
    has_others: bool,
}

/// Whether a GET with this query string and no body runs a query.
pub(super) fn gets_query(query: Option<&str>) -> bool {
    let asked = Asked::of_query_string(query.unwrap_or_default());
    asked.is_some_and(|asked| asked.is_query())
}

/// Whether a POST with this query string and body runs a query.
pub(super) fn posts_query(query: Option<&str>, body: Option<&Value>) -> bool {
    let asked = || {
        let elsewhere = Asked::of_query_string(query.unwrap_or_default())?;
        Asked::of_body(body?)?.with_name_of(elsewhere)
    };
    asked().is_some_and(|asked: Asked| asked.is_query())
}

// === impl Asked ===

impl Asked {
    fn of_query_string(text: &str) -> Option<Self> {
        let mut asked = Self::default();
        for (name, value) in parameters::of(text) {
            let member = match name.as_str() {
                QUERY => &mut asked.document,
                OPERATION_NAME => &mut asked.operation,
                name if OTHERS.contains(&name) => {
                    asked.has_others = true;
                    continue;
                }
                name if is_like_one_of_ours(name) => return None,
                _ => continue,
            };
            if member.replace(value).is_some() {
                return None;
            }
        }
        Some(asked)
    }

    fn of_body(body: &Value) -> Option<Self> {
        let mut asked = Self::default();
        for (name, value) in body.as_object()? {
            match (name.as_str(), value) {
                (QUERY, Value::String(text)) => asked.document = Some(text.clone()),
                (OPERATION_NAME, Value::String(text)) => asked.operation = Some(text.clone()),
                (OPERATION_NAME, Value::Null) => {}
                (name, _) if OTHERS.contains(&name) => {}
                _ => return None,
            }
        }
        Some(asked)
    }

    /// The request in the body, completed by the query string; `None` if they contradict each other.
    fn with_name_of(self, elsewhere: Self) -> Option<Self> {
        let is_one = self.operation.is_none()
            || elsewhere.operation.is_none()
            || self.operation == elsewhere.operation;
        (elsewhere.document.is_none() && !elsewhere.has_others && is_one).then(|| Self {
            operation: self.operation.or(elsewhere.operation),
            ..self
        })
    }

    fn is_query(&self) -> bool {
        let Some(text) = &self.document else {
            return false;
        };
        if text.len() > MAX_DOCUMENT || text.contains(ends_some_lines) || !is_shallow(text) {
            return false;
        }
        let document = parse_query(text).ok();
        let operation = document.and_then(|document| self.operation_of(&document));
        operation == Some(OperationType::Query)
    }

    /// The executed operation: the one of the given name, or the only one.
    fn operation_of(&self, document: &ExecutableDocument) -> Option<OperationType> {
        let name = self.operation.as_deref().filter(|name| !name.is_empty());
        let operation = match (name, &document.operations) {
            (None, DocumentOperations::Single(operation)) => operation,
            (None, DocumentOperations::Multiple(operations)) if operations.len() == 1 => {
                operations.values().next()?
            }
            (Some(name), DocumentOperations::Multiple(operations)) => operations.get(name)?,
            _ => return None,
        };
        Some(operation.node.ty)
    }
}

/// Whether a server that is lenient about names could take it for a GraphQL parameter.
fn is_like_one_of_ours(name: &str) -> bool {
    let mut known = [QUERY, OPERATION_NAME]
        .into_iter()
        .chain(OTHERS)
        .chain(PERSISTED);
    let name = parameters::bare(name);
    known.any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether some servers end a line, and so a comment, at a character at which the specification does not.
fn ends_some_lines(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}') || c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

/// Whether brackets of all kinds nest no deeper than [`MAX_NESTING`]. Brackets in strings and comments do not count.
fn is_shallow(document: &str) -> bool {
    let mut depth = 0_usize;
    let mut left = document.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = match first {
            b'#' => behind_comment(rest),
            b'"' => match behind_string(left) {
                Some(behind) => behind,
                None => return false,
            },
            b'{' | b'[' | b'(' => {
                depth += 1;
                rest
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                rest
            }
            _ => rest,
        };
        if depth > MAX_NESTING {
            return false;
        }
    }
    true
}

fn behind_comment(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    &text[end.unwrap_or(text.len())..]
}

/// What follows the string at the start of `text`; `None` if it is not closed.
fn behind_string(text: &[u8]) -> Option<&[u8]> {
    const BLOCK: &[u8] = b"\"\"\"";
    let is_block = text.starts_with(BLOCK);
    let mut left = &text[if is_block { 3 } else { 1 }..];
    loop {
        left = match left.first()? {
            b'\\' if is_block && left[1..].starts_with(BLOCK) => &left[4..],
            b'"' if is_block && left.starts_with(BLOCK) => return Some(&left[3..]),
            b'"' if !is_block => return Some(&left[1..]),
            b'\\' if !is_block => left.get(2..)?,
            b'\n' | b'\r' if !is_block => return None,
            _ => &left[1..],
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::JsonBody;

    fn posts(query: Option<&str>, body: &str) -> bool {
        posts_query(query, JsonBody::new(body.as_bytes()).json())
    }

    fn document(text: &str) -> bool {
        posts(None, &serde_json::json!({"query": text}).to_string())
    }

    const TWO: &str = "query A {a} mutation B {pay}";

    fn two(name: &str) -> String {
        serde_json::json!({"query": TWO, "operationName": name}).to_string()
    }

    #[test]
    fn the_operation_that_is_run_decides() {
        for query in [
            "{a}",
            "query {a}",
            "query A {a}",
            " # c\n query A($x: Int) @d {a(x: $x) {...F}} fragment F on T {b}",
        ] {
            assert!(document(query), "{query}");
        }
        for query in [
            "",
            "mutation {pay}",
            "subscription {a}",
            TWO,
            "{a} mutation B {pay}",
            "query A {a} query A {b}",
            "query A {a} query B {b}",
            "fragment F on T {a}",
            "query {a",
            "#\u{2028}mutation A {pay(x:\"\"\"\nquery A {a} #\"\"\")}",
            "#\u{b}\nquery A {a}",
            "type Query {a: Int}",
            "abc123",
        ] {
            assert!(!document(query), "{query}");
        }
        assert!(posts(None, &two("A")));
        for name in ["B", "C", "a", ""] {
            assert!(!posts(None, &two(name)), "{name}");
        }
    }

    #[test]
    fn two_names_of_the_operation_have_to_be_one() {
        assert!(posts(Some("operationName=A"), &two("A")));
        assert!(posts(
            Some("operationName=A&tenant=5"),
            &serde_json::json!({"query": TWO}).to_string()
        ));
        for query in [
            "operationName=B",
            "operationName=",
            "operationName=A&operationName=B",
            "operation%4eame=B",
            "operationname=A",
            "OperationName=A",
            "operationName[]=A",
            "[operationName]=A",
            "query%00=mutation%7Bpay%7D",
            "query%00x=mutation%7Bpay%7D",
            "%0aquery[a=mutation%7Bpay%7D",
            "variables%20[a]=1",
            "query=%7Ba%7D",
            "extensions=%7B%7D",
            "id=1",
            "documentId=x",
        ] {
            assert!(!posts(Some(query), &two("A")), "{query}");
        }
        let unnamed = serde_json::json!({"query": TWO}).to_string();
        assert!(!posts(Some("operationName=B"), &unnamed));
        assert!(!posts(None, &unnamed));
    }

    #[test]
    fn what_is_not_one_request_with_its_document_is_no_query() {
        for body in [
            r#"[{"query": "{a}"}]"#,
            r#"{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}}"#,
            r#"{"query": null, "extensions": {}}"#,
            r#"{"query": "{a}", "documentId": "x"}"#,
            r#"{"query": "{a}", "operationname": "B"}"#,
            r#"{"query": "{a}", "operationName": ["B"]}"#,
            r#"{"query": ["{a}"]}"#,
            "\"{a}\"",
        ] {
            assert!(!posts(None, body), "{body}");
        }
        assert!(posts(
            None,
            r#"{"query": "{a}", "operationName": null, "variables": {}, "extensions": {}}"#
        ));
    }

    #[test]
    fn a_get_has_all_of_it_in_its_query_string() {
        assert!(gets_query(Some(
            "query=query+A%7Ba%7D&operationName=A&variables=%7B%7D"
        )));
        for query in [
            "",
            "query=mutation%7Bpay%7D",
            "query=%7Ba%7D&query=mutation%7Bpay%7D",
            "extensions=%7B%7D",
        ] {
            assert!(!gets_query(Some(query)), "{query}");
        }
        assert!(!gets_query(None));
    }

    #[test]
    fn deep_and_long_documents_are_not_parsed() {
        // With the stack size of a runtime thread.
        let deep = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
            for (open, close) in [
                ("{a", "}"),
                ("{a(x: [", "])}"),
                ("{a(x: {y: ", "1})}"),
                ("[", "]"),
            ] {
                for levels in [60, 200, 10_000] {
                    let nested = open.repeat(levels) + &close.repeat(levels);
                    for text in [
                        nested.clone(),
                        format!("{{a(x: {nested})}}"),
                        format!("query A($x: {nested}) {{a}}"),
                    ] {
                        document(&text);
                        document(&format!(
                            "{{a(s: \"]])}}\" t: \"\"\"]\\\"\"\"]\"\"\") # ]]]\n}} {text}"
                        ));
                    }
                }
            }
            assert!(document(&format!(
                "{{a(x: {}1{})}}",
                "[".repeat(90),
                "]".repeat(90)
            )));
            assert!(!document(&format!(
                "{{a(x: {}1{})}}",
                "[".repeat(200),
                "]".repeat(200)
            )));
            // A closing bracket in a string closes nothing.
            let strings = "[\"]\" ".repeat(200);
            assert!(
                !is_shallow(&strings)
                    && !document(&format!("{{a(x: {strings}{})}}", "]".repeat(200)))
            );
        });
        deep.unwrap().join().unwrap();
        assert!(document(&format!("{{a {}}}", "b ".repeat(1_000))));
        assert!(!document(&format!("{{a {}}}", "b ".repeat(20_000))));
    }
}
