//! Passes the primary's informational answers to the caller.

use super::expect_continue::GateHandle;
use crate::{
    heads::hop,
    ledger::Bound,
    live::{body::request::RequestBody, connection::Caller},
};
use http::{HeaderMap, Request, StatusCode};
use std::sync::Arc;

/// Passes on informational answers. `100 Continue` opens the gate if the caller waits for it, and hyper then sends it
/// to the caller. All others go to the caller unchanged through its writer handle; one without room is dropped.
pub(crate) fn pass_on(
    request: &mut Request<RequestBody>,
    caller: Option<&Arc<Caller>>,
    handle: Option<&GateHandle>,
) {
    let (caller, handle) = (caller.cloned(), handle.cloned());
    if caller.is_none() && handle.is_none() {
        return;
    }
    hyper::ext::on_informational(request, move |answer| {
        match (answer.status(), &handle, &caller) {
            (StatusCode::CONTINUE, Some(handle), _) => handle.open(),
            (status, _, Some(caller)) => {
                let head = head(status, answer.headers().clone());
                if !caller.writer.inform(&head, caller.limits.header_bytes) {
                    caller.gauges.bound_reached(Bound::Informational);
                }
            }
            _ => {}
        }
    });
}

fn head(status: StatusCode, mut headers: HeaderMap) -> Vec<u8> {
    hop::strip_informational(&mut headers);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
