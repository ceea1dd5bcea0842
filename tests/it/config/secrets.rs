//! Faults never show a secret.

use super::{Folder, STACKS};
use twinread::testing::config::{Flags, Origin, load};

const SECRET: &str = "hunter2hunter2";

/// The faults of a file with `SECRET` in a wrong position.
fn faults(text: &str) -> String {
    let folder = Folder::with(text);
    let origin = Origin::new(Some(folder.path().join("twinread.yaml")), Flags::default());
    let origin = origin.with_environment(|name| (name == "KEY").then(|| SECRET.to_owned()));
    load(&origin).unwrap_err().to_string()
}

#[test]
fn a_fault_shows_no_secret() {
    let url = |url: &str| format!("old: {{url: '{url}'}}\nnew: {{url: 'http://new:2'}}\n");
    let more = |text: &str| format!("{STACKS}{text}\n");
    for text in [
        more("admin_token: 'hunter2hunter2 x'"),
        more("live_token: 'hunter2hunter2 x'"),
        more("live_token: [hunter2hunter2]"),
        more("telemetry: {otlp: {headers: 'authorization=hunter2hunter2'}}"),
        more("telemetry: {otlp: {headers: {a: [hunter2hunter2]}}}"),
        more("telemetry: {otlp: {headers: [hunter2hunter2]}}"),
        more("telemetry: {otlp: {endpoint: 'ftp://me:hunter2hunter2@host'}}"),
        "old: {url: 'http://old:1', headers: 'authorization: hunter2hunter2'}\nnew: {url: 'http://new:2'}\n".to_owned(),
        "old: {url: 'http://old:1', headers: {set: 'x: hunter2hunter2'}}\nnew: {url: 'http://new:2'}\n".to_owned(),
        "old: {url: 'http://old:1', headers: {set: {authorization: \"hunter2hunter2\\n\"}}}\nnew: {url: 'http://new:2'}\n".to_owned(),
        url("ftp://me:hunter2hunter2@host"),
        url("http://me:hunter2hunter2@host"),
        url("me:hunter2hunter2@host"),
        url("http://host/?key=hunter2hunter2"),
        url("ftp://${KEY}"),
        more("sample: {rate: '${KEY}'}"),
        more("admin: ${KEY}"),
        more("rules: ['gone/${KEY}.yaml']"),
        more("reads: [{methods: ['${KEY}']}]"),
        more("log: {level: x${KEY}}"),
    ] {
        let faults = faults(&text);
        assert!(!faults.is_empty() && !faults.contains("hunter2"), "{text} {faults}");
    }
}

#[test]
fn a_fault_names_the_variable_and_not_its_value() {
    let found = faults(&format!("{STACKS}sample: {{rate: 'a${{KEY}}'}}\n"));
    assert!(
        found.ends_with(":3:16: sample.rate: expected a number from 0 to 1, found `a${KEY}`"),
        "{found}"
    );
    // Text that is in the file anyway is shown.
    let found = faults(&format!("{STACKS}sample: {{rate: '${{GONE:-lots}}'}}\n"));
    assert!(found.ends_with("found \"lots\""), "{found}");
    let found = faults("old: {url: 'ftp://me:x@old/a'}\nnew: {url: 'http://new:2'}\n");
    assert!(found.ends_with("found \"ftp://…@old/a\""), "{found}");
}

#[test]
fn tokens_do_not_show_in_debug_output() {
    let folder = Folder::with(&format!("{STACKS}live_token: {SECRET}\n"));
    let loaded = folder.load().unwrap();
    let token = loaded.config.settings.live_token.as_ref().unwrap();
    assert!(token.is(SECRET.as_bytes()));
    let settings = format!("{:?} {token:?}", loaded.settings());
    assert!(
        !settings.contains(SECRET) && !settings.contains("live_token"),
        "{settings}"
    );
}
