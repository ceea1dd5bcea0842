//! The shadow over real sockets: every way in which a stack can answer or fail ends in exactly one outcome.

mod builds;
mod conditional;
mod copies;
mod harness;
mod http2;
mod ids;
mod large;
mod noise;
mod races;
mod recheck;

use crate::support::{Reply, Script, Stack, answer, json, until};
use harness::{Read, Shadow};
use http::{Method, StatusCode};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};
use twinread::testing::{
    ledger::Bound,
    pipeline::{Trace, Traced},
    sample::Frequency,
    shadow::{Limits, Settings},
    trace_context::TraceContext,
};
use twinread::{
    compare::{
        Answer, Bijections, CompareConfig, Comparison, Context, HeaderScope, Options,
        compare_within,
    },
    outcome::{Mark, Outcome, Reason, ShadowError, Via},
    rules::RuleSet,
    stack,
    value::Kind,
    verdict::Cause,
};

const EQUAL: &str = r#"{"a": 1}"#;
const LIVE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const MATCH: Outcome = Outcome::Match(Via::Exact);
const MISMATCH: Outcome = Outcome::Mismatch(Mark::Plain);

fn settings() -> Settings {
    let mut settings = Settings::default();
    for protection in [&mut settings.old, &mut settings.new] {
        protection.max_per_second = Frequency::from(1_000_000);
    }
    settings.recheck.after = Vec::new();
    settings
}

fn not_compared(reason: Reason) -> Outcome {
    Outcome::NotCompared(reason)
}

/// A pair of stacks, the old one healthy.
fn stacks(script: impl Into<Script>) -> (Stack, Stack) {
    (Stack::replying(json(EQUAL)), Stack::replying(script))
}

#[tokio::test]
async fn the_shadow_gets_the_read_once_and_marked() {
    let (old, new) = stacks(json(EQUAL));
    let shadow = Shadow::start(&old, &new, settings()).await;
    let read = Read {
        method: Method::POST,
        uri: "/x%20y?q=%2f",
        headers: vec![
            ("host", "caller"),
            ("x-own", "1"),
            ("expect", "100-continue"),
            ("x-twinread", "forged"),
            ("traceparent", LIVE),
            ("tracestate", "a=1"),
        ],
        body: "{}",
        ..Read::new()
    };

    assert_eq!(shadow.check(&read).await, MATCH);

    let requests = new.requests();
    let [request] = requests.as_slice() else {
        panic!("one request, not {requests:?}");
    };
    assert!(
        request.starts_with("POST /x%20y?q=%2f HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n{}"), "{request}");
    for expected in ["host: caller", "x-own: 1", "x-twinread: shadow"] {
        assert!(request.contains(expected), "{expected} not in {request}");
    }
    for unexpected in ["expect", "forged", "tracestate", "4bf92f3577b34da6"] {
        assert!(!request.contains(unexpected), "{unexpected} in {request}");
    }
    assert!(request.contains("traceparent: 00-"), "{request}");
    assert!(old.requests().is_empty());
}

#[tokio::test]
async fn a_check_may_stay_within_the_live_trace() {
    let (old, new) = stacks(json(EQUAL));
    let settings = Settings {
        trace: Trace::Child,
        ..settings()
    };
    let shadow = Shadow::start(&old, &new, settings).await;
    let read = Read {
        headers: vec![("traceparent", LIVE), ("tracestate", "a=1")],
        ..Read::new()
    };

    shadow.check(&read).await;

    let request = new.requests().remove(0);
    assert!(request.contains("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert!(!request.contains("00f067aa0ba902b7"));
    assert!(request.contains("tracestate: a=1"));
}

#[tokio::test]
async fn a_mismatch_is_counted_and_reported_by_stack_not_by_role() {
    for primary in [stack::Stack::Old, stack::Stack::New] {
        let shadow_way = Reply::Write(answer("203 Non-Authoritative", r#"{"a": 2}"#));
        let other = Stack::replying(shadow_way);
        let unasked = Stack::replying(json(EQUAL));
        let (old, new) = match primary {
            stack::Stack::Old => (&unasked, &other),
            stack::Stack::New => (&other, &unasked),
        };
        let mut shadow = Shadow::start(old, new, settings()).await;
        let read = Read {
            primary,
            headers: vec![("traceparent", LIVE)],
            ..Read::new()
        };

        assert_eq!(shadow.check(&read).await, MISMATCH);

        let report = shadow.reports.try_recv().unwrap();
        let statuses = [&report.old, &report.new].map(|shown| shown.as_ref().unwrap().status);
        match primary {
            stack::Stack::Old => assert_eq!(statuses, [200, 203]),
            stack::Stack::New => assert_eq!(statuses, [203, 200]),
        }
        assert_eq!(report.outcome, MISMATCH);
        assert_eq!((report.differences.len(), report.count), (1, 3));
        assert_ne!(report.span.trace_id, report.live.as_ref().unwrap().trace_id);
        let [sent] = &report.sent[..] else {
            panic!("{:?}", report.sent)
        };
        assert_eq!((sent.stack, sent.result), (primary.other(), Ok(203)));
        let carried = TraceContext {
            span_id: sent.span_id,
            ..report.span.clone()
        };
        assert_ne!(carried, report.span);
        assert!(other.requests()[0].contains(carried.header().to_str().unwrap()));
        assert_eq!(shadow.route().differences(Kind::Bytes), 1);
        assert_eq!(shadow.gauges.bounds_reached(Bound::Differences), 1);
        assert!(unasked.requests().is_empty());
    }
}

/// The span that a request carried.
fn carried(request: &str) -> TraceContext {
    let mut lines = request.lines();
    let header = lines.find_map(|line| line.strip_prefix("traceparent: "));
    TraceContext::parse(header.unwrap()).unwrap()
}

#[tokio::test]
async fn each_request_carries_a_span_of_its_own_below_the_check() {
    let (old, new) = stacks(json(r#"{"a": 2}"#));
    let mut settings = settings();
    settings.recheck.after = vec![Duration::from_millis(1), Duration::from_millis(2)];
    let mut shadow = Shadow::start(&old, &new, settings).await;

    assert_eq!(shadow.check(&Read::new()).await, MISMATCH);

    let report = shadow.reports.try_recv().unwrap();
    for (stack, served, count) in [(stack::Stack::New, &new, 3), (stack::Stack::Old, &old, 2)] {
        let requests = served.requests();
        let carried = requests.iter().map(|request| carried(request));
        let carried = carried.map(|span| (span.trace_id, span.span_id));
        let of_stack = report.sent.iter().filter(|sent| sent.stack == stack);
        let reported = of_stack.map(|sent| {
            let port = sent.target.authority.port_u16();
            assert_eq!((sent.result, port), (Ok(200), Some(served.addr.port())));
            assert!(sent.started <= sent.ended);
            assert_ne!(sent.span_id, report.span.span_id);
            (report.span.trace_id, sent.span_id)
        });
        let reported: Vec<_> = reported.collect();
        assert_eq!(reported, carried.collect::<Vec<_>>());
        assert_eq!(reported.len(), count);
    }
}

#[tokio::test]
async fn a_request_without_an_answer_is_reported_with_its_error() {
    let (old, new) = stacks(Reply::Reset(String::new()));
    let mut shadow = Shadow::start(&old, &new, settings()).await;

    let reset = Outcome::ShadowError(ShadowError::Reset);
    assert_eq!(shadow.check(&Read::new()).await, reset);

    let report = shadow.reports.try_recv().unwrap();
    let results = report.sent.iter().map(|sent| sent.result);
    assert_eq!(results.collect::<Vec<_>>(), [Err("reset")]);
}

#[tokio::test]
async fn a_refusal_on_the_new_side_alone_is_marked() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (old, new) = stacks(Reply::Write(answer(status, "{}")));
        let shadow = Shadow::start(&old, &new, settings()).await;
        let outcome = shadow.check(&Read::new()).await;
        assert_eq!(outcome, Outcome::Mismatch(Mark::Auth));

        let both = Read {
            status: StatusCode::UNAUTHORIZED,
            ..Read::new()
        };
        assert_eq!(shadow.check(&both).await, MISMATCH);
    }
}

#[tokio::test]
async fn what_is_in_order_is_reported_only_where_all_is_traced() {
    for (traced, expected) in [(Traced::Mismatch, 0), (Traced::None, 0), (Traced::All, 1)] {
        let (old, new) = stacks(json(EQUAL));
        let settings = Settings {
            traced,
            ..settings()
        };
        let mut shadow = Shadow::start(&old, &new, settings).await;
        shadow.check(&Read::new()).await;
        let reported = std::iter::from_fn(|| shadow.reports.try_recv().ok()).count();
        assert_eq!(reported, expected, "{traced:?}");
    }
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Each of these ways ends a check with `expected`. The stack receives the read once, and works in the next check.
async fn each_ends_in(expected: Outcome, ways: Vec<(&str, Reply)>) {
    let mut settings = settings();
    settings.new.timeout = Duration::from_millis(300);
    settings.capture.max_body = 64 << 10;
    settings.new.breaker = Limits {
        failures: NonZeroU32::MAX,
        ..Limits::default()
    };
    let (old, new) = stacks(json(EQUAL));
    let mut shadow = Shadow::start(&old, &new, settings).await;
    for (index, (name, way)) in ways.into_iter().enumerate() {
        new.becomes(way);
        assert_eq!(shadow.check(&Read::new()).await, expected, "{name}");
        assert_eq!(new.requests().len(), 2 * index + 1, "{name}: sent once");
        let is_error = matches!(expected, Outcome::ShadowError(_));
        assert_eq!(shadow.reports.try_recv().is_ok(), is_error, "{name}");
        new.becomes(json(EQUAL));
        assert_eq!(shadow.check(&Read::new()).await, MATCH, "after {name}");
    }
}

#[tokio::test]
async fn a_shadow_that_is_not_done_in_time_is_a_timeout() {
    let early = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let within = format!("{CHUNKED}8\r\nxx");
    let ways = vec![
        ("hangs before the head", Reply::Hang(String::new())),
        ("hangs within the head", Reply::Hang("HTTP/1.1 200".into())),
        ("hangs after the head", Reply::Hang(HEAD.into())),
        ("hangs within a chunk", Reply::Hang(within)),
        (
            "never gets past 103",
            Reply::Stream(String::new(), early.into()),
        ),
        ("drips a head", Reply::Drip(String::new(), HEAD.repeat(9))),
        ("drips a body", Reply::Drip(HEAD.into(), "x".repeat(99))),
    ];
    each_ends_in(Outcome::ShadowError(ShadowError::Timeout), ways).await;
}

#[tokio::test]
async fn a_shadow_that_breaks_off_is_a_reset() {
    let within = format!("{CHUNKED}8\r\nxx");
    let ways = vec![
        ("closes at once", Reply::Close(String::new())),
        (
            "closes in the head",
            Reply::Close("HTTP/1.1 200 OK\r\n".into()),
        ),
        ("closes in the body", Reply::Close(format!("{HEAD}abc"))),
        ("closes in a chunk", Reply::Close(within)),
        ("resets at once", Reply::Reset(String::new())),
        ("resets in the body", Reply::Reset(format!("{HEAD}abc"))),
    ];
    each_ends_in(Outcome::ShadowError(ShadowError::Reset), ways).await;
}

#[tokio::test]
async fn a_shadow_that_speaks_no_http_is_a_protocol_error() {
    let headers: String = (0..100_000).map(|n| format!("h{n}: v\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
    let ways = vec![
        (
            "another protocol",
            Reply::Close("SSH-2.0-OpenSSH\r\n\r\n".into()),
        ),
        ("binary", Reply::Close("\0\x01\x02\r\n\r\n".into())),
        ("no chunk", Reply::Close(format!("{CHUNKED}zz\r\n"))),
        ("100 000 headers", Reply::Close(many)),
    ];
    each_ends_in(Outcome::ShadowError(ShadowError::Protocol), ways).await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read_to_its_end() {
    let kib = "x".repeat(1 << 10);
    let unframed = "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    let long = HEAD.replace("100", "99999999");
    let ways = vec![
        ("says that it is long", Reply::Hang(long)),
        ("endless", Reply::Stream(unframed, kib.clone())),
        (
            "endless chunks",
            Reply::Stream(CHUNKED.into(), format!("400\r\n{kib}\r\n")),
        ),
    ];
    each_ends_in(not_compared(Reason::BodyTooLarge), ways).await;
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_a_failed_connection() {
    let (old, new) = stacks(json(EQUAL));
    let shadow = Shadow::start(&old, &new, settings()).await;
    new.stop().await;
    let connect = Outcome::ShadowError(ShadowError::Connect);
    assert_eq!(shadow.check(&Read::new()).await, connect);
}

#[tokio::test]
async fn trailers_and_chunked_bodies_are_whole_answers() {
    let body = "3\r\n{\"a\r\n5\r\n\": 1}\r\n0\r\nx-sum: 7\r\n\r\n";
    let way = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let (old, new) = stacks(Reply::Write(way));
    fn with_trailers(
        answers: (&Answer, &Answer),
        context: &Context<'_>,
        comparing: &CompareConfig,
        tables: &mut Bijections,
    ) -> Comparison {
        assert_eq!(answers.1.trailers["x-sum"], "7");
        harness::bytes_alone(answers, context, comparing, tables)
    }
    let shadow = Shadow::comparing(&old, &new, settings(), with_trailers).await;
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
}

#[tokio::test]
async fn an_answer_to_head_has_the_headers_of_a_body_and_none() {
    let (old, new) = stacks(Reply::Write(HEAD.replace("100", "99999999")));
    let shadow = Shadow::start(&old, &new, settings()).await;
    let read = Read {
        method: Method::HEAD,
        answer: "",
        ..Read::new()
    };
    for _ in 0..2 {
        assert_eq!(shadow.check(&read).await, MATCH);
    }
}

#[tokio::test]
async fn an_answer_that_the_budget_has_no_room_for_is_not_compared() {
    let (old, new) = stacks(json(&"x".repeat(100)));
    let shadow = Shadow::start(&old, &new, settings()).await;
    shadow.budget.set_limit(EQUAL.len() + 99);
    let outcome = shadow.check(&Read::new()).await;
    assert_eq!(outcome, not_compared(Reason::MemoryFull));
}

#[tokio::test]
async fn a_panic_in_the_comparison_ends_one_check_alone() {
    fn panicking(
        answers: (&Answer, &Answer),
        context: &Context<'_>,
        comparing: &CompareConfig,
        tables: &mut Bijections,
    ) -> Comparison {
        assert_ne!(answers.1.body.kept(), "panic");
        harness::bytes_alone(answers, context, comparing, tables)
    }
    let (old, new) = stacks(json("panic"));
    let shadow = Shadow::comparing(&old, &new, settings(), panicking).await;
    let outcome = shadow.check(&Read::new()).await;
    assert_eq!(outcome, not_compared(Reason::Internal));
    new.becomes(json(EQUAL));
    assert_eq!(shadow.check(&Read::new()).await, MATCH);
}

#[tokio::test]
async fn a_worker_that_panics_is_started_again() {
    let (old, new) = stacks(json(EQUAL));
    let shadow = Shadow::start(&old, &new, settings()).await;
    for panics in 1..=2 {
        harness::PANICS.set(true);
        shadow.offer(&Read::new());
        shadow.offer(&Read::new());
        shadow.settle().await;
        assert_eq!(shadow.gauges.shadow_restarts.get(), panics);
    }
    let ended = [(MATCH, 2), (not_compared(Reason::Internal), 2)];
    assert_eq!(shadow.outcomes(), ended);
    assert_eq!(shadow.end().await.route("GET /x").sampled(), 4);
}

#[tokio::test]
async fn ids_that_met_are_remembered_until_the_epoch_ends() {
    let rule = "rules: [{id: ids, why: renumbered, at: $.id, do: {bijection: epoch}}]";
    let files = [("rules.yaml".into(), rule.to_owned())];
    let (rules, _) = RuleSet::compile(&files, jiff::civil::date(2026, 11, 22)).unwrap();
    let (old, new) = stacks(json(r#"{"id": 7}"#));
    let mut shadow = Shadow::comparing(&old, &new, settings(), compare_within).await;
    shadow.comparing = Arc::new(CompareConfig {
        rules: rules.into(),
        options: Options {
            headers: HeaderScope::None,
            ..Options::default()
        },
        ..CompareConfig::default()
    });
    let read = |answer| Read {
        answer,
        ..Read::new()
    };
    let renumbered = Outcome::Match(Via::Rules);
    assert_eq!(shadow.check(&read(r#"{"id": 5}"#)).await, renumbered);
    assert_eq!(shadow.check(&read(r#"{"id": 6}"#)).await, MISMATCH);
    assert_eq!(shadow.check(&read(r#"{"id": 5}"#)).await, renumbered);
    shadow.ledger.begin_epoch(None, Cause::Asked);
    assert_eq!(shadow.check(&read(r#"{"id": 6}"#)).await, renumbered);
    assert_eq!(shadow.gauges.bounds_reached(Bound::Bijections), 0);
}

#[tokio::test]
async fn the_breaker_opens_and_probes_once_and_closes() {
    let (old, new) = stacks(Reply::Close(String::new()));
    let limits = |cool_down| Limits {
        failures: NonZeroU32::new(3).unwrap(),
        cool_down,
    };
    let settings = |cool_down| {
        let mut settings = settings();
        settings.new.breaker = limits(cool_down);
        settings
    };
    let shadow = Shadow::start(&old, &new, settings(Duration::from_millis(100))).await;
    let reset = Outcome::ShadowError(ShadowError::Reset);
    for _ in 0..3 {
        assert_eq!(shadow.check(&Read::new()).await, reset);
    }
    assert!(shadow.gauges.is_breaker_open());

    // While the probe is under way, nothing else passes.
    new.becomes(Reply::Wait(answer("200 OK", EQUAL)));
    let probing = async {
        while new.requests().len() == 3 {
            shadow.offer(&Read::new());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), probing)
        .await
        .unwrap();
    for _ in 0..10 {
        shadow.offer(&Read::new());
    }
    until("the state that the test waits for", || {
        shadow.ended() + 1 == shadow.route().sampled()
    })
    .await;
    assert_eq!(new.requests().len(), 4);
    let open = not_compared(Reason::BreakerOpen);
    let refused = shadow.count(open);
    assert!(refused >= 10);

    new.release();
    shadow.settle().await;
    assert!(!shadow.gauges.is_breaker_open());
    assert_eq!(shadow.outcomes(), [(MATCH, 1), (reset, 3), (open, refused)]);
}

#[tokio::test]
async fn past_the_rate_budget_a_sample_is_over_budget() {
    let (old, new) = stacks(json(EQUAL));
    let mut settings = settings();
    settings.new.max_per_second = "3/h".parse().unwrap();
    let shadow = Shadow::start(&old, &new, settings).await;
    for _ in 0..20 {
        shadow.offer(&Read::new());
    }
    shadow.settle().await;
    let over = not_compared(Reason::OverBudget);
    assert_eq!(shadow.outcomes(), [(MATCH, 1), (over, 19)]);
    assert_eq!(new.requests().len(), 1);
}

#[tokio::test]
async fn a_sample_that_waited_too_long_is_expired() {
    let (old, new) = stacks(json(EQUAL));
    let mut settings = settings();
    settings.queue.max_age = Duration::ZERO;
    let shadow = Shadow::start(&old, &new, settings).await;
    let outcome = shadow.check(&Read::new()).await;
    assert_eq!(outcome, not_compared(Reason::Expired));
    assert!(new.requests().is_empty());
}

#[tokio::test]
async fn replays_in_flight_are_bounded_and_the_bound_is_a_setting() {
    let (old, new) = stacks(Reply::Wait(answer("200 OK", EQUAL)));
    let bounded = |max_in_flight| {
        let mut settings = settings();
        settings.new.max_in_flight = NonZeroUsize::new(max_in_flight).unwrap();
        settings.new.timeout = Duration::from_secs(60);
        settings
    };
    let shadow = Shadow::start(&old, &new, bounded(2)).await;
    for _ in 0..10 {
        shadow.offer(&Read::new());
    }
    until("the state that the test waits for", || {
        new.in_flight() == 2 && shadow.gauges.queue_length.get() == 8
    })
    .await;
    assert_eq!(shadow.gauges.shadow_in_flight.get(), 2);

    shadow.settings.publish(bounded(5));
    new.release();
    until("the state that the test waits for", || {
        new.in_flight() == 5 && shadow.gauges.queue_length.get() == 3
    })
    .await;
    new.becomes(json(EQUAL));
    new.release();
    shadow.settle().await;
    assert_eq!(new.most_in_flight(), 5);
    assert_eq!(shadow.count(MATCH), 10);
}

#[tokio::test]
async fn what_the_grace_does_not_suffice_for_counts_as_shutting_down() {
    let (old, new) = stacks(Reply::Hang(String::new()));
    let mut settings = settings();
    settings.new.max_in_flight = NonZeroUsize::new(2).unwrap();
    settings.drain.grace = Duration::from_millis(50);
    let shadow = Shadow::start(&old, &new, settings).await;
    for _ in 0..10 {
        shadow.offer(&Read::new());
    }
    until("the state that the test waits for", || new.in_flight() == 2).await;
    let (route, queue) = (shadow.route(), shadow.queue.clone());
    let (budget, gauges) = (shadow.budget.clone(), shadow.gauges.clone());

    let ledger = shadow.ledger.clone();
    shadow.drain().await;

    let outcome = not_compared(Reason::ShuttingDown);
    assert_eq!((route.sampled(), route.outcomes(outcome)), (10, 10));
    assert_eq!((budget.held(), gauges.shadow_in_flight.get()), (0, 0));
    drop((queue, ledger));
}

#[tokio::test]
async fn accepted_checks_end_in_the_grace_and_so_does_the_worker() {
    let (old, new) = stacks(Reply::Wait(answer("200 OK", EQUAL)));
    let shadow = Shadow::start(&old, &new, settings()).await;
    let route = shadow.route();
    for _ in 0..10 {
        shadow.offer(&Read::new());
    }
    until("the state that the test waits for", || {
        new.in_flight() == 10
    })
    .await;
    let ending = tokio::spawn(shadow.end());
    new.release();
    ending.await.unwrap();
    assert_eq!((route.sampled(), route.outcomes(MATCH)), (10, 10));
}
