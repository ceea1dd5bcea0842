//! The admin API (`/v1/openapi.json`): queries of the process, and the few changes that it permits.
//!
//! It accesses the rest of the process only through [`AdminState`]. `guard` authorizes callers, and the size and time
//! limits of `server` keep them from blocking it.

mod advice;
mod calls;
mod connections;
mod documents;
mod epochs;
mod evidence;
mod examples;
mod guard;
mod handles;
mod openapi;
mod paging;
mod probes;
mod problem;
mod recheck;
mod router;
mod server;
mod settings;

pub use connections::MAX_CONNECTIONS;
pub use documents::{
    Affected, ClassRecheck, Found, Hiding, Preview, Rechecked, Rule, Rules, Suggestion, Suggestions,
};
pub use handles::{
    AdminState, Advisor, Ask, ClassQuery, History, JournalPage, Keeper, Mismatches, NotRechecked,
    Order, Query, QueryError, Readiness, Rechecker, Rechecking, Stored, Unreadable,
};
pub use server::{Bound, Config, bind};
