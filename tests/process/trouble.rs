//! A stack that does not answer: what the log, `/readyz`, the metrics and `twinread status` say of it.

use crate::support::{Caller, Reply, Sidecar, Stack, eventually, printed_wide};
use serde_json::{Value, json};

const BODY: &str = r#"{"a": 1}"#;

fn readyz(sidecar: &Sidecar) -> Value {
    sidecar.ask("/readyz")
}

/// What `twinread status` shows once.
fn status(sidecar: &Sidecar) -> String {
    let admin = format!("http://{}", sidecar.admin);
    let args = ["status", "--once", "--admin", &admin];
    printed_wide(sidecar.folder.path(), &args)
}

#[test]
fn an_old_stack_that_is_down_is_named_with_its_cause() {
    let (nobody, new) = (Stack::nobody(), Stack::json(BODY));
    let sidecar = Sidecar::start(nobody, new.addr, "");
    let url = format!("http://{nobody}");
    for _ in 0..5 {
        let answer = sidecar.caller().get("/");
        let problem = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 502, "{problem}");
        assert!(
            problem.contains("the old stack gave no answer: connection refused"),
            "{problem}"
        );
        assert!(!problem.contains(&nobody.port().to_string()), "{problem}");
    }
    assert_eq!(
        sidecar.metric("twinread_live_failures_total", "cause=\"connect\""),
        5.0
    );
    let by = sidecar.metric("twinread_live_requests_total", "answered_by=\"twinread\"");
    assert_eq!(by, 5.0);
    eventually("callers' waits are counted", || {
        let waits = sidecar.metric("twinread_live_seconds_count", "answered_by=\"twinread\"");
        (waits == 5.0).then_some(())
    });

    let not_ready = readyz(&sidecar);
    let missing = format!(
        "the primary has not been reachable yet: the old stack at {url} does not answer: connection refused"
    );
    assert_eq!(not_ready["missing"], json!([missing]), "{not_ready}");
    let impaired = not_ready["impaired"].to_string();
    assert!(!impaired.contains("stack"), "it is said once: {impaired}");
    let old = &not_ready["stacks"][0];
    assert_eq!(
        (&old["stack"], &old["role"], &old["url"]),
        (&json!("old"), &json!("primary"), &json!(url))
    );
    assert_eq!(old["failing"]["cause"], "connection refused");
    assert!(not_ready["stacks"][1]["failing"].is_null(), "{not_ready}");

    let lines = sidecar.logged("a stack gives no answer");
    let [line] = &lines[..] else {
        panic!("one line: {lines:?}");
    };
    let fields = ["level", "stack", "url", "cause"].map(|name| &line[name]);
    assert_eq!(fields, ["WARN", "old", &url, "connection refused"]);

    let shown = status(&sidecar);
    assert!(
        shown.contains(&format!("{url}  primary, no answer: connection refused")),
        "{shown}"
    );
    assert!(shown.contains(&format!("not ready: {missing}")), "{shown}");
}

#[test]
fn a_primary_that_fails_later_is_seen_until_it_answers() {
    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    eventually("it is ready", || {
        (readyz(&sidecar)["status"] == "ready").then_some(())
    });
    // To be reached is no answer.
    assert_eq!(sidecar.caller().get("/").status, 200);
    old.becomes(Reply::NOTHING);
    for _ in 0..2 {
        assert_eq!(sidecar.caller().get("/").status, 502);
        assert!(readyz(&sidecar)["stacks"][0]["failing"].is_null());
    }
    assert_eq!(sidecar.caller().get("/").status, 502);
    let ready = readyz(&sidecar);
    let impaired = format!(
        "the old stack at http://{} does not answer: connection reset",
        old.addr
    );
    assert_eq!(ready["impaired"][0], impaired, "{ready}");
    old.becomes(crate::support::json(BODY));
    assert_eq!(sidecar.caller().get("/").status, 200);
    assert!(readyz(&sidecar)["stacks"][0]["failing"].is_null());
    let lines = eventually("it is logged", || {
        sidecar.logged("a stack answers again").pop()
    });
    assert_eq!(
        (&lines["stack"], &lines["attempts"]),
        (&json!("old"), &json!(3))
    );
}

#[test]
fn a_control_instance_that_is_down_is_named_but_not_waited_for() {
    let (old, new, nobody) = (
        Stack::json(BODY),
        Stack::json(r#"{"a": 2}"#),
        Stack::nobody(),
    );
    let control = format!("control: {{url: 'http://{nobody}'}}\n");
    let sidecar = Sidecar::rechecking(old.addr, new.addr, ("after: [1ms]", &control));
    assert_eq!(sidecar.caller().get("/").status, 200);
    let ready = eventually("it was asked", || {
        let ready = readyz(&sidecar);
        (ready["impaired"] != json!([])).then_some(ready)
    });
    let impaired =
        format!("the control instance at http://{nobody} does not answer: connection refused");
    assert_eq!(
        (&ready["impaired"][0], &ready["status"]),
        (&json!(impaired), &json!("ready"))
    );
    let shown = status(&sidecar);
    assert!(
        shown.contains(&format!("impaired: {impaired}\n")),
        "{shown}"
    );
}

#[test]
fn reads_past_the_bound_on_samples_are_noted() {
    let (old, new) = (Stack::json(BODY), Stack::json(BODY));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let noted = || readyz(&sidecar)["notes"].to_string();
    assert!(!noted().contains("not sampled"), "{}", noted());
    sidecar.patch(r#"{"sample": {"max_per_second": 1}}"#);
    let mut caller = sidecar.caller();
    for _ in 0..9 {
        assert_eq!(caller.get("/").status, 200);
    }
    let count = sidecar.metric("twinread_bound_reached_total", "samples_per_second");
    assert!(count >= 1.0, "{count}");
    let note = format!(
        "{count} reads not sampled since the start, because sample.max_per_second was reached"
    );
    assert!(noted().contains(&note), "{}", noted());
    assert!(status(&sidecar).contains(&format!("note: {note}")));
}

#[test]
fn a_shadow_that_is_down_is_named_with_its_cause() {
    let (old, nobody) = (Stack::json(BODY), Stack::nobody());
    let sidecar = Sidecar::start(old.addr, nobody, "");
    let url = format!("http://{nobody}");
    let mut caller = sidecar.caller();
    for _ in 0..10 {
        assert_eq!(caller.get("/").status, 200);
    }
    sidecar.quiet(10);
    let ready = readyz(&sidecar);
    let impaired = format!("the new stack at {url} does not answer: connection refused");
    assert_eq!(ready["impaired"][0], impaired, "{ready}");
    assert_eq!(ready["stacks"][1]["role"], "shadow");
    assert_eq!(ready["stacks"][1]["failing"]["attempts"], 10);
    let lines = sidecar.logged("a stack gives no answer");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let breaker = eventually("the breaker is logged", || {
        sidecar.logged("the circuit breaker has opened").pop()
    });
    for line in [&lines[0], &breaker] {
        let fields = ["stack", "url", "cause"].map(|name| &line[name]);
        assert_eq!(fields, ["new", &url, "connection refused"]);
    }
    let shown = status(&sidecar);
    for line in [
        format!("old  http://{}  primary\n", old.addr),
        format!("new  {url}  shadow, no answer: connection refused\n"),
        format!("impaired: {impaired}\n"),
    ] {
        assert!(shown.contains(&line), "{line} in {shown}");
    }
}

#[test]
fn shadow_trouble_is_named_in_plain_words() {
    let old = Stack::json(BODY);
    for (reply, cause) in [
        (Reply::Hang(String::new()), "timed out after 150 ms"),
        (Reply::NOTHING, "connection reset"),
        (
            Reply::Close("SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
            "protocol error",
        ),
        (
            Reply::Close("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned()),
            "the answer broke off",
        ),
    ] {
        let new = Stack::replying(reply);
        let sidecar = Sidecar::start(old.addr, new.addr, "");
        assert_eq!(
            sidecar.patch(r#"{"new": {"timeout": "150ms"}}"#).status,
            200
        );
        assert_eq!(sidecar.caller().get("/").status, 200);
        sidecar.quiet(1);
        assert_eq!(readyz(&sidecar)["stacks"][1]["failing"]["cause"], cause);
    }
    let name = format!("{}.invalid", "a".repeat(64));
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nold: {{url: 'http://{}'}}\nnew: {{url: 'http://{name}'}}\n\
         sample: {{rate: 1}}\nlog: {{format: json}}\n",
        old.addr
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("twinread.yaml"), config).unwrap();
    let sidecar = Sidecar::run(crate::support::twinread(), folder);
    Caller::connect(sidecar.listen).get("/");
    sidecar.quiet(1);
    let ready = readyz(&sidecar);
    assert_eq!(
        ready["stacks"][1]["failing"]["cause"], "name not found",
        "{ready}"
    );
}
