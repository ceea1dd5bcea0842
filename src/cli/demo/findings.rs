//! Findings of the demo's sidecar next to the planted defects.

use super::PAUSE;
use crate::{
    admin::documents::{Class, Classes, Verdict},
    cli::{
        client::{Client, Error},
        print::{Printable, folded, width},
        status,
        table::{Column, Table},
        verdict::Summary,
    },
    demo::{PLANTED, Planted},
};
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};
use std::{
    fmt,
    time::{Duration, Instant},
};

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
            Column::names("what is wrong", 24),
            Column::words("kind"),
            Column::names("place", 14),
            Column::names("route", 14),
        ]);
        for planted in PLANTED {
            let checks = self.class_of(&planted);
            let checks = checks.map_or("missed".to_owned(), |found| found.count.to_string());
            let Planted { id, why, kind, .. } = planted;
            let (place, route) = (planted.place, planted.route);
            table.add([id, &checks, why, kind, place, route].map(str::to_owned));
        }
        for found in self.invented() {
            let (checks, place) = (found.count.to_string(), &found.place);
            let row = ["not planted", &checks, "", &found.kind, place, &found.route];
            table.add(row.map(|cell| Printable(cell).to_string()));
        }
        table
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = width();
        let lines = |table: &Table| table.lines(width, 0).join("\n");
        writeln!(f, "{}\n\n{}\n", self.summary(), lines(&self.defects()))?;
        let routes = status::routes(status::worst_first(&self.verdict));
        writeln!(f, "{}", lines(&routes))?;
        let bounds = status::bounds(&self.verdict);
        writeln!(f, "{}\n", folded(&bounds, width, 2))?;
        write!(f, "{}", Summary::new(&self.verdict, width))
    }
}

fn shows(class: &Class, planted: &Planted) -> bool {
    let own = (&*class.route, class.place.as_str(), class.kind.as_str());
    own == (planted.route, planted.place, planted.kind)
}
