//! Only if the primary gives no answer, the caller gets one of ours.

use crate::support::{LivePath, Reply, Stack, serving_new, until};
use std::time::Duration;
use strum::VariantArray as _;
use tokio::net::{TcpSocket, TcpStream};
use twinread::testing::{http_client::NoAnswer, ledger::LiveFailure};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/// The cause in the metrics, and in words.
const RESET: (&str, &str) = ("reset", "connection reset");
const PROTOCOL: (&str, &str) = ("protocol", "protocol error");
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn nobody_listening_is_a_502() {
    let nobody = Stack::nobody();
    let sidecar = LivePath::before(nobody).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        let answer = caller.send(GET).await.message().await;
        assert_problem(&sidecar, &answer, (502, "connect", "connection refused"));
    }
    let failing = sidecar.stacks[0].failing().unwrap();
    assert_eq!(failing.attempts, 2);
    assert_eq!(sidecar.stacks[0].url(), format!("http://{}", nobody));
    assert_eq!(sidecar.stacks[1].failing(), None);
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_502() {
    // Too long for a name, so that nobody is asked.
    let name = format!("{}.invalid", "a".repeat(64));
    let sidecar = LivePath::plan(Stack::nobody(), Stack::nobody())
        .with_old(|old| old.authority = name.parse().unwrap())
        .start()
        .await;
    let answer = sidecar.caller().await.send(GET).await.message().await;
    assert_problem(&sidecar, &answer, (502, "connect", "name not found"));
}

#[tokio::test]
async fn a_new_stack_that_serves_is_named_as_such() {
    let sidecar = LivePath::before(Stack::nobody()).await;
    sidecar.set(|live| live.serve = serving_new());
    let answer = sidecar.caller().await.send(GET).await.message().await;
    assert!(
        answer.contains("the new stack gave no answer: connection refused"),
        "{answer}"
    );
    assert!(answer.contains(r#""stack":"new""#), "{answer}");
}

#[tokio::test]
async fn an_answer_ends_the_failure_of_a_stack() {
    let stack = Stack::start(|request| {
        if request.starts_with("GET /gone") {
            Reply::NOTHING
        } else {
            Reply::Write(OK.to_owned())
        }
    });
    let sidecar = LivePath::before(stack.addr).await;
    let gone = sidecar
        .exchange("GET /gone HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert_problem(&sidecar, &gone, (502, "reset", "connection reset"));
    assert!(sidecar.stacks[0].failing().is_some());
    sidecar.caller().await.send(GET).await.message().await;
    assert_eq!(sidecar.stacks[0].failing(), None);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_counted() {
    let broken = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let stack = Stack::replying(Reply::Close(broken.to_owned()));
    let sidecar = LivePath::before(stack.addr).await;
    let answer = sidecar.exchange(GET).await;
    assert!(answer.ends_with("half"), "{answer}");
    assert_eq!(sidecar.gauges.live_failures(LiveFailure::Truncated), 1);
    let failing = sidecar.stacks[0].failing().unwrap();
    assert_eq!(failing.why, NoAnswer::Truncated);
}

#[tokio::test]
async fn requests_that_are_refused_are_counted_by_cause() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .limits(|limits| limits.header_bytes = 1 << 10)
        .start()
        .await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(2 << 10)
    );
    for (request, status, cause) in [
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
            405,
            LiveFailure::BadRequest,
        ),
        (
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
            LiveFailure::BadRequest,
        ),
        (&long, 431, LiveFailure::Limit),
    ] {
        let before = sidecar.gauges.live_failures(cause);
        let mut caller = sidecar.caller().await;
        let answer = caller.send(request).await.rest().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        until("it is counted", || {
            sidecar.gauges.live_failures(cause) == before + 1
        })
        .await;
    }
    assert_eq!(stack.request_count(), 0);
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_a_504() {
    // A listener with a full backlog does not answer new connections.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    for _ in 0..4 {
        filling.push(tokio::spawn(TcpStream::connect(addr)));
    }
    until("a full backlog", || {
        filling.iter().any(|one| one.is_finished())
    })
    .await;
    let sidecar = LivePath::plan(addr, addr)
        .with_old(|old| old.connect_timeout = Duration::from_millis(300))
        .start()
        .await;
    let answer = sidecar.caller().await.send(GET).await.message().await;
    let cause = "connecting timed out after 300 ms";
    assert_problem(&sidecar, &answer, (504, "timeout", cause));
}

#[tokio::test]
async fn what_is_no_answer_is_a_502() {
    let many_headers = "X-A: b\r\n".repeat(100_000);
    for (sent, cause) in [
        (String::new(), RESET),
        ("HTTP/1.1 200 OK\r\nContent-Le".to_owned(), RESET),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), PROTOCOL),
        ("\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n".to_owned(), PROTOCOL),
        (format!("HTTP/1.1 200 OK\r\n{many_headers}\r\n"), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok".to_owned(), PROTOCOL),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), PROTOCOL),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".to_owned(), PROTOCOL),
    ] {
        let script = sent.clone();
        let stack = Stack::script(move |mut conn, seen| {
            let sent = script.clone();
            async move {
                seen.message(&mut conn).await;
                conn.try_send(sent).await;
            }
        });
        let sidecar = LivePath::before(stack.addr).await;
        let answer = sidecar.caller().await.send(GET).await.message().await;
        assert_problem(&sidecar, &answer, (502, cause.0, cause.1));
        assert_eq!(stack.connections(), 1, "{sent:.60?} was asked for twice");
    }
}

#[tokio::test]
async fn lengths_that_say_the_same_go_on_as_one() {
    for lengths in [
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2, 2",
    ] {
        let stack = Stack::answering(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nok"));
        let sidecar = LivePath::before(stack.addr).await;
        let answer = sidecar.caller().await.send(GET).await.message().await;
        assert_eq!(answer.to_lowercase(), OK.to_lowercase());
    }
}

#[tokio::test]
async fn a_problem_to_head_has_no_body() {
    let sidecar = LivePath::before(Stack::nobody()).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..2 {
        caller.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = caller.head().await.unwrap();
        assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    }
}

/// Answers the first request of each connection, and resets the connection once a second one has arrived.
async fn closing() -> Stack {
    Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        conn.send(OK).await;
        if seen.message(&mut conn).await.is_some() {
            conn.reset();
        }
    })
}

#[tokio::test]
async fn a_dead_kept_connection_is_replaced_unnoticed() {
    let stack = closing().await;
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for _ in 0..3 {
        let answer = caller.send(GET).await.message().await;
        assert_eq!(answer.to_lowercase(), OK.to_lowercase());
    }
    // The second and the third request were sent twice.
    assert_eq!((stack.requests().len(), stack.connections()), (5, 3));
}

#[tokio::test]
async fn what_could_do_harm_is_not_sent_twice() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
    ] {
        let stack = closing().await;
        let sidecar = LivePath::before(stack.addr).await;
        let mut caller = sidecar.caller().await;
        caller.send(request).await.message().await;
        let answer = caller.send(request).await.message().await;
        assert_problem(&sidecar, &answer, (502, RESET.0, RESET.1));
        assert_eq!((stack.requests().len(), stack.connections()), (2, 1));
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let stack = Stack::script(|mut conn, seen| async move {
        seen.message(&mut conn).await;
        conn.send(OK).await;
    });
    let sidecar = LivePath::before(stack.addr).await;
    let mut caller = sidecar.caller().await;
    for count in 1..5 {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        caller.send(request).await;
        assert_eq!(caller.message().await.to_lowercase(), OK.to_lowercase());
        until("the request", || stack.requests().len() == count).await;
        // The stack closes the connection soon after the answer.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_kept_connection_is_closed_after_its_idle_timeout() {
    let stack = Stack::answering(OK);
    let sidecar = LivePath::plan(stack.addr, stack.addr)
        .with_old(|old| old.idle_timeout = Duration::ZERO)
        .start()
        .await;
    let mut caller = sidecar.caller().await;
    for _ in 0..3 {
        caller.send(GET).await.message().await;
    }
    assert_eq!(stack.connections(), 3);
}

/// Checks the document, and that the cause is counted. No address is in it.
fn assert_problem(
    sidecar: &LivePath,
    answer: &str,
    (status, cause, why): (u16, &'static str, &'static str),
) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(
        head.contains("content-type: application/problem+json"),
        "{head}"
    );
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    let reason = problem["title"].as_str().unwrap();
    let expected = serde_json::json!({
        "type": "about:blank", "title": reason, "status": status,
        "detail": format!("the old stack gave no answer: {why}"), "stack": "old", "cause": cause,
    });
    assert_eq!(problem, expected);
    let mut causes = LiveFailure::VARIANTS.iter();
    let counted = causes.find(|counted| counted.into_str() == cause).unwrap();
    assert!(sidecar.gauges.live_failures(*counted) > 0, "{cause}");
}
