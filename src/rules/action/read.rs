//! Reads the field `do` of a rule.

use super::{
    Action, Bijection, Format, Map, Members, On, Parse, Pattern, Rename, Replace, Same, Scope,
    Subject, TextForm, Time, Transform, Tree, listed, text,
};
use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data, Fields, Setting as _, closest},
    value::{
        json::Class,
        number::{Amount, Decimal, Tolerance},
    },
};
use std::time::Duration;

/// How rule files spell one action.
struct Spelling {
    name: &'static str,
    example: &'static str,
    /// Reads its argument.
    read: fn(&Cursor<'_>) -> Result<Action, ConfigErrors>,
}

/// Every action but those of [`text`].
const ACTIONS: [Spelling; 13] = [
    spelling("ignore", "ignore", ignore),
    spelling("optional", "optional", optional),
    spelling("tolerance", "{tolerance: {abs: 0.01}}", tolerance),
    spelling("round", "{round: 2}", round),
    spelling("time", "{time: {within: 2s}}", time),
    spelling("unordered", "unordered", unordered),
    spelling("same", "{same: uuid}", same),
    spelling("bijection", "{bijection: check}", bijection),
    spelling("status", "{status: {equal: [[200, 203]]}}", status),
    spelling("rename", "{rename: {to: userName, on: old}}", rename),
    spelling("parse", "{parse: json}", parse),
    spelling(
        "replace",
        "{replace: {regex: '[0-9]+', with: '', on: new}}",
        replace,
    ),
    spelling("map", "{map: {table: {A: active}, on: old}}", map),
];

const fn spelling(
    name: &'static str,
    example: &'static str,
    read: fn(&Cursor<'_>) -> Result<Action, ConfigErrors>,
) -> Spelling {
    Spelling {
        name,
        example,
        read,
    }
}

/// The maximum number of decimal places, on either side of the point.
const MAX_PLACES: i32 = 1_000;

// === impl Action ===

impl Action {
    /// Reads the field `do` of a rule.
    ///
    /// # Errors
    /// Unknown actions, and faults in their arguments.
    pub fn read(at: &Cursor<'_>) -> Result<Self, ConfigErrors> {
        match &at.node.data {
            Data::Map(entries) if entries.len() == 1 => {
                let entries = at.entries()?;
                let (key, with) = &entries[0];
                match ACTIONS.iter().find(|action| action.name == key.name) {
                    Some(action) => (action.read)(with),
                    None => text_form(&key.name, at, with),
                }
            }
            Data::Map(_) => Err(at.expected("one action").into()),
            Data::List(_) => Err(at.expected("an action").into()),
            _ => match at.text()? {
                "ignore" => Ok(Self::Ignore),
                "unordered" => Ok(Self::Unordered(Members::AsSet)),
                "optional" => Ok(Self::Optional(absent())),
                "time" => Ok(Self::Time(Time {
                    within: Duration::ZERO,
                    formats: vec![Format::Rfc3339],
                })),
                name => Err(match example(name) {
                    Some(example) => {
                        at.fault(format!("`{name}` needs to be told more, as in `{example}`"))
                    }
                    None => unknown(at, name),
                }
                .into()),
            },
        }
    }

    /// The names of all actions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let mut forms: Vec<_> = text::ALL.iter().map(|form| form.name).collect();
        forms.dedup();
        ACTIONS.iter().map(|action| action.name).chain(forms)
    }
}

fn text_form(name: &str, at: &Cursor<'_>, with: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let forms = text::ALL.iter().filter(|form| form.name == name);
    let choices: Vec<(_, &'static TextForm)> = forms.map(|form| (form.how, form)).collect();
    if choices.is_empty() {
        return Err(unknown(at, name).into());
    }
    let form = one_of(with, &choices)?;
    Ok(Action::Transform(Transform::Text(form)))
}

fn ignore(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let fault = at.fault("`ignore` takes nothing: write `do: ignore`");
    Err(fault.into())
}

fn optional(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let values = at.each(|at| Ok(literal(at)?))?;
    Ok(Action::Optional(values))
}

fn parse(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let parse = one_of(at, &Parse::NAMED)?;
    Ok(Action::Transform(Transform::Parse(parse)))
}

fn tolerance(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let amount = |at: &Cursor<'_>| at.parse::<Amount>("a number of 0 or more");
    let mut fields = Fields::of(at.clone());
    let abs = fields.optional("abs", amount);
    let rel = fields.optional("rel", amount);
    if abs.is_none() && rel.is_none() && fields.faults.is_empty() {
        fields
            .faults
            .push(at.fault("expected `abs`, `rel` or both"));
    }
    let action = Action::Tolerance(Tolerance { abs, rel });
    fields.finish().into_result(action)
}

fn round(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let what = format!("a whole number of decimal places from -{MAX_PLACES} to {MAX_PLACES}");
    let places: i32 = at.parse(&what)?;
    if places.unsigned_abs() <= MAX_PLACES.unsigned_abs() {
        Ok(Action::Round(places))
    } else {
        Err(at.expected(what).into())
    }
}

fn time(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let within = fields.optional("within", Duration::of_node);
    let formats = fields.optional("formats", |at| {
        let formats = at.each(|at| {
            let problem = |problem: String| at.fault(problem);
            Ok(Format::parse(at.text()?).map_err(problem)?)
        })?;
        if formats.is_empty() {
            Err(ConfigErrors::from(at.expected("at least one format")))
        } else {
            Ok(formats)
        }
    });
    let action = Action::Time(Time {
        within: within.unwrap_or_default(),
        formats: formats.unwrap_or_else(|| vec![Format::Rfc3339]),
    });
    fields.finish().into_result(action)
}

fn unordered(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let name = fields.required("key", |at| at.text().map(str::to_owned));
    let members = name.map_or(Members::AsSet, Members::ByKey);
    fields.finish().into_result(Action::Unordered(members))
}

fn same(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    if !matches!(at.node.data, Data::Map(_)) {
        let what = "uuid, rfc3339, number, string, any or {regex: '...'}";
        let name = at.text().map_err(|_| at.expected(what))?;
        let found = Same::NAMED.into_iter().find(|(known, _)| *known == name);
        let (_, same) = found.ok_or_else(|| at.expected(what))?;
        return Ok(Action::Same(same));
    }
    let mut fields = Fields::of(at.clone());
    let regex = fields.required("regex", |at| {
        let text = at.text()?.to_owned();
        let pattern = Pattern::whole(&text).map_err(|error| at.not_a_pattern(&error))?;
        Ok::<_, ConfigError>(Same::Regex { text, pattern })
    });
    let same = regex.unwrap_or(Same::Any);
    fields.finish().into_result(Action::Same(same))
}

fn bijection(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    if !matches!(at.node.data, Data::Map(_)) {
        let scope = one_of(at, &Scope::NAMED)?;
        return Ok(Action::Bijection(Bijection { scope, name: None }));
    }
    let mut fields = Fields::of(at.clone());
    let scope = fields.required("scope", |at| one_of(at, &Scope::NAMED));
    let name = fields.optional("name", |at| match at.text()? {
        "" => Err(at.expected("a name")),
        name => Ok(name.to_owned()),
    });
    let scope = scope.unwrap_or(Scope::Check);
    let action = Action::Bijection(Bijection { scope, name });
    fields.finish().into_result(action)
}

fn status(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let groups = fields.required("equal", |at| {
        at.each(|group| {
            let statuses = group.each(|status| Ok(status.integer_within(100, 599)? as u16))?;
            match statuses.len() {
                0 | 1 => Err(group.expected("at least two statuses").into()),
                _ => Ok(statuses),
            }
        })
    });
    fields
        .finish()
        .into_result(Action::Status(groups.unwrap_or_default()))
}

fn rename(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let to = fields.required("to", |at| at.text().map(str::to_owned));
    let on = on(&mut fields);
    let to = to.unwrap_or_default();
    fields
        .finish()
        .into_result(Action::Rename(Rename { to, on }))
}

fn replace(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let pattern = fields.required("regex", |at| {
        Pattern::new(at.text()?).map_err(|error| at.not_a_pattern(&error))
    });
    let with = fields.required("with", |at| at.text().map(str::to_owned));
    let on = on(&mut fields);
    if let Some((pattern, with)) = pattern.as_ref().zip(with.as_deref())
        && let Some(group) = pattern.unknown_group(with)
    {
        let problem = format!("`with` takes the group `{group}`, which the regex does not have");
        fields.faults.push(at.fault(problem));
    }
    let faults = fields.finish();
    match pattern.zip(with) {
        Some((pattern, with)) => {
            let replace = Transform::Replace(Replace { pattern, with, on });
            faults.into_result(Action::Transform(replace))
        }
        None => Err(faults),
    }
}

fn map(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let table = fields.required("table", |at| {
        let mut faults = ConfigErrors::default();
        let mut table = Vec::new();
        for (from, to) in at.entries()? {
            let to = faults.collect(literal(&to));
            table.extend(to.map(|to| (from.name.clone(), to)));
        }
        if table.is_empty() && faults.is_empty() {
            faults.push(at.expected("at least one value to translate"));
        }
        faults.into_result(table)
    });
    let on = on(&mut fields);
    let table = table.unwrap_or_default();
    fields
        .finish()
        .into_result(Action::Transform(Transform::Map(Map { table, on })))
}

/// Defaults to both sides.
fn on(fields: &mut Fields<'_>) -> On {
    let on = fields.optional("on", |at| one_of(at, &On::NAMED));
    on.unwrap_or(On::Both)
}

/// The default values that count as absent.
fn absent() -> Vec<Subject<'static>> {
    let array = Subject::Tree(Tree::empty(Class::Array));
    vec![Subject::Null, Subject::Text("".into()), array]
}

/// A value as rule files spell it.
fn literal(at: &Cursor<'_>) -> Result<Subject<'static>, ConfigError> {
    match &at.node.data {
        _ if at.node.is_null() => Ok(Subject::Null),
        Data::Plain(text) => Ok(match text.as_str() {
            "true" => Subject::Boolean(true),
            "false" => Subject::Boolean(false),
            number if Decimal::parse(number).is_some() => Subject::Number(text.clone().into()),
            _ => Subject::Text(text.clone().into()),
        }),
        Data::Quoted(text) => Ok(Subject::Text(text.clone().into())),
        Data::List(items) if items.is_empty() => Ok(Subject::Tree(Tree::empty(Class::Array))),
        Data::Map(entries) if entries.is_empty() => Ok(Subject::Tree(Tree::empty(Class::Object))),
        _ => Err(at.expected("null, a boolean, a number, a text, [] or {}")),
    }
}

fn one_of<T: Clone>(at: &Cursor<'_>, choices: &[(&str, T)]) -> Result<T, ConfigError> {
    let text = at.text().ok();
    let found = choices.iter().find(|(name, _)| text == Some(*name));
    found.map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        at.expected(names.join(" or "))
    })
}

/// How an action is spelled, by its name.
fn example(name: &str) -> Option<String> {
    let action = ACTIONS.iter().find(|action| action.name == name);
    let form = text::ALL.iter().find(|form| form.name == name);
    let action = action.map(|action| action.example.to_owned());
    action.or_else(|| form.map(|form| format!("{{{name}: {}}}", form.how)))
}

fn unknown(at: &Cursor<'_>, name: &str) -> ConfigError {
    let hint = match closest(name, Action::names()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("expected one of {}", listed(Action::names())),
    };
    at.fault(format!("unknown action `{name}`, {hint}"))
}
