//! Names of routes, under which all per-route figures are kept.
//!
//! Entries of the section `routes` are tried in order; the first match gives the name. An unmatched path is named by
//! its method and path, with segments collapsed that look like ids or follow a secret name: `GET /orders/{}`. A call of
//! gRPC is named by service and method: `shop.v1.Catalogue/Get`.
//! [`Positions`] learns from such names and collapses more of them. Names are bounded in length whatever a caller
//! sends; the ledger bounds their number.

mod body;
mod collapse;
mod entry;
mod keys;
pub(crate) mod openapi;
mod positions;
mod possible;
mod selector;
mod template;
mod tree;

pub(crate) use body::JsonBody;
pub(crate) use collapse::{METHODS, collapsed};
pub(crate) use entry::{Entry, MAX_NAME};
pub use keys::Access;
pub(crate) use keys::Keys;
pub(crate) use positions::{ENOUGH, Positions};
pub(crate) use selector::{Fit, Selector};

use crate::{
    spanned_yaml::{ConfigErrors, Cursor, Form, Setting, reference},
    value::{format::media_type, grpc},
};
use http::{HeaderMap, Method};
use regex::Regex;
use serde_json::{Value, json};
use std::borrow::Cow;
use template::Template;
use tree::Tree;

/// The route of all requests beyond `max_routes`. No entry may have this name.
pub(crate) const OTHER: &str = "other";

/// Maximum length of a method's name with its service, in bytes.
const MAX_CALL: usize = 200;

/// The head of a request: what it is named and classified by before its body has come.
#[derive(Clone, Copy, Debug)]
pub struct Head<'h> {
    pub method: &'h Method,
    /// As received, percent-encoded.
    pub path: &'h str,
    pub query: Option<&'h str>,
    pub headers: &'h HeaderMap,
}

/// The section `routes`, in order. Naming costs the length of the path, not the number of entries: only entries without
/// a path template are tried one by one.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    pub entries: Vec<Entry>,
    tree: Tree,
    secrets: Vec<Regex>,
}

/// Result of [`Routes::name`].
#[derive(Clone, Debug)]
pub enum Naming<'r> {
    /// The name, and the entry that gave it; `None` for a collapsed path.
    Named(Cow<'r, str>, Option<&'r Entry>),
    /// The first entry that may match needs the body, which was not given.
    NeedsBody,
}

// === impl Routes ===

impl Setting for Routes {
    const FORM: Form<Self> = Form {
        read: |at, _| Self::read(at),
        schema: |_| Self::schema(),
    };
}

impl Routes {
    /// Parses the section `routes`.
    ///
    /// # Errors
    /// Every fault of every entry.
    pub fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        let entries = at.each(Entry::read)?;
        let mut tree = Tree::default();
        for (index, entry) in entries.iter().enumerate() {
            tree.insert(index, entry.selector.template());
        }
        Ok(Self {
            entries,
            tree,
            secrets: Vec::new(),
        })
    }

    /// Adds entries after all others.
    pub(crate) fn followed_by(mut self, entries: &[Entry]) -> Self {
        for entry in entries {
            let template = entry.selector.template();
            self.tree.insert(self.entries.len(), template);
            self.entries.push(entry.clone());
        }
        self
    }

    fn schema() -> Value {
        let mut fields = json!({});
        Selector::describe(&mut fields);
        fields["name"] = json!({
            "description": "Captures of path, header or json may stand in it as {name}.",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "not": {"const": "other"},
        });
        fields["required"] = json!({
            "description": "Whether no verdict is safe without this route.",
            "type": "boolean",
            "default": false,
        });
        let mut sample = json!({"description": "The route's own sampling rate."});
        sample["$ref"] = reference("share")["$ref"].take();
        fields["sample"] = sample;
        let one_of = ["methods", "path", "header", "json"].map(|name| json!({"required": [name]}));
        json!({"type": "array", "items": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "anyOf": one_of,
            "properties": fields,
        }})
    }

    /// Keeps values that follow one of these names in a path out of route names.
    pub fn hiding(self, secrets: Vec<Regex>) -> Self {
        Self { secrets, ..self }
    }

    /// Names a request by the first matching entry, else by its collapsed path.
    ///
    /// With a `body` (possibly empty) the result is always a name. A body that is not JSON matches no entry with a JSON
    /// field.
    pub fn name(&self, head: &Head<'_>, body: Option<&[u8]>) -> Naming<'_> {
        let body = body.map(JsonBody::new);
        match self.find(head, body.as_ref()) {
            Some((entry, Fit::Fits)) => Naming::Named(entry.name(head, body.as_ref()), Some(entry)),
            Some((_, Fit::ByBody)) => Naming::NeedsBody,
            Some((_, Fit::Misses)) | None => {
                if let Some(name) = called(head) {
                    return Naming::Named(Cow::Owned(name.to_owned()), None);
                }
                let name = collapsed(head.method, head.path, &self.secrets);
                Naming::Named(Cow::Owned(name), None)
            }
        }
    }

    /// The keys of the record that the request is about. Without a `body`, captures in it yield no key.
    pub fn keys(&self, head: &Head<'_>, body: Option<&[u8]>, access: Access) -> Keys {
        let body = body.map(JsonBody::new);
        let mut keys = Keys::of_path(head, access);
        if let Some((entry, Fit::Fits)) = self.find(head, body.as_ref()) {
            keys.captured = entry.key(head, body.as_ref());
        }
        keys
    }

    /// The first entry that matches, or may match.
    fn find(&self, head: &Head<'_>, body: Option<&JsonBody<'_>>) -> Option<(&Entry, Fit)> {
        let mut first: Option<(usize, Fit)> = None;
        self.tree.visit(head.path, &mut |index| {
            if first.is_some_and(|(best, _)| best <= index) {
                return;
            }
            match self.entries[index].selector.fit(head, body) {
                Fit::Misses => {}
                fit => first = Some((index, fit)),
            }
        });
        first.map(|(index, fit)| (&self.entries[index], fit))
    }

    /// The path template of the request's route: that of its entry, or else its collapsed path, which `name` holds.
    /// `None` if the entry has no template.
    pub fn template(&self, head: &Head<'_>, body: &[u8], name: &str) -> Option<String> {
        match self.find(head, Some(&JsonBody::new(body))) {
            Some((entry, _)) => entry.selector.template().map(ToString::to_string),
            None => {
                let (_, path) = name.split_once(' ')?;
                path.starts_with('/').then(|| path.to_owned())
            }
        }
    }

    /// The methods and the path template of the entry with this name, if requests can be made of them.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn request_template(
        &self,
        name: &str,
    ) -> Option<Result<(&[Method], String), &'static str>> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| entry.fixed_name() == Some(name))?;
        let selector = &entry.selector;
        let template = selector.template().map(ToString::to_string);
        Some(match template {
            None => Err("its path is no template such as /users/{id}"),
            Some(_) if !selector.headers.is_empty() || !selector.json.is_empty() => {
                Err("it depends on a header or a body, which keys do not give")
            }
            Some(template) if template.ends_with("/*") => Err("the rest of its path has no name"),
            Some(template) => Ok((&selector.methods, template)),
        })
    }

    /// The names of the routes that a verdict requires.
    pub fn required(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|entry| entry.is_required)
            .filter_map(Entry::fixed_name)
    }

    /// The names of entries without captures, which are the same for every request.
    pub fn declared(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(Entry::fixed_name)
    }
}

/// The method that a call of gRPC names, `package.Service/Method`, if it is a name that a descriptor can have. A service
/// without a package looks like any path.
fn called<'h>(head: &Head<'h>) -> Option<&'h str> {
    let is_call = head.method == Method::POST && grpc::is_grpc(media_type(head.headers));
    let name = head.path.strip_prefix('/').filter(|_| is_call)?;
    (name.len() <= MAX_CALL && is_call_name(name)).then_some(name)
}

fn is_call_name(name: &str) -> bool {
    let is_name = |part: &str, more: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    let parts = name.split_once('/');
    parts.is_some_and(|(service, method)| {
        service.contains('.') && is_name(service, "_.") && is_name(method, "_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spanned_yaml::Node;
    use http::HeaderValue;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn routes(text: &str) -> Result<Routes, ConfigErrors> {
        let file = Arc::from("f.yaml");
        let node = Node::parse(&file, text)?;
        Routes::read(&Cursor::root(&file, &node))
    }

    fn named(routes: &Routes, request: &str, body: Option<&str>) -> String {
        let (method, rest) = request.split_once(' ').unwrap();
        let (path, target) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut headers = HeaderMap::new();
        if !target.is_empty() {
            headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
        }
        let head = Head {
            method: &method.parse().unwrap(),
            path,
            query: None,
            headers: &headers,
        };
        match routes.name(&head, body.map(str::as_bytes)) {
            Naming::Named(name, _) => name.into_owned(),
            Naming::NeedsBody => "needs body".to_owned(),
        }
    }

    #[test]
    fn the_first_entry_that_fits_gives_the_name() {
        let routes = routes(
            r"
            - {name: me, path: /users/me}
            - {name: get-user, methods: [GET], path: '/users/{id}'}
            - {name: '{kind} files', path: '/files/{kind}/{rest*}'}
            - {name: static, path: '/static/*'}
            - {name: late, path: /users/me}
            - {name: by-pattern, path: '^/v\d+/status$'}
            - {name: 'dynamodb {op}', header: {x-amz-target: '\.(?<op>\w+)$'}}
            ",
        )
        .unwrap();
        for (request, name) in [
            ("GET /users/me", "me"),
            ("GET /users/7", "get-user"),
            ("HEAD /users/7", "HEAD /users/{}"),
            ("GET /users/", "GET /users/"),
            ("GET /users/7/", "GET /users/{}/"),
            ("GET /files/pdf/a/b", "pdf files"),
            ("GET /files/pdf/", "pdf files"),
            ("GET /files/pdf", "GET /files/pdf"),
            ("GET /static/a/b.css", "static"),
            ("GET /v12/status", "by-pattern"),
            ("GET /v12/status/", "GET /v12/status/"),
            ("POST / DynamoDB_20120810.GetItem", "dynamodb GetItem"),
            ("POST / GetItem", "POST /"),
        ] {
            assert_eq!(named(&routes, request, None), name, "{request}");
        }
    }

    #[test]
    fn entry_by_body_needs_the_body_only_if_it_could_be_first() {
        let routes = routes(
            r"
            - {name: health, path: /graphql, methods: [GET]}
            - {name: 'graphql {op}', path: /graphql, json: {$.operationName: '^(?<op>\w+)$'}}
            - {name: graphql, path: /graphql}
            ",
        )
        .unwrap();
        assert_eq!(named(&routes, "GET /graphql", None), "health");
        assert_eq!(named(&routes, "POST /graphql", None), "needs body");
        assert_eq!(named(&routes, "POST /other", None), "POST /other");
        let body = Some(r#"{"operationName": "Cart"}"#);
        assert_eq!(named(&routes, "POST /graphql", body), "graphql Cart");
        for body in [r#"{"operationName": 7.5}"#, "{}", "", "not json"] {
            assert_eq!(named(&routes, "POST /graphql", Some(body)), "graphql");
        }
    }

    #[test]
    fn what_a_caller_sends_is_bounded_in_a_name() {
        let routes = routes(r"[{name: 'op {op}', header: {x-amz-target: '(?<op>.*)'}}]").unwrap();
        let name = named(
            &routes,
            &format!("POST / A.b\u{e9}\"{}", "x".repeat(1_000)),
            None,
        );
        assert_eq!(name, format!("op A.b__{}", "x".repeat(59)));
    }

    #[test]
    fn wrong_entries_are_refused_with_every_fault() {
        let faults = routes(
            r"
            - {methods: [get], path: 'users'}
            - {name: 'a {b}', path: '/x/{y}'}
            - {name: other, path: '/x/{y}/z{w}', header: {'a b': '('}}
            - {name: n, json: {'$[': x}, sample: 2, require: true}
            - {name: n}
            - {name: 'n {op}', path: '/{op}', required: true}
            ",
        )
        .unwrap_err()
        .to_string();
        for expected in [
            "f.yaml:2:26: [0].methods[0]: methods are written in capitals, found `get`, did you mean `GET`?",
            "[0].path: expected a path template such as /users/{id}, or a pattern that begins with ^",
            "[0]: `name` is missing",
            "[1].name: `{b}` is captured nowhere in this entry",
            "[2].name: `other` is the route past `max_routes`",
            "[2].path: expected `{name}` to be a whole segment",
            "[2].header.a b: expected the name of a header",
            "[2].header.a b: not a regular expression, see its column 1: ",
            "[3].json.$[: not a JSONPath (RFC 9535), see its column 3: expected a quoted name",
            "[3].sample: expected a number from 0 to 1",
            "[3]: unknown field `require`, did you mean `required`?",
            "[4]: expected at least one of methods, path, header, json",
            "[5].name: a required route needs a name without captures",
        ] {
            assert!(faults.contains(expected), "{expected}\nnot in\n{faults}");
        }
    }

    #[test]
    fn call_of_grpc_is_named_by_service_and_method() {
        let routes = routes("[{name: put, path: '/shop.v1.Catalogue/Put'}]").unwrap();
        let named = |method: &str, path: &str, content_type: &'static str| {
            let content_type = HeaderValue::from_static(content_type);
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type)]);
            let head = Head {
                method: &method.parse().unwrap(),
                path,
                query: None,
                headers: &headers,
            };
            match routes.name(&head, None) {
                Naming::Named(name, _) => name.into_owned(),
                Naming::NeedsBody => unreachable!("no entry has a JSON field"),
            }
        };
        let grpc = "application/grpc+proto; a=b";
        let get = "/shop.v1.Catalogue/GetItemsWithRatingsV2b3c4";
        assert_eq!(named("POST", get, grpc), get[1..]);
        for pattern in [&get[1..], "shop.*/Get*", "*/Get*"] {
            assert!(routes.can_be_named(pattern), "{pattern}");
        }
        for pattern in ["shop.v1.Catalogue", "Catalogue/Get"] {
            assert!(!routes.can_be_named(pattern), "{pattern}");
        }
        assert_eq!(named("POST", "/shop.v1.Catalogue/Put", grpc), "put");
        for (method, path, content_type) in [
            ("GET", "/a.B/C", grpc),
            ("POST", "/a.B/C", "application/json"),
            ("POST", "/a.B/C/D", grpc),
            ("POST", "/a.B", grpc),
            ("POST", "/a.B/C%20D", grpc),
            ("POST", "/a/C", grpc),
        ] {
            let name = named(method, path, content_type);
            assert!(name.starts_with(&format!("{method} /a")), "{name}");
        }
    }

    #[test]
    fn required_routes_are_given_by_name() {
        let routes =
            routes("[{name: a, path: /a, required: true, sample: 0.5}, {name: b, path: /b}]")
                .unwrap();
        assert_eq!(routes.required().collect::<Vec<_>>(), ["a"]);
        assert_eq!(routes.entries[0].sample, Some(0.5));
    }

    #[test]
    fn only_routes_by_path_have_a_template() {
        let routes = routes(
            r"
            - {name: get-user, path: '/users/{id}'}
            - {name: files, path: '/files/{rest*}'}
            - {name: by-pattern, path: '^/v\d+/status$'}
            - {name: 'op {op}', header: {x-amz-target: '\.(?<op>\w+)$'}}
            ",
        )
        .unwrap();
        let target = ("x-amz-target", "DynamoDB_20120810.GetItem");
        for (path, header, name, expected) in [
            ("/users/7", None, "get-user", Some("/users/{id}")),
            ("/files/a/b", None, "files", Some("/files/{rest*}")),
            ("/v1/status", None, "by-pattern", None),
            ("/", Some(target), "op GetItem", None),
            ("/orders/7", None, "GET /orders/{}", Some("/orders/{}")),
            ("/orders/7", None, "other", None),
        ] {
            let headers = header.map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            let headers = headers.into_iter().collect();
            let head = Head {
                method: &Method::GET,
                path,
                query: None,
                headers: &headers,
            };
            let found = routes.template(&head, b"", name);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_trying_one_by_one_would_find(
            templates in prop::collection::vec(
                (prop::collection::vec(prop_oneof!["a", "b", "", "P"], 1..4), prop::bool::ANY), 1..12,
            ),
            path in "(/(a|b|c|)){0,4}",
        ) {
            let entries = templates.iter().enumerate().map(|(entry, (segments, has_rest))| {
                let segments = segments.iter().enumerate().map(|(index, segment)| {
                    format!("/{}", segment.replace('P', &format!("{{p{index}}}")))
                });
                let rest = if *has_rest { "/*" } else { "" };
                format!("- {{name: e{entry}, path: '{}{rest}'}}", segments.collect::<String>())
            });
            let routes = routes(&entries.collect::<Vec<_>>().join("\n")).unwrap();
            let head = Head {
                method: &Method::GET,
                path: &path,
                query: None,
                headers: &HeaderMap::new(),
            };
            let mut entries = routes.entries.iter();
            let expected = entries.find(|entry| entry.selector.fit(&head, None) == Fit::Fits);
            let expected = expected.map(|entry| entry.name(&head, None));
            let named = named(&routes, &format!("GET {path}"), None);
            prop_assert_eq!(named.starts_with('e').then_some(named), expected.map(Cow::into_owned));
        }
    }
}
