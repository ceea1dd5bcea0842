//! Envoy's external processing in observability mode: one gRPC stream shows one request, and its answer.
//!
//! Nothing is ever sent back but the end of the stream. It ends with the answer, or after the request's head if nothing
//! is checked, because every open stream counts against a limit in Envoy. What still comes is read and dropped, since
//! unread messages could hold up what Envoy sends to its caller.

mod exchange;
mod messages;

use super::{requests::Intake, silence::Open};
use bytes::Bytes;
use exchange::{Exchange, Next};
use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use messages::ProcessingRequest;
use std::{error::Error as _, sync::Arc};
use tokio::{sync::oneshot, time};
use tonic::{Code, Status, codec::Streaming};
use tonic_prost::ProstDecoder;

const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// Of one message: what servers of gRPC take. Envoy sends about 1 MiB of a body at once.
const MAX_MESSAGE: usize = 4 << 20;

/// Reads one stream. The answer comes when nothing more of it is needed.
pub(super) async fn answer(
    intake: Arc<Intake>,
    request: Request<Incoming>,
    open: Open,
) -> Response<Empty<Bytes>> {
    if request.method() != Method::POST || request.uri().path() != PATH {
        return Status::unimplemented("only ExternalProcessor.Process is served").into_http();
    }
    let (close, closed) = oneshot::channel();
    // A task of its own, because it goes on after the answer.
    tokio::spawn(read(intake, request.into_body(), close, open));
    let status = closed.await.unwrap_or_else(|_| Status::ok(""));
    status.into_http()
}

async fn read(intake: Arc<Intake>, body: Incoming, close: oneshot::Sender<Status>, _open: Open) {
    let stall = intake.body_stall;
    let decoder = ProstDecoder::default();
    let mut messages = Streaming::new_request(decoder, body, None, Some(MAX_MESSAGE));
    let status = observe(&mut messages, Exchange::new(intake)).await;
    // Fails if Envoy has given the stream up.
    let _ = close.send(status);
    let rest = async { while let Ok(Some(_)) = messages.message().await {} };
    if time::timeout(stall, rest).await.is_err() {
        tracing::debug!("Envoy kept a stream of external processing open after its end");
    }
}

/// Follows one request until it is over. The status is the one for Envoy.
async fn observe(messages: &mut Streaming<ProcessingRequest>, mut exchange: Exchange) -> Status {
    loop {
        match messages.message().await {
            Ok(Some(message)) => match exchange.observe(message) {
                Next::More => {}
                Next::Close => return Status::ok(""),
            },
            Ok(None) => return Status::ok(""),
            Err(status) => {
                match status.code() {
                    Code::OutOfRange => exchange.is_too_large(),
                    // What breaks off has a cause below gRPC.
                    Code::Internal if status.source().is_none() => exchange.is_malformed(),
                    _ => tracing::debug!(%status, "a stream of external processing broke off"),
                }
                return status;
            }
        }
    }
}
