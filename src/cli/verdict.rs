//! The verdict of a running twinread, read from its admin API and printed for people.

use super::{
    client::{Client, Error},
    compare::show::is_harmless,
};
use crate::verdict::{
    Decision, Finding,
    told::{Matches, Rate, Soak},
};
use anstyle::{AnsiColor, Style};
use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fmt};

/// The parts of `GET /v1/verdict` that are printed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToldVerdict {
    pub(super) verdict: Decision,
    pub(super) epoch: ToldEpoch,
    pub(super) confidence: f64,
    pub(super) reasons: Vec<Finding>,
    pub(super) soak: Soak,
    pub(super) routes: Vec<ToldRoute>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToldEpoch {
    pub(super) id: String,
    label: Option<String>,
    version: Option<String>,
    since: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToldRoute {
    pub(super) route: String,
    pub(super) required: bool,
    pub(super) state: Decision,
    pub(super) live: u64,
    pub(super) sampled: u64,
    pub(super) delayed: u64,
    #[serde(rename = "match")]
    pub(super) matched: Matches,
    pub(super) mismatch: u64,
    pub(super) transient: u64,
    pub(super) noise: u64,
    pub(super) shadow_error: BTreeMap<String, u64>,
    pub(super) not_compared: BTreeMap<String, u64>,
    pub(super) mismatch_rate: Rate,
}

/// A span of time, in its two largest units.
pub(super) struct Span(pub(super) u64);

/// Text from live traffic. Escapes what would steer a terminal, or reorder or hide neighbouring text.
pub(super) struct Printable<'t>(pub(super) &'t str);

/// Fetches the verdict: the raw document, and its parsed form.
pub(super) fn ask(client: &Client) -> Result<(Value, ToldVerdict), Error> {
    let path = "/v1/verdict";
    let document = client.get(path)?.body;
    let told = serde_json::from_value(document.clone());
    match told {
        Ok(told) => Ok((document, told)),
        Err(_) => Err(Error::NotTwinread {
            url: path.to_owned(),
        }),
    }
}

fn style(decision: Decision) -> Style {
    let colour = match decision {
        Decision::Safe => AnsiColor::Green,
        Decision::Unsafe => AnsiColor::Red,
        Decision::Undecided => AnsiColor::Yellow,
    };
    colour.on_default().bold()
}

// === impl ToldRoute ===

impl ToldRoute {
    /// Whether every sample has its outcome.
    pub(super) fn is_quiet(&self) -> bool {
        let compared = self.matched.exact + self.matched.rules + self.mismatch;
        let others = self.shadow_error.values().chain(self.not_compared.values());
        let ended = compared + self.transient + self.noise + others.sum::<u64>();
        ended == self.sampled
    }
}

// === impl ToldVerdict ===

/// The verdict on one line, and one line per reason.
impl fmt::Display for ToldVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verdict, style) = (self.verdict, style(self.verdict));
        write!(f, "{style}{verdict}{style:#}  epoch ")?;
        match &self.epoch.label {
            Some(label) => write!(f, "{} ({})", Printable(label), self.epoch.id)?,
            None => f.write_str(&self.epoch.id)?,
        }
        if let Some(version) = &self.epoch.version {
            write!(f, " of version {}", Printable(version))?;
        }
        write!(f, " since {}", self.epoch.since)?;
        write!(f, ", confidence {} %", self.confidence * 100.0)?;
        if self.soak.required_seconds > 0 {
            let Soak {
                clean_seconds,
                required_seconds,
            } = self.soak;
            write!(
                f,
                ", clean for {} of {}",
                Span(clean_seconds),
                Span(required_seconds)
            )?;
        }
        for reason in &self.reasons {
            write!(f, "\n  {:<14}", reason.code.name())?;
            if let Some(route) = &reason.route {
                write!(f, " {}:", Printable(route))?;
            }
            write!(f, " {}", Printable(&reason.detail))?;
            if let Some(seconds) = reason.eta_seconds {
                write!(f, " (about {} at the present pace)", Span(seconds))?;
            }
        }
        Ok(())
    }
}

// === impl Printable ===

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| {
            if is_harmless(letter) {
                write!(f, "{letter}")
            } else {
                write!(f, "{}", letter.escape_default())
            }
        })
    }
}

// === impl Span ===

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / 86_400, self.0 / 3_600 % 24);
        let (minutes, seconds) = (self.0 / 60 % 60, self.0 % 60);
        let (large, small) = match (days, hours, minutes) {
            (0, 0, 0) => return write!(f, "{seconds} s"),
            (0, 0, minutes) => ((minutes, "min"), (seconds, "s")),
            (0, hours, minutes) => ((hours, "h"), (minutes, "min")),
            (days, hours, _) => ((days, "d"), (hours, "h")),
        };
        write!(f, "{} {}", large.0, large.1)?;
        match small {
            (0, _) => Ok(()),
            (count, unit) => write!(f, " {count} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_escaped() {
        let printed = |text: &str| Printable(text).to_string();
        assert_eq!(printed("a\u{1b}[2Jé"), "a\\u{1b}[2Jé");
        for turning in ["200e", "200f", "202a", "202e", "2066", "2069"] {
            let letter = char::from_u32(u32::from_str_radix(turning, 16).unwrap()).unwrap();
            let label = format!("build {letter}812");
            assert_eq!(printed(&label), format!("build \\u{{{turning}}}812"));
        }
    }

    #[test]
    fn a_span_is_told_in_two_units() {
        let told = |seconds| Span(seconds).to_string();
        assert_eq!(told(0), "0 s");
        assert_eq!(told(59), "59 s");
        assert_eq!(told(60), "1 min");
        assert_eq!(told(1_900), "31 min 40 s");
        assert_eq!(told(7_200), "2 h");
        assert_eq!(told(604_800 + 3_660), "7 d 1 h");
    }
}
