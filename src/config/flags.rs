//! Command line flags that set fields of the configuration.

use super::tree;
use crate::spanned_yaml::{Data, Node};

/// As given; they override the file and are validated with it.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub listen: Option<String>,
    pub admin: Option<String>,
    /// The url of the old stack.
    pub old: Option<String>,
    /// The url of the new stack.
    pub new: Option<String>,
    /// The share of reads that are checked.
    pub sample: Option<String>,
}

// === impl Flags ===

impl Flags {
    pub(super) fn tree(&self) -> Node {
        let fields = [
            (&self.listen, ["listen"].as_slice()),
            (&self.admin, &["admin"]),
            (&self.old, &["old", "url"]),
            (&self.new, &["new", "url"]),
            (&self.sample, &["sample", "rate"]),
        ];
        let mut root = Node {
            mark: None,
            data: Data::Map(Vec::new()),
            shown: None,
        };
        for (value, path) in fields {
            let Some(value) = value else { continue };
            let path: Vec<_> = path.iter().map(|name| (*name).to_owned()).collect();
            let value = Node {
                mark: None,
                // Quoted, because an empty flag is a wrong value, not an absent one.
                data: Data::Quoted(value.clone()),
                shown: None,
            };
            tree::put(&mut root, &path, Some(value));
        }
        root
    }
}
