//! The admin API (`/v1/openapi.json`): queries of the process, and the few changes that it permits.
//!
//! `guard` authorizes callers. The size and time limits of `server` keep them from blocking the process.

mod advice;
mod calls;
mod connections;
pub(crate) mod documents;
mod epochs;
mod evidence;
mod examples;
mod guard;
mod openapi;
mod paging;
mod probes;
mod problem;
mod recheck;
mod record;
mod router;
mod server;
pub(crate) mod service;
mod settings;
mod state;
mod verdict;

pub(crate) use connections::MAX_CONNECTIONS;
pub use server::{Config, bind};
pub use state::AdminState;
