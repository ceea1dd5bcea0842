//! Informational answers of the primary, on their way to the caller.

use super::{expect_continue::GateHandle, hop};
use crate::{
    ledger::Bound,
    live::{body::request::RequestBody, call::Caller},
};
use http::{HeaderMap, Request, StatusCode};
use std::sync::Arc;

/// Passes on what the primary says before its answer: `100 Continue` opens the gate where the caller waits for it (hyper says it
/// to the caller then), everything else goes on the caller's line as it came. One for which there is no room is dropped.
pub(crate) fn pass_on(
    request: &mut Request<RequestBody>,
    caller: Option<&Arc<Caller>>,
    keeper: Option<&GateHandle>,
) {
    let (caller, keeper) = (caller.cloned(), keeper.cloned());
    if caller.is_none() && keeper.is_none() {
        return;
    }
    hyper::ext::on_informational(request, move |answer| {
        match (answer.status(), &keeper, &caller) {
            (StatusCode::CONTINUE, Some(keeper), _) => keeper.open(),
            (status, _, Some(caller)) => {
                let head = head(status, answer.headers().clone());
                if !caller.line.inform(&head, caller.limits.header_bytes) {
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
