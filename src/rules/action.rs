//! What a rule does at its place.

use crate::{
    compare::number::{Amount, Tolerance},
    document::{At, Data, Fault, Faults, Fields, closest},
};
use std::fmt;

/// What counts as equal at a place (DESIGN.md section 6).
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Anything, absence included.
    Ignore,
    /// Arrays, or the values of a header, with the same members.
    Unordered(Members),
    /// Numbers that lie close to each other.
    Tolerance(Tolerance),
    /// The statuses of one group.
    Status(Vec<Vec<u16>>),
}

/// How the members of an unordered array find each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Members {
    /// As a multiset: equal ones belong together.
    AsSet,
    /// Those with an equal member of this name belong together.
    ByKey(String),
}

const AVAILABLE: [&str; 4] = ["ignore", "unordered", "tolerance", "status"];

/// Part of the rule language that this version does not have.
const PLANNED: [&str; 12] = [
    "optional",
    "round",
    "time",
    "same",
    "bijection",
    "replace",
    "map",
    "rename",
    "parse",
    "case",
    "space",
    "unicode",
];

// === impl Action ===

impl Action {
    /// Reads the field `do` of a rule.
    ///
    /// # Errors
    /// Actions that do not exist or are not available yet, and faults in what they are given.
    pub fn read(at: &At<'_>) -> Result<Self, Faults> {
        match &at.node.data {
            Data::Map(entries) if entries.len() == 1 => Self::read_with(at),
            Data::Map(_) => Err(at.expected("one action").into()),
            Data::List(_) => Err(at.expected("an action").into()),
            _ => match at.text()? {
                "ignore" => Ok(Self::Ignore),
                "unordered" => Ok(Self::Unordered(Members::AsSet)),
                name @ ("tolerance" | "status") => Err(at
                    .fault(format!(
                        "`{name}` needs to be told more, as in `{}`",
                        example(name)
                    ))
                    .into()),
                name => Err(refused(at, name).into()),
            },
        }
    }

    fn read_with(at: &At<'_>) -> Result<Self, Faults> {
        let entries = at.entries()?;
        let (key, with) = &entries[0];
        match key.name.as_str() {
            "unordered" => {
                let mut fields = Fields::of(with.clone());
                let name = fields.required("key", |at| at.text().map(str::to_owned));
                fields.finish().into_result(())?;
                let members = name.map_or(Members::AsSet, Members::ByKey);
                Ok(Self::Unordered(members))
            }
            "tolerance" => read_tolerance(with),
            "status" => read_status(with),
            "ignore" => Err(with
                .fault("`ignore` takes nothing: write `do: ignore`")
                .into()),
            name => Err(refused(at, name).into()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("ignore"),
            Self::Unordered(Members::AsSet) => f.write_str("unordered"),
            Self::Unordered(Members::ByKey(key)) => write!(f, "{{unordered: {{key: {key}}}}}"),
            Self::Tolerance(Tolerance { abs, rel }) => {
                let parts = [("abs", abs), ("rel", rel)].into_iter();
                let parts: Vec<_> = parts
                    .filter_map(|(name, amount)| Some(format!("{name}: {}", amount.as_ref()?)))
                    .collect();
                write!(f, "{{tolerance: {{{}}}}}", parts.join(", "))
            }
            Self::Status(groups) => write!(f, "{{status: {{equal: {groups:?}}}}}"),
        }
    }
}

fn read_tolerance(at: &At<'_>) -> Result<Action, Faults> {
    let amount = |at: &At<'_>| at.parse::<Amount>("a number of 0 or more");
    let mut fields = Fields::of(at.clone());
    let abs = fields.optional("abs", amount);
    let rel = fields.optional("rel", amount);
    if abs.is_none() && rel.is_none() && !fields.has_faults() {
        fields.fault(at.fault("expected `abs`, `rel` or both"));
    }
    let action = Action::Tolerance(Tolerance { abs, rel });
    fields.finish().into_result(action)
}

fn read_status(at: &At<'_>) -> Result<Action, Faults> {
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

fn refused(at: &At<'_>, name: &str) -> Fault {
    if PLANNED.contains(&name) {
        return at.fault(format!("the action `{name}` is not available yet"));
    }
    let known = AVAILABLE.into_iter().chain(PLANNED);
    match closest(name, known) {
        Some(meant) => at.fault(format!("unknown action `{name}`, did you mean `{meant}`?")),
        None => at.fault(format!(
            "unknown action `{name}`, expected one of {}",
            AVAILABLE.join(", ")
        )),
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "tolerance" => "{tolerance: {abs: 0.01}}",
        _ => "{status: {equal: [[200, 203]]}}",
    }
}
