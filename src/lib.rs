//! twinread: proves on live reads that a new stack answers as the old one does.
//!
//! The modules stand in layers, and dependencies point downward only (`tests/it/layers.rs` holds them to it).

// 0: the pure core: no I/O, no clock, no locks, no randomness
pub mod advise;
pub mod compare;
pub mod outcome;
pub mod redact;
pub mod route;
pub mod rules;
pub mod sample;
pub mod spanned_yaml;
pub mod stack;
pub mod trace_context;
pub mod value;
pub mod verdict;

// 1: mechanism, through which the runtime's parts meet
pub mod budget;
pub mod drain;
pub mod http_client;
pub mod ledger;
pub mod pipeline;
pub mod settings;

// 2: the runtime
pub mod export;
pub mod live;
pub mod shadow;
pub mod store;

// 3: what operators see
pub mod admin;
pub mod config;
pub mod demo;

// 4: composition
pub mod app;

// 5: the process
pub mod cli;
