//! Informational answers of the primary, on their way to the caller.

use super::{gate::Keeper, upload::Upload};
use crate::upstream::Line;
use http::{HeaderMap, Request, StatusCode};
use std::sync::Arc;

/// Passes on what the primary says before its answer: `100 Continue` opens the gate where the caller waits for it (hyper says it
/// to the caller then), everything else goes on the caller's line as it came.
pub(super) fn pass_on(
    request: &mut Request<Upload>,
    line: Option<&Arc<Line>>,
    keeper: Option<&Keeper>,
) {
    let (line, keeper) = (line.cloned(), keeper.cloned());
    if line.is_none() && keeper.is_none() {
        return;
    }
    hyper::ext::on_informational(request, move |answer| {
        match (answer.status(), &keeper, &line) {
            (StatusCode::CONTINUE, Some(keeper), _) => keeper.open(),
            (status, _, Some(line)) => line.inform(&head(status, answer.headers())),
            _ => {}
        }
    });
}

fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}
