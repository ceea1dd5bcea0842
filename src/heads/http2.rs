//! What a request of HTTP/2 means in the terms of HTTP/1.1, and what hyper accepts of it although it is malformed
//! (RFC 9113 8).
//!
//! From here on nobody needs to know how a request came: the target is in origin form, `Host` names the authority, and
//! `Cookie` is one line.

use crate::{
    http_client::{is_field, usual_port},
    value::{format::media_type, grpc},
};
use http::{
    HeaderMap, HeaderValue, Request, Uri,
    header::{CONTENT_LENGTH, COOKIE, HOST},
    uri::{Authority, Scheme},
};

/// A request that two parsers could read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Rewrites the head of a request.
///
/// # Errors
/// [`Malformed`].
pub(crate) fn adapt<B>(request: &mut Request<B>) -> Result<(), Malformed> {
    if !request.headers().iter().all(is_field) {
        return Err(Malformed);
    }
    name_host(request)?;
    let headers = request.headers_mut();
    join_cookies(headers);
    // hyper has ensured that all are equal.
    if let Some(length) = headers.get(CONTENT_LENGTH).cloned() {
        headers.insert(CONTENT_LENGTH, length);
    }
    Ok(())
}

/// The size that the head would have in HTTP/1.1, without its version.
pub(crate) fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let host = uri.authority().map_or(0, |host| host.as_str().len());
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let lines = request.headers().iter();
    host + target
        + lines
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum::<usize>()
}

/// A gRPC caller may be silent for as long as it likes before its next message.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    grpc::is_grpc(media_type(headers))
}

/// RFC 9113 8.3.1: `:authority` and `Host` must agree, and either may stand for both.
fn name_host<B>(request: &mut Request<B>) -> Result<(), Malformed> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed);
    }
    let host = host.map(host_of).transpose()?;
    let uri = request.uri();
    let Some(authority) = uri.authority() else {
        return host.map(drop).ok_or(Malformed);
    };
    let is_same = |host: &Option<Authority>| match host {
        Some(host) => is_same(uri.scheme(), authority, host),
        None => false,
    };
    let is_http = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    if !is_http || authority.as_str().contains('@') || host.is_some_and(|host| !is_same(&host)) {
        return Err(Malformed);
    }
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| Malformed)?;
    let path = uri.path_and_query().cloned().ok_or(Malformed)?;
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().entry(HOST).or_insert(value);
    Ok(())
}

/// The authority in a `Host`, which may be empty.
fn host_of(value: &HeaderValue) -> Result<Option<Authority>, Malformed> {
    if value.is_empty() {
        return Ok(None);
    }
    let host: Authority = value.as_bytes().try_into().map_err(|_| Malformed)?;
    let is_host = !host.as_str().contains('@');
    is_host.then_some(Some(host)).ok_or(Malformed)
}

/// Whether both name the same host, with the port of the scheme spelled out or not.
fn is_same(scheme: Option<&Scheme>, one: &Authority, other: &Authority) -> bool {
    let usual = usual_port(scheme == Some(&Scheme::HTTPS));
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

/// RFC 9113 8.2.3: a caller may split cookies for the sake of compression.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<_> = headers.get_all(COOKIE).iter().collect();
    if crumbs.len() < 2 {
        return;
    }
    // An empty one would leave a space at an end.
    let crumbs = crumbs.into_iter().map(HeaderValue::as_bytes);
    let crumbs: Vec<_> = crumbs.filter(|crumb| !crumb.is_empty()).collect();
    let mut joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
        .expect("values that are joined by `; ` are a value");
    joined.set_sensitive(true);
    headers.insert(COOKIE, joined);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn adapted(uri: &str, headers: &[(&'static str, &'static str)]) -> Result<String, Malformed> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            // As the crate h2 reads names: it takes some that the crate http refuses.
            let name = HeaderName::from_lowercase(name.as_bytes()).unwrap();
            request = request.header(name, *value);
        }
        let mut request = request.body(()).unwrap();
        adapt(&mut request)?;
        let mut shown = request.uri().to_string();
        for (name, value) in request.headers() {
            shown += &format!(" {name}={}", value.to_str().unwrap());
        }
        Ok(shown)
    }

    #[test]
    fn the_authority_becomes_the_host() {
        for (uri, host, expected) in [
            ("http://a/b?c", None, "/b?c host=a"),
            ("http://a:80/b", Some("A"), "/b host=A"),
            ("https://a/", Some("a:443"), "/ host=a:443"),
            ("https://[::1]:8/", None, "/ host=[::1]:8"),
            ("/b", Some("a"), "/b host=a"),
            ("/b", Some(""), "/b host="),
        ] {
            let host: Vec<_> = host.into_iter().map(|host| ("host", host)).collect();
            assert_eq!(
                adapted(uri, &host).as_deref(),
                Ok(expected),
                "{uri} {host:?}"
            );
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_malformed() {
        for (uri, headers) in [
            ("/b", &[][..]),
            ("http://a/", &[("host", "b")]),
            ("http://a/", &[("host", "")]),
            ("http://a/", &[("host", "a:81")]),
            ("https://a/", &[("host", "a:80")]),
            ("http://a/", &[("host", "a"), ("host", "a")]),
            ("http://me@a/", &[]),
            ("ftp://a/", &[]),
            ("/", &[("host", "me@a")]),
            ("/", &[("host", "a/b")]),
            ("/", &[("host", "a, b")]),
            ("http://a/", &[("x-a", " b")]),
            ("http://a/", &[("x-a", "b\t")]),
            ("http://a/", &[("x\"a", "b")]),
        ] {
            assert_eq!(adapted(uri, headers), Err(Malformed), "{uri} {headers:?}");
        }
    }

    #[test]
    fn crumbs_become_one_cookie_and_equal_lengths_one_length() {
        let headers = [
            ("cookie", "a=1"),
            ("content-length", "3"),
            ("cookie", "b=2; c=3"),
            ("cookie", ""),
            ("content-length", "3"),
        ];
        let expected = "/ cookie=a=1; b=2; c=3 content-length=3 host=h";
        assert_eq!(adapted("http://h/", &headers).as_deref(), Ok(expected));
    }
}
