//! Hides secret values from faults.

use super::tree;
use crate::spanned_yaml::{Data, Node};

/// Secrets, and sections that hold secrets: a section that is mistakenly a text may contain them as well.
const SECRETS: [&str; 7] = [
    "admin_token",
    "live_token",
    "old.headers",
    "old.headers.set",
    "new.headers",
    "new.headers.set",
    "telemetry.otlp.headers",
];

const SHOWN: &str = "(not shown)";

/// Hides the secrets of a whole configuration from its faults.
pub(super) fn hide(root: &mut Node) {
    for path in SECRETS {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        let Some(node) = tree::find_mut(root, &path) else {
            continue;
        };
        match &mut node.data {
            Data::Map(entries) => entries.iter_mut().for_each(|(_, node)| hide_scalar(node)),
            Data::List(items) => items.iter_mut().for_each(hide_scalar),
            Data::Plain(_) | Data::Quoted(_) => hide_scalar(node),
        }
    }
}

fn hide_scalar(node: &mut Node) {
    if matches!(node.data, Data::Plain(_) | Data::Quoted(_)) && !node.is_null() {
        node.shown = Some(SHOWN.into());
    }
}
