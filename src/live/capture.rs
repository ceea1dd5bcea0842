//! Copies the answer to a sampled read while it streams to the caller.

use super::{
    body::response::{Origin, ResponseBody},
    problem::Problem,
};
use crate::pipeline::capture::Capture;
use http::Response;

/// Copies the answer while it streams, or ends the check if there is nothing to compare.
pub(super) fn begin(capture: Box<Capture>, answer: &mut Response<ResponseBody>) {
    let (stack, sent) = match answer.body().origin {
        Origin::Stack(stack, sent) => (stack, sent),
        Origin::Own(Problem::BadRequest | Problem::BodyTimeout) => return,
        Origin::Own(_) => return capture.fail(),
    };
    if let Some(capture) = capture.answered(answer.status(), answer.headers(), (stack, sent)) {
        answer.body_mut().copy_for(capture);
    }
}
