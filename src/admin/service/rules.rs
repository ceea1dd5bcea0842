//! The effect of rules on the stored mismatches, as the admin API queries it.

use crate::{
    admin::{
        documents::{self, Affected, Hiding},
        problem::Problem,
    },
    advise::{
        Example, ExampleDifference,
        preview::{Effect, Hides, Idle, Preview},
        suggest::{BuiltinSuggestion, Suggestion, suggest},
    },
    ledger::{self, Ledger},
    rules::RuleSet,
    store::{Mismatch, Store},
};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Time limit; after it, the answer says that only a part was examined.
const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// Ids listed for each effect of a preview.
const NAMED: usize = 3;

/// Rules that would explain the stored mismatches of an epoch, or of all. Takes long, and may block on disk I/O.
pub(in crate::admin) fn suggestions(
    store: &Store,
    ledger: &Ledger,
    in_force: &RuleSet,
    epoch: Option<&str>,
) -> Result<documents::Suggestions, Problem> {
    let begun = Instant::now();
    let selection = store.selection(epoch)?;
    let examples: Vec<_> = selection.mismatches.iter().map(example).collect();
    let routes = ledger.routes();
    let checked = routes.iter().filter(|route| route.sampled() > 0);
    let checked = checked.map(|route| &**route.name()).collect();
    let ids: Vec<_> = in_force
        .rules()
        .iter()
        .map(|rule| rule.id.as_str())
        .collect();
    let found = suggest(&examples, &checked, &ids, &|| begun.elapsed() < LOOK_WITHIN);
    Ok(documents::Suggestions {
        builtin: found.builtin.into_iter().map(builtin).collect(),
        suggestions: found.suggestions.into_iter().map(suggested).collect(),
        decisions: found.decisions.into_iter().map(suggested).collect(),
        masked_together: found.together.alone,
        masked_with_builtin: found.together.with_builtin,
        masked_with_decisions: found.together.with_decisions,
        unexplained: found.unexplained,
        not_tried: found.not_tried,
        differences_not_tried: found.differences_not_tried,
        mismatches: selection.stored,
        looked_at: selection.mismatches.len(),
        newest_per_class: selection.newest_per_class,
        classes: found.classes,
        classes_looked_at: found.looked_at,
    })
}

/// What the rules of a file would hide. Takes long, and may block on disk I/O.
pub(in crate::admin) fn preview(
    store: &Store,
    ledger: &Ledger,
    in_force: &RuleSet,
    epoch: Option<&str>,
    text: &str,
) -> Result<documents::Preview, Problem> {
    let begun = Instant::now();
    let today = ledger::today();
    let compiled = RuleSet::compile(&files(text), today);
    let (rules, warnings) = compiled.map_err(|faults| {
        let detail = "nothing was looked at, for what is wrong with the rules";
        Problem::invalid(detail, &faults)
    })?;
    let preview = Preview::new(rules, today);
    let selection = store.selection(epoch)?;
    let mut hides = vec![Hides::default(); preview.rules().rules().len()];
    let routes = ledger.routes().into_iter();
    let in_force: HashSet<_> = in_force.rules().iter().map(|rule| &*rule.id).collect();
    let mut idle = Idle::new(
        &preview,
        routes.map(|route| route.name().to_string()),
        &in_force,
    );
    let mut answer = documents::Preview {
        mismatches: selection.stored,
        newest_per_class: selection.newest_per_class,
        warnings: warnings.iter().map(ToString::to_string).collect(),
        ..documents::Preview::default()
    };
    for mismatch in &selection.mismatches {
        if begun.elapsed() >= LOOK_WITHIN {
            break;
        }
        answer.looked_at += 1;
        let example = example(mismatch);
        idle.look(&example);
        let affected = match preview.effect(&example, &mut hides) {
            Effect::Hidden => &mut answer.hidden,
            Effect::Kept => &mut answer.kept,
            Effect::Unknown => &mut answer.cannot_be_judged,
        };
        add(affected, &mismatch.id);
    }
    let rules = preview.rules().rules().iter().zip(hides);
    answer.rules = rules
        .map(|(rule, hides)| Hiding {
            id: rule.id.clone(),
            differences_hidden: hides.differences,
            in_mismatches: hides.mismatches,
            unknown_in: hides.unknown,
            ends_noise_in: hides.noise,
            in_force: in_force.contains(&*rule.id),
        })
        .collect();
    answer.warnings.extend(idle.warnings());
    Ok(answer)
}

/// The rule files in a text: one, or several with a line `---` between them.
fn files(text: &str) -> Vec<(Arc<str>, String)> {
    let files = text.split("\n---\n").enumerate();
    let named = files.map(|(index, file)| {
        let name = if index == 0 {
            "rules".into()
        } else {
            format!("rules-{}", index + 1).into()
        };
        (name, file.to_owned())
    });
    named.collect()
}

fn add(affected: &mut Affected, id: &str) {
    affected.count += 1;
    if affected.examples.len() < NAMED {
        affected.examples.push(id.to_owned());
    }
}

fn suggested(suggestion: Suggestion) -> documents::Suggestion {
    documents::Suggestion {
        yaml: suggestion.yaml(),
        rule: suggestion.rule,
        classes: suggestion.classes,
        note: suggestion.note,
        masks: suggestion.masks,
        explains: suggestion.explains,
        of: suggestion.of,
        not_tried: suggestion.not_tried,
        not_explained: suggestion.not,
    }
}

fn builtin(suggestion: BuiltinSuggestion) -> documents::BuiltinSuggestion {
    documents::BuiltinSuggestion {
        name: suggestion.name,
        classes: suggestion.classes,
        masks: suggestion.masks,
        explains: suggestion.explains,
        of: suggestion.of,
    }
}

fn example(mismatch: &Mismatch) -> Example<'_> {
    let sides = [&mismatch.old, &mismatch.new].map(Option::as_ref);
    let differences = mismatch
        .differences
        .iter()
        .map(|difference| ExampleDifference {
            class: &difference.class,
            class_place: &difference.class_place,
            place: difference.basis.at.as_ref(),
            kind: difference.kind,
            hints: &difference.basis.hints,
            shown: difference.basis.shown.as_ref(),
            reported: [&difference.old, &difference.new].map(|side| side.as_deref()),
        });
    Example {
        id: &mismatch.id,
        route: &mismatch.route,
        method: &mismatch.request.method,
        statuses: sides.map(|side| side.map_or(0, |answer| answer.status)),
        content_types: sides.map(|side| side.and_then(|answer| answer.header("content-type"))),
        headers: sides.map(|side| side.map_or(&[][..], |answer| &answer.headers)),
        rechecks: mismatch.rechecks,
        noise: &mismatch.noise,
        count: mismatch.count,
        differences: differences.collect(),
    }
}
