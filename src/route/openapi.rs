//! OpenAPI documents: their paths become routes, named `GET /users/{id}`. No verdict requires them by itself.
//!
//! Reads versions 3 and 2.0 (Swagger). Of a document, only `servers` (or `basePath`), `paths` and the methods in them matter.
//! Templates in which a placeholder is only a part of a segment (`/files/{name}.json`) become patterns, which are tried
//! one by one.

use super::{
    Entry, Selector,
    selector::Path,
    template::{Segment, Template},
};
use crate::spanned_yaml::{ConfigError, ConfigErrors, Cursor, Key, Node, Position};
use regex::Regex;

/// The fields of a path that are operations.
const METHODS: [&str; 9] = [
    "get", "head", "post", "put", "patch", "delete", "options", "trace", "query",
];

/// One segment of a path in a document.
enum Part {
    Literal(String),
    /// Text around placeholders, as a pattern.
    Mixed(String),
    One(String),
    /// `{proxy+}`, as gateways write it: everything from here on.
    Rest(String),
}

/// A route that a document declares.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) entry: Entry,
    /// Of the path in its document.
    pub(crate) mark: Option<Position>,
}

/// One method of a path.
struct Operation {
    method: &'static str,
    path: String,
    parts: Vec<Part>,
    mark: Option<Position>,
}

/// Reads a document, and returns a route for each path and method. Of two paths that match a request, the one with a
/// literal where the other has a placeholder comes first.
///
/// # Errors
/// Every fault of the parts that are read.
pub(crate) fn routes(at: &Cursor<'_>) -> Result<Vec<Declared>, ConfigErrors> {
    check_version(at)?;
    let mut faults = ConfigErrors::default();
    let everywhere = faults.collect(bases(at)).flatten();
    let everywhere = everywhere.unwrap_or_else(|| vec![String::new()]);
    let paths = member(at, "paths").map(|paths| paths.entries());
    let mut operations = Vec::new();
    for (key, item) in paths.transpose()?.unwrap_or_default() {
        if !key.name.starts_with("x-") {
            let found = referred(at, item)
                .map_err(ConfigErrors::from)
                .and_then(|item| operations_of(&item, key, &everywhere));
            operations.extend(faults.collect(found).unwrap_or_default());
        }
    }
    operations.sort_by_key(|operation| {
        let parts = operation.parts.iter().map(Part::rank);
        parts.collect::<Vec<_>>()
    });
    let routes = operations.into_iter().map(Operation::declared);
    faults.into_result(routes.collect())
}

/// The operations of one path, at each of its servers.
fn operations_of(
    item: &Cursor<'_>,
    key: &Key,
    everywhere: &[String],
) -> Result<Vec<Operation>, ConfigErrors> {
    let own = bases(item)?;
    let mut operations = Vec::new();
    for method in METHODS {
        let Some(operation) = member(item, method) else {
            continue;
        };
        let servers = bases(&operation)?;
        let bases = servers.as_ref().or(own.as_ref());
        for base in bases.map_or(everywhere, Vec::as_slice) {
            let path = format!("{base}{}", key.name);
            let parts = parts(&key.name, &path);
            operations.push(Operation {
                method,
                parts: parts.map_err(|message| ConfigError::at(item.file, key.mark, message))?,
                path,
                mark: key.mark,
            });
        }
    }
    Ok(operations)
}

fn check_version(at: &Cursor<'_>) -> Result<(), ConfigError> {
    let version = |field| at.node.get(field).and_then(Node::text);
    let is_known = version("openapi").is_some_and(|version| version.starts_with("3."))
        || version("swagger").is_some_and(|version| version.starts_with("2."));
    if is_known {
        return Ok(());
    }
    Err(at
        .fault("expected an OpenAPI document: `openapi: 3.1.0` or another 3, or `swagger: '2.0'`"))
}

/// A path that `$ref` gives another place in the document.
fn referred<'n>(root: &Cursor<'n>, item: Cursor<'n>) -> Result<Cursor<'n>, ConfigError> {
    let Some(reference) = item.node.get("$ref").and_then(Node::text) else {
        return Ok(item);
    };
    let mut names = reference.split('/').skip(1);
    let found = names.try_fold(root.node, |node, name| {
        node.get(&name.replace("~1", "/").replace("~0", "~"))
    });
    match found.filter(|_| reference.starts_with("#/")) {
        Some(node) => Ok(root.member(reference, node)),
        None => Err(item.fault(format!(
            "`$ref: {reference}` is not in this document, and no other is read"
        ))),
    }
}

/// The paths of the servers; `None` if none is named.
fn bases(at: &Cursor<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    if let Some(base) = member(at, "basePath") {
        return Ok(Some(vec![absolute(base.text()?)]));
    }
    let Some(servers) = member(at, "servers") else {
        return Ok(None);
    };
    let servers = servers.items()?;
    let bases = servers.iter().map(base).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(bases).filter(|bases| !bases.is_empty()))
}

/// The path of a server's url, in which its variables have their defaults.
fn base(server: &Cursor<'_>) -> Result<String, ConfigError> {
    let Some(url) = member(server, "url") else {
        return Err(server.fault("`url` is missing"));
    };
    let url_text = url.text()?;
    let variables = server.node.get("variables");
    let default = |name: &str| variables?.get(name)?.get("default")?.text();
    let mut url = String::new();
    // A default is not looked at again: variables in it would multiply.
    for (index, part) in url_text.split('{').enumerate() {
        match part.split_once('}').filter(|_| index > 0) {
            Some((name, after)) => url.extend([default(name).unwrap_or_default(), after]),
            None => url.push_str(part),
        }
    }
    let rest = url.split_once("//").map(|(_, rest)| rest);
    let path = match rest {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => url.trim_start_matches('.'),
    };
    Ok(absolute(path.split(['?', '#']).next().unwrap_or_default()))
}

/// `/v1` of `v1/`; empty for the root.
fn absolute(path: &str) -> String {
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}

fn member<'n>(at: &Cursor<'n>, name: &str) -> Option<Cursor<'n>> {
    let node = at.node.get(name).filter(|node| !node.is_null())?;
    Some(at.member(name, node))
}

/// The parts of a path that `key` gives in the document.
fn parts(key: &str, path: &str) -> Result<Vec<Part>, String> {
    if !key.starts_with('/') || key.contains(['?', '#']) {
        return Err(format!(
            "expected a path such as /users/{{id}}, found `{key}`"
        ));
    }
    let segments = path.split('/').skip(1);
    let mut parts = segments.map(Part::read).collect::<Result<Vec<_>, _>>()?;
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        // What follows the rest of a path could never match.
        if let Part::Rest(name) = part {
            *part = Part::One(std::mem::take(name));
        }
    }
    Ok(parts)
}

fn matcher(parts: &[Part]) -> Path {
    let segments = parts.iter().map(Part::segment).collect::<Option<Vec<_>>>();
    if let Some(segments) = segments {
        return Path::Template(Template { segments });
    }
    let patterns = parts.iter().map(|part| format!("/{}", part.pattern()));
    let pattern = Regex::new(&format!("^{}$", patterns.collect::<String>()));
    Path::Pattern(pattern.expect("a pattern of escaped texts must be valid"))
}

// === impl Operation ===

impl Operation {
    fn declared(self) -> Declared {
        let method = self.method.to_ascii_uppercase();
        let name = format!("{method} {}", self.path);
        let selector = Selector {
            methods: vec![method.parse().expect("it is one of METHODS")],
            path: Some(matcher(&self.parts)),
            headers: Vec::new(),
            json: Vec::new(),
        };
        Declared {
            entry: Entry::named(name, selector),
            mark: self.mark,
        }
    }
}

// === impl Part ===

impl Part {
    fn read(text: &str) -> Result<Self, String> {
        let mut pattern = String::new();
        let (mut literals, mut names) = (String::new(), Vec::new());
        let mut left = text;
        while let Some((before, rest)) = left.split_once('{') {
            let (name, after) = rest
                .split_once('}')
                .ok_or_else(|| format!("expected `{{` to be closed by `}}` in `{text}`"))?;
            literals.push_str(before);
            pattern += &format!("{}[^/]+", regex::escape(before));
            names.push(name);
            left = after;
        }
        literals.push_str(left);
        pattern += &regex::escape(left);
        Ok(match names[..] {
            [] => Self::Literal(literals),
            [name] if literals.is_empty() => match name.strip_suffix(['+', '*']) {
                Some(name) => Self::Rest(name.to_owned()),
                None => Self::One(name.to_owned()),
            },
            _ => Self::Mixed(pattern),
        })
    }

    /// The more definite comes first.
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Mixed(_) => 1,
            Self::One(_) => 2,
            Self::Rest(_) => 3,
        }
    }

    fn segment(&self) -> Option<Segment> {
        match self {
            Self::Literal(text) => Some(Segment::Literal(text.clone())),
            Self::One(name) => Some(Segment::One(name.clone())),
            Self::Rest(name) => Some(Segment::Rest(name.clone())),
            Self::Mixed(_) => None,
        }
    }

    fn pattern(&self) -> String {
        match self {
            Self::Literal(text) => regex::escape(text),
            Self::Mixed(pattern) => pattern.clone(),
            Self::One(_) => "[^/]+".to_owned(),
            Self::Rest(_) => ".*".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{Head, Naming, Routes};
    use http::{HeaderMap, Method};
    use std::sync::Arc;

    fn read(text: &str) -> Result<Routes, ConfigErrors> {
        let file = Arc::from("api.yaml");
        let node = Node::parse(&file, text)?;
        let routes = routes(&Cursor::root(&file, &node))?;
        let entries: Vec<_> = routes.into_iter().map(|route| route.entry).collect();
        Ok(Routes::default().followed_by(&entries))
    }

    fn names(routes: &Routes, requests: &[&str]) -> Vec<String> {
        let named = |request: &&str| {
            let (method, path) = request.split_once(' ').unwrap();
            let head = Head {
                method: &method.parse::<Method>().unwrap(),
                path,
                query: None,
                headers: &HeaderMap::new(),
            };
            match routes.name(&head, None) {
                Naming::Named(name, Some(_)) => name.into_owned(),
                Naming::Named(..) | Naming::NeedsBody => "-".to_owned(),
            }
        };
        requests.iter().map(named).collect()
    }

    #[test]
    fn variables_in_defaults_do_not_multiply() {
        let server = "{url: '/{a}', variables: {a: {default: 'x{b}'}, b: {default: '{c}{c}'}}}";
        let text = format!("openapi: 3.1.0\nservers: [{server}]\npaths: {{/p: {{get: {{}}}}}}\n");
        assert_eq!(
            names(&read(&text).unwrap(), &["GET /x7/p"]),
            ["GET /x{b}/p"]
        );
    }

    #[test]
    fn each_method_of_a_path_is_a_route_and_literals_come_first() {
        let routes = read(
            "openapi: 3.1.0\n\
             paths:\n  \
               /users/{id}: {get: {}, delete: {}, parameters: []}\n  \
               /users/me: {get: {}}\n  \
               /files/{name}.json: {get: {}}\n  \
               /files/{name}: {get: {}}\n  \
               /proxy/{rest+}: {post: {}}\n  \
               x-owner: shop\n",
        )
        .unwrap();
        let requests = [
            "GET /users/7",
            "DELETE /users/7",
            "HEAD /users/7",
            "GET /users/me",
            "GET /files/a.json",
            "GET /files/a.txt",
            "POST /proxy/a/b",
        ];
        let expected = [
            "GET /users/{id}",
            "DELETE /users/{id}",
            "-",
            "GET /users/me",
            "GET /files/{name}.json",
            "GET /files/{name}",
            "POST /proxy/{rest+}",
        ];
        assert_eq!(names(&routes, &requests), expected);
        assert_eq!(routes.required().count(), 0);
    }

    #[test]
    fn the_nearest_servers_give_the_base_path() {
        let routes = read(
            "openapi: '3.0.3'\n\
             servers: [{url: 'https://{region}.example:{port}/{v}/', variables: {v: {default: v1}}}, {url: /beta}]\n\
             paths:\n  \
               /a: {get: {}}\n  \
               /b: {servers: [{url: '//cdn.example'}], get: {}, put: {servers: [{url: ./w}]}}\n",
        )
        .unwrap();
        let requests = [
            "GET /v1/a",
            "GET /beta/a",
            "GET /a",
            "GET /b",
            "PUT /w/b",
            "PUT /b",
        ];
        let expected = ["GET /v1/a", "GET /beta/a", "-", "GET /b", "PUT /w/b", "-"];
        assert_eq!(names(&routes, &requests), expected);
    }

    #[test]
    fn paths_of_version_2_and_referred_ones_are_read() {
        let routes = read("{swagger: '2.0', basePath: /api, paths: {/a: {get: {}}}}").unwrap();
        assert_eq!(names(&routes, &["GET /api/a"]), ["GET /api/a"]);
        let routes = read(
            "{openapi: 3.1.0, paths: {/a: {$ref: '#/components/pathItems/x~1y'}}, \
              components: {pathItems: {x/y: {get: {}}}}}",
        );
        assert_eq!(names(&routes.unwrap(), &["GET /a"]), ["GET /a"]);
    }

    #[test]
    fn what_is_wrong_is_refused_by_line() {
        let faults = read(
            "openapi: 3.1.0\n\
             paths:\n  \
               users: {get: {}}\n  \
               /a/{b: {get: {}}\n  \
               /c: {$ref: other.yaml}\n  \
               /d: {get: {servers: [{}]}}\n",
        );
        let faults = faults.unwrap_err().to_string();
        for expected in [
            "api.yaml:3:3: expected a path such as /users/{id}, found `users`",
            "api.yaml:4:3: expected `{` to be closed by `}` in `{b`",
            "api.yaml:5:7: paths./c: `$ref: other.yaml` is not in this document",
            "api.yaml:6:24: paths./d.get.servers[0]: `url` is missing",
        ] {
            assert!(faults.contains(expected), "{expected}\nnot in\n{faults}");
        }
        let other = read("{asyncapi: 3.0.0}").unwrap_err().to_string();
        assert!(
            other.contains("api.yaml:1:1: expected an OpenAPI document"),
            "{other}"
        );
    }
}
