//! A stack that speaks HTTP/2 next to one that does not: nothing of that is a difference.

use super::{
    MATCH,
    harness::{Read, Shadow},
    settings,
};
use crate::support::{Stack, client, client_of, http2::Http2Stack, target, until};
use bytes::Bytes;
use http::Response;
use twinread::{
    compare::compare_within,
    outcome::{Outcome, ShadowError},
};

#[tokio::test]
async fn the_protocol_is_no_difference() {
    let old = Stack::nobody();
    let new = Http2Stack::start(|request, mut respond, seen| async move {
        seen.note(&format!(
            "{} {:?}",
            request.uri(),
            request.headers().get("x-twinread").unwrap()
        ));
        let answer = Response::builder().header("content-type", "application/json");
        let mut stream = respond
            .send_response(answer.body(()).unwrap(), false)
            .unwrap();
        stream.send_data(Bytes::from_static(b"{}"), true).unwrap();
    })
    .await;
    let mut http2 = target(new.addr);
    http2.http2 = true;
    let clients = (client("old", old), client_of("new", http2), None);
    let shadow = Shadow::of(clients, settings(), compare_within);
    for _ in 0..3 {
        let read = Read {
            headers: vec![("host", "shop"), ("transfer-encoding", "chunked")],
            answer: "{}",
            answer_headers: vec![
                ("connection", "keep-alive"),
                ("transfer-encoding", "chunked"),
            ],
            ..Read::new()
        };
        assert_eq!(shadow.check(&read).await, MATCH);
    }
    assert_eq!(new.connections(), 1);
    assert_eq!(
        new.count("http://shop/x \"shadow\""),
        3,
        "{:?}",
        new.notes()
    );
}

#[tokio::test]
async fn a_reset_is_a_shadow_error() {
    let new = Http2Stack::start(|_, mut respond, seen| async move {
        seen.note("request");
        respond.send_reset(h2::Reason::REFUSED_STREAM);
    })
    .await;
    let mut http2 = target(new.addr);
    http2.http2 = true;
    let clients = (
        client("old", Stack::nobody()),
        client_of("new", http2),
        None,
    );
    let shadow = Shadow::of(clients, settings(), compare_within);
    let outcome = shadow.check(&Read::new()).await;
    assert_eq!(outcome, Outcome::ShadowError(ShadowError::Reset));
    until("the request", || new.count("request") == 1).await;
}
