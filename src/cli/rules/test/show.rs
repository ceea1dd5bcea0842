//! Prints the results of rule tests, as text or as JSON.

use super::{CaseReport, Report};
use crate::{
    cli::{
        compare::show::{document, spelled},
        counted,
        print::{folded, harmless, width},
    },
    spanned_yaml::Position,
};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::io::{self, Write};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const QUIET: Style = Style::new().dimmed();

/// Writes the faults of each failed case, the rules that no case tests, and how many cases passed.
pub(super) fn text(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    for report in reports {
        for case in report.cases.iter().filter(|case| !case.has_passed()) {
            show_case(&report.file, case, out)?;
        }
        for rule in &report.untested {
            let file = &report.file;
            let note = fold(&format!("{file}: note: no case tests the rule `{rule}`"));
            writeln!(out, "{QUIET}{note}{QUIET:#}")?;
        }
    }
    let cases = reports.iter().flat_map(|report| &report.cases);
    let (passed, failed) = counts(cases);
    let total = counted(passed + failed, "case");
    let style = if failed == 0 { GOOD } else { BAD };
    writeln!(
        out,
        "{style}{total}, {passed} passed, {failed} failed{style:#}"
    )
}

fn show_case(file: &str, case: &CaseReport, out: &mut impl Write) -> io::Result<()> {
    let (line, column) = position(case.name.mark);
    let name = harmless(&case.name.name);
    let heading = fold(&format!("failed {name}  {file}:{line}:{column}"));
    writeln!(out, "{BAD}failed{BAD:#}{}", &heading["failed".len()..])?;
    if let Some(reason) = case.not_compared {
        writeln!(out, "  not compared: {}", reason.name())?;
    }
    for difference in &case.unexpected {
        let place = harmless(&difference.place.to_string());
        let line = format!("  not expected: {place} {}", difference.kind);
        writeln!(out, "{}", fold(&line))?;
        for (sign, value) in [('-', &difference.old), ('+', &difference.new)] {
            let Some(value) = value else { continue };
            for line in spelled(value).lines() {
                writeln!(out, "{}", fold(&format!("    {sign} {line}")))?;
            }
        }
    }
    for expected in &case.not_found {
        let place = harmless(&expected.place);
        writeln!(
            out,
            "{}",
            fold(&format!("  not found: {place} {}", expected.kind))
        )?;
    }
    for count in &case.masked {
        let (rule, expected, found) = (&count.rule, count.expected, count.found);
        let line = format!("  masked by {rule}: expected {expected}, found {found}");
        writeln!(out, "{}", fold(&line))?;
    }
    Ok(())
}

fn fold(line: &str) -> String {
    folded(line, width(), 6)
}

/// Writes `{"passed", "failed", "files": [{"file", "cases": [...], "untested": [rule]}]}`.
pub(super) fn json(reports: &[Report], out: &mut impl Write) -> io::Result<()> {
    let files: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "file": report.file,
                "cases": report.cases.iter().map(case_json).collect::<Vec<_>>(),
                "untested": report.untested,
            })
        })
        .collect();
    let (passed, failed) = counts(reports.iter().flat_map(|report| &report.cases));
    let reported = json!({"passed": passed, "failed": failed, "files": files});
    writeln!(out, "{reported:#}")
}

fn case_json(case: &CaseReport) -> Value {
    let unexpected = case.unexpected.iter().map(document);
    json!({
        "name": case.name.name,
        "line": position(case.name.mark).0,
        "passed": case.has_passed(),
        "not_compared": case.not_compared.map(|reason| reason.name()),
        "unexpected": unexpected.collect::<Vec<_>>(),
        "not_found": case.not_found,
        "masked": case.masked,
    })
}

fn counts<'c>(cases: impl Iterator<Item = &'c CaseReport>) -> (usize, usize) {
    let (passed, failed): (Vec<_>, Vec<_>) = cases.partition(|case| case.has_passed());
    (passed.len(), failed.len())
}

fn position(mark: Option<Position>) -> (usize, usize) {
    mark.map_or((1, 1), |mark| (mark.line, mark.column))
}
