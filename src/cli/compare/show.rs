//! Prints the result of a comparison, as text or as JSON.

use super::{
    excerpt::{Excerpts, Row},
    view::{FAINT, PLACE, View},
};
use crate::{
    cli::print::{fit_middle, folded, harmless},
    compare::{Compared, Comparison, Explain, Masked},
    rules::RuleSet,
    value::{Difference, Value},
};
use serde_json::json;
use std::io::{self, Write};

/// How differences are shown.
#[derive(Debug)]
pub(super) struct Showing<'s> {
    pub rules: &'s RuleSet,
    pub view: View,
    /// Of the output, and of each line of an excerpt.
    pub width: usize,
    pub columns: usize,
    /// Whether to show what each rule masked, and where.
    pub explain: Explain,
    pub excerpts: Excerpts<'s>,
}

/// Maximum number of differences shown with context, because finding it takes time in large documents.
const WITH_CONTEXT: usize = 500;

// === impl Showing ===

impl Showing<'_> {
    /// Writes the differences one by one, and what rules masked.
    pub(super) fn text(&self, comparison: &Comparison, out: &mut impl Write) -> io::Result<()> {
        let count = match &comparison.result {
            Compared::Different { differences, count } => {
                for (index, difference) in differences.iter().enumerate() {
                    let rows = if index < WITH_CONTEXT {
                        self.excerpts.of(difference)
                    } else {
                        self.excerpts.changed(difference)
                    };
                    self.show(difference, &rows, out)?;
                }
                *count
            }
            _ => 0,
        };
        let masked = comparison.masked_counts(self.rules);
        let reported = match self.explain {
            Explain::Places => &comparison.masked[..],
            Explain::Counts => &[],
        };
        for Masked { rule, difference } in reported {
            let rule = &self.rules.rules()[*rule];
            let (id, why) = (harmless(&rule.id), harmless(&rule.why));
            self.show(difference, &self.excerpts.changed(difference), out)?;
            let line = format!("    masked by {id}: {why}");
            writeln!(out, "{FAINT}{}{FAINT:#}", folded(&line, self.width, 6))?;
        }
        for (rule, count) in &masked {
            let line = format!("masked by {}: {count}", harmless(rule));
            writeln!(out, "{FAINT}{}{FAINT:#}", folded(&line, self.width, 2))?;
        }
        if let Some(reason) = comparison.uncompared {
            writeln!(out, "the bodies were not compared: {}", reason.name())?;
        }
        match (count, masked.is_empty()) {
            (0, true) => writeln!(out, "equal"),
            (0, false) => writeln!(out, "equal under rules"),
            (1, _) => writeln!(out, "1 difference"),
            (count, _) => writeln!(out, "{count} differences"),
        }
    }

    fn show(&self, difference: &Difference, rows: &[Row], out: &mut impl Write) -> io::Result<()> {
        let Difference { place, kind, .. } = difference;
        let room = self.width.saturating_sub(kind.name().len() + 2);
        let place = fit_middle(&harmless(&place.to_string()), room);
        writeln!(out, "{PLACE}{place}{PLACE:#}  {FAINT}{kind}{FAINT:#}")?;
        self.view.write(rows, self.columns, out)
    }
}

/// Writes `{"equal", "via", "differences": [{"place", "kind", "old", "new"}], "masked": [{"rule", "count"}]}`. Adds
/// `explained` (what each rule masked) on request, and `uncompared` if the bodies were not compared.
pub(super) fn json(
    comparison: &Comparison,
    (rules, explain): (&RuleSet, Explain),
    out: &mut impl Write,
) -> io::Result<()> {
    let via = match &comparison.result {
        Compared::Equal(via) => Some(via.name()),
        Compared::Different { .. } | Compared::NotCompared(_) => None,
    };
    let differences = comparison.differences().iter().map(document);
    let masked = comparison.masked_counts(rules).into_iter();
    let masked = masked.map(|(rule, count)| json!({"rule": rule, "count": count}));
    let mut reported = json!({
        "equal": matches!(comparison.result, Compared::Equal(_)),
        "via": via,
        "differences": differences.collect::<Vec<_>>(),
        "masked": masked.collect::<Vec<_>>(),
    });
    if let Some(reason) = comparison.uncompared {
        reported["uncompared"] = reason.name().into();
    }
    if explain == Explain::Places {
        let explained = comparison.masked.iter().map(|masked| {
            let rule = &rules.rules()[masked.rule];
            let mut reported = document(&masked.difference);
            reported["rule"] = rule.id.clone().into();
            reported["why"] = rule.why.clone().into();
            reported
        });
        reported["explained"] = explained.collect();
    }
    writeln!(out, "{reported:#}")
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

/// The text form of a value.
pub(in crate::cli) fn spelled(value: &Value) -> String {
    match value {
        Value::Json(value) => harmless(&value.to_string()),
        Value::Text(text) => text.lines().map(harmless).collect::<Vec<_>>().join("\n"),
        Value::Summary { class, length } => format!("{class} of {length} bytes"),
        Value::Unreadable { why, length } => format!("{}, {length} bytes", harmless(why)),
    }
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Json(value) => value.clone(),
        Value::Text(text) => text.clone().into(),
        Value::Summary { class, length } => json!({"class": class, "bytes": length}),
        Value::Unreadable { why, length } => json!({"unreadable": why, "bytes": length}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::compare::bodies::{Bodies, Plain},
        compare::{Answer, CompareConfig, Context, Options, compare},
    };
    use http::{HeaderMap, Method, StatusCode};

    fn answer(kind: &'static str, body: &str) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static(kind),
            )]),
            body: body.to_owned().into(),
            trailers: HeaderMap::new(),
        }
    }

    fn comparing() -> CompareConfig {
        comparing_by("{id: clock, why: two clocks, at: $.at, do: ignore}")
    }

    fn comparing_by(rule: &str) -> CompareConfig {
        let text = format!("rules: [{rule}]");
        let today = jiff::civil::date(2026, 11, 22);
        let (rules, _) = RuleSet::compile(&[("f".into(), text)], today).unwrap();
        CompareConfig {
            rules: rules.into(),
            options: Options {
                explain: Explain::Places,
                ..Options::default()
            },
            ..CompareConfig::default()
        }
    }

    fn compared(old: &Answer, new: &Answer, comparing: &CompareConfig) -> Comparison {
        let context = Context {
            route: "",
            method: &Method::GET,
            today: jiff::civil::date(2026, 11, 22),
            deadline: None,
            message_type: None,
        };
        compare(old, new, &context, comparing)
    }

    fn text(kind: &'static str, old: &str, new: &str, view: View) -> String {
        shown([answer(kind, old), answer(kind, new)], &comparing(), view)
    }

    fn shown([old, new]: [Answer; 2], comparing: &CompareConfig, view: View) -> String {
        let comparison = compared(&old, &new, comparing);
        let plain = Plain::of([&old, &new], 1 << 20, None);
        let columns = view.columns(80);
        let showing = Showing {
            rules: &comparing.rules,
            view,
            width: 80,
            columns,
            explain: Explain::Places,
            excerpts: Excerpts::new(Bodies::of(&plain, 64), &comparison, columns),
        };
        let mut out = Vec::new();
        showing.text(&comparison, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    fn unified(old: &str, new: &str) -> String {
        text("application/json", old, new, View::Unified)
    }

    #[test]
    fn differences_are_reported_with_what_stands_around_them() {
        let old = r#"{"id":7,"sku":"a","name":"Lamp","price":1.50,"tags":["x"],"at":1,"z":1}"#;
        let new =
            r#"{"id":7,"sku":"a","name":"Lamp","price":"x","tags":["x"],"more":null,"at":2,"z":1}"#;
        assert_eq!(
            unified(old, new),
            "\
$.price  type
    …
    \"sku\": \"a\"
    \"name\": \"Lamp\"
  - \"price\": 1.50
  + \"price\": \"x\"
    \"tags\": [\"x\"]
    \"at\": 1
    …
$.more  extra
    …
    \"name\": \"Lamp\"
    \"tags\": [\"x\"]
  + \"more\": null
    \"at\": 1
    \"z\": 1
$.at  value
  - \"at\": 1
  + \"at\": 2
    masked by clock: two clocks
masked by clock: 1
2 differences
"
        );
    }

    #[test]
    fn equal_answers_are_reported_as_such() {
        assert_eq!(unified("{}", "{ }"), "equal\n");
        assert_eq!(
            unified(r#"{"at":1}"#, "{}").lines().last(),
            Some("equal under rules")
        );
    }

    #[test]
    fn a_body_that_cannot_be_read_is_reported_with_its_reason() {
        assert_eq!(
            unified("{}", "{\"a\"}"),
            "body  undecodable\n  - {}\n  + not JSON at byte 4: expected a colon, 5 bytes\n1 difference\n"
        );
    }

    #[test]
    fn elements_keep_neighbours_if_old_and_new_count_differently() {
        let reported = unified("[1,2,3,4]", "[1,2,9,3,4]");
        assert_eq!(
            reported,
            "$[2]  extra\n    [0]: 1\n    [1]: 2\n  + [2]: 9\n    [3]: 3\n    [4]: 4\n1 difference\n"
        );
    }

    #[test]
    fn lines_and_bytes_have_context_too() {
        assert_eq!(
            text(
                "text/plain",
                "a\nb\nc\nd\r\n",
                "a\nb\nX\nd\n",
                View::Unified
            ),
            "lines 3-4  text\n    a\n    b\n  - c\n  - d\\r\n  + X\n  + d\n1 difference\n"
        );
        let reported = text(
            "application/octet-stream",
            "0123456789abcdef\u{1}x",
            "0123456789abcdef\u{2}x",
            View::Unified,
        );
        assert_eq!(
            reported,
            format!(
                "byte 16  bytes\n    00000000  {} 0123456789abcdef\n  - 00000010  01 78 {:42} .x\n  + 00000010  02 78 {:42} .x\n1 difference\n",
                "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 ", "", ""
            )
        );
    }

    #[test]
    fn records_and_xml_have_context_too() {
        let reported = text("application/x-ndjson", "1\n2\n", "1\n3\n", View::Unified);
        assert_eq!(
            reported,
            "$[1]  value\n    [0]: 1\n  - [1]: 2\n  + [1]: 3\n1 difference\n"
        );
        let (old, new) = ("<o><a>1</a><b>2</b></o>", "<o><a>1</a><b>3</b></o>");
        let reported = text("application/xml", old, new, View::Unified);
        assert!(reported.contains("$.o.b['#text']  value\n"), "{reported}");
        assert!(reported.contains("  - \"#text\": \"2\"\n"), "{reported}");
    }

    #[test]
    fn side_by_side_old_is_left_and_every_line_fits() {
        let long = "w".repeat(200);
        let old = format!(r#"{{"a":"{long}1","b":1}}"#);
        let new = format!(r#"{{"a":"{long}2","b":1,"c":"{long}"}}"#);
        let reported = text("application/json", &old, &new, View::SideBySide);
        for line in reported.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 80, "{line}");
        }
        let changed = reported.lines().nth(1).unwrap();
        let (left, right) = changed.split_once('≠').unwrap();
        assert!(left.contains("w1\""), "{changed}");
        assert!(right.contains("w2\""), "{changed}");
    }

    #[test]
    fn context_of_a_difference_shows_each_side_if_a_rule_masks() {
        let old = r#"{"n":1,"at":"10:00","z":{"at":1}}"#;
        let new = r#"{"n":2,"at":"11:00","z":{"at":1}}"#;
        let reported = text("application/json", old, new, View::SideBySide);
        let lines: Vec<_> = reported.lines().collect();
        let sides = |line: &str| -> Vec<String> {
            let sides = line.split(['│', '≠']).map(str::trim);
            sides.map(str::to_owned).collect()
        };
        assert_eq!(sides(lines[1]), [r#""n": 1"#, r#""n": 2"#], "{reported}");
        assert_eq!(
            sides(lines[2]),
            [r#""at": "10:00""#, r#""at": "11:00""#],
            "{reported}"
        );
        assert_eq!(sides(lines[3]), [r#""z": {"at":1}"#; 2], "{reported}");
        let reported = unified(old, r#"{"n":2,"z":{"at":1}}"#);
        assert!(reported.contains("    \"at\": \"10:00\"\n"), "{reported}");
    }

    #[test]
    fn context_of_a_text_shows_each_side_if_a_rule_masks() {
        let comparing = comparing_by("{id: case, why: w, at: body, do: {case: fold}}");
        let bodies = ["Head\nx\nTail\n", "HEAD\ny\nz\nTAIL\n"];
        let answers = bodies.map(|body| answer("text/plain", body));
        let reported = shown(answers, &comparing, View::SideBySide);
        for sides in [["Head", "HEAD"], ["Tail", "TAIL"]] {
            let line = reported.lines().find(|line| line.contains(sides[0]));
            let shown: Vec<_> = line.unwrap().split('│').map(str::trim).collect();
            assert_eq!(shown, sides, "{reported}");
        }
    }

    #[test]
    fn an_answer_cannot_steer_the_terminal() {
        let (old, new) = ("a\u{1b}[2J\n", "b\u{9b}2J\u{7}\n");
        let reported = text("text/plain", old, new, View::Unified);
        assert!(reported.contains("- a\\u{1b}[2J"), "{reported}");
        assert!(
            !reported.chars().any(|c| c.is_control() && c != '\n'),
            "{reported}"
        );
    }

    #[test]
    fn the_json_is_as_documented() {
        let comparing = comparing();
        let (old, new) = (r#"{"a":1,"at":1}"#, r#"{"at":2}"#);
        let [old, new] = [old, new].map(|body| answer("application/json", body));
        let comparison = compared(&old, &new, &comparing);
        let reported = |explain| {
            let mut out = Vec::new();
            json(&comparison, (&comparing.rules, explain), &mut out).unwrap();
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        let mut expected = json!({
            "equal": false,
            "via": null,
            "differences": [{"place": "$.a", "kind": "missing", "old": 1, "new": null}],
            "masked": [{"rule": "clock", "count": 1}],
        });
        assert_eq!(reported(Explain::Counts), expected);
        expected["explained"] = json!([{
            "place": "$.at", "kind": "value", "old": 1, "new": 2,
            "rule": "clock", "why": "two clocks",
        }]);
        assert_eq!(reported(Explain::Places), expected);
    }
}
