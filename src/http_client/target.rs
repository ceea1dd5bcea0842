//! The address of a stack, and how requests are adapted to it.

use super::{Instance, Resolver, remove_in_order};
use crate::transport::ClientTls;
use http::{
    HeaderName, HeaderValue, Uri, Version,
    header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};
use std::{mem, path::PathBuf, time::Duration};

/// One stack, as the target of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Host and port; of a unix socket, the name that it goes by in `Host`.
    pub authority: Authority,
    pub via: Via,
    /// Prefix of every path: empty, or `/` and segments without a trailing slash.
    pub base_path: String,
    pub host: HostPolicy,
    /// Replaces headers of the same name; applied after `remove`.
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub remove: Vec<HeaderName>,
    /// The instance added to every request; `None` adds none.
    pub instance: Option<Instance>,
    /// The maximum number of header lines of an answer.
    pub max_headers: usize,
    /// Of a host name.
    pub resolver: Resolver,
    /// Includes name resolution.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Whether it is spoken to over HTTP/2 alone, which it must know.
    pub http2: bool,
}

/// How a stack is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Via {
    Tcp,
    /// Over TCP.
    Tls(ClientTls),
    Unix(PathBuf),
}

/// The source of a forwarded request's `Host`.
#[derive(Clone, Debug, PartialEq)]
pub enum HostPolicy {
    /// The request's own, or the stack's if it has none (HTTP/1.0).
    Preserve,
    /// The stack's authority.
    Stack,
    Literal(HeaderValue),
}

// === impl Target ===

impl Target {
    /// The minimum number of header lines accepted in answers, because stacks send more than callers do.
    pub const MIN_HEADERS: usize = 256;

    /// A stack at `authority` with the configuration's defaults.
    pub fn new(authority: Authority) -> Self {
        Self {
            authority,
            via: Via::Tcp,
            base_path: String::new(),
            host: HostPolicy::Preserve,
            set: Vec::new(),
            remove: Vec::new(),
            instance: None,
            max_headers: Self::MIN_HEADERS,
            resolver: Resolver::default(),
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(60),
            http2: false,
        }
    }

    /// Its url without credentials, for logs and documents.
    pub fn url(&self) -> String {
        match &self.via {
            Via::Tcp | Via::Tls(_) => self.url_by_name(),
            Via::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Its url with the name that `Host` may have. Of a unix socket, that is not where it is.
    pub fn url_by_name(&self) -> String {
        let authority = without_user(&self.authority);
        format!("{}://{authority}{}", self.scheme(), self.base_path)
    }

    /// The port, or else that of the scheme.
    pub fn port(&self) -> u16 {
        let port = self.authority.port_u16();
        port.unwrap_or(usual_port(matches!(self.via, Via::Tls(_))))
    }

    /// The host, without the brackets that an IPv6 address has in a url.
    pub fn host_name(&self) -> &str {
        let host = self.authority.host();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether each connection decides between HTTP/1.1 and HTTP/2.
    pub(super) fn negotiates(&self) -> bool {
        !self.http2 && matches!(self.via, Via::Tls(_))
    }

    /// Takes the certificates of `next` for new connections.
    pub fn adopt(&self, next: &Self) {
        if let (Via::Tls(own), Via::Tls(next)) = (&self.via, &next.via) {
            own.adopt(next);
        }
    }

    fn scheme(&self) -> Scheme {
        match self.via {
            Via::Tls(_) => Scheme::HTTPS,
            _ => Scheme::HTTP,
        }
    }

    /// Adapts a request to this stack: the target in origin form below the base path, `Host`, headers set and removed,
    /// the mark of the instance, HTTP/1.1.
    pub fn prepare(&self, parts: &mut Parts) {
        parts.version = Version::HTTP_11;
        let absolute = self.place(parts);
        self.name_host(parts, absolute);
        if !self.remove.is_empty() {
            remove_in_order(&mut parts.headers, |name| self.remove.contains(name));
        }
        for (name, value) in &self.set {
            parts.headers.insert(name, value.clone());
        }
        // Last, so that no configuration hides a loop.
        if let Some(instance) = &self.instance {
            instance.mark(&mut parts.headers);
        }
    }

    /// Adapts a [prepared](Self::prepare) request to HTTP/2 (RFC 9113 8.3.1): `Host` becomes `:authority`. What belongs
    /// to one connection goes.
    pub(super) fn prepare_http2(&self, parts: &mut Parts) {
        let host = parts.headers.get(HOST).map(HeaderValue::as_bytes);
        let named = host.and_then(|host| Authority::try_from(host).ok());
        let own = || without_user(&self.authority).parse();
        let authority = named.unwrap_or_else(|| own().expect("a part of an authority is one"));
        remove_in_order(&mut parts.headers, |name| {
            matches!(*name, CONNECTION | HOST | TRANSFER_ENCODING | UPGRADE)
        });
        let mut uri = mem::take(&mut parts.uri).into_parts();
        // `http://a?b` has a query alone, and a path in no other form.
        if let Some(query) = uri
            .path_and_query
            .take_if(|path| path.as_str().starts_with('?'))
        {
            uri.path_and_query = format!("/{query}").try_into().ok();
        }
        uri.scheme = Some(self.scheme());
        uri.authority = Some(authority);
        parts.uri = Uri::from_parts(uri).expect("an authority and a path must be a uri");
        parts.version = Version::HTTP_2;
    }

    /// Undoes [`prepare_http2`](Self::prepare_http2).
    pub(super) fn prepare_http1(parts: &mut Parts) {
        let mut uri = mem::take(&mut parts.uri).into_parts();
        uri.scheme = None;
        if let Some(authority) = uri.authority.take() {
            parts.headers.insert(HOST, value(&authority));
        }
        parts.uri = Uri::from_parts(uri).expect("a path must be a uri");
        parts.version = Version::HTTP_11;
    }

    /// Rewrites the request target, and returns its authority if it was in absolute form.
    fn place(&self, parts: &mut Parts) -> Option<Authority> {
        let authority = parts.uri.authority().cloned();
        if authority.is_none() && self.base_path.is_empty() {
            return None;
        }
        let path = match parts.uri.path_and_query() {
            // `OPTIONS *` is about the server, not about a path below the base.
            Some(path) if path.as_str() == "*" => return authority,
            Some(path) if self.base_path.is_empty() => path.clone(),
            Some(path) => PathAndQuery::try_from(format!("{}{path}", self.base_path))
                .expect("a base path and a path must be a path"),
            None => PathAndQuery::from_static("/"),
        };
        parts.uri = Uri::from(path);
        authority
    }

    /// RFC 9112 3.2.2: an authority in the target takes precedence over `Host`.
    fn name_host(&self, parts: &mut Parts, absolute: Option<Authority>) {
        let host = match &self.host {
            HostPolicy::Literal(host) => host.clone(),
            HostPolicy::Preserve => match absolute {
                Some(authority) => value(&authority),
                None if parts.headers.contains_key(HOST) => return,
                None => value(&self.authority),
            },
            HostPolicy::Stack => value(&self.authority),
        };
        parts.headers.insert(HOST, host);
    }
}

/// The port of a url that names none.
pub(crate) fn usual_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

fn value(authority: &Authority) -> HeaderValue {
    let host = without_user(authority);
    HeaderValue::from_str(host).expect("an authority must be a header value")
}

/// The host and port, without user information.
fn without_user(authority: &Authority) -> &str {
    let text = authority.as_str();
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn prepared(target: &Target, uri: &str, host: Option<&str>) -> Parts {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        target.prepare(&mut parts);
        parts
    }

    fn stack() -> Target {
        Target::new(Authority::from_static("stack:9001"))
    }

    #[test]
    fn the_target_becomes_origin_form_below_the_base_path() {
        for (base, uri, expected) in [
            ("", "/a%20b?x=%2f", "/a%20b?x=%2f"),
            ("/base", "/a?x=1", "/base/a?x=1"),
            ("/base", "/", "/base/"),
            ("", "http://caller/a?x=1", "/a?x=1"),
            ("/base", "http://caller", "/base/"),
            ("", "http://caller?x=1", "/?x=1"),
            ("/base", "*", "*"),
            ("", "//a//b", "//a//b"),
        ] {
            let mut target = stack();
            target.base_path = base.to_owned();
            assert_eq!(prepared(&target, uri, Some("h")).uri, *expected, "{uri}");
        }
    }

    #[test]
    fn the_host_follows_the_policy() {
        let literal = HostPolicy::Literal(HeaderValue::from_static("lit"));
        for (policy, uri, host, expected) in [
            (HostPolicy::Preserve, "/", Some("caller"), "caller"),
            (HostPolicy::Preserve, "/", None, "stack:9001"),
            (
                HostPolicy::Preserve,
                "http://uri:1/",
                Some("caller"),
                "uri:1",
            ),
            (
                HostPolicy::Preserve,
                "http://me@uri/",
                Some("caller"),
                "uri",
            ),
            (
                HostPolicy::Stack,
                "http://uri/",
                Some("caller"),
                "stack:9001",
            ),
            (literal, "/", Some("caller"), "lit"),
        ] {
            let mut target = stack();
            target.host = policy;
            assert_eq!(prepared(&target, uri, host).headers[HOST], expected);
        }
    }

    #[test]
    fn what_http2_changes_can_be_undone() {
        for uri in ["/a%20b?x=1", "*"] {
            let target = stack();
            let before = prepared(&target, uri, Some("caller:1"));
            let mut parts = before.clone();
            target.prepare_http2(&mut parts);
            Target::prepare_http1(&mut parts);
            assert_eq!((&parts.uri, parts.version), (&before.uri, before.version));
            assert_eq!(parts.headers, before.headers);
        }
    }

    #[test]
    fn headers_are_removed_then_set() {
        let mut target = stack();
        let name = HeaderName::from_static("x-key");
        target.remove = vec![HOST, name.clone()];
        target.set = vec![(name.clone(), HeaderValue::from_static("new"))];

        let parts = prepared(&target, "/", Some("caller"));

        assert!(!parts.headers.contains_key(HOST));
        assert_eq!(parts.headers[name], "new");
    }
}
