//! Reads and validates the operator's configuration.
//!
//! A configuration merges layers: defaults, the file, command line flags, and changes made through the API. A
//! [`Config`] exists only if the whole passed every check, so no other module checks again; it is a struct of the other
//! modules' configurations. [`Running`] is the one in force, changed by the API and by [`reload`].

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
