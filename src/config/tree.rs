//! Overlays trees of settings, and addresses nodes by paths.

use crate::spanned_yaml::{Data, Key, Node, Position};

/// The names from the root to a node. Not a single text, because names may hold dots.
pub(super) type Path = Vec<String>;

/// Overlays `over` on `base`: merges maps, replaces anything else. A null keeps `base`.
pub(super) fn overlay(base: Node, over: Node) -> Node {
    let Data::Map(entries) = over.data else {
        return over;
    };
    let Data::Map(mut members) = base.data else {
        return Node {
            mark: over.mark,
            data: Data::Map(entries),
            shown: None,
        };
    };
    for (key, node) in entries {
        match members.iter_mut().find(|(known, _)| known.name == key.name) {
            Some(_) if node.is_null() => {}
            Some(member) => {
                let under = std::mem::replace(&mut member.1, Node::null());
                *member = (key, overlay(under, node));
            }
            None => members.push((key, node)),
        }
    }
    Node {
        mark: over.mark.or(base.mark),
        data: Data::Map(members),
        shown: None,
    }
}

/// Gives nodes without a position that of the enclosing section, so that a missing field is reported there.
pub(super) fn settle(node: &mut Node, around: Option<Position>) {
    node.mark = node.mark.or(around);
    let mark = node.mark;
    match &mut node.data {
        Data::List(items) => items.iter_mut().for_each(|item| settle(item, mark)),
        Data::Map(entries) => entries.iter_mut().for_each(|(key, node)| {
            key.mark = key.mark.or(mark);
            settle(node, key.mark);
        }),
        Data::Plain(_) | Data::Quoted(_) => {}
    }
}

pub(super) fn find<'n>(node: &'n Node, path: &[impl AsRef<str>]) -> Option<&'n Node> {
    path.iter()
        .try_fold(node, |node, name| node.get(name.as_ref()))
}

pub(super) fn find_mut<'n>(node: &'n mut Node, path: &[String]) -> Option<&'n mut Node> {
    path.iter().try_fold(node, |node, name| {
        let Data::Map(entries) = &mut node.data else {
            return None;
        };
        let entry = entries.iter_mut().find(|(key, _)| key.name == *name);
        entry.map(|(_, node)| node)
    })
}

/// Sets `value` at `path`, creating maps on the way, or removes the node there.
pub(super) fn put(node: &mut Node, path: &[String], value: Option<Node>) {
    let Some((name, rest)) = path.split_first() else {
        *node = value.unwrap_or_else(Node::null);
        return;
    };
    if !matches!(node.data, Data::Map(_)) {
        node.data = Data::Map(Vec::new());
    }
    let Data::Map(entries) = &mut node.data else {
        return;
    };
    let place = entries.iter().position(|(key, _)| key.name == *name);
    match (place, value) {
        (Some(place), None) if rest.is_empty() => {
            entries.remove(place);
        }
        (Some(place), value) => put(&mut entries[place].1, rest, value),
        (None, None) => {}
        (None, Some(value)) => {
            let mut member = Node::null();
            put(&mut member, rest, Some(value));
            let key = Key {
                mark: None,
                name: name.clone(),
            };
            entries.push((key, member));
        }
    }
}

/// Every node that is not a map with members, with its path; a list counts as one.
pub(super) fn leaves(node: &Node) -> Vec<(Path, &Node)> {
    let mut found = Vec::new();
    gather(node, &mut Vec::new(), &mut found);
    found
}

fn gather<'n>(node: &'n Node, path: &mut Path, found: &mut Vec<(Path, &'n Node)>) {
    match &node.data {
        Data::Map(entries) if !entries.is_empty() => {
            for (key, member) in entries {
                path.push(key.name.clone());
                gather(member, path, found);
                path.pop();
            }
        }
        _ => found.push((path.clone(), node)),
    }
}

/// The paths at which two trees differ, regardless of positions.
pub(super) fn changes(before: &Node, after: &Node) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    let both = leaves(before).into_iter().chain(leaves(after));
    for (path, _) in both {
        let value = |tree| find(tree, &path).map_or(serde_json::Value::Null, Node::to_json);
        if value(before) != value(after) && !paths.contains(&path) {
            paths.push(path);
        }
    }
    // A map that became a leaf is reported once, by its own path.
    let whole = paths.clone();
    paths.retain(|path| {
        !whole
            .iter()
            .any(|other| other.len() < path.len() && path.starts_with(other))
    });
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn tree(text: &str) -> Node {
        Node::parse(&Arc::from("t.yaml"), text).unwrap()
    }

    fn path(text: &str) -> Path {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn maps_merge_by_member_and_null_lets_the_base_through() {
        let base = tree("{a: 1, b: {c: 2, d: [1, 2]}}");
        let over = tree("{a: null, b: {d: [3], e: 4}, f: null}");
        let expected = tree("{a: 1, b: {c: 2, d: [3], e: 4}, f: null}");
        assert_eq!(overlay(base, over).to_json(), expected.to_json());
    }

    #[test]
    fn what_changed_is_listed_by_its_path() {
        let before = tree("{a: 1, b: {c: 2, d: {}}, l: [1]}");
        let after = tree("{a: 1, b: {c: 3, d: {x.y: 1}}, l: [1, 2]}");
        let changed = changes(&before, &after);
        let expected = [path("b.c"), path("b.d"), path("l")];
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_value_can_be_put_and_taken_away_anywhere() {
        let mut node = tree("{a: {b: 1}}");
        put(&mut node, &path("a.c.d"), Some(tree("7")));
        put(&mut node, &path("a.b"), None);
        assert_eq!(node.to_json(), tree("{a: {c: {d: 7}}}").to_json());
    }

    #[test]
    fn what_is_built_in_takes_the_place_of_its_section() {
        let mut node = overlay(
            Node::from(&serde_json::json!({"a": {"b": 1}, "c": 2})),
            tree("\na: {}\n"),
        );
        settle(&mut node, None);
        assert_eq!(find(&node, &path("a.b")).unwrap().mark.unwrap().line, 2);
    }
}
