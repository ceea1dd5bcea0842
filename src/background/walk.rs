//! Walks the lists of both stacks, page by page, and writes down the keys that either has.

use super::{keys::private, pattern::Pattern};
use crate::{
    compare::{Answer, BodyCopy},
    pipeline::ReadRequest,
    stack::Stack,
    value::coding,
};
use jsonpath_rust::{JsonPath as _, parser::parse_json_path};
use rusqlite::Connection;
use serde_json::{Map, Value};
use std::{
    collections::HashSet,
    io::{self, BufWriter, Write as _},
    path::Path,
};

/// How a list is walked.
#[derive(Debug)]
pub(crate) struct Walk {
    page: Pattern,
    next: String,
    items: String,
}

/// Why a list cannot be walked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalkError<E: std::error::Error + 'static> {
    #[error("cannot read a page of {stack}")]
    Read {
        stack: Stack,
        #[source]
        error: E,
    },
    #[error("{stack} answers a page with {what}")]
    Page { stack: Stack, what: String },
    #[error("cannot keep the keys")]
    Keep(#[from] rusqlite::Error),
    #[error("cannot write the keys")]
    Write(#[from] io::Error),
}

/// Bytes of a page once decoded.
const MAX_PAGE: usize = 64 << 20;

// === impl Walk ===

impl Walk {
    /// # Errors
    /// What cannot be parsed.
    pub(crate) fn new(page: &str, next: &str, items: &str) -> Result<Self, String> {
        let page = Pattern::parse(page).map_err(|why| format!("--walk: {why}"))?;
        if page.names().iter().any(|name| name != "next") {
            return Err("--walk: only {next} may stand in it".to_owned());
        }
        for path in [next, items] {
            if parse_json_path(path).is_err() {
                return Err(format!("`{path}` is no JSONPath"));
            }
        }
        Ok(Self {
            page,
            next: next.to_owned(),
            items: items.to_owned(),
        })
    }

    /// The request of the first page. A parameter without a value is left out.
    pub(crate) fn first(&self) -> Option<ReadRequest> {
        let mut request = self.page.request(&[String::new()])?;
        if let Some(query) = request.uri.query() {
            let given = query.split('&').filter(|pair| !pair.ends_with('='));
            let given: Vec<_> = given.collect();
            let path = request.uri.path();
            let target = if given.is_empty() {
                path.to_owned()
            } else {
                format!("{path}?{}", given.join("&"))
            };
            request.uri = target.parse().ok()?;
        }
        Some(request)
    }

    /// The request of the page after one that says so; `None` on the last page.
    fn after(&self, page: &Value) -> Option<ReadRequest> {
        let next = match *page.query(&self.next).ok()?.first()? {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        if !self.page.names().is_empty() {
            return self.page.request(&[next]);
        }
        let mut request = self.page.request(&[])?;
        request.uri = super::recorded::origin_form(&next)?;
        Some(request)
    }

    /// Writes one document a line for each key that either stack lists. Returns how many each lists, old first.
    ///
    /// # Errors
    /// [`WalkError`].
    pub(crate) fn spool<E: std::error::Error + 'static>(
        &self,
        names: &[String],
        to: &Path,
        mut read: impl FnMut(Stack, ReadRequest) -> Result<Answer, E>,
    ) -> Result<[u64; 2], WalkError<E>> {
        // In a file that SQLite removes itself.
        let seen = Connection::open("")?;
        seen.execute_batch("CREATE TABLE keys (number INTEGER PRIMARY KEY, key TEXT UNIQUE)")?;
        let mut counts = [0; 2];
        for stack in [Stack::Old, Stack::New] {
            let mut pages = HashSet::new();
            let mut next = self.first();
            while let Some(request) = next {
                if !pages.insert(request.uri.to_string()) {
                    let what = format!("one that was read before: {}", request.uri);
                    return Err(WalkError::Page { stack, what });
                }
                let answer = read(stack, request);
                let answer = answer.map_err(|error| WalkError::Read { stack, error })?;
                let page = page(&answer).map_err(|what| WalkError::Page { stack, what })?;
                let keys = self.keys(&page, names);
                let keys = keys.map_err(|what| WalkError::Page { stack, what })?;
                counts[stack as usize] += keys.len() as u64;
                for key in keys {
                    let mut insert =
                        seen.prepare_cached("INSERT OR IGNORE INTO keys (key) VALUES (?1)")?;
                    insert.execute([key])?;
                }
                next = self.after(&page);
            }
        }
        let mut file = BufWriter::new(private(to)?);
        let mut keys = seen.prepare("SELECT key FROM keys ORDER BY number")?;
        let mut rows = keys.query(())?;
        while let Some(row) = rows.next()? {
            writeln!(file, "{}", row.get::<_, String>(0)?)?;
        }
        file.flush()?;
        Ok(counts)
    }

    /// The keys of a page, as lines.
    fn keys(&self, page: &Value, names: &[String]) -> Result<Vec<String>, String> {
        let found = page.query(&self.items).map_err(|error| error.to_string())?;
        let key = |item: &Value| {
            let members: Map<String, Value> = match item {
                Value::Object(members) => names
                    .iter()
                    .map(|name| Some((name.clone(), members.get(name)?.clone())))
                    .collect::<Option<_>>()?,
                value if names.len() == 1 => Map::from_iter([(names[0].clone(), value.clone())]),
                _ => return None,
            };
            Some(Value::from(members).to_string())
        };
        let keys: Option<Vec<_>> = found.into_iter().map(key).collect();
        keys.ok_or_else(|| format!("items that have not {}", names.join(", ")))
    }
}

fn page(answer: &Answer) -> Result<Value, String> {
    if !answer.status.is_success() {
        return Err(answer.status.to_string());
    }
    let BodyCopy::Whole(body) = &answer.body else {
        return Err("more than capture.max_body".to_owned());
    };
    let body = coding::decode(&answer.headers, body, MAX_PAGE);
    let body = body.map_err(|_| "what cannot be decoded".to_owned())?;
    serde_json::from_slice(&body).map_err(|error| format!("what is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn walked(
        walk: &Walk,
        page: impl Fn(Stack, &str) -> String,
    ) -> Result<([u64; 2], String), String> {
        let folder = TempDir::new().unwrap();
        let to = folder.path().join("keys");
        let read = |stack, request: ReadRequest| {
            Ok::<_, io::Error>(Answer::json(page(stack, &request.uri.to_string())))
        };
        let counts = walk.spool(&["id".to_owned()], &to, read);
        let counts = counts.map_err(|error| error.to_string())?;
        Ok((counts, fs::read_to_string(to).unwrap()))
    }

    #[test]
    fn keys_of_both_lists_come_once() {
        let walk = Walk::new("GET /users?size=2&cursor={next}", "$.next", "$.users[*].id").unwrap();
        let (counts, lines) = walked(&walk, |stack, target| match (stack, target) {
            (_, "/users?size=2") => {
                r#"{"users": [{"id": 1}, {"id": 2}], "next": "a b"}"#.to_owned()
            }
            (Stack::Old, "/users?size=2&cursor=a%20b") => r#"{"users": [{"id": "3"}]}"#.to_owned(),
            (Stack::New, "/users?size=2&cursor=a%20b") => {
                r#"{"users": [{"id": 4}], "next": null}"#.to_owned()
            }
            _ => panic!("{target}"),
        })
        .unwrap();
        assert_eq!(counts, [3, 3]);
        assert_eq!(
            lines,
            "{\"id\":1}\n{\"id\":2}\n{\"id\":\"3\"}\n{\"id\":4}\n"
        );
    }

    #[test]
    fn a_url_of_the_next_page_is_followed_and_a_circle_is_found() {
        let walk = Walk::new("GET /users", "$.links.next", "$.ids[*]").unwrap();
        let page = |next: &str| format!(r#"{{"ids": [1], "links": {{"next": "{next}"}}}}"#);
        let (counts, _) = walked(&walk, |_, target| match target {
            "/users" => page("https://h/users?page=2"),
            _ => page(""),
        })
        .unwrap();
        assert_eq!(counts, [2, 2]);
        let circle = walked(&walk, |_, _| page("/users")).unwrap_err();
        assert!(
            circle.contains("one that was read before: /users"),
            "{circle}"
        );
    }
}
