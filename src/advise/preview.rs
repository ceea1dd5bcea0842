//! Predicts what rules would do to stored mismatches.
//!
//! Each difference is compared again under the rules, at its own place in an otherwise empty pair of answers. Masked
//! values are replaced by others. Then a result is certain only if it does not depend on values: no rule matches the
//! place, or a rule hides anything there. [`Hints`] add what was tried while the values were known. Everything else is
//! reported as unknown.

mod pair;
#[cfg(test)]
mod tests;

use super::{Example, ExampleDifference};
use crate::{
    compare::{Answer, CompareConfig, Comparison, Context, Explain, Options, compare},
    rules::{Action, Facts, Members, Move, Rule, RuleSet, Side, Target},
    value::{Kind, Place, Step, format::Format},
};
use http::{Method, StatusCode};
use jiff::civil::Date;

/// Rules to try on stored mismatches.
#[derive(Debug)]
pub struct Preview {
    comparing: CompareConfig,
    today: Date,
}

/// What rules would do to a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The mismatch would be gone.
    Hidden,
    /// At least one difference remains.
    Kept,
    /// The effect depends on masked values, or on parts of the answers that are not stored.
    Unknown,
}

/// The part of an answer that a place or a rule belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section<'p> {
    Status,
    Header(&'p str),
    Trailer(&'p str),
    Body,
}

// === impl Preview ===

impl Preview {
    pub fn new(rules: RuleSet, today: Date) -> Self {
        Self {
            comparing: CompareConfig {
                rules: rules.into(),
                options: Options {
                    explain: Explain::Places,
                    ..Options::default()
                },
            },
            today,
        }
    }

    pub fn rules(&self) -> &RuleSet {
        &self.comparing.rules
    }

    /// What the rules would do to a mismatch. Counts in `hides` how many differences each rule would hide.
    pub fn effect(&self, example: &Example<'_>, hides: &mut [u64]) -> Effect {
        let mut effects = Vec::new();
        for difference in &example.differences {
            let (effect, rule) = self.one(example, difference);
            if let (Effect::Hidden, Some(rule)) = (effect, rule) {
                hides[rule] += 1;
            }
            effects.push(effect);
        }
        let are_hidden = effects.iter().all(|effect| *effect == Effect::Hidden);
        if are_hidden && example.is_whole() {
            Effect::Hidden
        } else if effects.contains(&Effect::Kept) {
            Effect::Kept
        } else {
            Effect::Unknown
        }
    }

    /// What the rules would do to one difference, and the rule that hides it.
    fn one(
        &self,
        example: &Example<'_>,
        difference: &ExampleDifference<'_>,
    ) -> (Effect, Option<usize>) {
        let unknown = (Effect::Unknown, None);
        let Some(at) = difference.place else {
            return match self.of_whole_body(example) {
                Some(rule) => (Effect::Hidden, Some(rule)),
                None => unknown,
            };
        };
        if let Some(rule) = self.by_hints(example, difference, at) {
            return (Effect::Hidden, Some(rule));
        }
        let Some((old, new)) = pair::of(example, at, difference) else {
            return unknown;
        };
        let comparison = self.compared(example, (&old, &new));
        let is_here = |place: &Place| Section::of(place) == Section::of(at);
        let is_left = comparison
            .differences()
            .iter()
            .any(|left| is_here(&left.place));
        let mut masked = comparison.masked.iter();
        let masked = masked.find(|masked| is_here(&masked.difference.place));
        let masked = masked.map(|masked| masked.rule);
        let targets = self.rules().rules();
        let is_looked_at = comparison
            .rules
            .iter()
            .any(|used| Section::at(&targets[used.rule].at) == Section::of(at));
        let effect = match (is_left, masked) {
            (false, Some(rule)) if self.is_certain(rule, difference) => Effect::Hidden,
            (true, _) if self.depends(example, difference, at) => Effect::Unknown,
            (true, _) if difference.shown.is_some() || !is_looked_at => Effect::Kept,
            _ => Effect::Unknown,
        };
        (effect, masked)
    }

    fn compared(&self, example: &Example<'_>, (old, new): (&Answer, &Answer)) -> Comparison {
        let method = example.method.parse().unwrap_or(Method::GET);
        let context = Context {
            route: example.route,
            method: &method,
            today: self.today,
            deadline: None,
        };
        compare(old, new, &context, &self.comparing)
    }

    /// The rule that was tried successfully while the values were known.
    fn by_hints(
        &self,
        example: &Example<'_>,
        difference: &ExampleDifference<'_>,
        at: &Place,
    ) -> Option<usize> {
        let at = at.class_text();
        let is_tried = |rule: &Rule| {
            let rule_at = rule.at.to_string();
            difference.hints.suffices(&at, &rule_at, &rule.action)
        };
        let rules = self.rules().rules();
        (0..rules.len())
            .find(|rule| is_tried(&rules[*rule]) && self.applies(&rules[*rule], example))
    }

    /// The rule that ignores the whole body. Only places in the body have redacted names.
    fn of_whole_body(&self, example: &Example<'_>) -> Option<usize> {
        let rules = self.rules().rules();
        let ignores = |rule: &usize| rules[*rule].action == Action::Ignore;
        let mut at_body = self.rules().at_body().iter().copied().filter(ignores);
        at_body.find(|rule| self.applies(&rules[*rule], example))
    }

    fn applies(&self, rule: &Rule, example: &Example<'_>) -> bool {
        let method = example.method.parse().unwrap_or(Method::GET);
        let [old, new] = [0, 1].map(|side| Side {
            status: StatusCode::from_u16(example.statuses[side]).unwrap_or_default(),
            media_type: essence(example.content_types[side]),
        });
        let facts = Facts {
            route: example.route,
            method: &method,
            sides: [old, new],
        };
        rule.when.holds(&facts) && rule.expires.is_none_or(|day| self.today <= day)
    }

    /// Whether a rule certainly hides what it masked, whatever replaced the values.
    fn is_certain(&self, rule: usize, difference: &ExampleDifference<'_>) -> bool {
        let rules = self.rules();
        let is_queried = rules.queries().iter().any(|(queried, _)| *queried == rule);
        match &rules.rules()[rule].action {
            _ if is_queried => false,
            Action::Ignore => true,
            Action::Unordered(Members::AsSet) => difference.kind == Kind::Order,
            _ => difference.shown.is_some(),
        }
    }

    /// Whether the effect on a difference depends on its surroundings, which are not stored.
    fn depends(
        &self,
        example: &Example<'_>,
        difference: &ExampleDifference<'_>,
        at: &Place,
    ) -> bool {
        let rules = self.rules();
        let of_body = |rule: &Rule| Section::at(&rule.at) == Section::Body;
        let may_rename = matches!(difference.kind, Kind::Missing | Kind::Extra)
            && rules
                .rules()
                .iter()
                .any(|rule| matches!(rule.action, Action::Rename(_)));
        let asks_type = rules
            .rules()
            .iter()
            .any(|rule| of_body(rule) && rule.when.content_type.is_some());
        let is_typed = example
            .content_types
            .iter()
            .all(|kind| Format::of(essence(*kind)) == Format::Json);
        match at {
            Place::Node(steps) => {
                may_rename
                    || asks_type && !is_typed
                    || !rules.queries().is_empty()
                    || self.are_any(rules.at_body())
                    || self.are_above(steps)
            }
            Place::Status | Place::Header(_) | Place::Trailer(_) => false,
            _ => asks_type || self.are_any(rules.at_body()),
        }
    }

    /// Whether a rule other than `ignore` is at a place above this one.
    fn are_above(&self, steps: &[Step]) -> bool {
        let tree = self.rules().tree();
        let mut states = Vec::new();
        tree.start(&mut states);
        for step in steps {
            if states.iter().any(|state| self.are_any(tree.rules(*state))) {
                return true;
            }
            let step = match step {
                Step::Name(name) => Move::Name(name),
                Step::Index(index) => Move::Index(Some(*index), Some(*index)),
            };
            let mut next = Vec::new();
            for state in states {
                tree.advance(state, &step, 0, &mut next);
            }
            states = next;
        }
        false
    }

    /// Whether any of these rules does more than ignore.
    fn are_any(&self, rules: &[usize]) -> bool {
        let all = self.rules().rules();
        rules.iter().any(|rule| all[*rule].action != Action::Ignore)
    }
}

// === impl Section ===

impl<'p> Section<'p> {
    fn of(place: &'p Place) -> Self {
        match place {
            Place::Status => Self::Status,
            Place::Header(name) => Self::Header(name),
            Place::Trailer(name) => Self::Trailer(name),
            _ => Self::Body,
        }
    }

    fn at(target: &'p Target) -> Self {
        match target {
            Target::Status => Self::Status,
            Target::Header(name) => Self::Header(name.as_str()),
            Target::Trailer(name) => Self::Trailer(name.as_str()),
            _ => Self::Body,
        }
    }
}

/// A media type without parameters.
fn essence(content_type: Option<&str>) -> &str {
    let essence = content_type.unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim()
}
