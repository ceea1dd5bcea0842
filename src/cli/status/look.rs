//! One snapshot of a running twinread.

use crate::{
    cli::{
        client::{Client, Error},
        verdict::{ToldVerdict, ask},
    },
    settings::Settings,
};
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Instant;

/// Answers of the admin API, all within a moment.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) verdict: ToldVerdict,
    /// Newest first.
    pub(super) classes: Vec<ToldClass>,
    pub(super) settings: Settings,
    pub(super) readiness: Readiness,
    /// The raw documents.
    documents: [Value; 3],
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct ToldClass {
    pub(super) id: String,
    pub(super) route: String,
    pub(super) place: String,
    pub(super) kind: String,
    pub(super) count: u64,
    pub(super) last_seen: String,
}

#[derive(Debug, Deserialize)]
struct ToldClasses {
    classes: Vec<ToldClass>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    /// Why it is not ready, each in a sentence; empty if ready.
    pub(super) missing: Vec<String>,
    /// Faults that do not stop it from working.
    pub(super) impaired: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ToldReadiness {
    impaired: Vec<String>,
}

/// Number of classes shown, the newest first.
const CLASSES: usize = 10;

// === impl Look ===

impl Look {
    /// # Errors
    /// No answer, an error, or not a twinread's answer.
    pub(super) fn take(client: &Client) -> Result<Self, Error> {
        let (document, verdict) = ask(client)?;
        let (classes_document, told) =
            get::<ToldClasses>(client, &format!("/v1/classes?order=recent&limit={CLASSES}"))?;
        let (settings_document, settings) = get(client, "/v1/settings")?;
        Ok(Self {
            at: Instant::now(),
            verdict,
            classes: told.classes,
            settings,
            readiness: Readiness::ask(client)?,
            documents: [document, classes_document, settings_document],
        })
    }

    /// The whole snapshot as JSON, for scripts.
    pub(super) fn document(&self) -> Value {
        let [verdict, classes, settings] = &self.documents;
        json!({
            "verdict": verdict,
            "classes": classes["classes"],
            "settings": settings["settings"],
            "readiness": {
                "missing": self.readiness.missing,
                "impaired": self.readiness.impaired,
            },
        })
    }
}

fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<(Value, T), Error> {
    let document = client.get(path)?.body;
    let told = serde_json::from_value(document.clone());
    let told = told.map_err(|_| Error::NotTwinread {
        url: path.to_owned(),
    })?;
    Ok((document, told))
}

// === impl Readiness ===

impl Readiness {
    fn ask(client: &Client) -> Result<Self, Error> {
        match get::<ToldReadiness>(client, "/readyz") {
            Ok((_, told)) => Ok(Self {
                impaired: told.impaired,
                ..Self::default()
            }),
            Err(Error::Refused { status, detail }) if status == StatusCode::SERVICE_UNAVAILABLE => {
                Ok(Self {
                    missing: detail.lines().map(str::to_owned).collect(),
                    ..Self::default()
                })
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A twinread with one route and this many live reads.
    pub(in crate::cli::status) fn look(live: u64) -> Look {
        let rate = json!({"limit": 1e-3, "lower": 0.0, "estimate": null, "upper": 1.0});
        let verdict = json!({
            "verdict": "undecided", "confidence": 0.95, "reasons": [],
            "epoch": {"id": "e1", "label": "812", "since": "2026-11-22T10:00:00Z"},
            "soak": {"required_seconds": 0, "clean_seconds": 0},
            "routes": [{
                "route": "get-user", "required": true, "state": "undecided", "live": live,
                "sampled": live, "delayed": 3, "match": {"exact": live, "rules": 0}, "mismatch": 0, "transient": 0,
                "noise": 0, "shadow_error": {}, "not_compared": {}, "mismatch_rate": rate,
            }],
        });
        let class = json!({
            "id": "c1", "route": "get-user", "place": "$.price", "kind": "value", "count": 1,
            "last_seen": "2026-11-22T10:00:00Z",
        });
        let classes = json!({"classes": vec![class; 10]});
        let rate = json!({"value": 0.05, "source": "file"});
        let settings = json!({"revision": 1, "settings": {"sample.rate": rate}});
        let told: ToldClasses = serde_json::from_value(classes.clone()).unwrap();
        Look {
            at: Instant::now(),
            verdict: serde_json::from_value(verdict.clone()).unwrap(),
            classes: told.classes,
            settings: serde_json::from_value(settings.clone()).unwrap(),
            readiness: Readiness::default(),
            documents: [verdict, classes, settings],
        }
    }
}
