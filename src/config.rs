//! What the operator wrote, and what the program may rely on.
//!
//! A configuration is laid together from layers: defaults, the file, flags of the command line, and what
//! the API has changed. A [`Config`] can only be made from a whole that passed every check, so no other module
//! checks again; it is a struct of the other modules' own configurations. [`Running`] is the one that is in force,
//! changed by the API and by [`reload`].

mod capture;
mod comparable;
mod comparison;
mod described;
mod environment;
mod flags;
mod layers;
mod listener;
mod live_config;
mod load;
mod not_yet;
mod outputs;
mod patch;
mod places;
mod read;
mod recheck;
mod redaction;
pub mod reload;
mod rule_files;
mod sampling;
mod secrets;
mod stacks;
mod tree;
mod values;
mod watch;

pub use capture::{Capture, Queue};
pub use comparable::Comparable;
pub use described::{patch_schema, schema, setting_schemas};
pub use environment::Lookup;
pub use flags::Flags;
pub use layers::{default_settings, defaults};
pub use live_config::{Reloaded, Running};
pub use load::{Loaded, Origin, load};
pub use outputs::{Epoch, Telemetry};
pub use read::Config;
pub use recheck::Recheck;
pub use rule_files::{RuleFiles, Unreadable};
pub use stacks::Protection;
