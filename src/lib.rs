//! twinread: proves on live reads that a new stack answers as the old one does.
//!
//! The modules stand in layers, and dependencies point downward only (`tests/it/layers.rs` holds them to it).
//!
//! [`value`], [`rules`], [`compare`] and [`verdict`] with [`outcome`] and [`stack`] are a library; the rest is the
//! program's own.

// 0: the pure core: no I/O, no clock, no locks, no randomness
mod advise;
pub mod compare;
pub mod outcome;
mod redact;
mod route;
pub mod rules;
mod sample;
mod serve;
mod spanned_yaml;
pub mod stack;
mod trace_context;
pub mod value;
pub mod verdict;

// 1: mechanism, through which the runtime's parts meet
mod budget;
mod drain;
mod heads;
mod http_client;
mod ledger;
mod pipeline;
mod settings;
mod transport;

// 2: the runtime
mod background;
mod export;
mod intake;
mod live;
mod shadow;
mod store;

// 3: what operators see
mod admin;
mod config;
mod demo;

// 4: composition
mod app;

// 5: the process
mod cli;

#[doc(hidden)]
pub mod testing;

pub use cli::main;
