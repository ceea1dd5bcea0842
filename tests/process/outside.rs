//! Routes that the verdict does not depend on, and routes whose checks lead nowhere.

use crate::support::{Caller, Reply, Sidecar, Stack, answer, eventually, printed_wide, twinread};
use serde_json::Value;

/// Each kind of route that keeps a verdict from being `safe`; `stack` is in what differs.
fn stack(stack: &'static str) -> Stack {
    Stack::start(move |head| {
        let path = head.split(' ').nth(1).unwrap();
        let text = match path {
            "/chat" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n".to_owned(),
            "/events" => "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9\r\n\r\ndata: a\n\n".to_owned(),
            "/download" => answer("200 OK", &format!("\"{stack}{}\"", "x".repeat(4_096))),
            "/wp-login.php" => answer("404 Not Found", "{}"),
            _ => answer("200 OK", "{}"),
        };
        if path == "/chat" {
            Reply::Close(text)
        } else {
            Reply::Write(text)
        }
    })
}

fn sidecar(more: &str) -> Sidecar {
    let more = format!("capture: {{max_body: 1KiB}}\n{more}");
    let sidecar = Sidecar::start(stack("old").addr, stack("new").addr, &more);
    let mut caller = sidecar.caller();
    for _ in 0..12 {
        for path in ["/cart", "/events", "/download", "/wp-login.php"] {
            caller.get(path);
        }
        let upgrade =
            "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
        Caller::connect(sidecar.listen).try_send(upgrade);
    }
    sidecar.judged(60);
    sidecar
}

fn route(verdict: &Value, name: &str) -> Value {
    let mut routes = verdict["routes"].as_array().unwrap().iter();
    let route = routes.find(|route| route["route"] == name);
    route.unwrap_or_else(|| panic!("{name}: {verdict}")).clone()
}

fn required(sidecar: &Sidecar, name: &str) -> f64 {
    sidecar.metric("twinread_route_required", &format!("route=\"{name}\""))
}

/// The routes that reasons name.
fn blamed(verdict: &Value) -> Vec<&str> {
    let reasons = verdict["reasons"].as_array().unwrap().iter();
    let mut names: Vec<_> = reasons
        .filter_map(|reason| reason["route"].as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a command prints, whatever the verdict.
fn printed(sidecar: &Sidecar, command: &[&str]) -> String {
    let admin = format!("http://{}", sidecar.admin);
    let arguments = [command, &["--admin", &admin]].concat();
    printed_wide(sidecar.folder.path(), &arguments)
}

const SCANNED: &str = "all answers were 4xx; if nobody needs it, add it to verdict.exempt or set \
                       `verdict.required: declared`";
const TOO_LARGE: &str = "100 % body_too_large; raise capture.max_body or add it to verdict.exempt";
const STREAMING: &str = "100 % streaming; it has no end to wait for: add it to verdict.exempt";

#[test]
fn what_cannot_be_compared_is_named_with_cause_and_remedy() {
    let sidecar = sidecar("");
    let verdict = sidecar.ask("/v1/verdict");
    for (name, advice) in [
        ("GET /cart", Value::Null),
        ("GET /chat", STREAMING.into()),
        ("GET /events", STREAMING.into()),
        ("GET /download", TOO_LARGE.into()),
        ("GET /wp-login.php", SCANNED.into()),
    ] {
        assert_eq!(route(&verdict, name)["advice"], advice, "{name}");
    }
    let reasons = verdict["reasons"].to_string();
    assert!(
        reasons.contains(&format!(
            "12 of 12 checks could not be compared ({TOO_LARGE})"
        )),
        "{reasons}"
    );
    for command in [vec!["gate"], vec!["status", "--once"]] {
        let printed = printed(&sidecar, &command);
        let flowing = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flowing.contains(&format!("advice GET /wp-login.php: {SCANNED}")),
            "{printed}"
        );
        assert!(flowing.contains(TOO_LARGE), "{printed}");
    }
}

#[test]
fn an_exempt_name_that_no_route_has_is_set_with_a_warning() {
    let sidecar = sidecar("routes: [{name: 'op {op}', path: '/ops/{op}'}]\n");
    sidecar.caller().get("/files/17");
    let admin = format!("http://{}", sidecar.admin);
    let set = |names: &str| {
        let exempt = format!("verdict.exempt={names}");
        let output = twinread()
            .args(["set", &exempt, "--admin", &admin])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let shown = String::from_utf8(output.stderr).unwrap();
        let lines = shown.lines().filter(|line| line.starts_with("warning: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    for known in ["GET /files/{}", "GET /f*", "op list", "other"] {
        assert_eq!(set(known), "", "{known}");
    }
    let expected = "warning: verdict.exempt: no route has had the name `GET /file/{}` so far, did you mean `GET /files/{}`?";
    for _ in 0..2 {
        assert_eq!(set("GET /files/{},GET /file/{}"), expected);
    }
    let expected = "warning: verdict.exempt[0]: no route has the name `files`";
    assert_eq!(set("files"), expected);
    assert_eq!(
        sidecar.ask("/v1/settings")["settings"]["verdict.exempt"]["value"],
        serde_json::json!(["files"])
    );
}

#[test]
fn exempt_routes_are_shown_and_give_no_reason() {
    let sidecar = sidecar("verdict: {exempt: ['GET /events', 'GET /ch*']}\n");
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(
        blamed(&verdict),
        ["GET /cart", "GET /download", "GET /wp-login.php"]
    );
    eventually("the metrics show which routes are required", || {
        let shown = ["GET /cart", "GET /events"].map(|name| required(&sidecar, name));
        (shown == [1.0, 0.0]).then_some(())
    });
    let events = route(&verdict, "GET /events");
    assert_eq!(
        (&events["exempt"], &events["required"]),
        (&true.into(), &false.into())
    );
    assert_eq!(
        (&events["sampled"], &events["advice"]),
        (&12.into(), &Value::Null)
    );
    let lines = printed(&sidecar, &["gate"]);
    let exempt = "exempt         GET /events: 12 live, 12 sampled, 0 matched, 0 mismatched";
    assert!(lines.contains(exempt), "{lines}");

    let patch = r#"{"verdict": {"exempt": ["*"]}}"#;
    assert_eq!(sidecar.patch(patch).status, 200);
    let all = eventually("all routes are exempt", || {
        let verdict = sidecar.ask("/v1/verdict");
        let mut routes = verdict["routes"].as_array().unwrap().iter();
        routes
            .all(|route| route["exempt"] == true || route["route"] == "(rest)")
            .then_some(verdict)
    });
    assert_eq!(blamed(&all), [""; 0], "{all}");
    assert_eq!(all["verdict"], "undecided", "no route is left: {all}");
    eventually("no route is required in the metrics", || {
        (required(&sidecar, "GET /cart") == 0.0).then_some(())
    });

    assert_eq!(
        sidecar.patch(r#"{"verdict": {"exempt": null}}"#).status,
        200
    );
    eventually("the file counts again", || {
        let verdict = sidecar.ask("/v1/verdict");
        (route(&verdict, "GET /cart")["required"] == true).then_some(())
    });
    eventually("it is required in the metrics again", || {
        (required(&sidecar, "GET /cart") == 1.0).then_some(())
    });
}

#[test]
fn only_declared_routes_are_required_if_so_asked() {
    let sidecar = sidecar(
        "verdict: {required: declared, max_mismatch: 0.5, max_error: 0.5, max_noise: 0.5, max_uncompared: 0.5}\n\
         routes: [{name: cart, path: /cart, required: true}]\n",
    );
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(verdict["verdict"], "safe", "{verdict}");
    assert_eq!(route(&verdict, "(rest)")["required"], false);
    assert_eq!(route(&verdict, "cart")["required"], true);
    let lines = printed(&sidecar, &["gate"]);
    assert!(
        lines.contains("not required   (rest): 80 % of the live reads"),
        "{lines}"
    );
    assert!(
        lines.contains("advice         GET /download: 100 % body_too_large"),
        "{lines}"
    );

    assert_eq!(
        sidecar
            .patch(r#"{"verdict": {"required": "observed"}}"#)
            .status,
        200
    );
    eventually("observed routes are required", || {
        let verdict = sidecar.ask("/v1/verdict");
        (route(&verdict, "GET /download")["required"] == true).then_some(())
    });
}

#[test]
fn reads_of_exempt_routes_make_no_other_route_rare() {
    let (old, new) = (Stack::json("{}"), Stack::json("{}"));
    let more = "verdict: {exempt: ['GET /health'], min_share: 0.1}\n";
    let sidecar = Sidecar::start(old.addr, new.addr, more);
    let mut caller = sidecar.caller();
    for path in [["/health"; 15].as_slice(), &["/cart"]].concat().repeat(20) {
        assert_eq!(caller.get(path).status, 200);
    }
    sidecar.judged(320);
    let verdict = sidecar.ask("/v1/verdict");
    assert_eq!(route(&verdict, "GET /cart")["required"], true);
}
