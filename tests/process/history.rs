//! The history of settings across the end of the process.

use crate::support::{Sidecar, Stack};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The changes of one setting, the newest first.
fn changes(sidecar: &Sidecar, setting: &str) -> Vec<Value> {
    let history = sidecar.ask("/v1/settings/history?limit=1000");
    let all = history["changes"].as_array().unwrap().iter();
    let of_it = all.filter(|change| change["setting"] == setting);
    of_it.cloned().collect()
}

#[test]
fn changes_survive_a_restart_and_constants_are_one_entry() {
    let (old, new) = (Stack::json(crate::ONE), Stack::json(crate::ONE));
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("twinread.db");
    let more = format!("store: {{path: {}}}\n", store.display());
    let mut before = Sidecar::start(old.addr, new.addr, &more);
    assert_eq!(before.patch(r#"{"sample": {"rate": 0.25}}"#).status, 200);
    before.signal(Signal::TERM);
    assert!(before.exited().success());

    let after = Sidecar::start(old.addr, new.addr, &more);

    let rates = changes(&after, "sample.rate");
    let by_api = rates.iter().find(|change| change["source"] == "api");
    let by_api = by_api.expect("the change was kept");
    assert_eq!(
        (&by_api["from"], &by_api["to"]),
        (&json!(1.0), &json!(0.25))
    );
    assert!(by_api["caller"].as_str().unwrap().starts_with("127.0.0.1:"));
    let unchanged = changes(&after, "sample.max_per_second");
    let shown: Vec<_> = unchanged.iter().map(|change| &change["source"]).collect();
    assert_eq!(shown, ["start"], "by the first process only");
}
