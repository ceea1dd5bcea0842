//! twinread: proves on live reads that a new stack answers as the old one does.
//!
//! The modules stand in layers, and dependencies point downward only (`tests/layers.rs` holds them to it).

// 0: the pure core: no I/O, no clock, no locks, no randomness
pub mod compare;
pub mod document;
pub mod redact;
pub mod route;
pub mod rules;
pub mod sample;
pub mod stack;
pub mod trace_context;
pub mod verdict;

// 1: seams, through which the runtime's parts meet
pub mod budget;
pub mod drain;
pub mod handoff;
pub mod settings;
pub mod telemetry;
pub mod upstream;

// 2: the runtime
pub mod admin;
pub mod demo;
pub mod proxy;
pub mod report;
pub mod shadow;
pub mod store;

// 3: composition
pub mod app;
pub mod config;

// 4: the process
pub mod cli;
