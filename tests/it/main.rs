//! Everything that can be tested within one process: the library, its parts over real sockets, and rules of the source.
//!
//! `tests/process/` holds the tests of the running binary.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../support/harness.rs"]
mod support;

mod admin;
mod adversarial;
mod arguments;
mod config;
mod config_commands;
mod config_reload;
mod config_settings;
mod configuration_page;
mod demo;
mod dual_stack;
mod intake;
mod layers;
mod live;
mod reflection;
mod report;
mod report_redaction;
mod rules_commands;
mod schema;
mod shadow;
mod tls;
mod unix_sockets;
mod verdict;
mod verdict_builds;
mod verdict_epochs;
mod verdict_statistics;
mod vocabulary;
