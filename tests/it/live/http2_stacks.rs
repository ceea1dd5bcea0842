//! Stacks that speak HTTP/2, and callers of both kinds.

use crate::support::{
    Conn, LivePath, Plan, Stack,
    http2::{
        DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2Caller, Http2Stack, Manner, PREFACE,
        RST_STREAM, RawFrame, SETTINGS, Seen, block, pattern, text, whole,
    },
    until, within,
};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use twinread::testing::{http_client::HostPolicy, ledger::LiveFailure};

const GET: &str = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
const SHORT: Duration = Duration::from_millis(150);

fn plan(old: SocketAddr) -> Plan {
    LivePath::plan(old, old).with_old(|target| target.http2 = true)
}

async fn before(old: SocketAddr) -> LivePath {
    plan(old).start().await
}

fn trailer(name: &'static str, value: &'static str) -> HeaderMap {
    [(name.parse().unwrap(), HeaderValue::from_static(value))]
        .into_iter()
        .collect()
}

/// Sends back the body of a request, with its trailers.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, _: Arc<Seen>) {
    let mut body = request.into_body();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        stream.send_data(data, false).unwrap();
    }
    match body.trailers().await {
        Ok(Some(trailers)) => stream.send_trailers(trailers).unwrap(),
        _ => stream.send_data(Bytes::new(), true).unwrap(),
    }
}

/// Accepts a connection by hand: its first frames are read and answered.
async fn greeted(conn: &mut Conn) {
    conn.read_bytes(PREFACE.len()).await;
    conn.send(RawFrame::new(SETTINGS, 0, 0, "").bytes()).await;
}

/// The next request: its stream, and whether it has a body.
async fn next_request(conn: &mut Conn) -> Option<(u32, bool)> {
    loop {
        let frame = RawFrame::next(conn).await?;
        if frame.kind == HEADERS {
            return Some((frame.stream, frame.flags & END_STREAM == 0));
        }
    }
}

fn ok(stream: u32) -> Vec<u8> {
    let head = RawFrame::new(HEADERS, END_HEADERS, stream, block(&[(":status", "200")]));
    let body = RawFrame::new(DATA, END_STREAM, stream, "ok");
    [head.bytes(), body.bytes()].concat()
}

fn goaway(last: u32) -> Vec<u8> {
    let payload = [last.to_be_bytes(), [0; 4]].concat();
    RawFrame::new(GOAWAY, 0, 0, payload).bytes()
}

fn reset(stream: u32, code: u8) -> Vec<u8> {
    RawFrame::new(RST_STREAM, 0, stream, [0, 0, 0, code]).bytes()
}

#[tokio::test]
async fn a_request_of_http_1_passes_in_the_terms_of_http_2() {
    let stack = Http2Stack::start(|request, mut respond, seen| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let mut lines: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.insert(0, format!("{} {}", request.method(), request.uri()));
        seen.note(&lines.join("\n"));
        let (body, trailers) = whole(&mut request.into_body()).await.unwrap();
        seen.note(&format!(
            "{} {trailers:?}",
            String::from_utf8(body).unwrap()
        ));
        let answer = Response::builder()
            .status(201)
            .header("x-a", "1")
            .header("x-a", "2");
        let mut stream = respond
            .send_response(answer.body(()).unwrap(), false)
            .unwrap();
        stream.send_data(Bytes::from_static(b"ok"), false).unwrap();
        stream.send_trailers(trailer("x-t", "1")).unwrap();
    })
    .await;
    let sidecar = before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    caller
        .send(
            "POST /a%20b?c=d HTTP/1.1\r\nHost: shop:80\r\nConnection: x-hop\r\nX-Hop: 1\r\nTE: trailers, gzip\r\n\
             X-B: 1\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\n\r\n4\r\nbody\r\n0\r\nx-u: 2\r\n\r\n",
        )
        .await;
    let answer = caller.message().await;
    assert_eq!(
        answer,
        "HTTP/1.1 201 Created\r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n"
    );
    let notes = stack.notes();
    assert_eq!(
        notes[0],
        "POST http://shop:80/a%20b?c=d\nte: trailers\nx-b: 1\nx-b: 2"
    );
    assert_eq!(notes[1], r#"body Some({"x-u": "2"})"#);
}

#[tokio::test]
async fn the_authority_follows_the_policy() {
    let stack = Http2Stack::answering("ok").await;
    for (policy, host, expected) in [
        (HostPolicy::Preserve, "shop", "GET http://shop/".to_owned()),
        (
            HostPolicy::Preserve,
            "[::1]:8",
            "GET http://[::1]:8/".to_owned(),
        ),
        (
            HostPolicy::Preserve,
            "",
            format!("GET http://{}/", stack.addr),
        ),
        (
            HostPolicy::Stack,
            "shop",
            format!("GET http://{}/", stack.addr),
        ),
        (
            HostPolicy::Literal(HeaderValue::from_static("lit")),
            "shop",
            "GET http://lit/".to_owned(),
        ),
    ] {
        let sidecar = plan(stack.addr)
            .with_old(|target| target.host = policy)
            .start()
            .await;
        let answer = sidecar
            .caller()
            .await
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await
            .message()
            .await;
        assert!(answer.contains(" 200 "), "{answer}");
        assert_eq!(stack.notes().pop().unwrap(), expected);
    }
    let sidecar = before(stack.addr).await;
    sidecar
        .caller()
        .await
        .send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .message()
        .await;
    assert!(
        stack.notes().pop().unwrap().ends_with('*'),
        "{:?}",
        stack.notes()
    );
}

#[tokio::test]
async fn bodies_of_all_sizes_pass_both_ways_between_both() {
    let stack = Http2Stack::start(echo).await;
    let sidecar = before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let mut http1 = sidecar.caller().await;
    for size in [0, 1, 2, 9, 16_384, 65_535, 65_536, 300_000, 1 << 20] {
        let sent = pattern(size);
        let (answer, mut stream) = caller.begin(Request::post("http://shop/")).await;
        for piece in sent.chunks(10_000) {
            stream
                .send_data(Bytes::copy_from_slice(piece), false)
                .unwrap();
        }
        stream.send_trailers(trailer("x-t", "1")).unwrap();
        let answer = within("an answer", answer).await.unwrap();
        let (received, trailers) = whole(&mut answer.into_body()).await.unwrap();
        assert!(received == sent, "{size}: {} bytes", received.len());
        assert_eq!(trailers, Some(trailer("x-t", "1")));

        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        http1.send(head).await.send(&sent).await;
        let head = http1.head().await.unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let chunks = http1.read_chunks().await;
        let (mut rest, mut received) = (&chunks[..], Vec::new());
        while let Some((line, more)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(line, 16).unwrap();
            if length == 0 {
                break;
            }
            let mut chars = more.chars();
            received.extend(chars.by_ref().take(length).map(|c| c as u8));
            rest = &chars.as_str()[2..];
        }
        assert!(received == sent, "{size}: {} bytes", received.len());
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn an_answer_of_trailers_alone_passes() {
    let stack = Http2Stack::start(|_, mut respond, _| async move {
        let answer = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "5");
        respond
            .send_response(answer.body(()).unwrap(), true)
            .unwrap();
    })
    .await;
    let sidecar = before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let mut answer = caller.get("http://shop/").await;
    assert_eq!(answer.headers()["grpc-status"], "5");
    assert!(answer.body().is_end_stream());
    assert_eq!(whole(answer.body_mut()).await.unwrap(), (vec![], None));
}

#[tokio::test]
async fn requests_share_connections_up_to_the_limit_of_the_stack() {
    let manner = Manner {
        max_streams: Some(2),
        ..Manner::default()
    };
    let stack = Http2Stack::with(manner, |request, mut respond, seen| async move {
        if request.uri().path() == "/first" {
            drop(respond.send_response(Response::new(()), true));
            return;
        }
        seen.note("waits");
        until("the others", || seen.count("waits") == 6).await;
        respond.send_response(Response::new(()), true).unwrap();
    })
    .await;
    let sidecar = before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    // The limit of the stack is known from here on.
    caller.get("http://shop/first").await;
    caller.get("http://shop/first").await;
    let answers = (0..6).map(|_| caller.get("http://shop/"));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status(), 200);
    }
    let connections = stack.connections();
    assert!((3..=4).contains(&connections), "{connections} connections");
}

#[tokio::test]
async fn a_stack_that_ends_its_connections_loses_no_request() {
    let manner = Manner {
        requests: Some(50),
        ..Manner::default()
    };
    let stack = Http2Stack::with(manner, echo).await;
    let sidecar = before(stack.addr).await;
    let addr = sidecar.addr;
    let callers = (0..8).map(|index| async move {
        let caller = Http2Caller::open(addr).await;
        for _ in 0..100 {
            let answer = match index % 2 {
                0 => caller.get("http://shop/").await,
                _ => caller.ask(Request::post("http://shop/")).await.unwrap(),
            };
            assert_eq!(answer.status(), 200);
            text(answer).await;
        }
    });
    futures_util::future::join_all(callers).await;
    assert!(
        stack.connections() > 800 / 100,
        "{} connections",
        stack.connections()
    );
}

#[tokio::test]
async fn a_request_past_the_last_one_is_sent_once_more() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let with_body = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    for (request, last, status, sent) in [
        (post, 1, " 200 ", 3),
        (with_body, 1, " 502 ", 2),
        // The stack may have processed it.
        (post, 3, " 502 ", 2),
    ] {
        let connections = Arc::new(AtomicUsize::new(0));
        let stack = Stack::script(move |mut conn, seen| {
            let is_first = connections.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                greeted(&mut conn).await;
                while let Some((stream, _)) = next_request(&mut conn).await {
                    seen.note("request");
                    if is_first && stream > 1 {
                        conn.write(goaway(last)).await;
                        return;
                    }
                    conn.write(ok(stream)).await;
                }
            }
        });
        let sidecar = before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        assert!(caller.send(GET).await.message().await.contains(" 200 "));
        let answer = caller.send(request).await.message().await;
        assert!(answer.contains(status), "{answer}");
        assert_eq!(stack.requests().len(), sent, "{request} {last}");
    }
}

#[tokio::test]
async fn a_refused_request_is_sent_once_more() {
    for (codes, path, expected, sent) in [
        (&[7][..], "/", " 200 ", 2),
        (&[7, 7], "/", " 502 ", 2),
        (&[2], "/", " 502 ", 1),
        (&[8], "/", " 502 ", 1),
    ] {
        let codes = Arc::new(std::sync::Mutex::new(codes.to_vec()));
        let stack = Stack::script(move |mut conn, seen| {
            let codes = codes.clone();
            async move {
                greeted(&mut conn).await;
                while let Some((stream, _)) = next_request(&mut conn).await {
                    seen.note("request");
                    let code = codes.lock().unwrap().pop();
                    let answer = code.map_or_else(|| ok(stream), |code| reset(stream, code));
                    conn.write(answer).await;
                }
            }
        });
        let sidecar = before(stack.addr).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = sidecar.caller().await.send(request).await.message().await;
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(stack.requests().len(), sent);
        let failures = u64::from(expected == " 502 ");
        assert_eq!(sidecar.gauges.live_failures(LiveFailure::Reset), failures);
    }
}

#[tokio::test]
async fn a_connection_that_dies_is_like_one_of_http_1() {
    let stack = Stack::script(|mut conn, seen| async move {
        greeted(&mut conn).await;
        let (stream, _) = next_request(&mut conn).await.unwrap();
        conn.write(ok(stream)).await;
        next_request(&mut conn).await;
        seen.note("died");
    });
    let sidecar = before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    assert!(caller.send(GET).await.message().await.contains(" 200 "));
    // Idempotent, and the connection had answered before: sent once more.
    assert!(caller.send(GET).await.message().await.contains(" 200 "));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let answer = caller.send(post).await.message().await;
    assert!(answer.contains(" 502 "), "{answer}");
    assert_eq!(stack.requests(), ["died", "died"]);
}

#[tokio::test]
async fn what_speaks_no_http_2_is_a_protocol_error() {
    let stack = Stack::script(|mut conn, _| async move {
        conn.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await;
        conn.closed().await;
    });
    let sidecar = before(stack.addr).await;
    let answer = sidecar.caller().await.send(GET).await.message().await;
    assert!(answer.contains("\"cause\":\"protocol\""), "{answer}");

    let sidecar = before(Stack::nobody()).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let answers = (0..20).map(|_| caller.get("http://shop/"));
    for answer in futures_util::future::join_all(answers).await {
        assert_eq!(answer.status(), 502);
    }
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::Connect), 20);
}

#[tokio::test]
async fn a_caller_that_leaves_resets_its_stream_at_the_stack() {
    let stack = Http2Stack::start(|request, mut respond, seen| async move {
        seen.note("begun");
        if request.uri().path() == "/stream" {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"x"), false).unwrap();
            let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            return seen.note(&format!("{reason:?}"));
        }
        let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
        seen.note(&format!("{reason:?}"));
    })
    .await;
    let sidecar = before(stack.addr).await;
    for (index, path) in ["/wait", "/stream"].into_iter().enumerate() {
        let mut caller = sidecar.caller().await;
        caller
            .send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        until("the request", || stack.count("begun") == 2 * index + 1).await;
        drop(caller);
        until("its end", || stack.count("Ok(CANCEL)") == 2 * index + 1).await;

        let caller = Http2Caller::open(sidecar.addr).await;
        let (answer, mut stream) = caller.begin(Request::post(format!("http://a{path}"))).await;
        until("the request", || stack.count("begun") == 2 * index + 2).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
        until("its end", || stack.count("Ok(CANCEL)") == 2 * index + 2).await;
    }
    assert_eq!(stack.connections(), 1);
}

/// Stacks end a connection with many resets, and so fail the others on it.
#[tokio::test]
async fn requests_given_up_do_not_fail_those_of_others() {
    let stack = Stack::script(|mut conn, seen| async move {
        greeted(&mut conn).await;
        let mut resets = 0;
        while let Some(frame) = RawFrame::next(&mut conn).await {
            match frame.kind {
                HEADERS if frame.flags & END_STREAM != 0 => {
                    conn.write(ok(frame.stream)).await;
                }
                HEADERS => seen.note("waits"),
                RST_STREAM => resets += 1,
                _ => {}
            }
            if resets > 200 {
                seen.note("too many");
                return;
            }
        }
    });
    let sidecar = before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    let mut other = sidecar.caller().await;
    for count in 1..=450 {
        let (answer, mut stream) = caller.begin(Request::post("http://shop/")).await;
        until("the request", || stack.requests().len() == count).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(answer);
        if count % 50 == 0 {
            let answer = other.send(GET).await.message().await;
            assert!(answer.contains(" 200 "), "{answer}");
        }
    }
    assert_eq!(stack.requests().len(), 450, "none is too many");
    assert_eq!(stack.connections(), 5);
}

#[tokio::test]
async fn a_caller_that_takes_nothing_holds_up_no_other() {
    let stack = Http2Stack::start(|request, mut respond, _| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let body = if request.uri().path() == "/large" {
            32 << 20
        } else {
            1 << 20
        };
        stream
            .send_data(Bytes::from(vec![b'x'; body]), true)
            .unwrap();
        let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
    })
    .await;
    let sidecar = before(stack.addr).await;
    let mut untaken = Vec::new();
    for _ in 0..20 {
        let mut caller = sidecar.caller().await;
        caller
            .send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .read_to("\r\n\r\n")
            .await;
        untaken.push(caller);
    }
    let caller = Http2Caller::open(sidecar.addr).await;
    for _ in 0..5 {
        assert_eq!(
            text(caller.get("http://shop/small").await).await.len(),
            1 << 20
        );
    }
    assert_eq!(stack.connections(), 1);
}

#[tokio::test]
async fn half_a_body_is_a_408_and_a_reset() {
    let stack = Http2Stack::start(|request, mut respond, seen| async move {
        let broken = whole(&mut request.into_body()).await;
        seen.note(&format!("{}", broken.is_err()));
        let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
    })
    .await;
    let sidecar = plan(stack.addr)
        .limits(|limits| limits.body_stall = SHORT)
        .start()
        .await;
    let half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf";
    let answer = sidecar.exchange(half).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let caller = Http2Caller::open(sidecar.addr).await;
    let (answer, mut stream) = caller.begin(Request::post("http://a/")).await;
    stream
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    assert_eq!(within("an answer", answer).await.unwrap().status(), 408);
    until("both ends", || stack.count("true") == 2).await;
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used() {
    let stack = Http2Stack::answering("ok").await;
    let sidecar = plan(stack.addr)
        .with_old(|target| target.idle_timeout = Duration::from_millis(1))
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        assert!(caller.send(GET).await.message().await.contains(" 200 "));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(stack.connections(), 2);
}

#[tokio::test]
async fn a_read_is_captured_as_one_from_http_1_is() {
    let http1 = Stack::answering(
        "HTTP/1.1 200 OK\r\nx-a: 1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\nx-a: 2\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n",
    );
    let http2 = Http2Stack::start(|_, mut respond, _| async move {
        let answer = Response::builder().header("x-a", "1").header("x-a", "2");
        let mut stream = respond
            .send_response(answer.body(()).unwrap(), false)
            .unwrap();
        stream.send_data(Bytes::from_static(b"ok"), false).unwrap();
        stream.send_trailers(trailer("x-t", "1")).unwrap();
    })
    .await;
    let mut expected = LivePath::sampling(http1.addr).await;
    let mut sidecar = plan(http2.addr).sample_all().start().await;
    for sidecar in [&expected, &sidecar] {
        sidecar.caller().await.send(GET).await.message().await;
    }
    let (mut expected, found) = (expected.sample().await, sidecar.sample().await);
    let framing = expected
        .primary
        .as_mut()
        .unwrap()
        .answer
        .headers
        .remove("transfer-encoding");
    assert!(framing.is_some(), "the comparison skips it");
    assert_eq!(
        format!("{:?}", found.request),
        format!("{:?}", expected.request)
    );
    assert_eq!(
        format!("{:?}", found.primary.as_ref().unwrap().answer),
        format!("{:?}", expected.primary.as_ref().unwrap().answer)
    );
}

#[tokio::test]
async fn a_stream_that_ends_after_its_length_is_not_reset() {
    let stack = Stack::script(|mut conn, seen| async move {
        greeted(&mut conn).await;
        let (stream, _) = next_request(&mut conn).await.unwrap();
        let head = block(&[(":status", "200"), ("content-length", "2")]);
        let head = RawFrame::new(HEADERS, END_HEADERS, stream, head).bytes();
        let body = RawFrame::new(DATA, 0, stream, "ok").bytes();
        conn.write([head, body].concat()).await;
        while let Some(frame) = RawFrame::next(&mut conn).await {
            match frame.kind {
                RST_STREAM => seen.note("reset"),
                // The first answer ends only now, after the caller has had it.
                HEADERS => {
                    let end = RawFrame::new(DATA, END_STREAM, stream, "").bytes();
                    conn.write([end, ok(frame.stream)].concat()).await;
                }
                _ => {}
            }
        }
    });
    let mut sidecar = plan(stack.addr).sample_all().start().await;
    let mut caller = sidecar.caller().await;
    assert!(caller.send(GET).await.message().await.ends_with("ok"));
    let captured = sidecar.sample().await.primary.unwrap().answer;
    assert_eq!(&**captured.body.kept(), b"ok");
    assert!(caller.send(GET).await.message().await.contains(" 200 "));
    assert_eq!(stack.requests(), [""; 0], "no reset");
}

#[tokio::test]
async fn a_websocket_reaches_a_stack_of_http_2_as_a_get() {
    let stack = Http2Stack::start(|request, mut respond, _| async move {
        let status = if request.method() == "GET" { 426 } else { 500 };
        let answer = Response::builder().status(status).body(()).unwrap();
        respond.send_response(answer, true).unwrap();
    })
    .await;
    let sidecar = before(stack.addr).await;
    let caller = Http2Caller::open(sidecar.addr).await;
    // The settings are there once something was answered.
    let plain = Request::builder().uri("http://shop/");
    assert_eq!(caller.ask(plain).await.unwrap().status(), 426);
    let websocket = Request::builder()
        .method("CONNECT")
        .uri("http://shop/ws")
        .extension(h2::ext::Protocol::from_static("websocket"));
    assert_eq!(caller.ask(websocket).await.unwrap().status(), 426);
}
