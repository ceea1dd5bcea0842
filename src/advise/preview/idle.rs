//! Finds rules that can never apply: their route, header or place never occurs, or what is there has another type.

use super::{Example, ExampleDifference, Preview};
use crate::{
    rules::{Action, Rule, Same, Target, Transform},
    value::{Place, Step},
};
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashSet};

/// What the stored mismatches say of each rule.
#[derive(Debug)]
pub(crate) struct Idle<'p> {
    preview: &'p Preview,
    rules: Vec<Reach>,
    headers: BTreeSet<String>,
    routes: BTreeSet<String>,
    /// The ids of rules in force: what they hide is not stored.
    in_force: &'p HashSet<&'p str>,
    mismatches: usize,
}

/// What the stored mismatches say of one rule.
#[derive(Clone, Debug, Default)]
struct Reach {
    /// Whether something differs where it applies.
    is_reached: bool,
    /// Whether something that differs there has a type that it works on.
    is_of_use: bool,
    /// A type that it does not work on.
    other: Option<Type>,
}

/// A rule at the place of a difference or above it, and the types there.
pub(super) type Around = (usize, [Option<Type>; 2]);

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

// === impl Idle ===

impl<'p> Idle<'p> {
    /// `routes` are the names of all known routes, `in_force` the ids of the rules in force.
    pub(crate) fn new(
        preview: &'p Preview,
        routes: impl Iterator<Item = String>,
        in_force: &'p HashSet<&'p str>,
    ) -> Self {
        Self {
            preview,
            rules: vec![Reach::default(); preview.rules().rules().len()],
            headers: BTreeSet::new(),
            routes: routes.collect(),
            in_force,
            mismatches: 0,
        }
    }

    pub(crate) fn look(&mut self, example: &Example<'_>) {
        self.mismatches += 1;
        let names = example.headers.into_iter().flatten();
        for (name, _) in names {
            if !self.headers.contains(name) {
                self.headers.insert(name.clone());
            }
        }
        if !self.routes.contains(example.route) {
            self.routes.insert(example.route.to_owned());
        }
        for difference in &example.differences {
            self.look_at(example, difference);
        }
        // What varies on the old stack is no difference, but a rule for it ends the noise.
        let mut of_use = self.preview.of_noise(example);
        if !example.is_whole() {
            of_use.extend(self.preview.of_body(example));
        }
        for rule in of_use {
            self.rules[rule].is_of_use = true;
        }
    }

    fn look_at(&mut self, example: &Example<'_>, difference: &ExampleDifference<'_>) {
        let rules = self.preview.rules().rules();
        let found = self.preview.around(difference);
        for around in &found {
            let (rule, types) = around;
            if !self.preview.applies(&rules[*rule], example) {
                continue;
            }
            let reach = &mut self.rules[*rule];
            reach.is_reached = true;
            if self.preview.is_of_use(around, &found) {
                reach.is_of_use = true;
            } else {
                reach.other = types.iter().flatten().copied().next();
            }
        }
    }

    /// One warning for each rule that can never apply.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let rules = self.preview.rules().rules().iter().zip(&self.rules);
        let reasons = rules.filter_map(|(rule, reach)| Some((rule, self.reason(rule, reach)?)));
        reasons
            .map(|(rule, reason)| format!("the rule `{}` applies to nothing: {reason}", rule.id))
            .collect()
    }

    fn reason(&self, rule: &Rule, reach: &Reach) -> Option<String> {
        let at = &rule.at;
        if !rule.when.admits_any(self.routes.iter().map(String::as_str)) {
            let routes = rule.when.routes.as_deref().unwrap_or_default().join(", ");
            return Some(format!("no route is named {routes}"));
        }
        // Without mismatches nothing is known.
        if self.mismatches == 0 || reach.is_of_use || self.in_force.contains(&*rule.id) {
            return None;
        }
        if reach.is_reached {
            let (action, other) = (rule.action.name(), reach.other?);
            return Some(format!(
                "`{action}` does not work on the type at {at}, {other}"
            ));
        }
        let mut headers = self.headers.iter();
        let is_sent = headers.any(|name| at.names(&Place::Header(name.clone())));
        Some(match at {
            Target::Header(_) if !is_sent => format!("no stored answer has {at}"),
            _ => format!("no stored mismatch differs at {at} where its conditions hold"),
        })
    }
}

// === impl Preview ===

impl Preview {
    /// Whether one of the rules around a place works on the type there.
    pub(super) fn is_of_use(&self, (rule, types): &Around, all: &[Around]) -> bool {
        let rules = self.rules().rules();
        let action = &rules[*rule].action;
        let mut others = all.iter();
        // A transform may make another type of it.
        let is_changed = others.any(|(other, _)| rules[*other].action.is_transform());
        is_changed && !action.is_transform() || works_on(action, *types)
    }

    /// The rules at the place of a difference or above it, with the types there.
    pub(super) fn around(&self, difference: &ExampleDifference<'_>) -> Vec<Around> {
        let types = [0, 1].map(|side| Type::of(difference, side));
        let set = self.rules();
        let Some(place) = difference.place else {
            return (0..set.rules().len())
                .map(|rule| (rule, [None; 2]))
                .collect();
        };
        let is_at = |target: &Target| match (target, place) {
            (Target::Status, Place::Status) => true,
            (Target::Form(name), Place::Form(other)) => name == other,
            (Target::Body, place) => !super::is_outside(place),
            (target, place) => target.names(place),
        };
        let all = set.rules().iter().enumerate();
        let at = all.filter(|(_, rule)| is_at(&rule.at));
        let typed = at.map(|(index, rule)| match rule.action {
            // The values of one header may be several.
            Action::Unordered(_) => (index, [None; 2]),
            _ => (index, [Some(Type::String); 2]),
        });
        let mut found: Vec<_> = typed.collect();
        if let Place::Node(steps) = place {
            found.extend(set.queries().iter().map(|(rule, _)| (*rule, [None; 2])));
            for (depth, rules) in self.along(steps).into_iter().enumerate() {
                let types = match steps.get(depth) {
                    None => types,
                    Some(Step::Index(_)) => [Some(Type::Array); 2],
                    Some(Step::Name(_)) => [Some(Type::Object); 2],
                };
                found.extend(rules.into_iter().map(|rule| (rule, types)));
            }
        }
        found
    }
}

// === impl Type ===

impl Type {
    /// The type of one side; `None` if there is no value or its type is not known.
    fn of(difference: &ExampleDifference<'_>, side: usize) -> Option<Self> {
        match (difference.shown, difference.reported[side]) {
            (Some(shown), _) => shown[side].as_ref().map(Self::of_json),
            (None, Some(masked)) => Self::of_masked(masked),
            (None, None) => None,
        }
    }

    fn of_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(_) => Self::Boolean,
            Json::Number(_) => Self::Number,
            Json::String(_) => Self::String,
            Json::Array(_) => Self::Array,
            Json::Object(_) => Self::Object,
        }
    }

    /// The type that a masked value shows, such as `string(4)`.
    fn of_masked(text: &str) -> Option<Self> {
        let (name, _) = text.split_once(['(', '#']).unwrap_or((text, ""));
        let all = [
            Self::Null,
            Self::Boolean,
            Self::Number,
            Self::String,
            Self::Array,
            Self::Object,
        ];
        all.into_iter().find(|kind| kind.to_string() == name)
    }
}

/// Whether an action may make values of these types equal; an unknown type may be any.
fn works_on(action: &Action, types: [Option<Type>; 2]) -> bool {
    let all = |fitting: &[Type]| {
        let mut known = types.into_iter().flatten();
        known.all(|kind| fitting.contains(&kind))
    };
    let any = |fitting: Type| {
        types
            .iter()
            .any(|kind| kind.is_none_or(|kind| kind == fitting))
    };
    match action {
        Action::Round(_) | Action::Tolerance(_) | Action::Same(Same::Number) => {
            all(&[Type::Number])
        }
        Action::Time(_) | Action::Bijection(_) => all(&[Type::Number, Type::String]),
        Action::Same(Same::Any) => true,
        Action::Same(_) => all(&[Type::String]),
        Action::Unordered(_) => all(&[Type::Array]),
        Action::Transform(Transform::Map(_)) => true,
        Action::Transform(_) => any(Type::String),
        Action::Ignore | Action::Optional(_) | Action::Rename(_) | Action::Status(_) => true,
    }
}
