//! Actions that are tried on two unequal values, to learn which of them makes the two equal.
//!
//! [`Candidate`], which judges values in every comparison, tries them on the values alone.

use super::trial;
use crate::{
    compare::Candidate,
    rules::{Action, Format, RuleSet, Same, Subject, Transform},
    value::{Difference, Kind, Place},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;
use xxhash_rust::xxh64::xxh64;

/// A set of probes by index. The list is closed, so a set reveals nothing about the values except which actions
/// suffice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Probes(u128);

/// All probes, from narrow to wide.
#[derive(Debug)]
struct ProbeList {
    /// As rule files spell them.
    spelled: Vec<Json>,
    edition: u64,
    actions: Vec<Action>,
}

static PROBES: LazyLock<ProbeList> = LazyLock::new(ProbeList::new);

/// The tried maximum distances between instants. The answers of a check are made within a minute of each other, so two
/// instants that are further apart are no clocks of these answers.
const WITHIN: [&str; 4] = ["0s", "1s", "10s", "1m"];

/// An ETag (RFC 9110, section 8.8.3).
const ETAG: &str = r#"(W/)?"[^"]*""#;

/// The formats of random ids.
const RANDOM: [&str; 6] = [
    "[0-9a-fA-F]{16}",
    "[0-9a-fA-F]{32}",
    "[0-9a-fA-F]{40}",
    "[0-9a-fA-F]{64}",
    "[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "[0-9A-Z]{52}",
];

/// A shorter text is not a random id.
const SHORTEST_ID: usize = 16;

/// The lengths, in bytes, of texts that may be an instant.
const CLOCK: std::ops::RangeInclusive<usize> = 6..=46;

/// Seconds since 1970 that are taken for a clock: the years 2001 to 2099.
const SECONDS: std::ops::Range<f64> = 1e9..4.1e9;

/// Numbers with fewer decimal places are no results of computing with doubles.
const FLOAT_PLACES: usize = 4;

/// Two numbers that agree to this many decimal places count as one that was rounded, however many places both have.
const MANY_PLACES: usize = 6;

// === impl Probes ===

impl Probes {
    /// The probes that make the two values of a difference equal.
    pub(super) fn of(difference: &Difference) -> Self {
        let list = &*PROBES;
        // Same members in another order: the kind says so, however large the array.
        if difference.kind == Kind::Order {
            return list.named("unordered");
        }
        let has_value = matches!(
            difference.place,
            Place::Node(_) | Place::Header(_) | Place::Trailer(_) | Place::Form(_)
        );
        let case = has_value.then(|| Candidate::reported(difference)).flatten();
        // Values that are already equal need no probe.
        let case = case.filter(|case| !case.is_equal());
        case.map_or_else(Self::default, |case| list.tried(&case, &difference.place))
    }

    /// How many significant digits of a number the narrowest rounding that suffices leaves, if one does.
    pub(super) fn digits_left(self, number: &str) -> Option<i32> {
        let mut sufficing = PROBES.actions.iter().enumerate();
        let places = sufficing.find_map(|(probe, action)| match action {
            Action::Round(places) if self.has(probe) => Some(*places),
            _ => None,
        })?;
        let before_point = number.parse::<f64>().ok()?.abs().log10().floor() as i32 + 1;
        Some(before_point.saturating_add(places))
    }

    /// Whether values may fit a probe by chance.
    pub(super) fn needs_proof(probe: usize) -> bool {
        matches!(PROBES.actions[probe], Action::Round(_))
    }

    /// Whether it excuses any other value of the same form. An ETag is opaque (RFC 9110, section 8.8.3).
    pub(super) fn is_of_form(probe: usize) -> bool {
        let action = &PROBES.actions[probe];
        matches!(action, Action::Same(_)) && !is_of_etags(action)
    }

    /// Whether it excuses another instant.
    pub(super) fn is_of_clock(probe: usize) -> bool {
        matches!(&PROBES.actions[probe], Action::Time(time) if !time.within.is_zero())
    }

    pub(super) fn has(self, probe: usize) -> bool {
        self.0 & (1 << probe) != 0
    }

    /// Whether one of the probes is this action.
    pub(super) fn suffices(self, action: &Action) -> bool {
        let mut tried = PROBES.actions.iter().enumerate();
        tried.any(|(probe, tried)| self.has(probe) && tried == action)
    }

    /// The action of each probe, from narrow to wide.
    pub(super) fn actions() -> &'static [Json] {
        &PROBES.spelled
    }

    /// A fingerprint of the list itself.
    pub(super) fn edition() -> u64 {
        PROBES.edition
    }
}

// === impl ProbeList ===

impl ProbeList {
    fn new() -> Self {
        let spelled = actions();
        let rules = trial::compile(spelled.iter().map(|action| ("$.p", action)));
        let rules = rules.expect("the probes must be valid rules");
        let actions = rules.rules().iter().map(|rule| rule.action.clone());
        Self {
            actions: actions.collect(),
            edition: xxh64(json!([spelled, RuleSet::BUILTIN]).to_string().as_bytes(), 0),
            spelled,
        }
    }

    fn named(&self, name: &str) -> Probes {
        let found = self.spelled.iter().position(|action| action == name);
        Probes(found.map_or(0, |index| 1 << index))
    }

    fn tried(&self, case: &Candidate<'_>, at: &Place) -> Probes {
        let mut found = Probes::default();
        // From wide to narrow: where the wider of two does not suffice, the narrower need not be tried.
        for (index, action) in self.actions.iter().enumerate().rev() {
            let wider = self.actions.get(index + 1);
            let may_suffice =
                wider.is_none_or(|wider| !is_within(action, wider) || found.has(index + 1));
            if may_suffice && is_sensible(action, case, at) && case.is_equal_by(action) {
                found.0 |= 1 << index;
            }
        }
        found
    }
}

/// Whether all values that an action makes equal are also equal under a wider one.
fn is_within(action: &Action, wider: &Action) -> bool {
    match (action, wider) {
        (Action::Time(action), Action::Time(wider)) => {
            action.formats == wider.formats && action.within <= wider.within
        }
        _ => false,
    }
}

fn actions() -> Vec<Json> {
    let mut actions = vec![
        json!({"unicode": "nfc"}),
        json!({"space": "collapse"}),
        json!({"case": "fold"}),
        json!({"parse": "number"}),
        json!("unordered"),
        json!("optional"),
    ];
    // Never to whole numbers: the decimal places are what differs.
    actions.extend((1..=9).rev().map(|places| json!({"round": places})));
    actions.extend(["1e-12", "1e-9", "1e-6"].map(|rel| json!({"tolerance": {"rel": rel}})));
    let all = json!(["rfc3339", "rfc9110", "unix", "unix_ms"]);
    let single = ["rfc3339", "rfc9110", "unix", "unix_ms"].map(|format| json!([format]));
    for formats in single.into_iter().chain([all]) {
        let time = |within| json!({"time": {"within": within, "formats": formats}});
        actions.extend(WITHIN.map(time));
    }
    actions.push(json!({"same": "uuid"}));
    let forms = RANDOM.into_iter().chain([ETAG]);
    actions.extend(forms.map(|regex| json!({"same": {"regex": regex}})));
    actions
}

/// Whether it makes sense to try an action on two values. It must make them equal for the reason that it names. Any two
/// close numbers would be close instants, and any two numbers agree at few enough decimal places.
fn is_sensible(action: &Action, case: &Candidate<'_>, at: &Place) -> bool {
    let is_etag = matches!(at, Place::Header(name) if name == "etag");
    if is_etag || is_of_etags(action) {
        return is_etag && is_of_etags(action);
    }
    let Some([old, new]) = case.pair() else {
        return matches!(action, Action::Optional(_));
    };
    match action {
        Action::Round(places) => decimal_places(old, new)
            .is_some_and(|[fewest, _]| *places >= fewest.min(MANY_PLACES) as i32),
        // Two whole numbers, or two prices, that are close are still different.
        Action::Tolerance(_) => {
            decimal_places(old, new).is_some_and(|[_, most]| most >= FLOAT_PLACES)
        }
        Action::Time(time) => [old, new].iter().all(|side| is_clock(side, &time.formats)),
        Action::Same(_) => texts(old, new)
            .is_some_and(|[old, new]| old.len() == new.len() && old.len() >= SHORTEST_ID),
        Action::Transform(Transform::Parse(_)) => [old, new].iter().all(|side| is_numeric(side)),
        Action::Transform(Transform::Text(form)) if form.name == "unicode" => {
            texts(old, new).is_some_and(|[old, new]| !(old.is_ascii() && new.is_ascii()))
        }
        Action::Transform(_) => texts(old, new).is_some(),
        _ => false,
    }
}

fn is_of_etags(action: &Action) -> bool {
    matches!(action, Action::Same(Same::Regex { text, .. }) if text == ETAG)
}

/// Whether a value is a likely instant in one of the formats: a number in range, or a text of a plausible length.
fn is_clock(value: &Subject<'_>, formats: &[Format]) -> bool {
    let (Subject::Number(text) | Subject::Text(text)) = value else {
        return false;
    };
    let has = |format| formats.contains(&format);
    match text.parse::<f64>() {
        Ok(number) => {
            has(Format::Unix) && SECONDS.contains(&number)
                || has(Format::UnixMs) && SECONDS.contains(&(number / 1e3))
        }
        Err(_) => CLOCK.contains(&text.len()),
    }
}

/// Whether a value is a number, or may be the text of one.
fn is_numeric(value: &Subject<'_>) -> bool {
    match value {
        Subject::Number(_) => true,
        Subject::Text(text) => {
            text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        }
        _ => false,
    }
}

fn texts<'s>(old: &'s Subject<'_>, new: &'s Subject<'_>) -> Option<[&'s str; 2]> {
    match (old, new) {
        (Subject::Text(old), Subject::Text(new)) => Some([old, new]),
        _ => None,
    }
}

/// The smaller and the larger number of decimal places of two numbers, as spelled.
fn decimal_places(old: &Subject<'_>, new: &Subject<'_>) -> Option<[usize; 2]> {
    match (old, new) {
        (Subject::Number(old), Subject::Number(new)) => {
            let [old, new] = [old, new].map(|number| places(number));
            Some([old.min(new), old.max(new)])
        }
        _ => None,
    }
}

/// The decimal places of a number as spelled, without trailing zeros.
fn places(number: &str) -> usize {
    let fraction = number.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.contains(['e', 'E']) {
        usize::MAX
    } else {
        fraction.trim_end_matches('0').len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Step, Value};

    /// The narrowest probe that makes the two equal.
    fn narrowest(old: Json, new: Json) -> Option<String> {
        let difference = Difference {
            place: Place::Node(vec![Step::Name("v".to_owned())]),
            kind: Kind::Value,
            old: Some(Value::Json(old)),
            new: Some(Value::Json(new)),
        };
        let probes = Probes::of(&difference);
        let actions = Probes::actions();
        let found = (0..actions.len()).find(|probe| probes.has(*probe));
        found.map(|probe| actions[probe].to_string())
    }

    fn number(text: &str) -> Json {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_narrowest_action_that_explains_two_values_is_found() {
        let uuids = [
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "6ba7b814-9dad-11d1-80b4-00c04fd430c8",
        ];
        for (old, new, action) in [
            (
                json!("2026-11-22T10:00:00Z"),
                json!("2026-11-22T11:00:00.5+01:00"),
                "1s",
            ),
            (
                json!("2026-11-22T10:00:00Z"),
                json!("2026-11-22T11:00:00+01:00"),
                "0s",
            ),
            (
                json!(1_790_000_000),
                json!(1_790_000_007),
                r#""10s","formats":["unix"]"#,
            ),
            (
                json!(1_790_000_000),
                json!("2026-09-21T14:13:25Z"),
                "unix_ms",
            ),
            (json!(uuids[0]), json!(uuids[1]), r#"{"same":"uuid"}"#),
            (json!("9.90"), json!("9.9"), r#"{"parse":"number"}"#),
            (number("9.876543"), number("9.88"), r#"{"round":2}"#),
            (
                number("0.30000000000000004"),
                number("0.3"),
                r#"{"round":9}"#,
            ),
            (json!("Anna"), json!("ANNA"), r#"{"case":"fold"}"#),
            (json!("a  b"), json!("a b"), r#"{"space":"collapse"}"#),
            (
                json!("0af7651916cd43dd"),
                json!("8448eb211c80319c"),
                r#"{16}"#,
            ),
        ] {
            let found = narrowest(old.clone(), new.clone()).unwrap_or_default();
            assert!(found.contains(action), "{old} {new}: {found}");
        }
    }

    #[test]
    fn real_differences_are_explained_by_nothing() {
        for (old, new) in [
            (json!(17), json!(19)),
            (number("9.5"), number("9.7")),
            (number("0.1"), number("0.3")),
            (json!("active"), json!("closed")),
            (json!(true), json!(false)),
            (json!(null), json!("x")),
            (json!([1, 2]), json!([2, 3])),
        ] {
            assert_eq!(narrowest(old.clone(), new.clone()), None, "{old} {new}");
        }
    }
}
