//! The layers that settings come from: defaults, file, flags, and changes made through the API.

use super::{described, tree};
use crate::{
    settings::{Setting, Source},
    spanned_yaml::{Data, Node},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Four trees; the last one that has a value at a path wins.
#[derive(Clone, Debug)]
pub(super) struct Layers {
    default: Node,
    file: Node,
    /// The text of `file`.
    pub(super) text: Arc<str>,
    flags: Node,
    /// An object: all patches merged, nulls removed.
    pub(super) api: Value,
}

// === impl Layers ===

impl Layers {
    pub(super) fn new(file: Node, flags: Node) -> Self {
        Self {
            default: described::defaults(),
            file,
            text: Arc::default(),
            flags,
            api: Value::Object(serde_json::Map::new()),
        }
    }

    /// Fixes `value` at `path` whatever the file says; `None` keeps it absent.
    pub(super) fn keep(&mut self, path: &[String], value: Option<Node>) {
        tree::put(&mut self.file, path, value);
    }

    /// Defaults, file and flags merged.
    pub(super) fn base(&self) -> Node {
        let mut tree = tree::overlay(self.default.clone(), self.file.clone());
        for path in described::with_own_null() {
            if let Some(null) = tree::find(&self.file, path).filter(|node| node.is_null()) {
                tree::put(&mut tree, path, Some(null.clone()));
            }
        }
        let root = tree.mark;
        tree::settle(&mut tree, root);
        tree::overlay(tree, self.flags.clone())
    }

    /// All layers merged. Nodes that are neither from the file nor built in have no position.
    pub(super) fn tree(&self) -> Node {
        tree::overlay(self.base(), Node::from(&self.api))
    }

    /// Every runtime setting with its value and source.
    pub(super) fn settings(&self) -> BTreeMap<String, Setting> {
        let (tree, base) = (self.tree(), self.base());
        let settings = described::runtime_settings().filter_map(|(path, default)| {
            let of = |tree: &Node| Some(value(tree::find(tree, path)?, default));
            let source = self.source(path);
            let setting = Setting {
                value: of(&tree)?,
                source,
                hidden: of(&base).filter(|_| source == Source::Api),
            };
            Some((path.join("."), setting))
        });
        settings.collect()
    }

    pub(super) fn source(&self, path: &[String]) -> Source {
        let may_be_null = described::with_own_null().any(|own| own == path);
        let says = |layer: &Node| {
            tree::find(layer, path).is_some_and(|node| may_be_null || !node.is_null())
        };
        if says(&Node::from(&self.api)) {
            Source::Api
        } else if says(&self.flags) {
            Source::Flag
        } else if says(&self.file) {
            Source::File
        } else {
            Source::Default
        }
    }
}

/// Every runtime setting with its default.
pub(crate) fn default_settings() -> BTreeMap<String, Setting> {
    let nothing = Node::from(&Value::Object(serde_json::Map::new()));
    Layers::new(nothing.clone(), nothing).settings()
}

/// As JSON. A number stays a number even if it was quoted or came from the environment.
fn value(node: &Node, default: &Value) -> Value {
    let (Data::Plain(text) | Data::Quoted(text)) = &node.data else {
        return node.to_json();
    };
    match default {
        Value::Number(_) => {
            let number = text.parse::<f64>().ok();
            let number = number.and_then(serde_json::Number::from_f64);
            text.parse::<serde_json::Number>()
                .ok()
                .or(number)
                .map_or_else(|| node.to_json(), Value::Number)
        }
        Value::Bool(_) => text.parse().map_or_else(|_| node.to_json(), Value::Bool),
        _ => node.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(&Arc::from("f.yaml"), text).unwrap()
    }

    #[test]
    fn the_last_layer_that_says_something_counts_and_is_named() {
        let file = node("{sample: {rate: '0.2', max_per_second: 7}, queue: {max_age: 5s}}");
        let flags = node("{sample: {rate: 0.3}}");
        let api = serde_json::json!({"sample": {"max_per_second": 9}, "paused": true});
        let mut layers = Layers::new(file, flags);
        layers.api = api;
        let settings = layers.settings();

        let setting_of = |name: &str| {
            let setting = &settings[name];
            (setting.value.to_string(), setting.source)
        };
        assert_eq!(setting_of("sample.rate"), ("0.3".to_owned(), Source::Flag));
        assert_eq!(
            setting_of("sample.max_per_second"),
            ("9".to_owned(), Source::Api)
        );
        assert_eq!(
            setting_of("queue.max_age"),
            ("\"5s\"".to_owned(), Source::File)
        );
        assert_eq!(
            setting_of("queue.max_length"),
            ("1024".to_owned(), Source::Default)
        );
        assert_eq!(setting_of("paused"), ("true".to_owned(), Source::Api));
        assert_eq!(
            setting_of("sample.by"),
            ("null".to_owned(), Source::Default)
        );
    }
}
