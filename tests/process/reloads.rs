//! What the files say and is not in force: a refused reload, and changes that need a restart.

use crate::{
    ONE,
    support::{Sidecar, Stack, eventually, printed_wide},
};
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
