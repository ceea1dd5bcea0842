//! The admin API (`/v1/openapi.json`): what the process knows, and the few things that may be changed.
//!
//! It knows the rest of the process by [`AdminState`] only. Two gates stand before it: `guard` decides who may
//! speak at all, and the size and time limits of `server` keep anyone from holding it up.

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
