//! Actions that are tried on two unlike values, to learn which of them would make the two equal.
//!
//! They are tried by the comparison itself: one document with the old value under as many names as there are probes,
//! one with the new value, and a rule for each name. What still differs is what a probe did not explain.

use super::trial;
use crate::{
    compare::{Comparing, Difference, Kind, Options, Place, Step, Value},
    rules::Action,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use std::sync::LazyLock;
use xxhash_rust::xxh64::xxh64;

/// A set of probes, by their index: a closed list that tells nothing of the values but what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Probes(u128);

/// All probes, from narrow to wide.
#[derive(Debug)]
struct Bench {
    actions: Vec<Json>,
    edition: u64,
    comparing: Comparing,
}

static BENCH: LazyLock<Bench> = LazyLock::new(Bench::new);

/// A value spelled longer than this, in bytes, is no instant, number or id.
const MAX_TRIED: usize = 1 << 10;

/// How far apart instants may lie.
const WITHIN: [&str; 6] = ["0s", "1s", "10s", "1m", "1h", "1d"];

/// Ids that are made by chance, and what they look like.
const RANDOM: [&str; 6] = [
    "[0-9a-fA-F]{16}",
    "[0-9a-fA-F]{32}",
    "[0-9a-fA-F]{40}",
    "[0-9a-fA-F]{64}",
    "[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "[0-9A-Z]{52}",
];

/// Shorter texts, quotes included, are no ids that were made by chance.
const SHORTEST_ID: usize = 17;

/// Seconds since 1970 that are taken for a clock: the years 2001 to 2099.
const SECONDS: std::ops::Range<f64> = 1e9..4.1e9;

/// Decimal places from which on two numbers that agree are taken for one that was rounded, however many both have.
const MANY_PLACES: usize = 6;

// === impl Probes ===

impl Probes {
    /// Every one.
    pub(super) const ALL: Self = Self(u128::MAX);

    /// Tries those of `among` on the two values of a difference.
    pub(super) fn of(difference: &Difference, among: Self) -> Self {
        let bench = &*BENCH;
        // The same members in another order: this is what the kind says, however large the array.
        let mut found = match difference.kind {
            Kind::Order => bench.named("unordered"),
            _ => Self::default(),
        };
        let sides = [&difference.old, &difference.new].map(|side| side.as_ref().map(spelled));
        let is_small = |side: &Option<Option<String>>| match side {
            Some(value) => value.as_ref().is_some_and(|text| text.len() <= MAX_TRIED),
            None => true,
        };
        let has_value = matches!(difference.place, Place::Node(_) | Place::Header(_))
            || matches!(difference.place, Place::Trailer(_) | Place::Form(_));
        if has_value && sides.iter().all(is_small) {
            let [old, new] = sides.map(Option::flatten);
            found.0 |= bench.tried([old.as_deref(), new.as_deref()], among).0;
        }
        found
    }

    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(super) fn has(self, probe: usize) -> bool {
        self.0 & (1 << probe) != 0
    }

    /// Whether one of the probes was this action.
    pub(super) fn suffices(self, action: &Action) -> bool {
        let rules = BENCH.comparing.rules.rules().iter().enumerate();
        let mut tried = rules.filter(|(probe, _)| self.has(*probe));
        tried.any(|(_, rule)| rule.action == *action)
    }

    /// The action of each probe, from narrow to wide.
    pub(super) fn actions() -> &'static [Json] {
        &BENCH.actions
    }

    /// A print of the list itself.
    pub(super) fn edition() -> u64 {
        BENCH.edition
    }
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let actions = actions();
        let rules = actions.iter().enumerate().map(|(index, action)| {
            json!({"id": index.to_string(), "why": "probe", "at": format!("$.p{index}"), "do": action})
        });
        let rules = rules.collect::<Vec<_>>();
        let comparing = Comparing {
            rules: trial::compile(&json!({"rules": rules}))
                .expect("the probes must be valid rules")
                .into(),
            options: Options {
                max_differences: usize::MAX,
                ..Options::default()
            },
        };
        Self {
            edition: xxh64(json!(actions).to_string().as_bytes(), 0),
            actions,
            comparing,
        }
    }

    fn named(&self, name: &str) -> Probes {
        let found = self.actions.iter().position(|action| action == name);
        Probes(found.map_or(0, |index| 1 << index))
    }

    fn tried(&self, [old, new]: [Option<&str>; 2], among: Probes) -> Probes {
        let count = self.actions.len();
        let sensible: Vec<usize> = (0..count)
            .filter(|index| among.has(*index) && is_sensible(&self.actions[*index], [old, new]))
            .collect();
        if sensible.is_empty() {
            return Probes::default();
        }
        // One name more than there are rules: what is equal there is equal without any.
        let names = || sensible.iter().chain([&count]);
        let document = |value: Option<&str>| {
            let members = names().filter_map(|index| Some(format!("\"p{index}\":{}", value?)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let comparison = trial::compare_json(&document(old), &document(new), &self.comparing);
        let unexplained = comparison.differences().iter().filter_map(probe_at);
        let unexplained = unexplained.fold(0_u128, |all, index| all | 1 << index);
        if unexplained & (1 << count) == 0 {
            return Probes::default();
        }
        let explaining = sensible
            .iter()
            .filter(|index| unexplained & (1 << **index) == 0);
        Probes(explaining.fold(0, |all, index| all | 1 << index))
    }
}

/// The probe under whose name a difference stands.
fn probe_at(difference: &Difference) -> Option<usize> {
    match &difference.place {
        Place::Node(steps) => match steps.first()? {
            Step::Name(name) => name.strip_prefix('p')?.parse().ok(),
            Step::Index(_) => None,
        },
        _ => None,
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
    actions.extend((0..=9).rev().map(|places| json!({"round": places})));
    actions.extend(["1e-12", "1e-9", "1e-6"].map(|rel| json!({"tolerance": {"rel": rel}})));
    let all = json!(["rfc3339", "rfc9110", "unix", "unix_ms"]);
    let single = ["rfc3339", "rfc9110", "unix", "unix_ms"].map(|format| json!([format]));
    for formats in single.into_iter().chain([all]) {
        let time = |within| json!({"time": {"within": within, "formats": formats}});
        actions.extend(WITHIN.map(time));
    }
    actions.extend(["uuid", "rfc3339"].map(|what| json!({"same": what})));
    actions.extend(RANDOM.map(|regex| json!({"same": {"regex": regex}})));
    actions
}

/// Whether it makes sense to try an action on two values, as they are spelled. What it makes equal must be equal for
/// the reason that the action names: any two numbers that lie close are instants close to each other, and any two agree
/// at few enough decimal places.
fn is_sensible(action: &Json, sides: [Option<&str>; 2]) -> bool {
    let [Some(old), Some(new)] = sides else {
        return action == "optional";
    };
    let both = |holds: fn(&str) -> bool| holds(old) && holds(new);
    let name = match action {
        Json::Object(members) => members.keys().next().map_or("", String::as_str),
        action => action.as_str().unwrap_or_default(),
    };
    match name {
        "round" => {
            let fewest = decimal_places(old)
                .min(decimal_places(new))
                .min(MANY_PLACES);
            both(is_number) && action["round"].as_u64() >= Some(fewest as u64)
        }
        // Of whole numbers, those that lie close are still two.
        "tolerance" => both(is_number) && decimal_places(old).max(decimal_places(new)) > 0,
        "time" => {
            let formats = action["time"]["formats"].as_array();
            [old, new]
                .iter()
                .all(|side| is_clock(side, formats.map_or(&[], Vec::as_slice)))
        }
        "same" => both(is_text) && old.len() == new.len() && old.len() > SHORTEST_ID,
        "parse" => both(|side| is_number(side.trim_matches('"'))),
        "unordered" => both(|side| side.starts_with('[')),
        "unicode" => both(is_text) && !(old.is_ascii() && new.is_ascii()),
        "case" | "space" => both(is_text),
        _ => false,
    }
}

/// Whether a value is a likely instant in one of the formats: a number of a sensible size, or a text of some length.
fn is_clock(value: &str, formats: &[Json]) -> bool {
    let Ok(number) = value.trim_matches('"').parse::<f64>() else {
        return is_text(value) && (8..=48).contains(&value.len());
    };
    let has = |format: &str| formats.iter().any(|known| known == format);
    has("unix") && SECONDS.contains(&number) || has("unix_ms") && SECONDS.contains(&(number / 1e3))
}

fn is_text(value: &str) -> bool {
    value.starts_with('"')
}

fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Of a number as it is spelled, trailing zeros not counted.
fn decimal_places(number: &str) -> usize {
    let fraction = number.split_once('.').map_or("", |(_, fraction)| fraction);
    match fraction.contains(['e', 'E']) {
        true => usize::MAX,
        false => fraction.trim_end_matches('0').len(),
    }
}

/// As JSON; `None`: it is not there whole.
fn spelled(value: &Value) -> Option<String> {
    match value {
        Value::Json(json) => Some(json.to_string()),
        Value::Text(text) => Some(Json::from(text.as_str()).to_string()),
        Value::Summary { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The narrowest probe that makes the two equal.
    fn narrowest(old: Json, new: Json) -> Option<String> {
        let difference = Difference {
            place: Place::Node(vec![Step::Name("v".to_owned())]),
            kind: Kind::Value,
            old: Some(Value::Json(old)),
            new: Some(Value::Json(new)),
        };
        let probes = Probes::of(&difference, Probes::ALL);
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
            (json!([1, 2]), json!([2, 1]), r#""unordered""#),
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
