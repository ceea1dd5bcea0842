//! Reads rule files.

use super::{Action, Rule, RuleSet, Target, When};
use crate::spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data, Fields, Node, Position};
use jiff::civil::Date;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// A rule as it stands in its file.
#[derive(Clone, Debug)]
pub(super) struct Written {
    file: Arc<str>,
    path: String,
    node: Node,
}

/// Rules in order, and warnings.
type Found = (Vec<(Rule, Written)>, Vec<ConfigError>);

// === impl Written ===

impl Written {
    pub(super) fn at(&self) -> Cursor<'_> {
        Cursor {
            path: self.path.clone(),
            ..Cursor::root(&self.file, &self.node)
        }
    }

    fn id(&self) -> Option<Position> {
        let id = self.node.get("id").and_then(|id| id.mark);
        id.or(self.node.mark)
    }
}

/// Reads all files. Also returns warnings about rules that have expired by `today`.
///
/// # Errors
/// Everything that is wrong with any of the files.
pub(super) fn files(files: &[(Arc<str>, String)], today: Date) -> Result<Found, ConfigErrors> {
    let mut faults = ConfigErrors::default();
    let mut warnings = Vec::new();
    let mut rules = Vec::new();
    let only = (
        RuleSet::ONLY.to_owned(),
        "the setting of that name".to_owned(),
    );
    let mut ids = HashMap::from([only]);
    for (file, text) in files {
        let Some(node) = faults.collect(Node::parse(file, text)) else {
            continue;
        };
        let mut of_file = taken(file, &node, &mut ids);
        let written = of_file.collect(read_file(&Cursor::of_text(file, &node, text)));
        faults.extend(of_file.by_place());
        for (rule, written) in written.unwrap_or_default() {
            if let Some(expires) = rule.expires.filter(|expires| *expires < today) {
                let message = format!(
                    "the rule `{}` expired on {expires} and does not apply",
                    rule.id
                );
                warnings.push(ConfigError::at(file, written.id(), message));
            }
            rules.push((rule, written));
        }
    }
    faults.into_result((rules, warnings))
}

/// Reports each id that another rule already has, even if the rules have other faults. `ids` holds the place of each
/// id.
fn taken(file: &Arc<str>, node: &Node, ids: &mut HashMap<String, String>) -> ConfigErrors {
    let mut faults = ConfigErrors::default();
    let rules = match node.get("rules").map(|rules| &rules.data) {
        Some(Data::List(rules)) => rules.as_slice(),
        _ => &[],
    };
    for id in rules.iter().filter_map(|rule| rule.get("id")) {
        let (Data::Plain(name) | Data::Quoted(name)) = &id.data else {
            continue;
        };
        match ids.entry(name.trim().to_owned()) {
            Entry::Occupied(first) => {
                let message = format!("the id `{}` is taken, see {}", first.key(), first.get());
                faults.push(ConfigError::at(file, id.mark, message));
            }
            Entry::Vacant(entry) => {
                entry.insert(place(file, id.mark));
            }
        }
    }
    faults
}

fn read_file(at: &Cursor<'_>) -> Result<Vec<(Rule, Written)>, ConfigErrors> {
    if at.node.is_blank() {
        return Ok(Vec::new());
    }
    let mut fields = Fields::of(at.clone());
    let rules = fields.required("rules", |at| {
        // Its entries may all be comments.
        if at.node.is_null() {
            Ok(Vec::new())
        } else {
            at.each(read_rule)
        }
    });
    fields.finish().into_result(rules.unwrap_or_default())
}

fn read_rule(at: &Cursor<'_>) -> Result<(Rule, Written), ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let id = fields.required("id", filled);
    let why = fields.required("why", filled);
    let owner = fields.optional("owner", filled);
    let expires = fields.optional("expires", |at| {
        at.parse::<Date>("a date such as 2027-03-01")
    });
    let when = fields.optional("when", When::read);
    let target = fields.required("at", read_target);
    let action = fields.required("do", Action::read);
    if let (Some(target), Some(action)) = (&target, &action)
        && let Err(problem) = target.admits(action)
    {
        fields.faults.push(at.fault(problem));
    }
    fields.finish().into_result(())?;
    let complete = "a field that is missing is a fault";
    let rule = Rule {
        id: id.expect(complete),
        why: why.expect(complete),
        owner,
        expires,
        when: when.unwrap_or_default(),
        at: target.expect(complete),
        action: action.expect(complete),
    };
    let written = Written {
        file: at.file.clone(),
        path: at.path.clone(),
        node: at.node.clone(),
    };
    Ok((rule, written))
}

fn read_target(at: &Cursor<'_>) -> Result<Target, ConfigError> {
    Target::parse(at.text()?).map_err(|invalid| match invalid.column() {
        Some(column) => at.fault_within(column, invalid),
        None => at.fault(invalid),
    })
}

/// A text that is not blank.
fn filled(at: &Cursor<'_>) -> Result<String, ConfigError> {
    match at.text()?.trim() {
        "" => Err(at.expected("a text that says something")),
        text => Ok(text.to_owned()),
    }
}

fn place(file: &str, mark: Option<Position>) -> String {
    match mark {
        Some(mark) => format!("{file}:{}:{}", mark.line, mark.column),
        None => file.to_owned(),
    }
}
