//! A read that the old stack answers because the new one does not.

use super::{body::request::RequestBody, connection::Call, problem};
use crate::{
    http_client::{Error, Health, NoAnswer, PooledBody},
    stack::Stack,
};
use bytes::Bytes;
use http::Response;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::{self, Sleep};

/// A read that the old stack answers if the new one does not.
#[derive(Debug)]
pub(super) struct RescuableRead {
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
}

/// What the new stack said to a read that it failed, and when that was sent to it. `None` if nothing came.
pub(super) struct FailedRead(pub(super) Option<(Response<PooledBody<RequestBody>>, Instant)>);

pub(super) type Answered = Result<Response<PooledBody<RequestBody>>, Error>;

/// Bytes of an answer to read for nobody.
const MAX_READ_OUT: usize = 64 << 10;

/// How long that may take.
const READ_OUT_TIME: Duration = Duration::from_secs(1);

// === impl RescuableRead ===

impl RescuableRead {
    /// `None` if the read may not be sent to another stack, or cannot be.
    pub(super) fn of(call: &Call) -> Option<Box<Self>> {
        let rescue = &call.live.serve.rescue;
        let is_whole = call.request.body().is_end_stream();
        let may_be = rescue.enabled && call.is_read && is_whole && call.primary == Stack::New;
        // Who asks for a stack wants to see what that says.
        (may_be && call.asked.stack.is_none()).then(|| {
            Box::new(Self {
                timeout: rescue.timeout,
                timer: Box::pin(time::sleep(rescue.timeout)),
            })
        })
    }

    /// Whether the new stack has failed.
    pub(super) fn is_due(&mut self, answer: &Poll<Answered>, cx: &mut Context<'_>) -> bool {
        match answer {
            Poll::Ready(Ok(answer)) => matches!(answer.status().as_u16(), 502..=504),
            Poll::Ready(Err(error)) => error.why().is_some(),
            Poll::Pending => self.timer.as_mut().poll(cx).is_ready(),
        }
    }
}

// === impl FailedRead ===

impl FailedRead {
    /// `health` is that of the new stack; a pending answer has not come in time.
    pub(super) fn new(
        rescue: &RescuableRead,
        health: &Health,
        answer: Poll<Answered>,
        sent: Instant,
    ) -> Self {
        match answer {
            Poll::Ready(Ok(answer)) => {
                health.answered();
                return Self(Some((answer, sent)));
            }
            Poll::Ready(Err(error)) => {
                let _ = problem::of(&error, Stack::New, health);
            }
            Poll::Pending => health.failed(NoAnswer::Timeout(rescue.timeout), None),
        }
        Self(None)
    }
}

/// Reads the rest of an answer that nobody gets, so that its connection can be used again. Gives up on a long or slow one.
pub(super) async fn read_out(mut body: PooledBody<RequestBody>) {
    let mut left = MAX_READ_OUT;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
                return;
            };
            left = rest;
        }
    };
    // Past the time, dropping the body closes its connection.
    let _ = time::timeout(READ_OUT_TIME, read).await;
}
