//! Copies the answer to a sampled read while it streams to the caller.

use super::{
    body::response::{Origin, ResponseBody},
    problem::Problem,
};
use crate::pipeline::capture::Capture;
use http::Response;

/// Copies the answer while it streams, or ends the check if there is nothing to compare.
pub(super) fn begin(capture: Box<Capture>, answer: &mut Response<ResponseBody>) {
    let sent = match answer.body().origin {
        // The primary did not answer, and old did in its place.
        Origin::Stack(stack, _) if stack != capture.primary() => return capture.fail(),
        Origin::Stack(_, sent) => sent,
        Origin::Own(Problem::BadRequest | Problem::BodyTimeout) => return,
        Origin::Own(_) => return capture.fail(),
    };
    if let Some(capture) = capture.answered(answer.status(), answer.headers(), sent) {
        answer.body_mut().copy_for(capture);
    }
}
