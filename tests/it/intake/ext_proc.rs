//! Envoy's external processing, by messages written by hand: what is offered and counted, and when a stream ends.

use super::{Intake, OLD, Running, reads};
use crate::support::{Stack, http2::Http2Caller, json, until, within};
use bytes::Bytes;
use h2::{Reason as Code, SendStream, client::ResponseFuture};
use http::{Request, Response};
use std::{future::poll_fn, time::Duration};
use twinread::{
    compare::BodyCopy,
    outcome::{Outcome, Reason},
    testing::{
        intake::Taken,
        ledger::{AnsweredBy, Bound, LiveFailure},
        live::{Checks, ListenerLimits},
        pipeline::CheckInput,
    },
};

const PATH: &str = "http://twinread/envoy.service.ext_proc.v3.ExternalProcessor/Process";

// The numbers of the fields that make a message one of a kind.
const REQUEST_HEADERS: u8 = 2;
const RESPONSE_HEADERS: u8 = 3;
const REQUEST_BODY: u8 = 4;
const RESPONSE_BODY: u8 = 5;
const REQUEST_TRAILERS: u8 = 6;
const RESPONSE_TRAILERS: u8 = 7;

/// `observability_mode: true`.
const OBSERVES: [u8; 2] = [10 << 3, 1];

const GET: [(&str, &str); 4] = [
    (":authority", "shop:8080"),
    (":path", "/users/7?x=%20"),
    (":method", "GET"),
    (":scheme", "http"),
];
const POST: [(&str, &str); 5] = [
    (":authority", "shop"),
    (":path", "/search"),
    (":method", "POST"),
    (":scheme", "https"),
    ("content-type", "application/json"),
];
const OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/json")];

/// One stream: what Envoy shows of one request.
struct Stream {
    messages: SendStream<Bytes>,
    end: ResponseFuture,
    /// Whether twinread reads no more of it.
    is_reset: bool,
}

// === impl Stream ===

impl Stream {
    async fn open(envoy: &Http2Caller) -> Self {
        let head = Request::post(PATH).header("content-type", "application/grpc");
        let (end, messages) = envoy.begin(head).await;
        Self {
            messages,
            end,
            is_reset: false,
        }
    }

    /// A stream that has shown this head.
    async fn of(envoy: &Http2Caller, head: &[(&str, &str)], is_whole: bool) -> Self {
        let mut stream = Self::open(envoy).await;
        stream.show(REQUEST_HEADERS, headers(head, is_whole)).await;
        stream
    }

    async fn show(&mut self, kind: u8, value: Vec<u8>) -> &mut Self {
        let mut message = field(kind, &value);
        message.extend(OBSERVES);
        self.send(framed(&message)).await
    }

    /// Sends as much as the windows admit, and waits for more room.
    async fn send(&mut self, bytes: Vec<u8>) -> &mut Self {
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            self.messages.reserve_capacity(bytes.len());
            let room = poll_fn(|cx| self.messages.poll_capacity(cx));
            let Some(room) = within("room for a message", room).await else {
                self.is_reset = true;
                break;
            };
            let room = room.unwrap();
            let part = bytes.split_to(room.min(bytes.len()));
            self.messages.send_data(part, false).unwrap();
        }
        self
    }

    /// Shows an answer of 200 with this body.
    async fn answer(&mut self, body: &str) {
        self.show(RESPONSE_HEADERS, headers(&OK, false)).await;
        self.show(RESPONSE_BODY, data(body.as_bytes(), true)).await;
    }

    /// Waits until twinread ends the stream.
    async fn ended(self) -> String {
        let answer = within("the end of the stream", self.end).await.unwrap();
        status(&answer)
    }
}

fn status<B>(answer: &Response<B>) -> String {
    answer.headers()["grpc-status"].to_str().unwrap().to_owned()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// A field that has a length.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(value);
    bytes
}

fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
    let pair = |(name, value): &(&str, &str)| {
        let pair = [field(1, name.as_bytes()), field(3, value.as_bytes())];
        field(1, &pair.concat())
    };
    field(1, &pairs.iter().flat_map(pair).collect::<Vec<_>>())
}

fn headers(pairs: &[(&str, &str)], is_whole: bool) -> Vec<u8> {
    [map(pairs), vec![3 << 3, u8::from(is_whole)]].concat()
}

fn data(body: &[u8], is_last: bool) -> Vec<u8> {
    [field(1, body), vec![2 << 3, u8::from(is_last)]].concat()
}

/// A message with the head of an answer, and how Envoy came by it.
fn detailed(status: &str, details: &str) -> Vec<u8> {
    let value = field(2, &field(3, details.as_bytes()));
    let entry = [field(1, b"response.code_details"), value].concat();
    let filter = [
        field(1, b"envoy.filters.http.ext_proc"),
        field(2, &field(1, &entry)),
    ];
    let answer = headers(&[(":status", status)], true);
    let parts = [field(RESPONSE_HEADERS, &answer), field(9, &filter.concat())];
    framed(&[parts.concat(), OBSERVES.to_vec()].concat())
}

// === impl Intake ===

impl Intake {
    fn ext_proc() -> Self {
        Self::ext_proc_limited(64 << 20, |_| ())
    }

    fn ext_proc_limited(budget: usize, change: impl FnOnce(&mut ListenerLimits)) -> Self {
        Self::taking(Taken::ExtProc, budget, change)
    }

    async fn envoy(&self) -> Http2Caller {
        Http2Caller::open(self.addr).await
    }

    /// Waits until so many samples have ended like this.
    async fn until_uncompared(&self, reason: Reason, count: u64) {
        let outcome = Outcome::NotCompared(reason);
        until(reason.name(), || self.outcomes(outcome) == count).await;
    }

    fn live(&self) -> Vec<(&'static str, &'static str, AnsweredBy, u64)> {
        let routes = self.ledger.routes();
        let counts = routes.iter().flat_map(|route| route.live_counts());
        let counts =
            counts.map(|live| (live.method, live.status_class, live.answered_by, live.count));
        counts.collect()
    }
}

fn body_of(sample: &CheckInput) -> &[u8] {
    let primary = sample.primary.as_ref().expect("old's answer");
    primary.answer.body.kept()
}

#[tokio::test]
async fn a_read_is_offered_with_its_answer_and_the_stream_ends() {
    let mut intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let own = [
        ("x-kept", "1"),
        ("x-twinread-sample", "1"),
        ("connection", "x-mine"),
        ("x-mine", "1"),
    ];
    let head = [&GET[..], &own].concat();
    let mut stream = Stream::of(&envoy, &head, true).await;
    let answer = [
        (":status", "201"),
        ("etag", "a"),
        ("etag", "b"),
        ("content-encoding", "gzip"),
        ("x-envoy-upstream-service-time", "3"),
        ("connection", "close"),
    ];
    stream.show(RESPONSE_HEADERS, headers(&answer, false)).await;
    stream.show(RESPONSE_BODY, data(b"\x1f\x8b", false)).await;
    stream.show(RESPONSE_BODY, data(b"", false)).await;
    assert!(intake.feed.try_next().is_none(), "the answer goes on");
    stream.show(RESPONSE_BODY, data(b"\x00", true)).await;
    assert_eq!(stream.ended().await, "0");

    let sample = intake.sample().await;
    assert_eq!(&**sample.meta.ticket.route().name(), "GET /users/{}");
    assert_eq!(sample.request.uri, "/users/7?x=%20");
    let names: Vec<_> = sample
        .request
        .headers
        .keys()
        .map(|name| name.as_str())
        .collect();
    assert_eq!(names, ["x-kept", "host"], "what the stack got");
    assert_eq!(sample.request.headers["host"], "shop:8080");
    assert_eq!(body_of(&sample), b"\x1f\x8b\x00");
    let primary = &sample.primary.as_ref().unwrap().answer;
    assert_eq!(primary.status, 201);
    let names: Vec<_> = primary
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["etag", "etag", "content-encoding"]);
    assert_eq!(intake.budget.held(), sample.meta.held.bytes());
    until("the count", || {
        intake.live() == [("GET", "2xx", AnsweredBy::Old, 1)]
    })
    .await;
}

#[tokio::test]
async fn headers_without_raw_values_and_trailers_are_read() {
    let mut intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let plain = GET.map(|(name, value)| {
        let pair = [field(1, name.as_bytes()), field(2, value.as_bytes())];
        field(1, &pair.concat())
    });
    let mut stream = Stream::open(&envoy).await;
    stream
        .show(REQUEST_HEADERS, field(1, &plain.concat()))
        .await;
    stream.show(REQUEST_TRAILERS, map(&[("x-t", "1")])).await;
    stream.show(RESPONSE_HEADERS, headers(&OK, false)).await;
    stream.show(RESPONSE_BODY, data(b"abc", false)).await;
    stream
        .show(RESPONSE_TRAILERS, map(&[("grpc-status", "5")]))
        .await;
    assert_eq!(stream.ended().await, "0");
    let sample = intake.sample().await;
    let primary = &sample.primary.as_ref().unwrap().answer;
    assert_eq!(primary.trailers["grpc-status"], "5");
    assert_eq!(body_of(&sample), b"abc");
}

#[tokio::test]
async fn what_is_not_checked_ends_after_the_head() {
    let intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let put = [&GET[..2], &[(":method", "PUT"), (":scheme", "http")]].concat();
    assert_eq!(Stream::of(&envoy, &put, false).await.ended().await, "0");
    assert!(intake.is_written("/users/7"), "a write is recorded");
    intake.set(|settings| settings.sampling.rate = 0.0);
    assert_eq!(Stream::of(&envoy, &GET, false).await.ended().await, "0");
    intake.set(|settings| {
        settings.sampling.rate = 1.0;
        settings.checks = Checks::Paused;
    });
    assert_eq!(Stream::of(&envoy, &GET, true).await.ended().await, "0");
    assert_eq!(intake.sampled(), 0);
    let reads: u64 = intake
        .ledger
        .routes()
        .iter()
        .map(|route| route.reads())
        .sum();
    assert_eq!(reads, 2);
    until("the counts", || {
        let live = intake.live();
        live.len() == 2 && live.contains(&("GET", "none", AnsweredBy::Old, 2))
    })
    .await;
}

#[tokio::test]
async fn what_comes_after_the_end_of_a_stream_is_read_and_dropped() {
    let intake = Intake::ext_proc();
    intake.set(|settings| settings.sampling.rate = 0.0);
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &GET, true).await;
    let answer = within("the end", &mut stream.end).await.unwrap();
    assert_eq!(status(&answer), "0");
    let chunk = data(&vec![0; 1 << 20], false);
    for _ in 0..32 {
        stream.show(RESPONSE_BODY, chunk.clone()).await;
    }
    assert!(!stream.is_reset, "it takes all");
    assert_eq!(intake.budget.held(), 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_counted_and_never_offered() {
    let mut intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    for (count, reset) in [
        (1, Some(Code::CANCEL)),
        (2, Some(Code::NO_ERROR)),
        (3, None),
    ] {
        let mut stream = Stream::of(&envoy, &GET, true).await;
        stream.show(RESPONSE_HEADERS, headers(&OK, false)).await;
        stream.show(RESPONSE_BODY, data(b"half", false)).await;
        until("the half", || intake.budget.held() > 4).await;
        if let Some(code) = reset {
            stream.messages.send_reset(code);
        } else {
            stream.messages.send_data(Bytes::new(), true).unwrap();
        }
        intake.until_uncompared(Reason::ClientGone, count).await;
    }
    assert!(intake.feed.try_next().is_none());
    assert_eq!((intake.sampled(), intake.budget.held()), (3, 0));
    assert_eq!(intake.gauges.live_failures(LiveFailure::BadRequest), 0);
}

#[tokio::test]
async fn what_envoy_answers_itself_is_no_answer_of_the_old_stack() {
    let mut intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    for (status, details, errors) in [
        (
            "503",
            "upstream_reset_before_response_started{connection_termination}",
            1,
        ),
        ("200", "direct_response", 2),
        ("503", "via_upstream", 2),
    ] {
        let mut stream = Stream::of(&envoy, &GET, true).await;
        stream.send(detailed(status, details)).await;
        assert_eq!(stream.ended().await, "0");
        intake.until_uncompared(Reason::PrimaryError, errors).await;
    }
    let sample = intake.sample().await;
    assert_eq!(sample.primary.as_ref().unwrap().answer.status, 503);
    assert_eq!(intake.sampled(), 3);
    // A filter in front of this one has answered: its request was not shown.
    let mut stream = Stream::open(&envoy).await;
    stream
        .show(RESPONSE_HEADERS, headers(&[(":status", "401")], true))
        .await;
    assert_eq!(stream.ended().await, "0");
    assert_eq!(intake.sampled(), 3);
}

#[tokio::test]
async fn answers_without_an_end_are_not_waited_for() {
    let intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let events = [(":status", "200"), ("content-type", "text/event-stream")];
    for (count, answer) in [(1, &events[..]), (2, &[(":status", "101")])] {
        let mut stream = Stream::of(&envoy, &GET, true).await;
        stream.show(RESPONSE_HEADERS, headers(answer, false)).await;
        assert_eq!(stream.ended().await, "0");
        intake.until_uncompared(Reason::Streaming, count).await;
    }
}

#[tokio::test]
async fn a_read_with_a_body_is_offered_with_it() {
    let mut intake = Intake::ext_proc();
    intake.set(|settings| settings.reads = reads("[{methods: [POST], path: /search}]"));
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &POST, false).await;
    stream.show(REQUEST_BODY, data(b"nee", false)).await;
    stream.show(REQUEST_BODY, data(b"dle", true)).await;
    stream.answer("found").await;
    stream.ended().await;
    let sample = intake.sample().await;
    assert_eq!(&sample.request.body[..], b"needle");
    assert_eq!(body_of(&sample), b"found");

    intake.set(|settings| settings.reads = reads("[{methods: [GET]}]"));
    let mut early = Stream::of(&envoy, &GET, false).await;
    early.show(REQUEST_BODY, data(b"nee", false)).await;
    early.answer("found").await;
    early.ended().await;
    intake.until_uncompared(Reason::Streaming, 1).await;
}

#[tokio::test]
async fn reads_that_bodies_declare_wait_for_the_body() {
    let mut intake = Intake::ext_proc();
    let declared = "[{methods: [POST], path: /search, json: {$.query: '^query'}}]";
    intake.set(|settings| settings.reads = reads(declared));
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &POST, false).await;
    stream
        .show(REQUEST_BODY, data(br#"{"query": "query"}"#, true))
        .await;
    stream.answer("found").await;
    stream.ended().await;
    assert_eq!(body_of(&intake.sample().await), b"found");
    assert!(!intake.is_written("/search"));

    let mut write = Stream::of(&envoy, &POST, false).await;
    write
        .show(REQUEST_BODY, data(br#"{"query": "mutation"}"#, true))
        .await;
    assert_eq!(write.ended().await, "0");
    assert!(intake.is_written("/search"));
    assert_eq!(intake.sampled(), 1);
}

#[tokio::test]
async fn a_body_that_never_came_to_its_end_counts_as_a_write() {
    let intake = Intake::ext_proc();
    let declared = "[{methods: [POST], path: /search, json: {$.query: '^query'}}]";
    intake.set(|settings| settings.reads = reads(declared));
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &POST, false).await;
    stream
        .show(REQUEST_BODY, data(br#"{"query": "#, false))
        .await;
    until("the half", || intake.budget.held() > 0).await;
    stream.messages.send_reset(Code::CANCEL);
    until("the write", || intake.is_written("/search")).await;
    assert_eq!(intake.live(), [("POST", "none", AnsweredBy::Old, 1)]);
}

#[tokio::test]
async fn bodies_are_kept_within_the_bounds() {
    // The heads take some 300 bytes.
    for (budget, max_body, reason) in [
        (64 << 20, 16, Reason::BodyTooLarge),
        (600, 1 << 20, Reason::MemoryFull),
    ] {
        let intake = Intake::ext_proc_limited(budget, |_| ());
        intake.set(|settings| settings.capture.max_body = max_body);
        let envoy = intake.envoy().await;
        let mut stream = Stream::of(&envoy, &GET, false).await;
        stream.show(REQUEST_BODY, data(&[b'x'; 1_000], false)).await;
        assert_eq!(stream.ended().await, "0", "at once");
        intake.until_uncompared(reason, 1).await;
        assert_eq!(intake.budget.held(), 0);
    }
}

#[tokio::test]
async fn a_large_answer_is_hashed_and_a_huge_message_is_refused() {
    let mut intake = Intake::ext_proc();
    intake.set(|settings| settings.capture.max_body = 16);
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &GET, true).await;
    stream.answer("more than sixteen bytes").await;
    stream.ended().await;
    let sample = intake.sample().await;
    let primary = &sample.primary.as_ref().unwrap().answer;
    assert!(matches!(primary.body, BodyCopy::Hashed(_)), "{primary:?}");

    let mut stream = Stream::of(&envoy, &GET, true).await;
    stream.show(RESPONSE_HEADERS, headers(&OK, false)).await;
    stream
        .show(RESPONSE_BODY, data(&vec![0; 5 << 20], true))
        .await;
    assert_eq!(stream.ended().await, "11", "out of range");
    intake.until_uncompared(Reason::BodyTooLarge, 1).await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_counted() {
    let intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let own = [&GET[..], &[("x-twinread-hop", "0000000000000007")]].concat();
    assert_eq!(Stream::of(&envoy, &own, true).await.ended().await, "0");
    assert_eq!(intake.gauges.live_failures(LiveFailure::Loop), 1);
    let spaced = [&GET[..], &[("a b", "")]].concat();
    for (count, head) in [(1, &GET[1..]), (2, &spaced), (3, &GET[..3])] {
        assert_eq!(Stream::of(&envoy, head, true).await.ended().await, "0");
        assert_eq!(intake.gauges.live_failures(LiveFailure::BadRequest), count);
    }
    let mut stream = Stream::open(&envoy).await;
    stream.send(framed(b"\xff")).await;
    assert_eq!(stream.ended().await, "13", "internal");
    assert_eq!(intake.gauges.live_failures(LiveFailure::BadRequest), 4);
    assert_eq!(intake.sampled(), 0);

    let other = Request::post("http://twinread/a.B/C").header("content-type", "application/grpc");
    assert_eq!(status(&envoy.post(other, b"").await), "12", "unimplemented");
}

#[tokio::test]
async fn a_filter_that_waits_for_answers_is_let_go_at_once() {
    let intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let mut stream = Stream::open(&envoy).await;
    stream
        .send(framed(&field(REQUEST_HEADERS, &headers(&GET, true))))
        .await;
    assert_eq!(stream.ended().await, "0");
    assert_eq!(intake.gauges.live_failures(LiveFailure::BadRequest), 1);
    assert_eq!(intake.sampled(), 0);
}

#[tokio::test]
async fn streams_at_the_limit_are_counted_and_others_go_on() {
    let mut intake = Intake::ext_proc_limited(64 << 20, |limits| {
        limits.streams = 2.try_into().unwrap();
    });
    let envoy = intake.envoy().await;
    let mut first = Stream::of(&envoy, &GET, true).await;
    until("the first", || intake.sampled() == 1).await;
    assert_eq!(intake.gauges.bounds_reached(Bound::Streams), 0);
    let _second = Stream::of(&envoy, &GET, true).await;
    until("the second", || intake.sampled() == 2).await;
    assert_eq!(intake.gauges.bounds_reached(Bound::Streams), 1);
    first.answer("a").await;
    first.ended().await;
    assert_eq!(body_of(&intake.sample().await), b"a");
    let _third = Stream::of(&envoy, &GET, true).await;
    until("the third", || intake.sampled() == 3).await;
}

#[tokio::test]
async fn the_drain_waits_for_answers_on_their_way() {
    let mut intake = Intake::ext_proc();
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &GET, true).await;
    until("the sample", || intake.sampled() == 1).await;
    let drained = tokio::spawn(intake.drain.take().unwrap().drain());
    until("the end of the listener", || {
        std::net::TcpStream::connect(intake.addr).is_err()
    })
    .await;
    stream.answer("late").await;
    assert_eq!(stream.ended().await, "0");
    assert_eq!(body_of(&intake.sample().await), b"late");
    drop(envoy);
    within("the drain", drained).await.unwrap();
}

#[tokio::test]
async fn an_idle_connection_ends_and_one_with_an_open_stream_does_not() {
    let mut intake = Intake::ext_proc_limited(64 << 20, |limits| {
        limits.idle_timeout = Duration::from_millis(50);
    });
    let envoy = intake.envoy().await;
    let mut stream = Stream::of(&envoy, &GET, true).await;
    until("the sample", || intake.sampled() == 1).await;
    let idle = intake.envoy().await;
    intake.set(|settings| settings.sampling.rate = 0.0);
    Stream::of(&idle, &GET, true).await.ended().await;
    within("the end", idle.connection).await.unwrap().unwrap();
    assert_eq!(intake.gauges.bounds_reached(Bound::IdleTimeout), 1);
    stream.answer("a").await;
    stream.ended().await;
    assert_eq!(body_of(&intake.sample().await), b"a");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_alone_is_read_and_compared_with_what_envoy_showed() {
    let old = Stack::json(OLD);
    let new = Stack::start(|request| {
        let is_planted = request.starts_with("GET /b ");
        json(if is_planted { r#"{"a": 2}"# } else { OLD })
    });
    let running = Running::start_with("ext_proc", &old, &new, "max_per_second: 100000");
    let addr = running.app.ext_proc_addr().unwrap().tcp().unwrap();
    let envoy = Http2Caller::open(addr).await;
    for (path, outcome, detail) in [("/a", "match", "exact"), ("/b", "mismatch", "")] {
        let head = [&[(":path", path)], &GET[..1], &GET[2..]].concat();
        let mut stream = Stream::of(&envoy, &head, true).await;
        stream.answer(OLD).await;
        stream.ended().await;
        let route = format!("GET {path}");
        let (running, route) = (&running, &route);
        tokio::task::block_in_place(|| {
            let labels = format!(r#"outcome="{outcome}",route="{route}""#);
            crate::support::eventually(&labels, || {
                let metrics = running.admin("/metrics");
                let found = metrics.lines().find(|line| line.contains(&labels))?;
                found
                    .contains(&format!(r#"detail="{detail}""#))
                    .then_some(())
            });
        });
    }
    let of = |stack: &Stack, path: &str| {
        let requests = stack.requests();
        requests
            .iter()
            .filter(|request| request.starts_with(path))
            .count()
    };
    assert_eq!((of(&old, "GET /a "), of(&new, "GET /a ")), (0, 1));
    assert_eq!(of(&old, "GET /b "), 1, "the re-check reads it");
    let ready = tokio::task::block_in_place(|| running.admin("/readyz"));
    assert!(ready.contains("Envoy shows"), "{ready}");
}
