//! `twinread rules suggest`: the smallest rules that would explain stored mismatches, as a rule file to edit.

use crate::{
    admin::documents::{Suggestion, Suggestions},
    cli::client::{self, Address, EpochArgs, Error, Received},
    verdict::Counted,
};
use std::{fmt::Write as _, process::ExitCode};

/// Suggest rules that would explain stored mismatches, and put none in force
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0   printed, if only to say that there are none
  64  wrong arguments, or refused by the admin API
  69  no twinread answers

Example:
  twinread rules suggest > suggested.yaml")]
pub(super) struct Args {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    asked: EpochArgs,
    /// Print the JSON document of the admin API instead of a rule file
    #[arg(long)]
    json: bool,
}

/// Prints the suggestions. Exits with 0; 64 if the request is refused, 69 if no twinread answers.
pub(super) fn run(args: &Args) -> ExitCode {
    client::exit_code(suggest(args))
}

fn suggest(args: &Args) -> Result<ExitCode, Error> {
    let client = args.address.client()?;
    let path = format!("/v1/rules/suggestions?epoch={}", args.asked.epoch);
    let suggestions: Received<Suggestions> = client.get(&path)?;
    let file = file(&suggestions);
    Ok(client::print(args.json, &suggestions, file.trim_end()))
}

/// A rule file with remarks about the rules in comments.
fn file(suggestions: &Suggestions) -> String {
    let mut text = format!(
        "# stored mismatches: {}, of which these rules together would mask {}\n\
         # classes that no single rule would explain: {}\n",
        suggestions.looked_at,
        suggestions.masked_together,
        suggestions.unexplained.len()
    );
    if (suggestions.looked_at as u64) < suggestions.mismatches {
        let (looked, all) = (suggestions.looked_at, suggestions.mismatches);
        let said = format!("# these are the newest {looked} of {all}, so many of each class");
        line(&mut text, &said);
    }
    let differences = suggestions.differences_not_tried;
    if differences > 0 {
        let classes = suggestions.not_tried.len();
        line(
            &mut text,
            &format!(
                "# differences on which nothing was tried, for want of room: {differences}; classes: {classes}"
            ),
        );
    }
    if suggestions.classes_looked_at < suggestions.classes {
        let (looked, all) = (suggestions.classes_looked_at, suggestions.classes);
        line(
            &mut text,
            &format!("# only {looked} of {all} classes were looked at in time"),
        );
    }
    for builtin in &suggestions.builtin {
        let (name, masks, all) = (&builtin.name, builtin.masks, suggestions.looked_at);
        let (explains, of) = (builtin.explains, builtin.of);
        let classes = Counted(builtin.classes.len() as u64, "class");
        line(
            &mut text,
            &format!("# add {name} to `rules` of the configuration:"),
        );
        line(
            &mut text,
            &format!(
                "#   it would mask {masks} of {all}; explains {classes} in {explains} of {of}"
            ),
        );
    }
    if suggestions.suggestions.is_empty() {
        let nothing = if suggestions.builtin.is_empty() {
            "# nothing to suggest"
        } else {
            "# nothing else to suggest"
        };
        line(&mut text, nothing);
        line(&mut text, "rules: []");
        return text;
    }
    line(&mut text, "rules:");
    for suggestion in &suggestions.suggestions {
        entry(suggestion, suggestions.looked_at, &mut text);
    }
    text
}

/// One rule below its remarks.
fn entry(suggestion: &Suggestion, mismatches: usize, text: &mut String) {
    let (masks, explains, of) = (suggestion.masks, suggestion.explains, suggestion.of);
    let not_tried = suggestion.not_tried;
    let effect =
        format!("# would mask {masks} of {mismatches}; explains {explains} of {of} of its classes");
    line(text, &effect);
    if let Some(note) = &suggestion.note {
        line(text, &format!("# {note}"));
    }
    if not_tried > 0 {
        line(text, &format!("# was not tried on {not_tried}"));
    }
    if !suggestion.not_explained.is_empty() {
        let ids = suggestion.not_explained.join(" ");
        line(text, &format!("# does not explain {ids}"));
    }
    let rule = suggestion.yaml.lines();
    rule.for_each(|rule| line(text, rule));
}

/// Escapes names that could control the terminal as YAML and JSON do in quotes.
fn line(text: &mut String, line: &str) {
    for letter in line.chars() {
        match letter {
            ' '..='~' => text.push(letter),
            letter if letter.is_alphanumeric() => text.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").expect("a string takes any text");
                }
            }
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::documents::BuiltinSuggestion, rules::RuleSet};

    #[test]
    fn what_is_printed_is_a_rule_file() {
        let suggestions = Suggestions {
            builtin: vec![BuiltinSuggestion {
                name: "builtin:aws".to_owned(),
                classes: vec!["a".to_owned(), "b".to_owned()],
                masks: 1,
                explains: 3,
                of: 4,
            }],
            suggestions: vec![Suggestion {
                rule: serde_json::Value::Null,
                classes: Vec::new(),
                yaml:
                    "- id: \"a\"\n  why: \"say why\"\n  at: \"$['\u{9b}']\"\n  do: \"unordered\"\n"
                        .to_owned(),
                note: Some("only new sends it".to_owned()),
                masks: 1,
                explains: 2,
                of: 3,
                not_tried: 5,
                not_explained: vec!["c0ffee".to_owned()],
            }],
            masked_together: 3,
            unexplained: vec!["x".to_owned()],
            not_tried: vec!["y".to_owned()],
            differences_not_tried: 6,
            mismatches: 9,
            looked_at: 4,
            newest_per_class: 50,
            classes: 2,
            classes_looked_at: 1,
        };
        let text = file(&suggestions);
        for said in [
            "# stored mismatches: 4, of which these rules together would mask 3\n",
            "# only 1 of 2 classes were looked at",
            "# these are the newest 4 of 9, so many of each class\n",
            "# would mask 1 of 4; explains 2 of 3 of its classes",
            "# add builtin:aws to `rules` of the configuration:\n",
            "#   it would mask 1 of 4; explains 2 classes in 3 of 4\n",
            "# only new sends it\n",
            "# was not tried on 5",
            "# differences on which nothing was tried, for want of room: 6; classes: 1",
            "# does not explain c0ffee",
            "\\u009b",
        ] {
            assert!(text.contains(said), "{text}");
        }
        let today = jiff::civil::date(2026, 11, 22);
        let (rules, _) = RuleSet::compile(&[("f".into(), text)], today).unwrap();
        assert_eq!(rules.rules()[0].at.to_string(), "$['\u{9b}']");
    }
}
