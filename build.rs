//! Sets `TWINREAD_VERSION`: the version, and the commit if `TWINREAD_COMMIT` or git names it.

#![allow(clippy::print_stdout)] // it is how a build script answers

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=TWINREAD_COMMIT");
    let given = env::var("TWINREAD_COMMIT").ok();
    let commit = given.filter(|commit| !commit.is_empty()).or_else(of_clone);
    let commit = commit.map_or_else(String::new, |commit| format!(" ({commit})"));
    println!(
        "cargo::rustc-env=TWINREAD_VERSION={}{commit}",
        env!("CARGO_PKG_VERSION")
    );
}

/// The commit of an optimized build: others would be compiled again after each commit.
fn of_clone() -> Option<String> {
    // A package may lie within a repository of somebody else.
    if env::var("PROFILE").ok()? != "release" || !Path::new(".git").exists() {
        return None;
    }
    let asked = ["rev-parse", "--git-path", "logs/HEAD", "--short=12", "HEAD"];
    let output = Command::new("git").args(asked).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    let (log, commit) = printed.trim().split_once('\n')?;
    println!("cargo::rerun-if-changed={log}");
    Some(commit.to_owned())
}
