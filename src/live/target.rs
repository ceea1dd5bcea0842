//! The target of a caller's request.

use super::problem::Problem;
use http::{Method, Request, Uri};

/// A target has a path, or is `*` for OPTIONS (RFC 9112 3.2).
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let uri = request.uri();
    match *request.method() {
        Method::CONNECT => Err(Problem::Connect),
        Method::OPTIONS if uri.path() == "*" => Ok(()),
        _ if uri.path().starts_with('/') && is_http_or_origin(uri) => Ok(()),
        _ => Err(Problem::BadTarget),
    }
}

fn is_http_or_origin(uri: &Uri) -> bool {
    match uri.scheme_str() {
        None => uri.authority().is_none(),
        Some(scheme) => scheme == "http" || scheme == "https",
    }
}
