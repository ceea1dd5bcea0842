//! What the files say and is not in force: a refused reload, and changes that need a restart.

use crate::{
    ONE,
    support::{Sidecar, Stack, eventually, printed_wide},
};
use rustix::process::Signal;
use serde_json::json;

fn impaired(sidecar: &Sidecar) -> String {
    sidecar.ask("/readyz")["impaired"].to_string()
}

fn write(sidecar: &Sidecar, text: &str) {
    std::fs::write(sidecar.folder.path().join("twinread.yaml"), text).unwrap();
}

#[test]
fn a_changed_value_that_the_api_hides_is_named() {
    let sidecar = Sidecar::start(Stack::json(ONE).addr, Stack::json(ONE).addr, "");
    let config = std::fs::read_to_string(sidecar.folder.path().join("twinread.yaml")).unwrap();
    sidecar.patch(r#"{"queue": {"max_age": "7s"}}"#);
    write(
        &sidecar,
        &format!("{config}queue: {{max_age: 9s, max_length: 99}}\n"),
    );
    let line = eventually("it is logged", || {
        sidecar.logged("changed in the configuration, but the value that the API set stays; null returns to the file's").pop()
    });
    assert_eq!(line["name"], "queue.max_age");
    let settings = sidecar.ask("/v1/settings")["settings"].clone();
    let expected = json!({"value": "7s", "source": "api", "hidden": "9s"});
    assert_eq!(settings["queue.max_age"], expected);
    assert_eq!(
        settings["queue.max_length"],
        json!({"value": 99, "source": "file"})
    );
    let admin = format!("http://{}", sidecar.admin);
    let args = ["status", "--once", "--admin", &admin];
    let status = printed_wide(sidecar.folder.path(), &args);
    assert!(
        status.contains("changed by the API: queue.max_age (configured: 9s)"),
        "{status}"
    );
}

#[test]
fn refused_reload_and_needed_restart_are_shown_until_they_end() {
    let sidecar = Sidecar::start(Stack::json(ONE).addr, Stack::json(ONE).addr, "");
    let config = std::fs::read_to_string(sidecar.folder.path().join("twinread.yaml")).unwrap();
    let successful = || sidecar.metric("twinread_config_last_reload_successful", "");
    let restart_needed = || sidecar.metric("twinread_restart_needed", "");
    assert_eq!((successful(), restart_needed()), (1.0, 0.0));

    write(&sidecar, &format!("{config}rulez: []\nqueue: 7\n"));
    eventually("the refusal is shown", || {
        (successful() == 0.0).then_some(())
    });
    let shown = impaired(&sidecar);
    let expected = "the last reload was refused, the configuration before it stays in force: ";
    assert!(shown.contains(expected), "{shown}");
    assert!(
        shown.contains(
            ":8:1: unknown field `rulez`, did you mean `rules`? (and 1 more, see the log)"
        ),
        "{shown}"
    );
    assert_eq!(sidecar.metric("twinread_reload_failures_total", ""), 1.0);
    let admin = format!("http://{}", sidecar.admin);
    let status = printed_wide(
        sidecar.folder.path(),
        &["status", "--once", "--admin", &admin],
    );
    assert!(status.contains("the last reload was refused"), "{status}");

    write(
        &sidecar,
        &format!("{config}drain: {{grace: 1s}}\nmax_routes: 7\n"),
    );
    eventually("the restart is asked for", || {
        (restart_needed() == 1.0).then_some(())
    });
    assert_eq!(successful(), 1.0);
    let shown = impaired(&sidecar);
    let expected =
        "changed in the file, and not in force before a restart: max_routes, drain.grace";
    assert!(
        shown.contains(expected) && !shown.contains("refused"),
        "{shown}"
    );

    write(&sidecar, &config);
    eventually("nothing is left", || {
        (restart_needed() == 0.0).then_some(())
    });
    let shown = sidecar.ask("/readyz")["impaired"].clone();
    let left: Vec<_> = shown.as_array().unwrap().iter().collect();
    assert!(
        left.iter()
            .all(|line| **line != json!("") && !line.to_string().contains("restart:")),
        "{shown}"
    );
}

/// A caller whose request cannot be read causes a line at `debug`.
fn lines_at_debug(sidecar: &Sidecar) -> usize {
    let before = sidecar.metric("twinread_live_failures_total", "bad_request");
    assert_eq!(sidecar.caller().send("NO\r\n\r\n").status, 400);
    eventually("it is counted", || {
        let counted = sidecar.metric("twinread_live_failures_total", "bad_request");
        (counted == before + 1.0).then_some(())
    });
    // A line after it, so that it would be there.
    let revision = sidecar.ask("/v1/settings")["revision"].clone();
    let paused = sidecar.ask("/v1/settings")["settings"]["paused"]["value"] == true;
    sidecar.patch(&json!({"paused": !paused}).to_string());
    eventually("a later line is there", || {
        let mut changes = sidecar.logged("setting changed").into_iter();
        changes.find(|change| change["revision"].as_u64() > revision.as_u64())
    });
    sidecar.logged("a connection to a caller ended").len()
}

#[test]
fn the_level_of_the_log_changes_at_runtime_and_is_kept() {
    let (old, new) = (Stack::json(ONE), Stack::json(ONE));
    let folder = tempfile::tempdir().unwrap();
    let store = format!(
        "store: {{path: {}}}\n",
        folder.path().join("evidence.db").display()
    );
    let mut first = Sidecar::start(old.addr, new.addr, &store);
    assert_eq!(lines_at_debug(&first), 0);
    assert_eq!(first.patch(r#"{"log": {"level": "debug"}}"#).status, 200);
    assert_eq!(lines_at_debug(&first), 1);
    assert_eq!(first.patch(r#"{"log": {"level": "loud"}}"#).status, 422);
    assert_eq!(lines_at_debug(&first), 2);
    first.signal(Signal::TERM);
    assert!(first.exited().success());

    let second = Sidecar::start(old.addr, new.addr, &store);
    assert_eq!(lines_at_debug(&second), 1, "it is kept over a restart");
    assert_eq!(second.patch(r#"{"log": {"level": null}}"#).status, 200);
    assert_eq!(lines_at_debug(&second), 1, "the file's is in force");
    let config = std::fs::read_to_string(second.folder.path().join("twinread.yaml")).unwrap();
    let config = config.replace("format: json", "format: json, level: debug");
    write(&second, &config);
    eventually("the file is read", || {
        let level = &second.ask("/v1/settings")["settings"]["log.level"];
        (*level == json!({"value": "debug", "source": "file"})).then_some(())
    });
    assert_eq!(lines_at_debug(&second), 2, "the file's new one is in force");
}
