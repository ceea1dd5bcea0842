//! Asks a stack which files describe its services, with the guards of every request that no caller waits for.

use super::{
    context::{CheckContext, start_span},
    dual_read::{DualReader, PATIENCE},
    guarded_client::Instance,
    replay::{Failure, Purpose, Room},
};
use crate::{
    budget::Budget,
    compare::{Answer, BodyCopy},
    http_client::NoAnswer,
    outcome::Reason,
    pipeline::ReadRequest,
    stack::Stack,
    value::grpc::{self, MAX_BYTES, Reflected, Reflection, Unreflected},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{CONTENT_TYPE, TE},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time;

/// A weak handle to the shadow. Cheap to clone; it does not delay shutdown.
#[derive(Clone, Debug)]
pub(crate) struct Reflector(Weak<CheckContext>);

/// Why a stack describes nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReflectError {
    #[error("the process is ending")]
    Ending,
    /// A guard refused, with a reason of `not_compared`.
    #[error("not asked: {}", .0.name())]
    Refused(Reason),
    #[error("{0}")]
    NoAnswer(NoAnswer),
    #[error("not all was answered within {} s", WHOLE.as_secs())]
    TooLong,
    #[error("status {0}, and no gRPC")]
    NoGrpc(StatusCode),
    #[error("the call ended with {}", grpc::status_name(*.0))]
    Status(u32),
    #[error(transparent)]
    Unreflected(#[from] Unreflected),
}

/// The version that every implementation has, after the one that has replaced it.
const PATHS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

const UNIMPLEMENTED: u32 = 12;

/// How long all calls together may take.
const WHOLE: Duration = Duration::from_secs(60);

// === impl Reflector ===

impl Reflector {
    pub(super) fn new(context: &Arc<CheckContext>) -> Self {
        Self(Arc::downgrade(context))
    }

    /// Asks `stack`, whose answers `budget` accounts for. Call it on the shadow's threads.
    ///
    /// # Errors
    /// [`ReflectError`].
    pub(crate) async fn ask(
        &self,
        stack: Stack,
        primary: Stack,
        budget: &Budget,
    ) -> Result<Reflected, ReflectError> {
        let context = self.0.upgrade().ok_or(ReflectError::Ending)?;
        let asking = async {
            match reflect(&context, (stack, primary), budget, PATHS[0]).await {
                Err(ReflectError::Status(UNIMPLEMENTED)) => {
                    reflect(&context, (stack, primary), budget, PATHS[1]).await
                }
                reflected => reflected,
            }
        };
        let asked = time::timeout(WHOLE, asking).await;
        asked.unwrap_or(Err(ReflectError::TooLong))
    }
}

async fn reflect(
    context: &CheckContext,
    (stack, primary): (Stack, Stack),
    budget: &Budget,
    path: &'static str,
) -> Result<Reflected, ReflectError> {
    let mut reflection = Reflection::default();
    while let Some(body) = reflection.next() {
        let request = call(path, body);
        let settings = context.handles.settings.get();
        let mut span = start_span(&request, &settings);
        // Nobody reports it.
        span.own.flags = 0;
        let reader = DualReader {
            context,
            settings: &settings,
            request: &request,
            span: &span,
        };
        let client = context.clients.again(primary, Instance::Own)[stack as usize];
        let permit = client.admit_within(PATIENCE, &settings).await;
        let permit = permit.map_err(ReflectError::Refused)?;
        let _slot = reader.slot().await;
        let room = Room {
            max_body: MAX_BYTES,
            held: &mut budget.share(),
            expected: Bytes::new(),
            rival: None,
        };
        let read = reader.read(permit, Purpose::Reflection, room).await;
        reflection.take(&messages(&read?.answer)?)?;
    }
    Ok(reflection.finish())
}

/// The protocol has a stream of questions; all that a round asks is sent at once.
fn call(path: &'static str, body: Bytes) -> ReadRequest {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
        (TE, HeaderValue::from_static("trailers")),
    ];
    ReadRequest {
        method: Method::POST,
        uri: Uri::from_static(path),
        headers: HeaderMap::from_iter(headers),
        body,
    }
}

fn messages(answer: &Answer) -> Result<Vec<Bytes>, ReflectError> {
    match grpc::status(&answer.headers, &answer.trailers) {
        None => return Err(ReflectError::NoGrpc(answer.status)),
        Some(0) => {}
        Some(code) => return Err(ReflectError::Status(code)),
    }
    let BodyCopy::Whole(body) = &answer.body else {
        return Err(Unreflected::TooLarge.into());
    };
    let messages = grpc::frames(body, &grpc::coding(&answer.headers), MAX_BYTES);
    messages.map_err(|why| match why {
        grpc::Unreadable::TooLarge => Unreflected::TooLarge.into(),
        _ => Unreflected::Malformed.into(),
    })
}

// === impl ReflectError ===

impl From<Failure> for ReflectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer(why) => Self::NoAnswer(why),
            Failure::MemoryFull => Self::Refused(Reason::MemoryFull),
            Failure::NoRoom => Self::Refused(Reason::OverBudget),
        }
    }
}
