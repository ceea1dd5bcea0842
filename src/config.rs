//! Reads and validates the operator's configuration.
//!
//! A configuration merges layers: defaults, the file, command line flags, and changes made through the API. A
//! [`Config`] exists only if the whole passed every check, so no other module checks again. Its
//! [`settings`](Sections) declare each field once: type, range, default, description, and how it can change. [`Running`] is the one in force, changed by the API and by [`reload`].

mod addresses;
mod certificates;
mod comparable;
mod described;
mod descriptors;
mod documents;
mod environment;
mod flags;
mod layers;
mod live_config;
mod load;
mod patch;
mod read;
pub(crate) mod reload;
mod rule_files;
mod secrets;
mod sections;
mod stacks;
mod tree;
mod warnings;
mod watch;

pub(crate) use comparable::{Comparable, EpochFingerprint};
pub use described::defaults;
pub(crate) use described::{patch_schema, schema, setting_schemas};
pub(crate) use descriptors::{DescriptorFiles, UnreadableDescriptors};
pub use flags::Flags;
pub(crate) use layers::default_settings;
pub use live_config::Running;
pub use load::{Loaded, Origin, load};
pub use read::Config;
pub(crate) use rule_files::{RuleFiles, Unreadable};
