//! A snapshot as lines of text without colours, the same for one-time and live output.

use super::{
    look::Look,
    tables::{bounds, classes, routes},
};
use crate::{
    admin::documents::StackHealth,
    cli::verdict::{Printable, Summary},
    settings::Source,
};
use anstream::adapter::strip_str;
use serde_json::Value;

/// The lines, the verdict first. `before` is an earlier snapshot, for rates.
pub(super) fn view(look: &Look, before: Option<&Look>) -> Vec<String> {
    let verdict = Summary(&look.verdict).to_string();
    let mut lines = lines(&strip_str(&verdict).to_string());
    lines.push(String::new());
    lines.extend(look.readiness.stacks.iter().map(stack));
    lines.push(sampling(look));
    lines.push(counted(look, before));
    lines.extend(changed(look));
    let missing = look.readiness.missing.iter();
    lines.extend(missing.map(|missing| format!("not ready: {}", Printable(missing))));
    let impaired = look.readiness.impaired.iter();
    lines.extend(impaired.map(|impaired| format!("impaired: {}", Printable(impaired))));
    if !look.verdict.routes.is_empty() {
        lines.push(String::new());
        lines.extend(self::lines(&routes(&look.verdict).to_string()));
        lines.push(bounds(&look.verdict));
    }
    if !look.classes.classes.is_empty() {
        lines.push(String::new());
        lines.push("newest mismatch classes".to_owned());
        lines.extend(self::lines(&classes(&look.classes.classes).to_string()));
    }
    lines
}

fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
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
    let serving = format!("serving from {}", setting("serve_from"));
    if setting("paused") == "true" {
        return format!("{serving}; PAUSED: nothing is sampled");
    }
    let (rate, floor) = (setting("sample.rate"), setting("sample.per_route_floor"));
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
        .map(|(name, _)| Printable(name).to_string())
        .collect();
    (!names.is_empty()).then(|| format!("changed by the API: {}", names.join(", ")))
}
