//! Predicts what rules would do to stored mismatches.
//!
//! Each difference is compared again under the rules, at its own place in an otherwise empty pair of answers. Masked
//! values are replaced by others. Then a result is certain only if it does not depend on values: no rule matches the
//! place, or a rule hides anything there. [`Hints`] add what was tried while the values were known. Everything else is
//! reported as unknown.

mod idle;
mod pair;
#[cfg(test)]
mod tests;

pub(crate) use idle::Idle;

use super::{Example, ExampleDifference};
use crate::{
    compare::{Answer, CompareConfig, Comparison, Context, Explain, Options, compare},
    rules::{Action, Facts, Members, Move, Rule, RuleSet, Side, State, Target},
    value::{Kind, Place, Step, format::Format},
};
use http::{Method, StatusCode};
use jiff::civil::Date;
use std::collections::BTreeSet;

/// Rules to try on stored mismatches.
#[derive(Debug)]
pub(crate) struct Preview {
    comparing: CompareConfig,
    today: Date,
}

/// What rules would do to a mismatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The mismatch would be gone.
    Hidden,
    /// At least one difference remains.
    Kept,
    /// The effect depends on masked values, or on parts of the answers that are not stored.
    Unknown,
}

/// What one rule would hide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hides {
    pub differences: u64,
    /// In how many mismatches, whatever else differs there.
    pub mismatches: u64,
    /// In how many mismatches it may hide something, but that is not known.
    pub unknown: u64,
    /// In how many mismatches it is for a header that differs between readings of the old stack.
    pub noise: u64,
}

// === impl Preview ===

impl Preview {
    pub(crate) fn new(rules: RuleSet, today: Date) -> Self {
        Self {
            comparing: CompareConfig {
                rules: rules.into(),
                options: Options {
                    explain: Explain::Places,
                    ..Options::default()
                },
                ..CompareConfig::default()
            },
            today,
        }
    }

    pub(crate) fn rules(&self) -> &RuleSet {
        &self.comparing.rules
    }

    /// What the rules would do to a mismatch. Counts in `hides` what each rule would hide.
    pub(crate) fn effect(&self, example: &Example<'_>, hides: &mut [Hides]) -> Effect {
        let mut effects = Vec::new();
        let mut hiding = BTreeSet::new();
        let mut unknown = BTreeSet::new();
        for difference in &example.differences {
            let (effect, rule) = self.one(example, difference);
            match (effect, rule) {
                (Effect::Hidden, Some(rule)) => {
                    hides[rule].differences += 1;
                    hiding.insert(rule);
                }
                (Effect::Unknown, _) => unknown.extend(self.concerned(example, difference)),
                _ => {}
            }
            effects.push(effect);
        }
        if !example.is_whole() {
            unknown.extend(self.of_body(example));
        }
        let of_noise = self.of_noise(example);
        each(hides, &hiding, |hides| hides.mismatches += 1);
        each(hides, &unknown, |hides| hides.unknown += 1);
        each(hides, &of_noise, |hides| hides.noise += 1);
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
        let is_here = |place: &Place| are_together(place, at);
        let mut left = comparison.differences().iter();
        let is_left = left.any(|left| is_here(&left.place));
        let mut masked = comparison.masked.iter();
        let masked = masked.find(|masked| is_here(&masked.difference.place));
        let masked = masked.map(|masked| masked.rule);
        let (rules, mut used) = (self.rules().rules(), comparison.rules.iter());
        let is_looked_at = used.any(|used| is_about(&rules[used.rule].at, at));
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
            // What is stored of messages is JSON.
            message_type: None,
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

    /// The rules that may hide a difference.
    fn concerned(
        &self,
        example: &Example<'_>,
        difference: &ExampleDifference<'_>,
    ) -> BTreeSet<usize> {
        let rules = self.rules().rules();
        let may_rename = matches!(difference.kind, Kind::Missing | Kind::Extra);
        let renames = (0..rules.len())
            .filter(|rule| may_rename && matches!(rules[*rule].action, Action::Rename(_)));
        let around = self.around(difference);
        let around = around
            .iter()
            .filter(|found| self.is_of_use(found, &around))
            .map(|(rule, _)| *rule);
        let all = around.chain(renames);
        all.filter(|rule| self.applies(&rules[*rule], example))
            .collect()
    }

    /// The rules for the body. Where some differences were not kept, all of the body may be among them.
    fn of_body(&self, example: &Example<'_>) -> BTreeSet<usize> {
        let rules = self.rules().rules().iter().enumerate();
        let of_body = rules.filter(|(_, rule)| is_of_body(&rule.at) && self.applies(rule, example));
        of_body.map(|(index, _)| index).collect()
    }

    /// The rules for headers that vary between readings of the old stack.
    fn of_noise(&self, example: &Example<'_>) -> BTreeSet<usize> {
        let varying = example.varying_headers();
        let varying: Vec<_> = varying
            .map(|(_, name)| Place::Header(name.to_owned()))
            .collect();
        let rules = self.rules().rules().iter().enumerate();
        let named = rules.filter(|(_, rule)| {
            varying.iter().any(|place| rule.at.names(place)) && self.applies(rule, example)
        });
        named.map(|(index, _)| index).collect()
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
        let any = |does: fn(&Rule) -> bool| rules.rules().iter().any(does);
        let may_rename = matches!(difference.kind, Kind::Missing | Kind::Extra)
            && any(|rule| matches!(rule.action, Action::Rename(_)));
        let asks_type = any(|rule| is_of_body(&rule.at) && rule.when.content_type.is_some());
        let mut types = example.content_types.iter();
        let is_typed = types.all(|kind| Format::of(essence(*kind)) == Format::Json);
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
        let path = self.along(steps);
        path[..steps.len()].iter().any(|rules| self.are_any(rules))
    }

    /// The rules at each place on the way to a node, from the root to the node itself.
    fn along(&self, steps: &[Step]) -> Vec<Vec<usize>> {
        let tree = self.rules().tree();
        let mut states = Vec::new();
        tree.start(&mut states);
        let at = |states: &[State]| {
            let rules = states.iter().flat_map(|state| tree.rules(*state));
            rules.copied().collect::<Vec<_>>()
        };
        let mut path = vec![at(&states)];
        for step in steps {
            let step = match step {
                Step::Name(name) => Move::Name(name),
                Step::Index(index) => Move::Index(Some(*index), Some(*index)),
            };
            let mut next = Vec::new();
            for state in states {
                tree.advance(state, &step, 0, &mut next);
            }
            states = next;
            path.push(at(&states));
        }
        path
    }

    /// Whether any of these rules does more than ignore.
    fn are_any(&self, rules: &[usize]) -> bool {
        let all = self.rules().rules();
        rules.iter().any(|rule| all[*rule].action != Action::Ignore)
    }
}

fn each(hides: &mut [Hides], rules: &BTreeSet<usize>, add: impl Fn(&mut Hides)) {
    rules.iter().for_each(|rule| add(&mut hides[*rule]));
}

/// Whether a rule may concern a place: it is at the same header, or both are in the body.
fn is_about(target: &Target, place: &Place) -> bool {
    match (target, place) {
        (Target::Status, Place::Status) => true,
        (target, place) => target.names(place) || is_of_body(target) && !is_outside(place),
    }
}

/// Whether both places are the same, or both are in the body.
fn are_together(one: &Place, other: &Place) -> bool {
    one == other || !is_outside(one) && !is_outside(other)
}

fn is_of_body(target: &Target) -> bool {
    matches!(target, Target::Form(_) | Target::Body | Target::Path(_))
}

fn is_outside(place: &Place) -> bool {
    matches!(place, Place::Status | Place::Header(_) | Place::Trailer(_))
}

/// A media type without parameters.
fn essence(content_type: Option<&str>) -> &str {
    let essence = content_type.unwrap_or_default().split(';').next();
    essence.unwrap_or_default().trim()
}
