//! The admin API (DESIGN.md section 10): what the process knows, and the few things that may be changed.
//!
//! It knows the rest of the process by [`Handles`] only. Two gates stand before it: `guard` decides who may
//! speak at all, and the size and time limits of `server` keep anyone from holding it up.

mod advice;
mod epochs;
mod evidence;
mod guard;
mod handles;
mod probes;
mod problem;
mod router;
mod server;
mod settings;

pub use handles::{
    Advisor, Ask, ClassQuery, Handles, Mismatches, Order, Query, Readiness, Unanswered,
};
pub use server::{Bound, Config, bind};
