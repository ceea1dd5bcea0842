//! Command line flags that set fields of the configuration.

use super::tree;
use crate::spanned_yaml::{Data, Node};

// As given; they override the file and are validated with it. Not a doc comment, because clap would use it as the help of
// the command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address for live requests [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Url of the old stack
    #[arg(long, value_name = "URL")]
    pub old: Option<String>,
    /// Url of the new stack
    #[arg(long, value_name = "URL")]
    pub new: Option<String>,
    /// Address for the admin API [default: 127.0.0.1:9900]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Share of the reads that are checked, from 0 to 1
    #[arg(long, value_name = "RATE")]
    pub sample: Option<String>,
    /// Show the values of answers, all but those of secret fields and headers, instead of masking them
    #[arg(long)]
    pub show_values: bool,
}

// === impl Flags ===

impl Flags {
    pub(super) fn tree(&self) -> Node {
        let shown = self.show_values.then(|| "shown".to_owned());
        let fields = [
            (&self.listen, ["listen"].as_slice()),
            (&self.admin, &["admin"]),
            (&self.old, &["old", "url"]),
            (&self.new, &["new", "url"]),
            (&self.sample, &["sample", "rate"]),
            (&shown, &["redact", "values"]),
        ];
        let mut root = Node::unmarked(Data::Map(Vec::new()));
        for (value, path) in fields {
            let Some(value) = value else { continue };
            let path: Vec<_> = path.iter().map(|name| (*name).to_owned()).collect();
            // Quoted, because an empty flag is a wrong value, not an absent one.
            let value = Node::unmarked(Data::Quoted(value.clone()));
            tree::put(&mut root, &path, Some(value));
        }
        root
    }
}
