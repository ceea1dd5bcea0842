//! `twinread check` and `twinread set` on the command line: what they print, where, and their exit codes.

use crate::support::run_in;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;
use twinread::testing::{
    app::App,
    config::{Flags, Origin, load},
};

fn folder(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("twinread.yaml"), text).unwrap();
    folder
}

/// Exit code, stdout, stderr.
fn reported(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_help_says_of_each_command_what_that_one_does() {
    let folder = TempDir::new().unwrap();
    let help = run_in(folder.path(), &["--help"]);
    let (code, stdout, _) = reported(&help);
    assert_eq!(code, 0);
    let commands = stdout.lines().skip_while(|line| *line != "Commands:");
    let commands = commands.skip(1).take_while(|line| !line.is_empty());
    // Further lines of a long description are indented to its column.
    let commands = commands.filter(|line| !line.starts_with("     "));
    let mut seen = std::collections::HashSet::new();
    for line in commands {
        let (name, about) = line.trim().split_once(' ').unwrap_or((line, ""));
        assert!(
            !about.trim().is_empty(),
            "{name} is not explained: {stdout}"
        );
        assert!(
            seen.insert(about.trim()),
            "{name} is explained as another: {stdout}"
        );
    }
    assert!(seen.len() > 8, "{stdout}");
}

#[test]
fn check_prints_what_it_found_on_one_line() {
    let folder = folder(
        "old: {url: 'http://old:1'}\nnew: {url: 'http://new:2'}\n\
         routes: [{name: a, path: /a}]\nrules: [own.yaml]\n",
    );
    let rules = "rules:\n  - {id: a, why: clocks, at: header.date, do: ignore}\n  \
                 - {id: b, why: clocks, expires: 2020-01-01, at: header.age, do: ignore}\n";
    fs::write(folder.path().join("own.yaml"), rules).unwrap();

    let output = run_in(folder.path(), &["check", "twinread.yaml"]);

    let (code, stdout, stderr) = reported(&output);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stdout,
        "twinread.yaml: valid, 1 route, 2 rules, 1 warning\n"
    );
    assert!(
        stderr.starts_with("own.yaml:3:") && stderr.contains(": warning: "),
        "{stderr}"
    );
}

#[test]
fn check_prints_every_fault_with_its_place_on_stderr() {
    let folder = folder("old: {url: 'http://old:1'}\nnwe: {}\nsample: {rate: 7}\n");

    let output = run_in(folder.path(), &["check", "twinread.yaml"]);

    let expected = "twinread.yaml:1:1: new: `url` is missing\n\
                    twinread.yaml:2:1: unknown field `nwe`, did you mean `new`?\n\
                    twinread.yaml:3:16: sample.rate: expected a number from 0 to 1, found `7`\n";
    assert_eq!(reported(&output), (64, "", expected));

    let output = run_in(folder.path(), &["check", "gone.yaml"]);
    let expected = "cannot read gone.yaml: No such file or directory (os error 2)\n";
    assert_eq!(reported(&output), (64, "", expected));
}

/// A sidecar in front of stacks that receive no requests.
fn sidecar(folder: &Path, text: &str) -> App {
    let file = folder.join("twinread.yaml");
    let addresses = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n\
                     old: {url: 'http://127.0.0.1:9'}\nnew: {url: 'http://127.0.0.1:10'}\n";
    // Otherwise `set` would report that nothing survives a restart.
    let store = folder.join("evidence.db");
    let store = format!("store: {{path: {}}}\n", store.display());
    fs::write(&file, format!("{addresses}{store}{text}")).unwrap();
    let origin = Origin::new(Some(file), Flags::default());
    let loaded = load(&origin).unwrap();
    App::start(origin, loaded).unwrap()
}

#[test]
fn set_changes_settings_and_prints_what_they_are_now() {
    let folder = folder("");
    let app = sidecar(folder.path(), "admin_token: s3cret\nsample: {rate: 0.1}\n");
    let admin = format!("http://{}", app.admin_addr());
    let set = |changes: &[&str]| {
        let arguments = [&["set", "--admin", &admin, "--token", "s3cret"], changes].concat();
        run_in(folder.path(), &arguments)
    };

    let output = set(&["sample.rate=0.2", "new.timeout=3s", "serve.new=100"]);
    let expected = "new.timeout = 3s (api)\nsample.rate = 0.2 (api)\nserve.new = 100 (api)\n";
    assert_eq!(reported(&output), (0, expected, ""));

    let output = set(&["recheck.after=1s,2s"]);
    let expected = "recheck.after = [\"1s\",\"2s\"] (api)\n";
    assert_eq!(reported(&output), (0, expected, ""));

    let output = set(&["sample.rate=null"]);
    assert_eq!(reported(&output), (0, "sample.rate = 0.1 (file)\n", ""));

    let output = set(&[
        "sample.rate=0.3",
        "queue.max_length=0",
        "listen=127.0.0.1:1",
    ]);
    let expected = "listen needs a restart\n\
                    queue.max_length: expected a whole number from 1 to 1000000, found `0`\n";
    assert_eq!(reported(&output), (64, "", expected));

    let output = run_in(folder.path(), &["set", "--admin", &admin, "paused=true"]);
    let (code, stdout, stderr) = reported(&output);
    assert_eq!((code, stdout), (64, ""), "without the token: {stderr}");
    app.stop();
}

#[test]
fn set_takes_address_and_token_from_the_environment() {
    let folder = folder("");
    let app = sidecar(folder.path(), "admin_token: s3cret\n");
    let output = Command::new(env!("CARGO_BIN_EXE_twinread"))
        .env("TWINREAD_ADMIN", format!("http://{}", app.admin_addr()))
        .env("TWINREAD_ADMIN_TOKEN", "s3cret")
        .args(["set", "paused=true"])
        .output()
        .unwrap();
    assert_eq!(reported(&output), (0, "paused = true (api)\n", ""));
    app.stop();
}

#[test]
fn set_says_that_a_change_does_not_survive_a_restart() {
    let folder = folder("");
    let app = sidecar(folder.path(), "");
    fs::write(folder.path().join("other"), "").unwrap();
    // Nothing more can be written.
    let (other, store) = ("other", "evidence.db");
    fs::rename(folder.path().join(other), folder.path().join(store)).unwrap();
    let admin = format!("http://{}", app.admin_addr());
    let output = run_in(folder.path(), &["set", "--admin", &admin, "paused=true"]);
    let expected = "in force, but not stored: it does not survive a restart\n";
    assert_eq!(reported(&output), (0, "paused = true (api)\n", expected));
    app.stop();
}

#[test]
fn set_distinguishes_bad_usage_from_no_listener() {
    let folder = folder("");
    for arguments in [
        ["set", "sample.rate"].as_slice(),
        &["set", "sample=1", "sample.rate=1"],
        &["set"],
        &["set", "--admin", "nowhere", "paused=true"],
    ] {
        let output = run_in(folder.path(), arguments);
        let (code, stdout, stderr) = reported(&output);
        assert_eq!((code, stdout), (64, ""), "{arguments:?}\n{stderr}");
    }
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let output = run_in(folder.path(), &["set", "--admin", &admin, "paused=true"]);
    let (code, stdout, stderr) = reported(&output);
    assert_eq!((code, stdout), (69, ""), "{stderr}");
}
