//! Reads the field `do` of a rule.

use super::{
    Action, Bijection, Form, Format, Literal, Map, Members, On, Parse, Pattern, Rename, Replace,
    Same, Scope, Time, Transform,
};
use crate::{
    spanned_yaml::{ConfigError, ConfigErrors, Cursor, Data, Fields, closest},
    value::number::{Amount, Decimal, Tolerance},
};
use std::time::Duration;

/// Every action with an example of its spelling.
const ACTIONS: [(&str, &str); 16] = [
    ("ignore", "ignore"),
    ("optional", "optional"),
    ("tolerance", "{tolerance: {abs: 0.01}}"),
    ("round", "{round: 2}"),
    ("time", "{time: {within: 2s}}"),
    ("unordered", "unordered"),
    ("same", "{same: uuid}"),
    ("bijection", "{bijection: check}"),
    ("status", "{status: {equal: [[200, 203]]}}"),
    ("rename", "{rename: {to: userName, on: old}}"),
    ("parse", "{parse: json}"),
    ("replace", "{replace: {regex: '[0-9]+', with: '', on: new}}"),
    ("map", "{map: {table: {A: active}, on: old}}"),
    ("case", "{case: fold}"),
    ("space", "{space: collapse}"),
    ("unicode", "{unicode: nfc}"),
];

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
                read_with(&key.name, at, with)
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

    pub fn names() -> impl Iterator<Item = &'static str> {
        ACTIONS.into_iter().map(|(name, _)| name)
    }
}

fn read_with(name: &str, at: &Cursor<'_>, with: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    match name {
        "ignore" => Err(with
            .fault("`ignore` takes nothing: write `do: ignore`")
            .into()),
        "optional" => Ok(Action::Optional(with.each(|at| Ok(literal(at)?))?)),
        "tolerance" => tolerance(with),
        "round" => Ok(Action::Round(places(with)?)),
        "time" => time(with),
        "unordered" => unordered(with),
        "same" => same(with),
        "bijection" => bijection(with),
        "status" => status(with),
        "rename" => rename(with),
        "parse" => {
            let choices = Parse::ALL.map(|parse| (parse.name(), parse));
            Ok(transform(Transform::Parse(one_of(with, &choices)?)))
        }
        "replace" => replace(with),
        "map" => map(with),
        "case" => one_of(with, &[("fold", transform(Transform::CaseFold))]).map_err(Into::into),
        "space" => {
            let choices = [("collapse", transform(Transform::SpaceCollapse))];
            Ok(one_of(with, &choices)?)
        }
        "unicode" => {
            let choices = [("nfc", Form::Nfc), ("nfkc", Form::Nfkc)];
            Ok(transform(Transform::Unicode(one_of(with, &choices)?)))
        }
        name => Err(unknown(at, name).into()),
    }
}

fn transform(transform: Transform) -> Action {
    Action::Transform(transform)
}

fn tolerance(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let amount = |at: &Cursor<'_>| at.parse::<Amount>("a number of 0 or more");
    let mut fields = Fields::of(at.clone());
    let abs = fields.optional("abs", amount);
    let rel = fields.optional("rel", amount);
    if abs.is_none() && rel.is_none() && !fields.has_faults() {
        fields.fault(at.fault("expected `abs`, `rel` or both"));
    }
    let action = Action::Tolerance(Tolerance { abs, rel });
    fields.finish().into_result(action)
}

fn places(at: &Cursor<'_>) -> Result<i32, ConfigError> {
    let what = format!("a whole number of decimal places from -{MAX_PLACES} to {MAX_PLACES}");
    let places: i32 = at.parse(&what)?;
    if places.unsigned_abs() <= MAX_PLACES.unsigned_abs() {
        Ok(places)
    } else {
        Err(at.expected(what))
    }
}

fn time(at: &Cursor<'_>) -> Result<Action, ConfigErrors> {
    let mut fields = Fields::of(at.clone());
    let within = fields.optional("within", Cursor::duration);
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
    let choices = Scope::ALL.map(|scope| (scope.name(), scope));
    if !matches!(at.node.data, Data::Map(_)) {
        let scope = one_of(at, &choices)?;
        return Ok(Action::Bijection(Bijection { scope, name: None }));
    }
    let mut fields = Fields::of(at.clone());
    let scope = fields.required("scope", |at| one_of(at, &choices));
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
        fields.fault(at.fault(problem));
    }
    let faults = fields.finish();
    match pattern.zip(with) {
        Some((pattern, with)) => {
            faults.into_result(transform(Transform::Replace(Replace { pattern, with, on })))
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
            let to = faults.collect(literal(&to).map_err(ConfigErrors::from));
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
        .into_result(transform(Transform::Map(Map { table, on })))
}

/// Defaults to both sides.
fn on(fields: &mut Fields<'_>) -> On {
    let choices = [On::Old, On::New, On::Both].map(|on| (on.name(), on));
    let on = fields.optional("on", |at| one_of(at, &choices));
    on.unwrap_or(On::Both)
}

/// The default values that count as absent.
fn absent() -> Vec<Literal> {
    let nothing = Literal::Text(String::new());
    vec![Literal::Null, nothing, Literal::EmptyArray]
}

fn literal(at: &Cursor<'_>) -> Result<Literal, ConfigError> {
    match &at.node.data {
        _ if at.node.is_null() => Ok(Literal::Null),
        Data::Plain(text) => Ok(match text.as_str() {
            "true" => Literal::Boolean(true),
            "false" => Literal::Boolean(false),
            number if Decimal::parse(number).is_some() => Literal::Number(text.clone()),
            _ => Literal::Text(text.clone()),
        }),
        Data::Quoted(text) => Ok(Literal::Text(text.clone())),
        Data::List(items) if items.is_empty() => Ok(Literal::EmptyArray),
        Data::Map(entries) if entries.is_empty() => Ok(Literal::EmptyObject),
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

fn example(name: &str) -> Option<&'static str> {
    let mut actions = ACTIONS.iter();
    actions
        .find(|(known, _)| *known == name)
        .map(|(_, example)| *example)
}

fn unknown(at: &Cursor<'_>, name: &str) -> ConfigError {
    match closest(name, Action::names()) {
        Some(meant) => at.fault(format!("unknown action `{name}`, did you mean `{meant}`?")),
        None => {
            let names: Vec<_> = Action::names().collect();
            let names = names.join(", ");
            at.fault(format!("unknown action `{name}`, expected one of {names}"))
        }
    }
}
