//! WebSockets over HTTP/2 (RFC 8441), bridged to an upgrade of HTTP/1.1.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper::ext::Protocol;

/// Makes an extended `CONNECT` for a WebSocket the `GET` that asks for the same in HTTP/1.1 (RFC 6455 4.1). Leaves other
/// requests as they are.
pub(in crate::live) fn ask<B>(request: &mut Request<B>) {
    let protocol = request.extensions().get::<Protocol>();
    if protocol.is_none_or(|protocol| protocol.as_str() != "websocket") {
        return;
    }
    // With it, hyper would send an extended CONNECT to a stack that speaks HTTP/2.
    request.extensions_mut().remove::<Protocol>();
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
    let key = HeaderValue::try_from(key).expect("base64 is a header value");
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
}

/// Makes the answer that switches protocols the one that a caller of HTTP/2 expects.
pub(in crate::live) fn grant<B>(answer: &mut Response<B>) {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        *answer.status_mut() = StatusCode::OK;
        answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    }
}
