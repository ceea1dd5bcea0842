//! Evaluates a query on a document.

use super::{
    Filter, FilterPattern, From, Operand, Operator, Path, Query, Reach, Segment, Selector,
};
use crate::value::{
    json::{Class, Document, Id, Text},
    number::Decimal,
};
use std::cmp::Ordering;

/// The value of an operand for one member.
#[derive(Clone, Copy, Debug)]
enum Value<'v> {
    Nothing,
    Null,
    Boolean(bool),
    Number(Decimal<'v>),
    Text(Text<'v>),
    Count(usize),
    /// An array or object.
    Container(Id),
}

struct Evaluation<'d> {
    document: &'d Document<'d>,
}

// === impl Query ===

impl Query {
    /// The selected nodes, in the order of RFC 9535; a node appears as often as it is selected.
    pub fn select(&self, document: &Document<'_>) -> Vec<Id> {
        let evaluation = Evaluation { document };
        evaluation.select(&self.segments, Document::ROOT)
    }
}

// === impl Evaluation ===

impl<'d> Evaluation<'d> {
    fn select(&self, segments: &[Segment], from: Id) -> Vec<Id> {
        let mut nodes = vec![from];
        for segment in segments {
            let mut next = Vec::new();
            for node in nodes {
                match segment.reach {
                    Reach::Children => self.children(segment, node, &mut next),
                    // The tape is in document order: a node, then all its descendants.
                    Reach::Descendants => (node..self.document.next(node))
                        .filter(|node| self.document.class(*node) != Class::Key)
                        .for_each(|node| self.children(segment, node, &mut next)),
                }
            }
            nodes = next;
        }
        nodes
    }

    fn children(&self, segment: &Segment, node: Id, out: &mut Vec<Id>) {
        let document = self.document;
        for selector in &segment.selectors {
            match selector {
                Selector::Name(name) => out.extend(document.member(node, name)),
                Selector::Wildcard => out.extend(self.members(node)),
                Selector::Index(index) => out.extend(self.element(node, *index)),
                Selector::Slice { start, end, step } => {
                    self.slice(node, (*start, *end, *step), out)
                }
                Selector::Filter(filter) => {
                    out.extend(
                        self.members(node)
                            .filter(|member| self.holds(filter, *member)),
                    );
                }
            }
        }
    }

    fn members(&self, node: Id) -> impl Iterator<Item = Id> {
        let values = self.document.members(node).map(|(_, value)| value);
        self.document.elements(node).chain(values)
    }

    fn element(&self, node: Id, index: i64) -> Option<Id> {
        let length = i64::try_from(self.document.len(node)).ok()?;
        let index = if index < 0 {
            length.checked_add(index)?
        } else {
            index
        };
        self.document
            .elements(node)
            .nth(usize::try_from(index).ok()?)
    }

    /// RFC 9535, section 2.3.4.2.2.
    fn slice(
        &self,
        node: Id,
        (start, end, step): (Option<i64>, Option<i64>, i64),
        out: &mut Vec<Id>,
    ) {
        let elements: Vec<Id> = self.document.elements(node).collect();
        let length = elements.len() as i64;
        let place = |bound: i64| match bound {
            0.. => bound,
            _ => length.saturating_add(bound),
        };
        let mut at;
        let stop;
        if step >= 0 {
            at = place(start.unwrap_or(0)).clamp(0, length);
            stop = place(end.unwrap_or(length)).clamp(0, length);
        } else {
            at = start.map_or(length - 1, place).clamp(-1, length - 1);
            stop = end.map_or(-1, place).clamp(-1, length - 1);
        }
        while step != 0 && (stop - at).signum() == step.signum() {
            out.push(elements[at as usize]);
            at = at.saturating_add(step);
        }
    }

    fn holds(&self, filter: &Filter, current: Id) -> bool {
        match filter {
            Filter::Any(filters) => filters.iter().any(|filter| self.holds(filter, current)),
            Filter::All(filters) => filters.iter().all(|filter| self.holds(filter, current)),
            Filter::Not(filter) => !self.holds(filter, current),
            Filter::Exists(path) => !self.nodes(path, current).is_empty(),
            Filter::Compare(left, operator, right) => {
                let (left, right) = (self.value(left, current), self.value(right, current));
                match operator {
                    Operator::Equal => self.equal(left, right),
                    Operator::Unequal => !self.equal(left, right),
                    Operator::Less => less(left, right),
                    Operator::LessOrEqual => less(left, right) || self.equal(left, right),
                }
            }
            Filter::Matches { text, pattern } => self.matches(text, pattern, current),
        }
    }

    fn matches(&self, text: &Operand, pattern: &FilterPattern, current: Id) -> bool {
        let Value::Text(text) = self.value(text, current) else {
            return false;
        };
        let found;
        let regex = match pattern {
            FilterPattern::Ready(regex) => regex.as_ref(),
            FilterPattern::At(operand, ready) => match self.value(operand, current) {
                Value::Text(pattern) => {
                    found = ready(&pattern.to_str());
                    found.as_ref()
                }
                _ => None,
            },
        };
        regex.is_some_and(|regex| regex.is_match(&text.to_str()))
    }

    fn nodes(&self, path: &Path, current: Id) -> Vec<Id> {
        let from = match path.from {
            From::Root => Document::ROOT,
            From::Current => current,
        };
        self.select(&path.segments, from)
    }

    fn value<'v>(&self, operand: &'v Operand, current: Id) -> Value<'v>
    where
        'd: 'v,
    {
        match operand {
            Operand::Null => Value::Null,
            Operand::Boolean(flag) => Value::Boolean(*flag),
            Operand::Number(text) => Decimal::parse(text).map_or(Value::Nothing, Value::Number),
            Operand::Text(text) => Value::Text(Text::Plain(text)),
            Operand::Count(path) => Value::Count(self.nodes(path, current).len()),
            Operand::Value(path) => match self.nodes(path, current)[..] {
                [node] => self.value_of(node),
                _ => Value::Nothing,
            },
            Operand::Length(of) => match self.value(of, current) {
                Value::Text(text) => Value::Count(text.code_points().count()),
                Value::Container(node) => Value::Count(self.document.len(node)),
                _ => Value::Nothing,
            },
        }
    }

    fn value_of(&self, node: Id) -> Value<'d> {
        match self.document.class(node) {
            Class::Null => Value::Null,
            Class::False => Value::Boolean(false),
            Class::True => Value::Boolean(true),
            Class::Number => {
                Decimal::parse(self.document.raw(node)).map_or(Value::Nothing, Value::Number)
            }
            Class::String | Class::Key => Value::Text(self.document.text(node)),
            Class::Array | Class::Object => Value::Container(node),
        }
    }

    fn equal(&self, left: Value<'_>, right: Value<'_>) -> bool {
        match (left, right) {
            (Value::Nothing, Value::Nothing) | (Value::Null, Value::Null) => true,
            (Value::Boolean(left), Value::Boolean(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => left == right,
            (Value::Container(left), Value::Container(right)) => self.alike(left, right),
            _ => ordered(left, right) == Some(Ordering::Equal),
        }
    }

    /// Whether two containers are equal.
    fn alike(&self, left: Id, right: Id) -> bool {
        let document = self.document;
        if document.class(left) != document.class(right)
            || document.len(left) != document.len(right)
        {
            return false;
        }
        let same = |left, right| self.equal(self.value_of(left), self.value_of(right));
        let mut elements = document.elements(left).zip(document.elements(right));
        elements.all(|(left, right)| same(left, right))
            && document.members(left).all(|(key, value)| {
                let name = document.text(key);
                let mut members = document.members(right);
                members.any(|(key, other)| document.text(key) == name && same(value, other))
            })
    }
}

fn less(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.code_points().lt(right.code_points()),
        _ => ordered(left, right) == Some(Ordering::Less),
    }
}

fn ordered(left: Value<'_>, right: Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(left.cmp(&right)),
        (Value::Count(left), Value::Count(right)) => Some(left.cmp(&right)),
        (Value::Count(left), Value::Number(right)) => {
            Some(Decimal::parse(&left.to_string())?.cmp(&right))
        }
        (Value::Number(left), Value::Count(right)) => {
            Some(left.cmp(&Decimal::parse(&right.to_string())?))
        }
        _ => None,
    }
}
