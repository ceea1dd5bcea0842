//! Findings of the demo's sidecar next to the planted defects.

use super::PAUSE;
use crate::{
    admin::documents::{Class, Classes, Verdict},
    cli::{
        client::{Client, Error},
        print::{Printable, folded},
        status,
        table::{Column, Table},
        verdict::Summary,
    },
    demo::{PLANTED, Planted},
};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The verdict and the mismatch classes, read from the admin API.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    verdict: Verdict,
    classes: Vec<Class>,
}

/// How long to wait for findings; after that the current ones are shown.
const STORED_WITHIN: Duration = Duration::from_secs(10);

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

// === impl Findings ===

impl Findings {
    /// Fetches the verdict and the classes.
    pub(super) fn ask(client: &Client) -> Result<Self, Error> {
        let verdict = client.get("/v1/verdict")?;
        let deadline = Instant::now() + STORED_WITHIN;
        let classes = loop {
            let page: Classes = client.get("/v1/classes")?;
            if page.waiting == 0 || Instant::now() >= deadline {
                break page.classes;
            }
            client.wait(PAUSE);
        };
        Ok(Self { verdict, classes })
    }

    /// The verdict document with `classes` and `planted`.
    pub(super) fn document(&self) -> Value {
        let planted = PLANTED.iter().map(|planted| {
            json!({
                "id": planted.id,
                "route": planted.route,
                "place": planted.place,
                "kind": planted.kind,
                "why": planted.why,
                "found": self.class_of(planted).is_some(),
            })
        });
        let mut document = json!(self.verdict);
        document["planted"] = planted.collect();
        document["classes"] = json!(self.classes);
        document
    }

    fn class_of(&self, planted: &Planted) -> Option<&Class> {
        self.classes.iter().find(|class| shows(class, planted))
    }

    /// Classes that no planted defect explains.
    fn invented(&self) -> impl Iterator<Item = &Class> {
        let is_planted = |class: &Class| PLANTED.iter().any(|planted| shows(class, planted));
        self.classes.iter().filter(move |class| !is_planted(class))
    }

    fn summary(&self) -> String {
        let found = PLANTED
            .iter()
            .filter(|planted| self.class_of(planted).is_some())
            .count();
        let invented = self.invented().count();
        let style = match (found, invented) {
            (found, 0) if found == PLANTED.len() => GOOD,
            _ => BAD,
        };
        let all = PLANTED.len();
        format!("{style}{found} of {all} planted defects found, {invented} invented{style:#}")
    }

    fn defects(&self) -> Table {
        let mut table = Table::new(&[
            Column::names("planted defect", 14),
            Column::figures("checks"),
            Column::words("what is wrong"),
            Column::names("place", 14),
            Column::words("kind"),
            Column::names("route", 14),
        ]);
        for planted in PLANTED {
            let checks = self.class_of(&planted);
            let checks = checks.map_or("missed".to_owned(), |found| found.count.to_string());
            let Planted { id, why, kind, .. } = planted;
            let (place, route) = (planted.place, planted.route);
            table.add([id, &checks, why, place, kind, route].map(str::to_owned));
        }
        for found in self.invented() {
            let (checks, place) = (found.count.to_string(), &found.place);
            let row = ["not planted", &checks, "", place, &found.kind, &found.route];
            table.add(row.map(|cell| Printable(cell).to_string()));
        }
        table
    }

    /// The defects, the routes and the verdict, for people.
    pub(super) fn text(&self, width: usize) -> String {
        let lines = |table: &Table| table.lines(width, 0).join("\n");
        let (summary, defects) = (self.summary(), lines(&self.defects()));
        let routes = lines(&status::routes(status::worst_first(&self.verdict)));
        let bounds = folded(&status::bounds(&self.verdict), width, 2);
        let verdict = Summary::new(&self.verdict, width);
        format!("{summary}\n\n{defects}\n\n{routes}\n{bounds}\n\n{verdict}")
    }
}

fn shows(class: &Class, planted: &Planted) -> bool {
    let own = (&*class.route, class.place.as_str(), class.kind.as_str());
    own == (planted.route, planted.place, planted.kind)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::status::look::tests::verdict;

    /// What a run found, with fixed figures.
    pub(in crate::cli::demo) fn findings() -> Findings {
        let mut verdict = verdict(364, json!([]));
        let clean = verdict["routes"][0].take();
        let rate = |lower: f64, estimate: f64, upper: f64| json!({"limit": 0.05, "lower": lower, "estimate": estimate, "upper": upper});
        let route = |name: &str| {
            let mut route = clean.clone();
            let is_wrong = PLANTED.iter().any(|planted| planted.route == name);
            route["route"] = json!(name);
            route["state"] = json!(if is_wrong { "unsafe" } else { "safe" });
            route["mismatch_rate"] = rate(0.0, 0.0, 0.0092);
            if is_wrong {
                route["match"] = json!({"exact": 0, "rules": 0});
                route["mismatch"] = json!(364);
                route["mismatch_rate"] = rate(0.1395, 1.0, 1.0);
            }
            route
        };
        let names = [
            "list-products",
            "get-product",
            "list-reviews",
            "get-stock",
            "get-rating",
            "search",
            "list-categories",
            "list-warehouses",
            "export",
            "health",
            "status-page",
        ];
        let routes: Vec<_> = names.into_iter().map(route).collect();
        let wrong = routes.iter().filter(|route| route["state"] == "unsafe");
        let reasons = wrong.map(|route| json!({
            "code": "mismatch_rate", "route": route["route"], "checks_needed": 8_402,
            "detail": "364 of 364 checks mismatched (288 of them not confirmed by reading again); at least 14 %, the limit is 5.0 %",
        }));
        verdict["verdict"] = json!("unsafe");
        verdict["reasons"] = reasons.collect();
        verdict["routes"] = json!(routes);
        let classes = PLANTED.iter().zip(0..).map(|(planted, number)| json!({
            "id": format!("{number:016x}"), "route": planted.route, "place": planted.place, "kind": planted.kind,
            "severity": "value", "count": 364 - number, "kept": 50, "first_seen": "2026-11-29T18:59:13.647Z",
            "last_seen": "2026-11-29T18:59:23.647Z", "examples": [],
        }));
        Findings {
            verdict: serde_json::from_value(verdict).unwrap(),
            classes: serde_json::from_value(classes.collect()).unwrap(),
        }
    }
}
