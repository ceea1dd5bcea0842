//! Findings of the demo's sidecar next to the planted defects.

use super::PAUSE;
use crate::{
    admin::documents::{Class, Classes, Verdict},
    cli::{
        client::{Client, Error},
        status,
        verdict::Summary,
    },
    demo::{PLANTED, Planted},
};
use anstyle::{AnsiColor, Style};
use comfy_table::{Cell, CellAlignment, Table};
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
        let header = [
            "planted defect",
            "checks",
            "route",
            "kind",
            "place",
            "what is wrong",
        ];
        let mut table = status::table(&header);
        for planted in PLANTED {
            let checks = self.class_of(&planted);
            let checks = checks.map_or("missed".to_owned(), |found| found.count.to_string());
            table.add_row([
                Cell::new(planted.id),
                Cell::new(checks).set_alignment(CellAlignment::Right),
                Cell::new(planted.route),
                Cell::new(planted.kind),
                Cell::new(planted.place),
                Cell::new(planted.why),
            ]);
        }
        for found in self.invented() {
            table.add_row([
                Cell::new("not planted"),
                Cell::new(found.count).set_alignment(CellAlignment::Right),
                Cell::new(&found.route),
                Cell::new(&found.kind),
                Cell::new(&found.place),
            ]);
        }
        table
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let routes = status::routes(&self.verdict);
        writeln!(f, "{}\n\n{}", self.summary(), self.defects())?;
        writeln!(f, "\n{routes}\n{}\n", status::bounds(&self.verdict))?;
        write!(f, "{}", Summary(&self.verdict))
    }
}

fn shows(class: &Class, planted: &Planted) -> bool {
    let own = (&*class.route, class.place.as_str(), class.kind.as_str());
    own == (planted.route, planted.place, planted.kind)
}
