//! Callers that speak HTTP/2, and stacks that do not.

use crate::support::{
    Conn, LivePath, Stack,
    http2::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2Caller, PING,
        PREFACE, RST_STREAM, RawFrame, SETTINGS, WINDOW_UPDATE, block, pattern, raw, text, whole,
    },
    until, within,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use twinread::{
    outcome::{Outcome, Reason},
    testing::ledger::{Bound, LiveFailure},
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);
const URI: &str = "http://shop/a%20b?c=d";

/// `GET http://shop/` as a header block.
const GET: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "shop"),
    (":path", "/"),
];

/// Bytes that are not all alike.
/// A request without a body, in one frame.
fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    RawFrame::new(HEADERS, END_HEADERS | END_STREAM, stream, block(fields)).bytes()
}

async fn raw_caller(sidecar: &LivePath) -> Conn {
    raw(sidecar.addr).await
}

/// The error code of the reset of a stream.
async fn reset_of(caller: &mut Conn, stream: u32) -> Option<u8> {
    while let Some(frame) = RawFrame::next(caller).await {
        if frame.kind == RST_STREAM && frame.stream == stream {
            return Some(frame.payload[3]);
        }
    }
    None
}

#[tokio::test]
async fn a_request_passes_in_the_terms_of_http_1() {
    let stack = Stack::answering(
        "HTTP/1.1 201 Made\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n\
         X-A: 1\r\nX-A: 2\r\nDate: now\r\nContent-Length: 2\r\n\r\nok",
    );
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let request = Request::post(URI)
        .header("cookie", "a=1")
        .header("te", "trailers")
        .header("x-b", "")
        .header("cookie", "b=2");
    let answer = caller.post(request, b"body").await;

    assert_eq!(answer.status(), 201);
    let headers: Vec<_> = answer.headers().iter().collect();
    let expected = [
        ("x-a", "1"),
        ("x-a", "2"),
        ("date", "now"),
        ("content-length", "2"),
    ];
    let found: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(text(answer).await, "ok");

    let request = stack.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /a%20b?c=d HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cookie: a=1; b=2",
            "host: shop",
            "te: trailers",
            "transfer-encoding: chunked",
            "x-b: "
        ]
    );
    assert_eq!(body, "4\r\nbody\r\n0\r\n\r\n");
}

#[tokio::test]
async fn bodies_of_all_sizes_pass_both_ways() {
    let stack = Stack::script(|mut conn, seen| async move {
        while let Some(request) = seen.message(&mut conn).await {
            let body = request.split_once("\r\n\r\n").unwrap().1;
            let body: Vec<_> = body.chars().map(|c| c as u8).collect();
            let framing = if request.contains("/chunked") {
                "Transfer-Encoding: chunked".to_owned()
            } else {
                format!("Content-Length: {}", body.len())
            };
            conn.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n"))
                .await;
            conn.write(body).await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    for size in [0, 1, 2, 9, 16_384, 65_535, 65_536, 300_000, 1 << 20] {
        let sent = pattern(size);
        for (path, length) in [("/chunked", None), ("/counted", Some(size))] {
            let mut request = Request::post(format!("http://shop{path}"));
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let (answer, mut stream) = caller.begin(request).await;
            let piece = Bytes::from(sent.clone());
            let sending = tokio::spawn(async move {
                for at in (0..piece.len()).step_by(10_000) {
                    let end = (at + 10_000).min(piece.len());
                    stream.send_data(piece.slice(at..end), false).unwrap();
                    tokio::task::yield_now().await;
                }
                stream.send_data(Bytes::new(), true).unwrap();
            });
            let answer = within("an answer", answer).await.unwrap();
            let (received, _) = whole(&mut answer.into_body()).await.unwrap();
            assert!(received == sent, "{size} {path}: {} bytes", received.len());
            sending.await.unwrap();
        }
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let stack = Stack::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\nhost: x\r\n\r\n",
    );
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let (answer, mut stream) = caller.begin(Request::post(URI)).await;
    stream
        .send_data(Bytes::from_static(b"body"), false)
        .unwrap();
    let trailers = [("x-u", "2")]
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
    let trailers: HeaderMap = trailers.into_iter().collect();
    stream.send_trailers(trailers).unwrap();
    let mut answer = within("an answer", answer).await.unwrap().into_body();
    let (body, trailers) = whole(&mut answer).await.unwrap();
    assert_eq!(body, b"ok");
    let trailers = trailers.unwrap();
    assert_eq!(
        (trailers.len(), &trailers["x-t"]),
        (1, &HeaderValue::from_static("1"))
    );
    assert!(stack.requests()[0].ends_with("\r\n\r\n4\r\nbody\r\n0\r\nx-u: 2\r\n\r\n"));
}

#[tokio::test]
async fn answers_without_a_body_keep_their_length() {
    let stack = Stack::start(|request| {
        let status = request.split(['/', ' ']).nth(2).unwrap().to_owned();
        let length = match &*status {
            "204" => "",
            _ => "Content-Length: 7\r\n",
        };
        let answer = format!("HTTP/1.1 {status} X\r\n{length}X-A: 1\r\n\r\n");
        crate::support::Reply::Write(answer)
    });
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    for (method, status, length) in [
        (Method::HEAD, 200, Some("7")),
        (Method::GET, 304, Some("7")),
        (Method::HEAD, 304, Some("7")),
        (Method::GET, 204, None),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://shop/{status}"));
        let mut answer = caller.ask(request).await.unwrap();
        assert_eq!(answer.status(), status);
        let found = answer.headers().get("content-length");
        assert_eq!(
            found.map(|length| length.to_str().unwrap()),
            length,
            "{status}"
        );
        assert_eq!(whole(answer.body_mut()).await.unwrap(), (vec![], None));
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn informational_answers_are_dropped() {
    let stack = Stack::answering(format!(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{OK}"
    ));
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let request = Request::post(URI).header("expect", "100-continue");
    assert_eq!(text(caller.post(request, b"body").await).await, "ok");
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::BadRequest), 0);
}

#[tokio::test]
async fn the_preface_may_come_in_pieces() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for byte in PREFACE {
        caller.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    caller.send(RawFrame::new(SETTINGS, 0, 0, "").bytes()).await;
    caller.send(head(1, &GET)).await;
    loop {
        let frame = RawFrame::next(&mut caller).await.expect("an answer");
        if frame.kind == DATA {
            assert_eq!((frame.stream, &frame.payload[..]), (1, &b"ok"[..]));
            break;
        }
    }
    for begin in ["P", "PR", "PRI", "PRI ", "PRI * HTTP/2.0\r\n\r\nS"] {
        let mut caller = sidecar.caller().await;
        caller.send(begin).await;
        tokio::task::yield_now().await;
        caller.send("OST / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = caller.message().await;
        // Without a blank, it is the beginning of some method.
        let expected = if begin.contains(' ') {
            " 400 "
        } else {
            " 200 "
        };
        assert!(answer.contains(expected), "{begin} {answer}");
    }
}

#[tokio::test]
async fn a_slow_reader_of_one_stream_holds_up_no_other() {
    let stack = Stack::start(|request| {
        let body = if request.starts_with("GET /large") {
            "x".repeat(4 << 20)
        } else {
            "ok".to_owned()
        };
        crate::support::Reply::Write(crate::support::answer("200 OK", &body))
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(16 << 20);
    let caller = Http2Caller::open_with(sidecar.addr, &builder).await;
    let mut untaken = Vec::new();
    for _ in 0..3 {
        let answer = caller.get("http://shop/large").await;
        untaken.push(answer.into_body());
    }
    for _ in 0..50 {
        let answer = caller.get("http://shop/small").await;
        assert_eq!(answer.status(), 200);
    }
    let (rest, _) = whole(&mut untaken[0]).await.unwrap();
    assert_eq!(rest.len(), 4 << 20);
}

#[tokio::test]
async fn an_upload_that_nobody_takes_holds_up_no_other() {
    let stack = Stack::script(|mut conn, seen| async move {
        while let Some(head) = conn.head().await {
            if head.starts_with("POST /untaken") {
                seen.note("untaken");
                return std::future::pending().await;
            }
            conn.body_of(&head).await;
            conn.write(OK).await;
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let mut untaken = Vec::new();
    for _ in 0..8 {
        let (answer, mut stream) = caller.begin(Request::post("http://shop/untaken")).await;
        stream
            .send_data(Bytes::from(vec![0; 32 << 20]), false)
            .unwrap();
        untaken.push((answer, stream));
    }
    until("the uploads", || stack.requests().len() == 8).await;
    // Meanwhile, the others fill what the sockets take.
    for _ in 0..20 {
        let request = Request::post("http://shop/");
        let answer = caller.post(request, &pattern(1 << 20)).await;
        assert_eq!(text(answer).await, "ok");
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_at_the_primary() {
    let stack = Stack::script(|mut conn, seen| async move {
        let head = conn.head().await.unwrap();
        seen.note("begun");
        if head.starts_with("GET /stream") {
            conn.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
                .await;
        }
        conn.closed().await;
        seen.note("ended");
    });
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let ended = || {
        stack
            .requests()
            .iter()
            .filter(|note| *note == "ended")
            .count()
    };

    let (answer, mut stream) = caller.begin(Request::get("http://shop/wait")).await;
    until("the request", || {
        stack.requests().iter().any(|note| note == "begun")
    })
    .await;
    stream.send_reset(h2::Reason::CANCEL);
    assert!(within("its end", answer).await.is_err());
    until("the end at the primary", || ended() == 1).await;

    let answer = caller.get("http://shop/stream").await;
    drop(answer);
    until("the end at the primary", || ended() == 2).await;

    let answer = caller.get("http://shop/stream").await;
    caller.connection.abort();
    until("the end at the primary", || ended() == 3).await;
    drop(answer);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset() {
    let stack = Stack::replying(crate::support::Reply::Close(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_owned(),
    ));
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let mut answer = caller.get(URI).await.into_body();
    let error = whole(&mut answer).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::Truncated), 1);

    let nobody = LivePath::before(Stack::nobody()).await;
    let caller = Http2Caller::open(nobody.addr).await;
    let answer = caller.get(URI).await;
    assert_eq!(answer.status(), 502);
    assert!(text(answer).await.contains("\"cause\":\"connect\""));
}

/// What hyper refuses by a reset, and what we refuse.
#[tokio::test]
async fn malformed_requests_reach_no_stack() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let resets: &[&[(&str, &str)]] = &[
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "websocket")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "1")],
        &[("te", "gzip")],
        &[(":path", "/again")],
        &[("x-a", "1"), (":path", "/late")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
        &[("content-length", "5")],
        &[("content-length", "+0")],
        &[("content-length", "0"), ("content-length", "1")],
    ];
    let mut caller = raw_caller(&sidecar).await;
    let mut stream = 1;
    for fields in resets {
        let fields = [&GET[..], fields].concat();
        caller.send(head(stream, &fields)).await;
        assert_eq!(reset_of(&mut caller, stream).await, Some(1), "{fields:?}");
        stream += 2;
    }
    let without =
        |gone: &str| -> Vec<_> { GET.into_iter().filter(|(name, _)| *name != gone).collect() };
    for gone in [":method", ":scheme", ":path"] {
        caller.send(head(stream, &without(gone))).await;
        assert_eq!(reset_of(&mut caller, stream).await, Some(1), "{gone}");
        stream += 2;
    }
    assert_eq!(
        sidecar.gauges.live_failures(LiveFailure::BadRequest),
        resets.len() as u64 + 3
    );
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn contradictions_are_a_400() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let contradictions = [
        Request::get("http://shop/").header("host", "other"),
        Request::get("http://shop/").header("host", "shop:81"),
        Request::get("http://shop/")
            .header("host", "shop")
            .header("host", "shop"),
        Request::get("http://me@shop/"),
        Request::get("http://shop/").header("x-a", " b"),
        Request::get("http://shop/").header("x-a", "b "),
        Request::get("ftp://shop/"),
    ];
    let count = contradictions.len() as u64;
    for request in contradictions {
        let what = format!("{request:?}");
        let answer = caller.ask(request).await.unwrap();
        assert_eq!(answer.status(), 400, "{what}");
    }
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::BadRequest), count);
    assert_eq!(
        caller
            .ask(Request::get("http://shop/").header("host", "SHOP:80"))
            .await
            .unwrap()
            .status(),
        200
    );
    let connect = Request::builder().method(Method::CONNECT).uri("shop:80");
    assert_eq!(caller.ask(connect).await.unwrap().status(), 405);
    assert_eq!(stack.requests().len(), 1);
}

/// Values that no header may have end the connection, since they leave the compression of both sides apart.
#[tokio::test]
async fn line_ends_in_values_end_the_connection() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    for (name, value) in [
        ("x-a", "b\r\nx-c: d"),
        ("x-a", "b\n"),
        ("x-a", "\0"),
        ("X-A", "b"),
        ("x a", "b"),
        ("x-a\r\nx-b", "c"),
        ("", "b"),
        (":path", "/ b"),
        (":path", "/\r\nx: y"),
        (":authority", "a b"),
    ] {
        let mut caller = raw_caller(&sidecar).await;
        let mut fields = GET.to_vec();
        match fields.iter().position(|(known, _)| *known == name) {
            Some(known) => fields[known] = (name, value),
            None => fields.push((name, value)),
        }
        caller.send(head(1, &fields)).await;
        let reset = reset_of(&mut caller, 1);
        if name.starts_with(':') {
            assert_eq!(reset.await, Some(1), "{name:?} {value:?}");
        } else {
            // Or the connection ends.
            let reset = reset.await;
            assert!(
                matches!(reset, None | Some(1)),
                "{name:?} {value:?} {reset:?}"
            );
        }
    }
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn floods_of_frames_without_a_message_end_the_connection() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::before(stack.addr).await;
    let mut reached = 0;
    let other = Http2Caller::open(sidecar.addr).await;
    let post = RawFrame::new(HEADERS, END_HEADERS, 1, block(&GET)).bytes();
    let open = RawFrame::new(HEADERS, END_STREAM, 1, block(&GET)).bytes();
    for (begin, flood) in [
        (&b""[..], RawFrame::new(PING, 0, 0, [0; 8])),
        (b"", RawFrame::new(SETTINGS, 0, 0, "")),
        (b"", RawFrame::new(PING, ACK, 0, [0; 8])),
        (b"", RawFrame::new(2, 0, 1, [0, 0, 0, 3, 0])),
        (b"", RawFrame::new(77, 0, 0, "")),
        (b"", RawFrame::new(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1])),
        (&post, RawFrame::new(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1])),
        (&post, RawFrame::new(DATA, 0, 1, "")),
        (&open, RawFrame::new(CONTINUATION, 0, 1, "")),
    ] {
        let mut caller = raw_caller(&sidecar).await;
        caller.send(begin).await;
        let flood_bytes = flood.bytes().repeat(100);
        for _ in 0..100 {
            if !caller.try_send(&flood_bytes).await {
                break;
            }
            assert_eq!(text(other.get(URI).await).await, "ok");
        }
        caller.closed().await;
        reached += 1;
        assert_eq!(
            sidecar.gauges.bounds_reached(Bound::Frames),
            reached,
            "{flood:?}"
        );
    }
}

#[tokio::test]
async fn requests_given_up_at_once_end_the_connection() {
    let stack = Stack::script(|mut conn, _| async move { conn.closed().await });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = raw_caller(&sidecar).await;
    for index in 0..2_000 {
        let stream = 2 * index + 1;
        let reset = RawFrame::new(RST_STREAM, 0, stream, [0, 0, 0, 8]).bytes();
        if !caller.try_send([head(stream, &GET), reset].concat()).await {
            break;
        }
    }
    caller.closed().await;
    assert_eq!(sidecar.gauges.bounds_reached(Bound::Frames), 1);
}

/// Each makes us give up a request that the caller does not (CVE-2025-8671). Only the first leaves the connection open.
#[tokio::test]
async fn requests_that_we_must_give_up_end_the_connection() {
    let stack = Stack::script(|mut conn, _| async move { conn.closed().await });
    let sidecar = LivePath::before(stack.addr).await;
    let faults: [fn(u32) -> RawFrame; 4] = [
        |stream| RawFrame::new(WINDOW_UPDATE, 0, stream, [0x7f, 255, 255, 255]),
        |stream| RawFrame::new(WINDOW_UPDATE, 0, stream, [0; 4]),
        |stream| RawFrame::new(DATA, END_STREAM, stream, "more"),
        |stream| RawFrame::new(HEADERS, END_HEADERS | END_STREAM, stream, block(&GET)),
    ];
    for fault in faults {
        let mut caller = raw_caller(&sidecar).await;
        let mut begun = 0;
        loop {
            let stream = 2 * begun + 1;
            let request = [head(stream, &GET), fault(stream).bytes()].concat();
            if !caller.try_send(request).await {
                break;
            }
            begun += 1;
            assert!(begun < 2_000, "the connection goes on");
        }
        caller.closed().await;
        assert_eq!(sidecar.gauges.bounds_reached(Bound::Frames), 1);
    }
}

#[tokio::test]
async fn streams_past_the_limit_are_refused_and_counted() {
    let stack = Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        conn.closed().await;
    });
    let plan = LivePath::plan(stack.addr, stack.addr);
    let sidecar = plan
        .limits(|limits| limits.streams = NonZeroU32::new(2).unwrap())
        .start()
        .await;
    let mut caller = raw_caller(&sidecar).await;
    for stream in [1, 3, 5] {
        caller.send(head(stream, &GET)).await;
    }
    assert_eq!(reset_of(&mut caller, 5).await, Some(7));
    assert_eq!(sidecar.gauges.bounds_reached(Bound::Streams), 1);
    until("two requests", || stack.requests().len() == 2).await;
}

#[tokio::test]
async fn heads_past_the_limits_are_a_431() {
    let stack = Stack::answering(OK);
    let plan = LivePath::plan(stack.addr, stack.addr);
    let sidecar = plan
        .limits(|limits| limits.header_bytes = 8 << 10)
        .start()
        .await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let long = Request::get(URI).header("x-a", "a".repeat(9 << 10));
    assert_eq!(caller.ask(long).await.unwrap().status(), 431);
    let long = Request::get(format!("http://{}/", "a".repeat(9 << 10)));
    assert_eq!(caller.ask(long).await.unwrap().status(), 431);
    let mut many = Request::get(URI);
    for _ in 0..101 {
        many = many.header("x", "y");
    }
    assert_eq!(caller.ask(many).await.unwrap().status(), 431);
    assert_eq!(sidecar.gauges.bounds_reached(Bound::Headers), 3);
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::Limit), 3);
    assert_eq!(caller.get(URI).await.status(), 200);
}

/// Every time limit is [`SHORT`].
async fn short(stack: &Stack) -> LivePath {
    let plan = LivePath::plan(stack.addr, stack.addr).limits(|limits| {
        limits.head_timeout = SHORT;
        limits.idle_timeout = SHORT;
        limits.body_stall = SHORT;
    });
    plan.start().await
}

#[tokio::test]
async fn a_caller_that_keeps_us_waiting_is_let_go() {
    let stack = Stack::answering(OK);
    let sidecar = short(&stack).await;
    let open = RawFrame::new(HEADERS, END_STREAM, 1, block(&GET)).bytes();
    let more = RawFrame::new(CONTINUATION, 0, 1, "").bytes();
    let half = RawFrame::new(PING, 0, 0, [0; 8]).bytes()[..12].to_vec();
    for (reached, begin) in [(1, &b""[..]), (2, &b"PRI"[..]), (3, PREFACE)] {
        let mut caller = sidecar.caller().await;
        caller.send(begin).await.closed().await;
        assert_eq!(sidecar.gauges.bounds_reached(Bound::HeadTimeout), reached);
    }
    for (reached, begin) in [(4, &open), (5, &[open.clone(), more].concat()), (6, &half)] {
        let mut caller = raw_caller(&sidecar).await;
        caller.send(begin).await.closed().await;
        assert_eq!(sidecar.gauges.bounds_reached(Bound::HeadTimeout), reached);
    }
    assert_eq!(stack.connections(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_ended_by_goaway() {
    let stack = Stack::answering(OK);
    let sidecar = short(&stack).await;
    let mut caller = raw_caller(&sidecar).await;
    caller.send(head(1, &GET)).await;
    let frames = RawFrame::rest(&mut caller).await;
    assert!(
        frames.iter().any(|frame| frame.kind == GOAWAY),
        "{frames:?}"
    );
    assert_eq!(sidecar.gauges.bounds_reached(Bound::IdleTimeout), 1);

    // One that answers the ping sees the second GOAWAY, and no error.
    let caller = Http2Caller::open(sidecar.addr).await;
    assert_eq!(text(caller.get(URI).await).await, "ok");
    within("the end", caller.connection).await.unwrap().unwrap();
    assert_eq!(sidecar.gauges.bounds_reached(Bound::IdleTimeout), 2);
}

#[tokio::test]
async fn half_a_body_is_a_408_unless_it_is_grpc() {
    let stack = Stack::script(|mut conn, seen| async move {
        let head = conn.head().await.unwrap();
        if head.contains("grpc") {
            until("the test", || seen.has("go on")).await;
            conn.write(OK).await;
        }
        conn.closed().await;
    });
    let sidecar = short(&stack).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let grpc = Request::post(URI).header("content-type", "application/grpc+proto");
    let (waiting, _silent) = caller.begin(grpc).await;
    let (answer, mut stream) = caller.begin(Request::post(URI)).await;
    stream
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    let answer = within("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(sidecar.gauges.bounds_reached(Bound::BodyStall), 1);
    stack.note("go on");
    assert_eq!(within("an answer", waiting).await.unwrap().status(), 200);
}

/// RFC 8441 4.
fn websocket(path: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://shop{path}"))
        .extension(h2::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
}

/// Grants upgrades, but at `/refused` and `/ignored`.
fn upgrading() -> Stack {
    Stack::script(|mut conn, seen| async move {
        let request = seen.message(&mut conn).await.unwrap();
        if request.starts_with("GET /ignored") {
            conn.write(OK).await;
            return;
        }
        if request.starts_with("GET /refused") {
            conn.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                .await;
            return;
        }
        conn.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello",
        )
        .await;
        let bytes = conn.read_bytes(4).await;
        conn.write(bytes).await;
        seen.note(&conn.rest().await);
    })
}

#[tokio::test]
async fn a_websocket_becomes_an_upgrade() {
    let stack = upgrading();
    let plan = LivePath::plan(stack.addr, stack.addr).sample_all();
    let sidecar = plan
        .limits(|limits| limits.idle_timeout = SHORT)
        .start()
        .await;
    let caller = Http2Caller::open(sidecar.addr).await;
    // The settings are there once something was answered.
    assert_eq!(
        caller.ask(websocket("/refused")).await.unwrap().status(),
        403
    );
    assert!(caller.tx.is_extended_connect_protocol_enabled());
    assert_eq!(
        caller.ask(websocket("/ignored")).await.unwrap().status(),
        502
    );

    let (answer, mut stream) = caller.begin(websocket("/ws?a")).await;
    let answer = within("an answer", answer).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert!(!answer.headers().contains_key("sec-websocket-accept"));
    let mut body = answer.into_body();
    assert_eq!(within("data", body.data()).await.unwrap().unwrap(), "hello");
    // No tunnel is idle.
    tokio::time::sleep(3 * SHORT).await;
    stream
        .send_data(Bytes::from_static(b"ping"), false)
        .unwrap();
    assert_eq!(within("data", body.data()).await.unwrap().unwrap(), "ping");
    stream.send_data(Bytes::from_static(b"end"), true).unwrap();
    assert_eq!(whole(&mut body).await.unwrap(), (vec![], None));
    until("the end", || {
        stack.requests().iter().any(|note| note == "end")
    })
    .await;

    let request = stack.requests()[2].to_lowercase();
    assert!(request.starts_with("get /ws?a http/1.1\r\n"), "{request}");
    for line in [
        "host: shop",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
    ] {
        assert!(
            request.contains(&format!("{line}\r\n")),
            "{line} in {request}"
        );
    }
    assert!(request.contains("sec-websocket-key: "), "{request}");
    let streaming = Outcome::NotCompared(Reason::Streaming);
    until("its outcome", || sidecar.outcomes(streaming) == 1).await;
}

#[tokio::test]
async fn a_drain_loses_no_request() {
    let stack = Stack::script(|mut conn, seen| async move {
        while seen.message(&mut conn).await.is_some() {
            conn.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
                .await;
            until("the drain", || seen.has("draining")).await;
            conn.write("lf").await;
        }
    });
    let mut sidecar = LivePath::before(stack.addr).await;
    let idle = Http2Caller::open(sidecar.addr).await;
    let untouched = sidecar.caller().await;
    let busy = Http2Caller::open(sidecar.addr).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(busy.get(URI).await);
    }
    let drained = sidecar.drain();
    within("the end", idle.connection).await.unwrap().unwrap();
    until("a closed door", || sidecar.is_stopped()).await;
    assert!(!drained.is_finished());
    // Another request is not taken, and the caller knows that it was not processed.
    until("the announcement", || {
        busy.tx
            .clone()
            .poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop()))
            .map(|ready| ready.is_err())
            == std::task::Poll::Ready(true)
    })
    .await;
    stack.note("draining");
    for answer in answers {
        assert_eq!(text(answer).await, "half");
    }
    within("the end", busy.connection).await.unwrap().unwrap();
    drained.await.unwrap();
    drop(untouched);
}

#[tokio::test]
async fn a_drain_under_load_loses_no_request() {
    let stack = Stack::answering(OK);
    let mut sidecar = LivePath::before(stack.addr).await;
    let mut callers = Vec::new();
    for _ in 0..4 {
        let caller = Arc::new(Http2Caller::open(sidecar.addr).await);
        for _ in 0..10 {
            let caller = caller.clone();
            callers.push(tokio::spawn(async move {
                let mut answered = 0;
                loop {
                    match caller.ask(Request::get(URI)).await {
                        Ok(answer) => assert_eq!(text(answer).await, "ok"),
                        // It says so if it was not processed.
                        Err(error) => {
                            assert!(error.is_go_away() && error.is_remote(), "{error:?}");
                            return answered;
                        }
                    }
                    answered += 1;
                }
            }));
        }
    }
    until("a load", || stack.request_count() > 500).await;
    within("the drain", sidecar.drain()).await.unwrap();
    let mut answered = 0;
    for caller in callers {
        answered += within("the end", caller).await.unwrap();
    }
    assert_eq!(answered, stack.request_count());
}

#[tokio::test]
async fn a_read_is_captured_as_one_of_http_1_is() {
    let stack = Stack::answering(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\nx-t: 1\r\n\r\n",
    );
    let mut sidecar = LivePath::sampling(stack.addr).await;
    let mut http1 = sidecar.caller().await;
    http1
        .send("GET /a?b HTTP/1.1\r\nx-b: 1\r\ncookie: a=1; b=2\r\nhost: shop\r\n\r\n")
        .await
        .message()
        .await;
    let expected = sidecar.sample().await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let request = Request::get("http://shop/a?b")
        .header("x-b", "1")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let mut answer = caller.ask(request).await.unwrap().into_body();
    whole(&mut answer).await.unwrap();
    let found = sidecar.sample().await;
    assert_eq!(
        format!("{:?}", found.request),
        format!("{:?}", expected.request)
    );
    assert_eq!(
        format!("{:?}", found.primary.as_ref().unwrap().answer),
        format!("{:?}", expected.primary.as_ref().unwrap().answer)
    );
}
