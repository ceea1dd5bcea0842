//! Writes documents as JSON, in the same layout for compared ones.

use super::Source;
use roxmltree::{Attribute, NS_XML_URI, Node, NodeType, PI};
use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

/// The index of a path of names without indices, in the order in which the paths were found.
type Path = usize;

/// Which places hold arrays: all compared documents must be added before the first is written.
#[derive(Debug)]
pub(super) struct Layout<'d> {
    paths: HashMap<(Path, Name<'d>), Path>,
    /// For each path, whether it repeats below one element.
    repeats: Vec<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name<'d> {
    Element(&'d str),
    Instruction(&'d str),
    Text,
}

/// An element (or the document itself), with its path and white space mode.
#[derive(Clone, Copy, Debug)]
struct Parent<'d> {
    node: Node<'d, 'd>,
    path: Path,
    space: Space,
}

/// How text of only white space is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    Ignored,
    Preserved,
}

/// The relevant content of an element.
#[derive(Debug)]
enum Item<'d> {
    Element(Node<'d, 'd>),
    Instruction(PI<'d>),
    Text(Cow<'d, str>),
}

/// What is still to be written.
#[derive(Debug)]
enum Step<'d> {
    Object(Parent<'d>),
    Namespace(&'d str),
    Attribute(Attribute<'d, 'd>),
    Key(Name<'d>),
    Order,
    /// A name as a string.
    Listed(Name<'d>),
    Text(Cow<'d, str>),
    Bracket(u8),
}

// === impl Layout ===

impl<'d> Layout<'d> {
    /// Searches a document for names that repeat.
    pub(super) fn add(&mut self, source: &'d Source<'d>) {
        let mut left = VecDeque::from([Parent::root(source)]);
        while let Some(parent) = left.pop_front() {
            let mut met = Vec::new();
            for item in parent.items() {
                let path = self.path(parent.path, item.name());
                met.push(path);
                if let Item::Element(node) = item {
                    left.push_back(parent.below(node, path));
                }
            }
            met.sort_unstable();
            for twice in met.windows(2).filter(|pair| pair[0] == pair[1]) {
                self.repeats[twice[0]] = true;
            }
        }
    }

    /// Writes an added document as JSON; `None` if it takes more than `max` bytes.
    pub(super) fn json(&mut self, source: &'d Source<'d>, max: usize) -> Option<Vec<u8>> {
        let mut json = Vec::new();
        let mut left = vec![Step::Object(Parent::root(source))];
        while let Some(step) = left.pop() {
            match step {
                Step::Object(parent) => {
                    Step::Bracket(b'{').write(&mut json);
                    let from = left.len();
                    self.members(parent, &mut left);
                    left[from..].reverse();
                }
                other => other.write(&mut json),
            }
            if json.len() > max {
                return None;
            }
        }
        Some(json)
    }

    /// Lists what is to be written of an object after its opening brace.
    fn members(&mut self, parent: Parent<'d>, out: &mut Vec<Step<'d>>) {
        out.extend(parent.other_namespace().map(Step::Namespace));
        out.extend(parent.node.attributes().map(Step::Attribute));
        let items = parent.items();
        let is_text = |item: &Item<'_>| matches!(item, Item::Text(_));
        let is_mixed = items.iter().any(is_text) && !items.iter().all(is_text);
        let order: Vec<_> = if is_mixed {
            items.iter().map(Item::name).collect()
        } else {
            Vec::new()
        };
        let mut before = None;
        let mut open = false;
        for (path, item) in self.grouped(parent.path, items) {
            if before != Some(path) {
                out.extend(open.then_some(Step::Bracket(b']')));
                out.push(Step::Key(item.name()));
                open = self.repeats[path];
                out.extend(open.then_some(Step::Bracket(b'[')));
                before = Some(path);
            }
            out.push(match item {
                Item::Element(node) => Step::Object(parent.below(node, path)),
                Item::Instruction(instruction) => {
                    Step::Text(instruction.value.unwrap_or_default().into())
                }
                Item::Text(text) => Step::Text(text),
            });
        }
        out.extend(open.then_some(Step::Bracket(b']')));
        if is_mixed {
            out.extend([Step::Order, Step::Bracket(b'[')]);
            out.extend(order.into_iter().map(Step::Listed));
            out.push(Step::Bracket(b']'));
        }
        out.push(Step::Bracket(b'}'));
    }

    /// Groups items by name, at the position of the first one.
    fn grouped(&mut self, parent: Path, items: Vec<Item<'d>>) -> Vec<(Path, Item<'d>)> {
        let mut firsts: HashMap<Path, usize> = HashMap::new();
        let items = items.into_iter().enumerate().map(|(index, item)| {
            let path = self.path(parent, item.name());
            let first = *firsts.entry(path).or_insert(index);
            (first, path, item)
        });
        let mut items: Vec<_> = items.collect();
        items.sort_by_key(|(first, ..)| *first);
        let items = items.into_iter();
        items.map(|(_, path, item)| (path, item)).collect()
    }

    fn path(&mut self, parent: Path, name: Name<'d>) -> Path {
        let fresh = self.repeats.len();
        let path = *self.paths.entry((parent, name)).or_insert(fresh);
        if path == fresh {
            self.repeats.push(false);
        }
        path
    }
}

impl Default for Layout<'_> {
    /// Contains no document, only the empty path of the root.
    fn default() -> Self {
        Self {
            paths: HashMap::new(),
            repeats: vec![false],
        }
    }
}

// === impl Name ===

impl<'d> Name<'d> {
    /// The name as a key. An XML name starts with neither `?` nor `#`.
    fn key(self) -> Cow<'d, str> {
        match self {
            Self::Element(name) => Cow::Borrowed(name),
            Self::Instruction(target) => Cow::Owned(format!("?{target}")),
            Self::Text => Cow::Borrowed("#text"),
        }
    }
}

// === impl Parent ===

impl<'d> Parent<'d> {
    fn root(source: &'d Source<'d>) -> Self {
        Self {
            node: source.0.root(),
            path: 0,
            space: Space::Ignored,
        }
    }

    fn below(self, node: Node<'d, 'd>, path: Path) -> Self {
        let space = match node.attribute((NS_XML_URI, "space")) {
            Some("preserve") => Space::Preserved,
            Some("default") => Space::Ignored,
            _ => self.space,
        };
        Self { node, path, space }
    }

    /// The content in order. Comments do not separate texts.
    fn items(self) -> Vec<Item<'d>> {
        let mut items = Vec::new();
        for child in self.node.children() {
            match child.node_type() {
                NodeType::Element => items.push(Item::Element(child)),
                NodeType::PI => items.extend(child.pi().map(Item::Instruction)),
                NodeType::Text => {
                    let text = child.text().unwrap_or_default();
                    match items.last_mut() {
                        Some(Item::Text(run)) => run.to_mut().push_str(text),
                        _ => items.push(Item::Text(text.into())),
                    }
                }
                NodeType::Comment | NodeType::Root => {}
            }
        }
        if self.space == Space::Ignored {
            let is_white = |text: &str| text.bytes().all(|byte| b" \t\r\n".contains(&byte));
            items.retain(|item| !matches!(item, Item::Text(text) if is_white(text)));
        }
        items
    }

    /// The namespace of an element, if it is not that of its parent.
    fn other_namespace(self) -> Option<&'d str> {
        let of = |node: Node<'d, 'd>| node.tag_name().namespace().unwrap_or_default();
        let own = of(self.node);
        let around = self.node.parent().map(of).unwrap_or_default();
        Some(own).filter(|own| *own != around)
    }
}

// === impl Item ===

impl<'d> Item<'d> {
    fn name(&self) -> Name<'d> {
        match self {
            Self::Element(node) => Name::Element(node.tag_name().name()),
            Self::Instruction(instruction) => Name::Instruction(instruction.target),
            Self::Text(_) => Name::Text,
        }
    }
}

// === impl Step ===

impl Step<'_> {
    fn write(self, json: &mut Vec<u8>) {
        match self {
            // Its content is written step by step.
            Self::Object(_) => {}
            Self::Namespace(uri) => member(json, "@xmlns", uri),
            Self::Attribute(attribute) => {
                let name = attribute.name();
                let name = match attribute.namespace() {
                    None => format!("@{name}"),
                    Some(NS_XML_URI) => format!("@xml:{name}"),
                    Some(uri) => format!("@{{{uri}}}{name}"),
                };
                member(json, &name, attribute.value());
            }
            Self::Key(name) => key(json, &name.key()),
            Self::Order => key(json, "#order"),
            Self::Listed(name) => string(json, &name.key()),
            Self::Text(text) => string(json, &text),
            Self::Bracket(bracket @ (b'[' | b'{')) => {
                separate(json);
                json.push(bracket);
            }
            Self::Bracket(bracket) => json.push(bracket),
        }
    }
}

fn member(json: &mut Vec<u8>, name: &str, value: &str) {
    key(json, name);
    string(json, value);
}

fn key(json: &mut Vec<u8>, name: &str) {
    string(json, name);
    json.push(b':');
}

fn string(json: &mut Vec<u8>, text: &str) {
    separate(json);
    serde_json::to_writer(json, text).expect("writing a string to memory must not fail");
}

/// Writes a comma, unless a container or a member starts here: every value ends with another byte.
fn separate(json: &mut Vec<u8>) {
    if !matches!(json.last(), None | Some(b'{' | b'[' | b':')) {
        json.push(b',');
    }
}
