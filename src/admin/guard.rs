//! Decides who may call `/v1`: holders of the token, and no web page.
//!
//! A page in a browser on this machine can send requests to a loopback address, too. It cannot omit `Origin` on a
//! writing call, or choose the `Host` by which it reached us.

use super::problem::Problem;
use crate::redact::Secret;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use std::net::IpAddr;

/// The credentials that a caller must present.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    token: Option<Secret>,
}

/// Passes a request on, or rejects it.
pub(super) async fn guard(
    State(guard): State<Credentials>,
    request: Request,
    next: Next,
) -> Response {
    if !is_guarded(request.uri()) {
        return next.run(request).await;
    }
    match guard.admit(request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// `/livez`, `/readyz` and `/metrics` show nothing captured and are open.
pub(super) fn is_guarded(uri: &Uri) -> bool {
    uri.path() == "/v1" || uri.path().starts_with("/v1/")
}

// === impl Credentials ===

impl Credentials {
    pub(super) fn new(token: Option<&str>) -> Self {
        Self {
            token: token.map(Secret::new),
        }
    }

    fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        match &self.token {
            Some(token) if !has_token(headers, token) => return Err(unauthorized(headers)),
            // Without a token, only the host name distinguishes us from a page under a rebound name.
            None if !is_own_name(headers) => {
                let detail =
                    "the Host header must name this machine: localhost or a loopback address";
                return Err(refused(detail));
            }
            _ => {}
        }
        if !method.is_safe() && has_foreign_origin(headers) {
            let detail = "a writing call must not come from a page of another origin";
            return Err(refused(detail));
        }
        Ok(())
    }
}

fn refused(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}

fn unauthorized(headers: &HeaderMap) -> Problem {
    let (detail, challenge) = if headers.contains_key(header::AUTHORIZATION) {
        (
            "the token is wrong",
            r#"Bearer realm="twinread", error="invalid_token""#,
        )
    } else {
        (
            "a bearer token is needed: `Authorization: Bearer <admin_token>`",
            r#"Bearer realm="twinread""#,
        )
    };
    let challenge = HeaderValue::from_static(challenge);
    Problem::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

fn has_token(headers: &HeaderMap, token: &Secret) -> bool {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return false;
    };
    let given = given.as_bytes();
    let Some((scheme, given)) = given.split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && token.is(given)
}

/// A browser always sends `Host`, so a missing one is accepted.
fn is_own_name(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    hosts.all(|host| authority(host).is_some_and(|authority| is_loopback(authority.host())))
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback_address = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback_address || host.eq_ignore_ascii_case("localhost")
}

/// An origin is our own if it names the host that the request was sent to.
fn has_foreign_origin(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(authority);
    headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse().ok());
        let origin: Option<Uri> = origin;
        let own = origin.as_ref().and_then(Uri::authority);
        own.is_none() || own != host.as_ref()
    })
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = list.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, HeaderValue)>>()
            .into_iter()
            .collect()
    }

    fn status(token: Option<&str>, method: Method, list: &[(&'static str, &str)]) -> Option<u16> {
        let admitted = Credentials::new(token).admit(&method, &headers(list));
        let refusal = admitted.err()?.into_response();
        Some(refusal.status().as_u16())
    }

    #[test]
    fn with_a_token_only_its_holder_is_admitted() {
        let with = |value| status(Some("s3cret"), Method::GET, &[("authorization", value)]);
        assert_eq!(with("Bearer s3cret"), None);
        assert_eq!(with("bearer s3cret"), None);
        for wrong in [
            "Bearer s3creT",
            "Bearer s3cret ",
            "Bearer s3cre",
            "Bearer ",
            "Basic s3cret",
            "s3cret",
            "",
        ] {
            assert_eq!(with(wrong), Some(401), "{wrong:?}");
        }
        assert_eq!(status(Some("s3cret"), Method::GET, &[]), Some(401));
    }

    #[test]
    fn without_a_token_the_host_must_be_this_machine() {
        let with = |host| status(None, Method::GET, &[("host", host)]);
        for own in [
            "127.0.0.1:9900",
            "localhost:9900",
            "LOCALHOST",
            "[::1]:9900",
            "127.8.8.8",
        ] {
            assert_eq!(with(own), None, "{own}");
        }
        for foreign in [
            "evil.example:9900",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a b",
        ] {
            assert_eq!(with(foreign), Some(403), "{foreign}");
        }
        assert_eq!(status(None, Method::GET, &[]), None);
    }

    #[test]
    fn foreign_origin_may_neither_write_nor_read() {
        let host = ("host", "localhost:9900");
        let with = |method, origin| status(None, method, &[host, ("origin", origin)]);
        assert_eq!(with(Method::PATCH, "http://localhost:9900"), None);
        for foreign in [
            "http://evil.example",
            "null",
            "http://localhost:1",
            "http://127.0.0.1:9900",
            "",
        ] {
            assert_eq!(with(Method::PATCH, foreign), Some(403), "{foreign}");
            assert_eq!(with(Method::POST, foreign), Some(403), "{foreign}");
            assert_eq!(with(Method::GET, foreign), None, "{foreign}");
        }
        assert_eq!(status(None, Method::PATCH, &[host]), None);
    }
}
