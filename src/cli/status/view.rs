//! A snapshot as lines of text without colours, the same for one-time and live output.

use super::{
    look::Look,
    tables::{bounds, classes, routes, worst_first},
};
use crate::{
    admin::documents::{Class, RouteVerdict, StackHealth},
    cli::{
        print::{Printable, folded},
        table::Table,
        verdict::Summary,
    },
    settings::{Setting, Source},
    verdict::{Counted, Percent},
};
use anstream::adapter::strip_str;
use serde_json::Value;

/// Characters of the longest configured value that is shown next to a changed setting.
const MAX_HIDDEN: usize = 24;

/// How a snapshot is shown.
#[derive(Clone, Debug)]
pub(super) struct Showing {
    pub(super) width: usize,
    /// Reasons shown in full.
    pub(super) reasons: usize,
    /// Columns of the tables that are scrolled away.
    pub(super) skipped: usize,
    /// Only rows that contain it are shown.
    pub(super) filter: String,
    /// How to see the columns that do not fit.
    pub(super) way: &'static str,
}

/// A snapshot as lines.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) lines: Vec<Line>,
    /// Columns that have no room, of the widest table.
    pub(super) left_out: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// The first one.
    Verdict,
    Text,
    /// Something is wrong.
    Warning,
    /// The names of a table's columns.
    Columns,
    Row(Opens),
}

/// What a row stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opens {
    Route(String),
    Class(String),
}

/// The lines, the verdict first. `before` is an earlier snapshot, for rates.
pub(super) fn view(look: &Look, before: Option<&Look>, showing: &Showing) -> View {
    let mut lines = Lines {
        view: View::default(),
        showing,
    };
    lines.verdict(look);
    lines.text("", Kind::Text);
    for health in &look.readiness.stacks {
        let kind = match health.failing {
            Some(_) => Kind::Warning,
            None => Kind::Text,
        };
        lines.text(&stack(health), kind);
    }
    lines.text(&sampling(look), Kind::Text);
    lines.text(&counted(look, before), Kind::Text);
    if let Some(changed) = changed(look) {
        lines.text(&changed, Kind::Text);
    }
    for (what, texts, kind) in [
        ("not ready", &look.readiness.missing, Kind::Warning),
        ("impaired", &look.readiness.impaired, Kind::Warning),
        ("note", &look.readiness.notes, Kind::Text),
    ] {
        for text in texts {
            lines.text(&format!("{what}: {}", Printable(text)), kind.clone());
        }
    }
    lines.routes(look);
    lines.classes(look);
    lines.view
}

/// A view in the making.
struct Lines<'s> {
    view: View,
    showing: &'s Showing,
}

// === impl Lines ===

impl Lines<'_> {
    fn text(&mut self, text: &str, kind: Kind) {
        for text in folded(text, self.showing.width, 2).split('\n') {
            self.push(text.to_owned(), kind.clone());
        }
    }

    fn push(&mut self, text: String, kind: Kind) {
        self.view.lines.push(Line { text, kind });
    }

    fn verdict(&mut self, look: &Look) {
        let summary = Summary {
            verdict: &look.verdict,
            width: self.showing.width,
            most: self.showing.reasons,
        };
        let text = summary.to_string();
        for line in strip_str(&text).to_string().lines() {
            let is_first = self.view.lines.is_empty();
            let kind = if is_first { Kind::Verdict } else { Kind::Text };
            self.push(line.to_owned(), kind);
        }
    }

    fn routes(&mut self, look: &Look) {
        let all = worst_first(&look.verdict);
        if all.is_empty() {
            return;
        }
        let is_shown = |route: &&RouteVerdict| self.admits(&[&route.route, route.state.name()]);
        let shown: Vec<_> = all.iter().copied().filter(is_shown).collect();
        let table = routes(shown.iter().copied());
        let mut title = self.title(shown.len(), all.len() as u64, "route");
        title += ", the worst first";
        let opens = shown
            .iter()
            .map(|route| Opens::Route(route.route.to_string()));
        self.table(title, &table, opens.collect());
        self.text(&bounds(&look.verdict), Kind::Text);
    }

    fn classes(&mut self, look: &Look) {
        let page = &look.classes;
        if page.classes.is_empty() {
            return;
        }
        let is_shown =
            |class: &&Class| self.admits(&[&class.id, &class.kind, &class.place, &class.route]);
        let shown: Vec<_> = page.classes.iter().filter(is_shown).collect();
        let table = classes(shown.iter().copied());
        let title = self.title(shown.len(), page.total, "mismatch class");
        let opens = shown.iter().map(|class| Opens::Class(class.id.clone()));
        self.table(
            format!("{title}, the newest first"),
            &table,
            opens.collect(),
        );
    }

    /// `10 of 27 routes`, `1 route`.
    fn title(&self, shown: usize, all: u64, what: &'static str) -> String {
        let all_of_them = Counted(all, what);
        let mut title = if shown as u64 == all {
            all_of_them.to_string()
        } else {
            format!("{shown} of {all_of_them}")
        };
        if !self.showing.filter.is_empty() {
            title += &format!(" with `{}`", Printable(&self.showing.filter));
        }
        title
    }

    fn admits(&self, texts: &[&str]) -> bool {
        let wanted = self.showing.filter.to_lowercase();
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }

    fn table(&mut self, mut title: String, table: &Table, opens: Vec<Opens>) {
        let left_out = table.left_out(self.showing.width, self.showing.skipped);
        self.view.left_out = self.view.left_out.max(left_out);
        if left_out > 0 {
            let columns = Counted(left_out as u64, "more column");
            title += &format!("; {columns} {}", self.showing.way);
        }
        self.text("", Kind::Text);
        self.text(&title, Kind::Text);
        let kinds = std::iter::once(Kind::Columns).chain(opens.into_iter().map(Kind::Row));
        let lines = table.lines(self.showing.width, self.showing.skipped);
        for (text, kind) in lines.into_iter().zip(kinds) {
            self.push(text, kind);
        }
    }
}

/// Where a stack is, and whether it answers.
fn stack(stack: &StackHealth) -> String {
    let failing = stack.failing.as_ref();
    let failing = failing.map(|failing| format!(", no answer: {}", Printable(&failing.cause)));
    format!(
        "{}  {}  {}{}",
        stack.stack,
        Printable(&stack.url),
        stack.role,
        failing.unwrap_or_default()
    )
}

/// Which stack serves, and what is sampled.
fn sampling(look: &Look) -> String {
    let settings = &look.settings.settings;
    let setting = |name: &str| match settings.get(name).map(|setting| &setting.value) {
        Some(Value::String(text)) => Printable(text).to_string(),
        Some(value) => value.to_string(),
        None => "?".to_owned(),
    };
    let percent = settings.get("serve.new");
    let mut serving = match percent.and_then(|percent| percent.value.as_f64()) {
        Some(0.0) => "serving from old".to_owned(),
        Some(100.0) => "serving from new".to_owned(),
        Some(percent) => format!("serving {percent} % of the reads from new"),
        None => "serving from ?".to_owned(),
    };
    if !matches!(setting("serve.routes").as_str(), "{}" | "?") {
        serving += ", some routes by their own percent";
    }
    if setting("serve.writes") == "new" {
        serving += ", writes from new";
    }
    if setting("paused") == "true" {
        return format!("{serving}; PAUSED: nothing is sampled");
    }
    let rate = settings.get("sample.rate");
    let rate = rate.and_then(|rate| rate.value.as_f64());
    let rate = rate.map_or("?".to_owned(), |rate| Percent(rate).to_string());
    let floor = setting("sample.per_route_floor");
    let by = match setting("sample.by").as_str() {
        "null" => String::new(),
        by => format!(" by {by}"),
    };
    let most = setting("sample.max_per_second");
    format!(
        "{serving}; sampling {rate} of the reads{by}, each route up to {floor} whatever the rate, at most {most}/s; \
         replays at most {}/s, {} at once",
        setting("new.max_per_second"),
        setting("new.max_in_flight"),
    )
}

/// The counts of the epoch, and their rates.
fn counted(look: &Look, before: Option<&Look>) -> String {
    let sums = |look: &Look| {
        let routes = look.verdict.routes.iter();
        routes.fold((0, 0), |(live, sampled), route| {
            (live + route.counts.live, sampled + route.counts.sampled)
        })
    };
    let (live, sampled) = sums(look);
    let before = before.filter(|before| before.verdict.epoch.id == look.verdict.epoch.id);
    let Some(before) = before else {
        return format!("in this epoch: live {live}, sampled {sampled}");
    };
    let seconds = (look.at - before.at).as_secs_f64().max(1e-3);
    let (live_before, sampled_before) = sums(before);
    let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
    format!(
        "in this epoch: live {live} ({:.1}/s), sampled {sampled} ({:.1}/s)",
        per_second(live, live_before),
        per_second(sampled, sampled_before),
    )
}

/// Settings that were changed at runtime.
fn changed(look: &Look) -> Option<String> {
    let settings = look.settings.settings.iter();
    let names: Vec<_> = settings
        .filter(|(_, setting)| setting.source == Source::Api)
        .map(|(name, setting)| Printable(&format!("{name}{}", configured(setting))).to_string())
        .collect();
    (!names.is_empty()).then(|| format!("changed by the API: {}", names.join(", ")))
}

/// The value that a change through the API hides, if it is short.
fn configured(setting: &Setting) -> String {
    let hidden = setting.hidden.as_ref().map(|hidden| match hidden {
        Value::String(text) => text.clone(),
        hidden => hidden.to_string(),
    });
    let hidden = hidden.filter(|hidden| hidden.chars().count() <= MAX_HIDDEN);
    hidden.map_or(String::new(), |hidden| format!(" (configured: {hidden})"))
}
