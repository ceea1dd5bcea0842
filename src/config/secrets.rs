//! Hides secret values from faults.

use super::{described, tree};
use crate::spanned_yaml::{Data, Node};

const SHOWN: &str = "(not shown)";

/// Hides the secrets of a whole configuration from its faults.
pub(super) fn hide(root: &mut Node) {
    for path in described::secrets() {
        let Some(node) = tree::find_mut(root, path) else {
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
