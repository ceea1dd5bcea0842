//! What all commands have in common: their help, and how they end without a sidecar or without its token.

use crate::support::{Sidecar, Stack, json, twinread};
use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

/// One command and what its `--help` prints.
struct Helped {
    words: Vec<String>,
    help: String,
}

/// `twinread` itself and every command below it.
fn every_command() -> Vec<Helped> {
    let mut found: Vec<Helped> = Vec::new();
    let mut left = vec![Vec::<String>::new()];
    while let Some(words) = left.pop() {
        let output = twinread().args(&words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{words:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let below = help.lines().skip_while(|line| *line != "Commands:");
        let below = below.skip(1).take_while(|line| !line.is_empty());
        // Further lines of a description are indented deeper than a name.
        let below = below.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        let below = below.filter(|name| !name.is_empty());
        for name in below.filter(|name| *name != "help") {
            left.push([words.clone(), vec![name.to_owned()]].concat());
        }
        found.push(Helped { words, help });
    }
    found
}

/// Its example with other options, in a folder with the files that examples name.
fn example(command: &Helped, folder: &Path, options: &[&str]) -> Output {
    let shown = command.help.lines().rfind(|line| !line.is_empty());
    let line = shown.unwrap().split(" > ").next().unwrap();
    let words = line.split_whitespace().skip(1);
    // Nobody waits for minutes in a test.
    let words = words.map(|word| if word == "10m" { "10ms" } else { word });
    std::fs::write(folder.join("suggested.yaml"), "rules: []\n").unwrap();
    let mut run: Command = twinread();
    run.env_remove("TWINREAD_ADMIN_TOKEN").current_dir(folder);
    run.args(words).args(options).output().unwrap()
}

/// Those that ask the admin API, but for `livez`: it needs no token, and ends as health checks do.
fn asking() -> Vec<Helped> {
    let commands = every_command().into_iter();
    let commands = commands.filter(|command| command.words != ["livez"]);
    let asking: Vec<_> = commands
        .filter(|command| command.help.contains("--admin <URL>"))
        .collect();
    assert!(asking.len() >= 6, "{} commands ask", asking.len());
    asking
}

/// Without the breaks that fit it to a terminal.
fn unfolded(stderr: Vec<u8>) -> String {
    let text = String::from_utf8(stderr).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn free() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", free.local_addr().unwrap())
}

#[test]
fn every_help_is_imperative_with_exit_codes_and_an_example() {
    let commands = every_command();
    assert!(commands.len() >= 15, "{} commands", commands.len());
    for Helped { words, help } in commands {
        let first = help.split_whitespace().next().unwrap();
        assert!(!first.ends_with('s'), "{words:?} says `{first}`");
        let example = help.split("\nExample:\n").nth(1);
        let example = example.unwrap_or_else(|| panic!("no example: {words:?}"));
        let is_own = words.iter().all(|word| example.contains(word.as_str()));
        assert!(example.contains("twinread") && is_own, "{example}");
        assert!(help.contains("\nExit codes:\n  0 "), "{words:?}: {help}");
    }
}

#[test]
fn a_wrong_token_ends_every_command_alike() {
    let stack = Stack::json("{}");
    let new = Stack::json("{}");
    let sidecar = Sidecar::start(stack.addr, new.addr, "admin_token: s3cret\n");
    let admin = format!("http://{}", sidecar.admin);
    for command in asking() {
        for (options, shown) in [
            (
                &["--admin", &admin, "--token", "wrong"][..],
                "refuses the token",
            ),
            (&["--admin", &admin], "asks for a token"),
        ] {
            let output = example(&command, sidecar.folder.path(), options);
            let stderr = unfolded(output.stderr);
            assert_eq!(
                output.status.code(),
                Some(64),
                "{:?}: {stderr}",
                command.words
            );
            for part in [&admin, shown, "--token", "TWINREAD_ADMIN_TOKEN"] {
                assert!(stderr.contains(part), "{:?}: {stderr}", command.words);
            }
        }
    }
}

#[test]
fn without_a_twinread_every_command_ends_alike() {
    let folder = tempfile::tempdir().unwrap();
    let admin = free();
    for command in asking() {
        let output = example(&command, folder.path(), &["--admin", &admin]);
        let stderr = unfolded(output.stderr);
        assert_eq!(
            output.status.code(),
            Some(69),
            "{:?}: {stderr}",
            command.words
        );
        let shown = format!("{admin} cannot be reached: Connection refused");
        for part in [&*shown, "--admin", "TWINREAD_ADMIN"] {
            assert!(stderr.contains(part), "{:?}: {stderr}", command.words);
        }
    }
}

#[test]
fn livez_ends_with_1_unless_a_twinread_answers() {
    let (stack, new) = (Stack::json("{}"), Stack::json("{}"));
    let sidecar = Sidecar::start(stack.addr, new.addr, "admin_token: s3cret\n");
    let livez = |admin: &str| {
        let output = twinread().args(["livez", "--admin", admin]).output();
        let output = output.unwrap();
        (output.status.code(), unfolded(output.stdout))
    };
    let admin = format!("http://{}", sidecar.admin);
    assert_eq!(livez(&admin), (Some(0), "alive".to_owned()));
    let stranger = format!("http://{}", stack.addr);
    for (admin, code) in [(&*free(), 1), (&stranger, 1), ("9900", 64)] {
        assert_eq!(livez(admin), (Some(code), String::new()), "{admin}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let written = twinread().arg("man").arg(folder.path()).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let commands = every_command();
    for Helped { words, .. } in &commands {
        let name = [&["twinread".to_owned()], &words[..]].concat().join("-");
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains("Exit codes:"), "{page}");
    }
    let pages = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(pages, commands.len());
    let missing = folder.path().join("missing");
    let refused = twinread().arg("man").arg(missing).output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
}

#[test]
fn a_sidecar_of_another_version_is_named_with_what_it_lacks() {
    let another = Stack::start(|head| {
        if head.starts_with("GET /v1/openapi.json") {
            json(r#"{"info": {"title": "twinread", "version": "0.0.7"}}"#)
        } else {
            json(r#"{"verdict": "undecided"}"#)
        }
    });
    let stranger = Stack::json(r#"{"verdict": "undecided"}"#);
    let gate = |addr| {
        let admin = format!("http://{addr}");
        let output = twinread()
            .args(["gate", "--admin", &admin])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(69));
        unfolded(output.stderr)
    };
    let shown = gate(another.addr);
    for part in [
        "/v1/verdict",
        "0.0.7",
        env!("CARGO_PKG_VERSION"),
        "missing field",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(gate(stranger.addr).contains("is not a twinread"));
}
