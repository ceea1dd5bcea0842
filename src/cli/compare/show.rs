//! What a comparison came to, as text or as JSON.

use crate::{
    compare::{Compared, Comparison, Difference, Value},
    rules::RuleSet,
};
use anstyle::{AnsiColor, Style};
use serde_json::json;
use std::io::{self, Write};

const PLACE: Style = Style::new().bold();
const KIND: Style = Style::new().dimmed();
const OLD: Style = AnsiColor::Red.on_default();
const NEW: Style = AnsiColor::Green.on_default();

/// Writes the differences one by one, old in red and new in green, and what rules masked.
pub(super) fn text(
    comparison: &Comparison,
    rules: &RuleSet,
    out: &mut impl Write,
) -> io::Result<()> {
    let count = match &comparison.result {
        Compared::Different { differences, count } => {
            for difference in differences {
                show(difference, out)?;
            }
            *count
        }
        _ => 0,
    };
    let masked = masked(comparison, rules);
    for (rule, count) in &masked {
        writeln!(out, "{KIND}masked by {rule}: {count}{KIND:#}")?;
    }
    match (count, masked.is_empty()) {
        (0, true) => writeln!(out, "equal"),
        (0, false) => writeln!(out, "equal under rules"),
        (1, _) => writeln!(out, "1 difference"),
        (count, _) => writeln!(out, "{count} differences"),
    }
}

/// Writes `{"equal", "via", "differences": [{"place", "kind", "old", "new"}], "masked": [{"rule", "count"}]}`.
pub(super) fn json(
    comparison: &Comparison,
    rules: &RuleSet,
    out: &mut impl Write,
) -> io::Result<()> {
    let (via, differences) = match &comparison.result {
        Compared::Equal(via) => (Some(via.name()), &[][..]),
        Compared::Different { differences, .. } => (None, &differences[..]),
        Compared::NotCompared(_) => (None, &[][..]),
    };
    let differences: Vec<_> = differences.iter().map(document).collect();
    let masked: Vec<_> = masked(comparison, rules)
        .into_iter()
        .map(|(rule, count)| json!({"rule": rule, "count": count}))
        .collect();
    let document = json!({
        "equal": matches!(comparison.result, Compared::Equal(_)),
        "via": via,
        "differences": differences,
        "masked": masked,
    });
    writeln!(out, "{document:#}")
}

fn show(difference: &Difference, out: &mut impl Write) -> io::Result<()> {
    let Difference {
        place,
        kind,
        old,
        new,
    } = difference;
    let place = harmless(&place.to_string());
    writeln!(out, "{PLACE}{place}{PLACE:#}  {KIND}{kind}{KIND:#}")?;
    for (sign, style, value) in [('-', OLD, old), ('+', NEW, new)] {
        let Some(value) = value else { continue };
        for line in spelled(value).lines() {
            writeln!(out, "{style}  {sign} {line}{style:#}")?;
        }
    }
    Ok(())
}

/// `{"place", "kind", "old", "new"}`
pub(in crate::cli) fn document(difference: &Difference) -> serde_json::Value {
    json!({
        "place": difference.place.to_string(),
        "kind": difference.kind.name(),
        "old": difference.old.as_ref().map(plain),
        "new": difference.new.as_ref().map(plain),
    })
}

/// As it is shown to people.
pub(in crate::cli) fn spelled(value: &Value) -> String {
    match value {
        Value::Json(value) => harmless(&value.to_string()),
        Value::Text(text) => harmless(text),
        Value::Summary { class, length } => format!("{class} of {length} bytes"),
    }
}

/// Without control characters, so that an answer cannot steer the terminal.
pub(in crate::cli) fn harmless(text: &str) -> String {
    let replaced = |c: char| c.is_control() && c != '\n';
    text.replace(replaced, "\u{fffd}")
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Json(value) => value.clone(),
        Value::Text(text) => text.clone().into(),
        Value::Summary { class, length } => json!({"class": class, "bytes": length}),
    }
}

/// The rules that masked something, and how much.
fn masked<'r>(comparison: &Comparison, rules: &'r RuleSet) -> Vec<(&'r str, u64)> {
    let accounts = comparison.rules.iter().filter(|account| account.masked > 0);
    accounts
        .map(|account| (rules.rules()[account.rule].id.as_str(), account.masked))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Answer, Comparing, Context, compare};
    use http::{HeaderMap, Method, StatusCode};

    fn shown(
        old: &str,
        new: &str,
        show: fn(&Comparison, &RuleSet, &mut Vec<u8>) -> io::Result<()>,
    ) -> String {
        let answer = |body: &str| Answer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static("application/json"),
            )]),
            body: body.to_owned().into(),
            trailers: HeaderMap::new(),
        };
        let today = jiff::civil::date(2026, 11, 22);
        let context = Context {
            route: "",
            method: &Method::GET,
            today,
            deadline: None,
        };
        let text = "rules: [{id: clock, why: w, at: $.at, do: ignore}]".to_owned();
        let (rules, _) = RuleSet::compile(&[("f".into(), text)], today).unwrap();
        let comparing = Comparing {
            rules: rules.into(),
            ..Comparing::default()
        };
        let comparison = compare(&answer(old), &answer(new), &context, &comparing);
        let mut out = Vec::new();
        show(&comparison, &comparing.rules, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn differences_are_told_with_both_sides() {
        let told = shown(r#"{"a":1.50,"at":1}"#, r#"{"a":"x","b":null,"at":2}"#, text);
        assert_eq!(
            told,
            "$.a  type\n  - 1.50\n  + \"x\"\n$.b  extra\n  + null\nmasked by clock: 1\n2 differences\n"
        );
        assert_eq!(shown("{}", "{ }", text), "equal\n");
        assert_eq!(
            shown(r#"{"at":1}"#, "{}", text),
            "masked by clock: 1\nequal under rules\n"
        );
    }

    #[test]
    fn the_json_is_as_documented() {
        let told: serde_json::Value =
            serde_json::from_str(&shown(r#"{"a":1,"at":1}"#, r#"{"at":2}"#, json)).unwrap();
        assert_eq!(
            told,
            json!({
                "equal": false,
                "via": null,
                "differences": [{"place": "$.a", "kind": "missing", "old": 1, "new": null}],
                "masked": [{"rule": "clock", "count": 1}],
            })
        );
    }
}
