//! What a request is about: the keys that decide whether a write touched what a read reads.
//!
//! - The captures of the request's route that are not in its name: every `{id}` of the path, and every named group in
//!   the patterns of path, headers and JSON fields. A capture in the name (`{op}` of `dynamodb {op}`) distinguishes
//!   routes, not records. Together they form one key, by name and value, whatever the route: `PUT /users/{id}` and `GET
//!   /users/{id}` share it if the ids are equal.
//! - The path without its query: of every write, and of reads by a safe method (GET, HEAD). For other reads it
//!   identifies nothing, because all of them may go to one path, as those of GraphQL do.
//!
//! Values are taken as received, percent-encoded. A write touches a read if they share one of these keys.

use super::Head;
use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hasher};

/// The keys of one request, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    pub(super) path: Option<u64>,
    pub(super) captured: Option<u64>,
}

/// The access that keys are computed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Equal in every process. Keys are compared and never stored.
const SEED: FixedState = FixedState::with_seed(0x7477_696e);

// === impl Keys ===

impl Keys {
    pub(super) fn of_path(head: &Head<'_>, access: Access) -> Self {
        let names = access == Access::Write || head.method.is_safe();
        let path = names.then(|| {
            let mut hasher = SEED.build_hasher();
            put(&mut hasher, head.path);
            hasher.finish()
        });
        Self {
            path,
            captured: None,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.path.into_iter().chain(self.captured)
    }
}

/// One key of all names and values; `None` if there are none.
pub(super) fn of_pairs<'p, V: AsRef<str>>(
    pairs: impl Iterator<Item = (&'p str, V)>,
) -> Option<u64> {
    let mut hasher = SEED.build_hasher();
    let mut is_empty = true;
    for (name, value) in pairs {
        put(&mut hasher, name);
        put(&mut hasher, value.as_ref());
        is_empty = false;
    }
    (!is_empty).then(|| hasher.finish())
}

/// Includes the length, so that no two lists of parts run into one another.
fn put(hasher: &mut impl Hasher, part: &str) {
    hasher.write_usize(part.len());
    hasher.write(part.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        route::Routes,
        spanned_yaml::{Cursor, Node},
    };
    use http::{HeaderMap, HeaderValue, Method};
    use std::sync::Arc;

    const ROUTES: &str = r"
        - {name: get-user, methods: [GET], path: '/users/{id}'}
        - {name: search, methods: [POST], path: '/search/{index}'}
        - {name: '{kind} files', path: '/files/{kind}/{rest*}'}
        - {name: versioned, path: '^/v\d/accounts/(?<id>\d+)$'}
        - name: 'dynamodb {op}'
          path: /db
          header: {x-amz-target: '\.(?<op>\w+)$'}
          json: {'$[''Key'',''Item''].pk.S': '^(?<pk>.*)$'}
        - {name: tenants, path: '/t/{tenant}/{id}', header: {x-amz-target: '^(?<who>.+)$'}}
        ";

    fn keys(access: Access, request: &str, target: &str, body: &str) -> Keys {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, ROUTES).unwrap();
        let routes = Routes::read(&Cursor::root(&file, &node)).unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        let mut headers = HeaderMap::new();
        if !target.is_empty() {
            headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
        }
        let method: Method = method.parse().unwrap();
        let head = Head {
            method: &method,
            path,
            query: None,
            headers: &headers,
        };
        routes.keys(&head, Some(body.as_bytes()), access)
    }

    fn touches(write: Keys, read: Keys) -> bool {
        write.iter().any(|key| read.iter().any(|own| own == key))
    }

    #[test]
    fn a_write_touches_reads_of_the_same_captures_or_the_same_path() {
        for (write, read, expected) in [
            ("PUT /users/7", "GET /users/7", true),
            ("PUT /users/7", "GET /users/8", false),
            ("PUT /users/%37", "GET /users/7", false),
            // Neither the route of the write nor that of the read need be declared.
            ("DELETE /orders/7", "HEAD /orders/7", true),
            ("POST /orders", "GET /orders", true),
            ("POST /orders", "GET /orders/7", false),
            // Captures match across routes.
            ("PATCH /v2/accounts/7", "GET /users/7", true),
            ("PATCH /v2/accounts/7", "GET /v3/accounts/7", true),
            // A capture in the name does not identify the record.
            ("PUT /files/pdf/a/b", "GET /files/pdf/a/b", true),
            ("PUT /files/pdf/a/b", "GET /files/pdf/c", false),
            // The path of a read by POST is no key.
            ("POST /search/books", "POST /search/books", true),
            ("POST /db", "POST /db", false),
            ("POST /graphql", "POST /graphql", false),
        ] {
            let write = keys(Access::Write, write, "", "");
            assert_eq!(
                touches(write, keys(Access::Read, read, "", "")),
                expected,
                "{read}"
            );
        }
    }

    #[test]
    fn headers_and_fields_of_the_body_may_name_the_record() {
        let put = |pk: &str| {
            let body = format!(r#"{{"Item": {{"pk": {{"S": "{pk}"}}}}}}"#);
            keys(Access::Write, "POST /db", "D.PutItem", &body)
        };
        let body = r#"{"Key": {"pk": {"S": "p1"}}}"#;
        let read = keys(Access::Read, "POST /db", "D.GetItem", body);
        assert!(touches(put("p1"), read));
        assert!(!touches(put("p2"), read));

        let of = |access, who| keys(access, "POST /t/a/1", who, "");
        assert!(touches(of(Access::Write, "me"), of(Access::Read, "me")));
        assert!(!touches(of(Access::Write, "me"), of(Access::Read, "you")));
    }

    #[test]
    fn names_and_values_do_not_run_into_one_another() {
        let of = |pairs: &[(&'static str, &'static str)]| of_pairs(pairs.iter().copied());
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "1"), ("b", "2")]), of(&[("a", "1b2")]));
        assert_eq!(of(&[]), None);
    }
}
