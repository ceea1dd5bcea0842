//! An operator's commands on a terminal: the live view, settings, completions.

use crate::{
    pty::Terminal,
    support::{Sidecar, Stack, eventually, twinread},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    path::Path,
    process::{Command, Output},
};

fn status(sidecar: &Sidecar, arguments: &[&str]) -> Command {
    let mut command = twinread();
    let admin = format!("--admin=http://{}", sidecar.admin);
    command.arg("status").arg(admin).args(arguments);
    command
}

fn set(sidecar: &Sidecar, changes: &[&str]) -> Output {
    let admin = format!("--admin=http://{}", sidecar.admin);
    twinread()
        .arg("set")
        .arg(admin)
        .args(changes)
        .output()
        .unwrap()
}

/// A sidecar on which 20 reads have mismatched.
fn unsafe_sidecar() -> Sidecar {
    let (old, new) = (Stack::json(crate::ONE), Stack::json(crate::OTHER));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let mut caller = sidecar.caller();
    for _ in 0..20 {
        caller.get("/items/17");
    }
    sidecar.judged(20);
    eventually("the class is kept", || {
        let classes = sidecar.ask("/v1/classes");
        (classes["classes"][0]["count"] == 20).then_some(())
    });
    sidecar
}

#[test]
fn the_live_view_refreshes_itself_and_survives_its_twinread() {
    let mut sidecar = unsafe_sidecar();
    let terminal = Terminal::run(&status(&sidecar, &[]));
    for text in [
        "unsafe  epoch",
        "GET /items/{}: 20 of 20 checks mismatched",
        "serving from old; sampling 100 % of the reads",
        "1 mismatch class, the newest first",
        "$.price",
        "q quits",
    ] {
        terminal.shows(text);
    }
    assert!(terminal.is_alternate());

    assert!(set(&sidecar, &["paused=true"]).status.success());
    terminal.shows("PAUSED: nothing is sampled");
    terminal.shows("changed by the API: paused");

    sidecar.signal(Signal::TERM);
    sidecar.exited();
    terminal.shows("cannot be reached");
    terminal.shows("unsafe  epoch");
    terminal.ends_with(b"q");
}

#[test]
fn an_interrupt_gives_the_terminal_back() {
    let sidecar = unsafe_sidecar();
    let terminal = Terminal::run(&status(&sidecar, &[]));
    terminal.shows("q quits");
    terminal.ends_with(b"\x03");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let sidecar = unsafe_sidecar();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let terminal = Terminal::run(&status(&sidecar, &[]));
        terminal.shows("q quits");
        terminal.ends_by(signal);
    }
}

#[test]
fn no_command_outlives_its_terminal() {
    let sidecar = unsafe_sidecar();
    let undecided = Sidecar::start(
        Stack::json(crate::ONE).addr,
        Stack::json(crate::ONE).addr,
        "",
    );
    let mut gate = twinread();
    gate.args(["gate", "--wait=10m"]);
    gate.arg(format!("--admin=http://{}", undecided.admin));
    let mut demo = twinread();
    demo.args(["demo", "--seconds=600", "--rate=10"]);
    for (command, shown) in [
        (status(&sidecar, &[]), "q quits"),
        (gate, "waiting: "),
        (demo, "reads"),
    ] {
        let terminal = Terminal::run(&command);
        terminal.shows(shown);
        terminal.ends_when_closed();
    }
}

#[test]
fn view_without_its_terminal_ends_even_if_hangups_are_ignored() {
    let sidecar = unsafe_sidecar();
    let status = status(&sidecar, &[]);
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]);
    ignoring.arg(status.get_program()).args(status.get_args());
    let terminal = Terminal::run(&ignoring);
    terminal.shows("q quits");
    terminal.ends_when_closed();
}

#[test]
fn a_gate_ends_where_nobody_reads_what_it_waits_for() {
    let (old, new) = (Stack::json(crate::ONE), Stack::json(crate::ONE));
    let sidecar = Sidecar::start(old.addr, new.addr, "");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut gate = twinread();
    gate.args(["gate", "--wait=10m"]).stderr(writer);
    gate.arg(format!("--admin=http://{}", sidecar.admin));
    let mut child = gate.spawn().unwrap();
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(69));
}

#[test]
fn once_there_are_no_control_codes_whatever_the_output_is() {
    let sidecar = unsafe_sidecar();
    let plain = status(&sidecar, &[]).output().unwrap();
    let text = String::from_utf8(plain.stdout).unwrap();
    assert!(text.starts_with("unsafe  epoch "), "{text}");
    assert!(!text.contains('\x1b'), "{text}");

    let terminal = Terminal::run(&status(&sidecar, &["--once"]));
    terminal.shows("1 mismatch class");
    assert!(!terminal.is_alternate());

    let document = status(&sidecar, &["--json"]).output().unwrap().stdout;
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["verdict"]["verdict"], "unsafe");
    assert_eq!(document["classes"][0]["place"], "$.price");
    assert_eq!(document["settings"]["sample.rate"]["value"], 1.0);
    assert_eq!(document["readiness"]["missing"], serde_json::json!([]));
}

#[test]
fn settings_are_changed_together_or_not_at_all() {
    let sidecar = unsafe_sidecar();
    let changed = set(&sidecar, &["sample.rate=0.2", "new.timeout=2s"]);
    let printed = String::from_utf8(changed.stdout).unwrap();
    assert_eq!(printed, "new.timeout = 2s (api)\nsample.rate = 0.2 (api)\n");

    for (changes, expected) in [
        (
            ["sample.rate=0.3", "sample.max_per_second=fast"],
            "sample.max_per_second: expected a number",
        ),
        (
            ["sample.rate=0.3", "sample.rat=1"],
            "did you mean `sample.rate`?",
        ),
        (
            ["sample.rate=0.3", "samples.rate=1"],
            "did you mean `sample.rate`?",
        ),
        (
            ["sample.rate=0.3", "listen=127.0.0.1:1"],
            "listen needs a restart",
        ),
    ] {
        let refused = set(&sidecar, &changes);
        let printed = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{printed}");
        assert!(printed.contains(expected), "{printed}");
    }
    let rate = sidecar.ask("/v1/settings")["settings"]["sample.rate"].clone();
    assert_eq!(rate["value"], 0.2);

    let back = set(&sidecar, &["sample.rate=null"]);
    let printed = String::from_utf8(back.stdout).unwrap();
    assert_eq!(printed, "sample.rate = 1.0 (file)\n");
}

/// What bash offers for the last of `words`, with the script that the program prints.
fn offered(words: &str) -> String {
    let script = r#"
        source <("$TWINREAD" completions bash)
        [[ $(complete -p twinread) == *'-F _clap_complete_twinread'* ]] || exit 1
        eval "COMP_WORDS=($WORDS)"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
        _clap_complete_twinread twinread "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env("TWINREAD", Path::new(env!("CARGO_BIN_EXE_twinread")))
        .env("WORDS", words)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_commands_settings_and_values() {
    assert_eq!(offered("twinread set sample.ra"), "sample.rate=\n");
    assert_eq!(offered("twinread set serve.writes = o"), "old\n");
    assert_eq!(
        offered("twinread set paused = true new.breaker.f"),
        "new.breaker.failures=\n"
    );
    assert!(offered("twinread st").contains("status"));
    assert!(offered("twinread gate --w").contains("--wait"));
}

#[test]
fn there_is_a_script_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = twinread().args(["completions", shell]).output().unwrap();
        let text = String::from_utf8(script.stdout).unwrap();
        assert!(text.contains("TWINREAD_COMPLETE"), "{shell}: {text}");
    }
    let unknown = twinread().args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(64));
}
