//! `twinread rules suggest`: the smallest rules that would explain stored mismatches, as a rule file to edit.

use crate::{
    admin::documents::{Suggestion, Suggestions},
    cli::{
        client::{self, Address, EpochArgs, Error, Received},
        print::folded,
    },
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

/// Of a remark without its mark.
const COLUMNS: usize = 78;

/// The heading of rules that are not in force even if the file is.
const DECISIONS: &str = "decisions: callers may see what these rules hide; remove the `#` where you know that none does";

/// A rule file with remarks about the rules in comments.
fn file(suggestions: &Suggestions) -> String {
    let mut text = String::new();
    for said in remarks(suggestions) {
        remark(&mut text, &said);
    }
    let (rules, decisions) = (&suggestions.suggestions, &suggestions.decisions);
    if rules.is_empty() && decisions.is_empty() {
        let nothing = if suggestions.builtin.is_empty() {
            "nothing to suggest"
        } else {
            "nothing else to suggest"
        };
        remark(&mut text, nothing);
        line(&mut text, "rules: []");
        return text;
    }
    line(&mut text, "rules:");
    for suggestion in rules {
        entry(suggestion, suggestions.looked_at, "", &mut text);
    }
    if !decisions.is_empty() {
        remark(&mut text, DECISIONS);
    }
    for decision in decisions {
        entry(decision, suggestions.looked_at, "#", &mut text);
    }
    text
}

/// What was looked at, what all rules together would do, and which built-in rules to add.
fn remarks(suggestions: &Suggestions) -> Vec<String> {
    let (looked, all) = (suggestions.looked_at, suggestions.mismatches);
    let masked = suggestions.masked_together;
    let mut remarks = vec![format!(
        "stored mismatches: {looked}, of which these rules together would mask {masked}"
    )];
    if !suggestions.builtin.is_empty() {
        let masked = suggestions.masked_with_builtin;
        remarks.push(format!("with the built-in rules below as well: {masked}"));
    }
    if !suggestions.decisions.is_empty() {
        let masked = suggestions.masked_with_decisions;
        remarks.push(format!("with all decisions below as well: {masked}"));
    }
    let unexplained = suggestions.unexplained.len();
    remarks.push(format!(
        "classes that no single rule would explain: {unexplained}"
    ));
    if (looked as u64) < all {
        remarks.push(format!(
            "these are the newest {looked} of {all}, so many of each class"
        ));
    }
    let differences = suggestions.differences_not_tried;
    if differences > 0 {
        let classes = suggestions.not_tried.len();
        remarks.push(format!(
            "differences on which nothing was tried, for want of room: {differences}; classes: {classes}"
        ));
    }
    if suggestions.classes_looked_at < suggestions.classes {
        let (looked, all) = (suggestions.classes_looked_at, suggestions.classes);
        remarks.push(format!(
            "only {looked} of {all} classes were looked at in time"
        ));
    }
    for builtin in &suggestions.builtin {
        let (name, masks) = (&builtin.name, builtin.masks);
        let (explains, of) = (builtin.explains, builtin.of);
        let classes = Counted(builtin.classes.len() as u64, "class");
        remarks.push(format!("add {name} to `rules` of the configuration:"));
        remarks.push(format!(
            "it would mask {masks} of {looked}; explains {classes} in {explains} of {of}"
        ));
    }
    remarks
}

/// One rule below its remarks. `mark` begins each of its lines.
fn entry(suggestion: &Suggestion, mismatches: usize, mark: &str, text: &mut String) {
    let (masks, explains, of) = (suggestion.masks, suggestion.explains, suggestion.of);
    let not_tried = suggestion.not_tried;
    let effect =
        format!("would mask {masks} of {mismatches}; explains {explains} of {of} of its classes");
    remark(text, &effect);
    if let Some(note) = &suggestion.note {
        remark(text, note);
    }
    if not_tried > 0 {
        remark(text, &format!("was not tried on {not_tried}"));
    }
    if !suggestion.not_explained.is_empty() {
        let ids = suggestion.not_explained.join(" ");
        remark(text, &format!("does not explain {ids}"));
    }
    let rule = suggestion.yaml.lines();
    rule.for_each(|rule| line(text, &format!("{mark}{rule}")));
}

fn remark(text: &mut String, remark: &str) {
    let folded = folded(remark, COLUMNS, 0);
    folded
        .lines()
        .for_each(|part| line(text, &format!("# {part}")));
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

    fn suggestion(yaml: &str, note: &str) -> Suggestion {
        Suggestion {
            rule: serde_json::Value::Null,
            classes: Vec::new(),
            yaml: yaml.to_owned(),
            note: Some(note.to_owned()),
            masks: 1,
            explains: 2,
            of: 3,
            not_tried: 5,
            not_explained: vec!["c0ffee".to_owned()],
        }
    }

    fn suggestions() -> Suggestions {
        Suggestions {
            builtin: vec![BuiltinSuggestion {
                name: "builtin:aws".to_owned(),
                classes: vec!["a".to_owned(), "b".to_owned()],
                masks: 1,
                explains: 3,
                of: 4,
            }],
            suggestions: vec![suggestion(
                "- id: \"a\"\n  why: \"say why\"\n  at: \"$['\u{9b}']\"\n  do: \"unordered\"\n",
                "only new sends it",
            )],
            decisions: vec![suggestion(
                "- id: \"v\"\n  why: \"say why\"\n  at: \"header.vary\"\n  do: \"ignore\"\n",
                "a decision: callers see it from old only",
            )],
            masked_together: 1,
            masked_with_builtin: 2,
            masked_with_decisions: 3,
            unexplained: vec!["x".to_owned()],
            not_tried: vec!["y".to_owned()],
            differences_not_tried: 6,
            mismatches: 9,
            looked_at: 4,
            newest_per_class: 50,
            classes: 2,
            classes_looked_at: 1,
        }
    }

    /// The places of the rules in a file.
    fn places(file: String) -> Vec<String> {
        let today = jiff::civil::date(2026, 11, 22);
        let (rules, _) = RuleSet::compile(&[("f".into(), file)], today).unwrap();
        let places = rules.rules().iter().map(|rule| rule.at.to_string());
        places.collect()
    }

    #[test]
    fn what_is_printed_is_a_rule_file() {
        let text = file(&suggestions());
        for said in [
            "# stored mismatches: 4, of which these rules together would mask 1\n",
            "# with the built-in rules below as well: 2\n",
            "# with all decisions below as well: 3\n",
            "# only 1 of 2 classes were looked at",
            "# these are the newest 4 of 9, so many of each class\n",
            "# would mask 1 of 4; explains 2 of 3 of its classes",
            "# add builtin:aws to `rules` of the configuration:\n",
            "# it would mask 1 of 4; explains 2 classes in 3 of 4\n",
            "# only new sends it\n",
            "# was not tried on 5",
            "# differences on which nothing was tried, for want of room: 6; classes: 1",
            "# does not explain c0ffee",
            "\\u009b",
        ] {
            assert!(text.contains(said), "{text}");
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert_eq!(places(text), ["$['\u{9b}']"]);
    }

    #[test]
    fn decisions_are_not_in_force_until_they_are_taken() {
        let text = file(&suggestions());
        let said = "# a decision: callers see it from old only\n";
        let (_, decision) = text.split_once(said).expect("there is a decision");
        assert!(
            decision.contains("\n#- id: \"v\"\n#  why: \"say why\"\n"),
            "{text}"
        );
        let decided = text.replace("\n#-", "\n-").replace("\n#  ", "\n  ");
        assert_eq!(places(decided), ["$['\u{9b}']", "header.vary"]);
        let only = Suggestions {
            suggestions: Vec::new(),
            ..suggestions()
        };
        assert_eq!(places(file(&only)), [""; 0]);
    }
}
