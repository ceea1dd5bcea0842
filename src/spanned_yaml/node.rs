//! Nodes of a document, each with the line and column where it begins.

use super::{ConfigError, ConfigErrors};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use std::{collections::HashMap, sync::Arc};

/// The maximum depth of a document, and the maximum number of nodes added by aliases.
const MAX_DEPTH: usize = 64;
const MAX_ALIASED: usize = 10_000;

/// The line and column of a node, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// `None` if the node was not read from a text.
    pub mark: Option<Position>,
    pub data: Data,
    /// The text that faults show in place of a secret value.
    pub shown: Option<Arc<str>>,
}

/// The name of a member of a [`Data::Map`].
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub mark: Option<Position>,
    pub name: String,
}

/// The content of a node. The reader decides what a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// A scalar without quotes: may be read as null, a boolean or a number.
    Plain(String),
    /// A quoted scalar or a block: always text.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

struct Loader<'t> {
    file: &'t Arc<str>,
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    faults: ConfigErrors,
}

// === impl Node ===

impl Node {
    /// Reads one YAML document (JSON is YAML). An empty text is an empty map.
    ///
    /// # Errors
    /// Invalid YAML, duplicate keys, keys that are not scalars, more than one document.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, ConfigErrors> {
        let mut loader = Loader {
            file,
            parser: Parser::new_from_str(text),
            anchors: HashMap::new(),
            aliased: 0,
            faults: ConfigErrors::default(),
        };
        let root = loader.document()?;
        loader.faults.into_result(root)
    }

    /// A null without a position.
    pub fn null() -> Self {
        Self::unmarked(Data::Plain(String::new()))
    }

    /// Whether this is `null`, `~` or empty.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Plain(text) if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// Whether the text that it was read from holds nothing, comments aside.
    pub fn is_blank(&self) -> bool {
        self.mark.is_none() && self.data == Data::Map(Vec::new())
    }

    /// The member of a map with that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Data::Map(entries) = &self.data else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    /// As JSON: plain scalars by the YAML core schema, numbers as spelled.
    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Plain(text) | Data::Quoted(text) => Some(text),
            Data::List(_) | Data::Map(_) => None,
        }
    }

    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.data {
            Data::Plain(_) if self.is_null() => Value::Null,
            Data::Plain(text) => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                _ => text
                    .parse()
                    .map_or_else(|_| Value::String(text.clone()), Value::Number),
            },
            Data::Quoted(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|(key, node)| (key.name.clone(), node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    pub fn unmarked(data: Data) -> Self {
        Self {
            mark: None,
            data,
            shown: None,
        }
    }
}

impl From<&serde_json::Value> for Node {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        Self::unmarked(match value {
            Value::Null => Data::Plain(String::new()),
            Value::Bool(flag) => Data::Plain(flag.to_string()),
            Value::Number(number) => Data::Plain(number.to_string()),
            Value::String(text) => Data::Quoted(text.clone()),
            Value::Array(items) => Data::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Data::Map(
                members
                    .iter()
                    .map(|(name, value)| {
                        let key = Key {
                            mark: None,
                            name: name.clone(),
                        };
                        (key, Self::from(value))
                    })
                    .collect(),
            ),
        })
    }
}

// === impl Loader ===

impl<'t> Loader<'t> {
    fn document(&mut self) -> Result<Node, ConfigError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(self.fault(span, "expected one document, found a second"));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                _ => {}
            }
        }
        Ok(root.unwrap_or_else(|| Node::unmarked(Data::Map(Vec::new()))))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.fault(
                span,
                format!("expected at most {MAX_DEPTH} levels of nesting"),
            ));
        }
        let (data, anchor) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, _) => {
                (Data::Plain(text.into_owned()), anchor)
            }
            Event::Scalar(text, _, anchor, _) => (Data::Quoted(text.into_owned()), anchor),
            Event::SequenceStart(anchor, _) => (Data::List(self.list(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Data::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.fault(span, "expected a value")),
        };
        let node = Node {
            mark: Some(mark(span.start)),
            data,
            shown: None,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, ConfigError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(Key, Node)>, ConfigError> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let Event::Scalar(name, ..) = event else {
                return Err(self.fault(span, "expected a name before the colon"));
            };
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            if entries.iter().any(|(key, _)| key.name == name) {
                let fault = self.fault(span, format!("`{name}` is given twice"));
                self.faults.push(fault);
                continue;
            }
            let key = Key {
                mark: Some(mark(span.start)),
                name: name.into_owned(),
            };
            entries.push((key, value));
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, ConfigError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.fault(span, "an alias must not stand inside its own anchor"));
        };
        self.aliased += size(&node);
        if self.aliased > MAX_ALIASED {
            return Err(self.fault(
                span,
                format!("expected aliases to add at most {MAX_ALIASED} values"),
            ));
        }
        Ok(node)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), ConfigError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(ConfigError::at(
                self.file,
                Some(mark(*error.marker())),
                format!("not YAML: {}", error.info()),
            )),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn fault(&self, span: Span, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.file, Some(mark(span.start)), message)
    }
}

fn mark(marker: Marker) -> Position {
    Position {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

fn size(node: &Node) -> usize {
    match &node.data {
        Data::Plain(_) | Data::Quoted(_) => 1,
        Data::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Data::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}
