//! Finds which built-in rule files hide the differences of a check, and suggests those that hide much.

use super::{
    Example, FEWEST,
    hints::{Answers, Hints},
};
use crate::{
    compare::{CompareConfig, Context, Explain, Options, compare},
    rules::{Action, RuleSet},
    value::{Difference, Kind, Place},
};
use http::HeaderName;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, LazyLock},
    time::Instant,
};

/// A built-in rule file, and its effect on the stored mismatches.
#[derive(Clone, Debug)]
pub(crate) struct BuiltinSuggestion {
    /// As in a configuration: `builtin:aws`.
    pub name: String,
    /// Ids of the classes that it explains.
    pub classes: Vec<String>,
    /// The number of mismatches that it would mask: all their differences are gone.
    pub masks: usize,
    /// The number of mismatches with one of the classes, and how many of them it explains completely.
    pub of: usize,
    pub explains: usize,
}

/// A set of built-in rule files, by their index in [`RuleSet::BUILTIN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Builtins(u8);

const _: () = assert!(RuleSet::BUILTIN.len() <= u8::BITS as usize, "a bit each");

/// The rules of all files that may be suggested.
#[derive(Debug)]
struct Catalogue {
    rules: Arc<RuleSet>,
    /// The file of each rule.
    files: Vec<usize>,
}

/// A place and a kind of difference, over all routes.
type Spot<'e> = (&'e str, Kind);

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::new);

/// A longer body is not tried.
const MAX_BODY: usize = 64 << 10;

/// A file that explains differences at fewer places is not suggested: a rule of its own says more.
const FEWEST_PLACES: usize = 2;

/// Records which file hides each difference. One comparison tries all files.
pub(super) fn find(
    differences: &[Difference],
    answers: Answers<'_>,
    deadline: Option<Instant>,
    all: &mut [Hints],
) {
    let Answers { old, new, .. } = answers;
    if [old, new]
        .iter()
        .any(|answer| answer.body.kept().len() > MAX_BODY)
    {
        return;
    }
    let comparing = CompareConfig {
        rules: CATALOGUE.rules.clone(),
        options: Options {
            explain: Explain::Places,
            max_differences: usize::MAX,
            max_decoded: MAX_BODY,
            ..Options::default()
        },
        ..CompareConfig::default()
    };
    let context = Context {
        message_type: answers.message_type,
        ..Context::without_route(Date::MIN, deadline)
    };
    let comparison = compare(old, new, &context, &comparing);
    let left = comparison.differences().iter();
    let left: HashSet<_> = left.map(|left| (&left.place, left.kind)).collect();
    for (difference, hints) in differences.iter().zip(all) {
        if !hints.are_tried() || left.contains(&(&difference.place, difference.kind)) {
            continue;
        }
        let mut masked = comparison.masked.iter();
        let masked = masked.find(|masked| holds(&masked.difference.place, &difference.place));
        if let Some(masked) = masked {
            hints.builtins = Builtins::only(CATALOGUE.files[masked.rule]);
        }
    }
}

/// Whether a place is the other one, or above it.
fn holds(place: &Place, other: &Place) -> bool {
    match (place, other) {
        (Place::Node(above), Place::Node(steps)) => steps.starts_with(above),
        _ => place == other,
    }
}

/// The files that explain differences at several places, those first that explain most. What one explains does not
/// count for another.
pub(super) fn choose(examples: &[Example<'_>]) -> Vec<(Builtins, BuiltinSuggestion)> {
    let mut spots = spots(examples);
    let mut chosen = Vec::new();
    loop {
        let best = Builtins::all().map(|file| {
            let explained = spots.iter().filter(|(_, found)| found.is_by(file));
            (
                file,
                explained.map(|(spot, _)| *spot).collect::<HashSet<_>>(),
            )
        });
        let best = best.max_by_key(|(file, explained)| (explained.len(), Reverse(file.0)));
        let Some((file, explained)) = best.filter(|(_, spots)| spots.len() >= FEWEST_PLACES) else {
            return chosen;
        };
        spots.retain(|spot, _| !explained.contains(spot));
        chosen.push((file, file.judged(&explained, examples)));
    }
}

/// In how many examples a spot was tried, and how many of them each file explains.
#[derive(Debug, Default)]
struct Counts {
    tried: usize,
    by: HashMap<u8, usize>,
}

fn spots<'e>(examples: &[Example<'e>]) -> HashMap<Spot<'e>, Counts> {
    let mut spots: HashMap<Spot<'e>, Counts> = HashMap::new();
    for example in examples {
        let mut here: HashMap<Spot<'e>, Builtins> = HashMap::new();
        let tried = example
            .differences
            .iter()
            .filter(|seen| seen.hints.are_tried());
        for seen in tried {
            let all = here
                .entry((seen.class_place, seen.kind))
                .or_insert(Builtins(u8::MAX));
            *all = Builtins(all.0 & seen.hints.builtins.0);
        }
        for (place, name) in example.varying_headers() {
            let spot = (place, Kind::Value);
            here.entry(spot)
                .or_insert_with(|| Builtins::at_header(name));
        }
        for (spot, files) in here {
            let counts = spots.entry(spot).or_default();
            counts.tried += 1;
            for file in Builtins::all().filter(|file| files.has(*file)) {
                *counts.by.entry(file.0).or_default() += 1;
            }
        }
    }
    spots
}

// === impl Counts ===

impl Counts {
    fn is_by(&self, file: Builtins) -> bool {
        let count = self.by.get(&file.0).copied().unwrap_or_default();
        count >= FEWEST && count * 2 >= self.tried
    }
}

// === impl Builtins ===

impl Builtins {
    fn only(file: usize) -> Self {
        Self(1 << file)
    }

    fn all() -> impl Iterator<Item = Self> {
        (0..RuleSet::BUILTIN.len()).map(Self::only)
    }

    /// The files with a rule for any value of a header.
    fn at_header(name: &str) -> Self {
        let Ok(name) = HeaderName::try_from(name) else {
            return Self::default();
        };
        let rules = CATALOGUE.rules.at_header(&name);
        let files = rules.iter().filter_map(|rule| {
            let rules = CATALOGUE.rules.rules();
            let is_wide = matches!(rules[*rule].action, Action::Same(_) | Action::Ignore);
            is_wide.then(|| Self::only(CATALOGUE.files[*rule]))
        });
        files.fold(Self::default(), Self::with)
    }

    /// Whether one of the files has a rule for any value of a header.
    pub(super) fn cover(self, name: &str) -> bool {
        self.has(Self::at_header(name))
    }

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn judged(self, explained: &HashSet<Spot<'_>>, examples: &[Example<'_>]) -> BuiltinSuggestion {
        let (file, _) = RuleSet::BUILTIN[self.0.trailing_zeros() as usize];
        let mut classes = BTreeSet::new();
        let mut suggestion = BuiltinSuggestion {
            name: format!("builtin:{file}"),
            classes: Vec::new(),
            masks: 0,
            of: 0,
            explains: 0,
        };
        for example in examples {
            let all = example.differences.iter();
            let is_gone = all.clone().all(|seen| self.has(seen.hints.builtins));
            suggestion.masks += usize::from(example.is_whole() && is_gone);
            let of = all.filter(|seen| explained.contains(&(seen.class_place, seen.kind)));
            let of: Vec<_> = of.collect();
            classes.extend(of.iter().map(|seen| seen.class));
            suggestion.of += usize::from(!of.is_empty());
            let is_explained = of.iter().all(|seen| self.has(seen.hints.builtins));
            suggestion.explains += usize::from(!of.is_empty() && is_explained);
        }
        suggestion.classes = classes.into_iter().map(str::to_owned).collect();
        suggestion
    }
}

// === impl Catalogue ===

impl Catalogue {
    fn new() -> Self {
        let mut files = Vec::new();
        let mut texts = Vec::new();
        for (index, (name, text)) in RuleSet::BUILTIN.into_iter().enumerate() {
            // The stacks of the demo are no one else's.
            if name == "demo" {
                continue;
            }
            let file = [(Arc::from(name), text.to_owned())];
            let (rules, _) = RuleSet::compile(&file, Date::MIN).expect("built-in rules are valid");
            files.extend(rules.rules().iter().map(|_| index));
            texts.extend(file);
        }
        let (rules, _) = RuleSet::compile(&texts, Date::MIN).expect("their ids are unique");
        Self {
            rules: Arc::new(rules),
            files,
        }
    }
}
