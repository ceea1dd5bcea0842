//! One snapshot of a running twinread.

use crate::{
    admin::documents::{Classes, ProcessHealth, Settings, Verdict},
    cli::client::{Client, Error, Received},
};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Instant;

/// Answers of the admin API, all within a moment.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) verdict: Received<Verdict>,
    /// Newest first.
    pub(super) classes: Received<Classes>,
    pub(super) settings: Received<Settings>,
    pub(super) readiness: Received<ProcessHealth>,
}

// === impl Look ===

impl Look {
    /// # Errors
    /// No answer, an error, or not a twinread's answer.
    pub(super) fn take(client: &Client, epoch: &str, classes: usize) -> Result<Self, Error> {
        Ok(Self {
            at: Instant::now(),
            verdict: client.get("/v1/verdict")?,
            classes: client.get(&format!(
                "/v1/classes?sort=recent&limit={classes}&epoch={epoch}"
            ))?,
            settings: client.get("/v1/settings")?,
            readiness: readiness(client)?,
        })
    }

    /// The whole snapshot as JSON, for scripts.
    pub(super) fn document(&self) -> Value {
        json!({
            "verdict": self.verdict,
            "classes": self.classes.json["classes"],
            "settings": self.settings.json["settings"],
            "readiness": self.readiness,
        })
    }
}

/// Also if it is not ready: then the document is a problem with the same members.
fn readiness(client: &Client) -> Result<Received<ProcessHealth>, Error> {
    match client.get("/readyz") {
        Err(Error::Refused {
            status, problem, ..
        }) if status == StatusCode::SERVICE_UNAVAILABLE => {
            let url = client.url("/readyz");
            serde_json::from_value(problem).map_err(|_| Error::NotTwinread { url })
        }
        answered => answered,
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// The verdict of a twinread with one route and this many live reads.
    pub(in crate::cli) fn verdict(live: u64, reasons: Value) -> Value {
        let rate = json!({"limit": 1e-3, "lower": 0.0, "estimate": null, "upper": 1.0});
        json!({
            "verdict": "undecided", "confidence": 0.95, "reasons": reasons,
            "epoch": {
                "id": "e1", "label": "812", "version": null, "cause": "start", "since": "2026-11-22T10:00:00Z",
                "until": null,
            },
            "soak": {"required_seconds": 0, "clean_seconds": 0},
            "routes": [{
                "route": "get-user", "required": true, "exempt": false, "state": "undecided", "live": live,
                "reads": live, "sampled": live, "waiting": 0, "forced": 0, "delayed": 3,
                "match": {"exact": live, "rules": 0}, "mismatch": 0, "marked": {}, "transient": 0,
                "noise": 0, "shadow_error": {}, "not_compared": {}, "mismatch_rate": rate, "error_rate": rate,
                "transient_rate": rate, "noise_rate": rate, "uncompared_rate": rate, "coverage": null,
                "distinct_keys": null, "latency": {"old": null, "new": null},
            }],
        })
    }

    pub(in crate::cli::status) fn look(live: u64) -> Look {
        let class = |number: u32| {
            json!({
                "id": format!("c{number}"), "route": "user", "place": "$.price", "kind": "value", "severity": "value", "count": 1, "kept": 1,
                "first_seen": "2026-11-22T10:00:00Z", "last_seen": "2026-11-22T10:00:00Z", "examples": [],
            })
        };
        let classes = json!({"classes": (0..10).map(class).collect::<Vec<_>>(), "total": 10, "next": null, "waiting": 0});
        let rate = json!({"value": 0.05, "source": "file"});
        let settings = json!({"revision": 1, "settings": {"sample.rate": rate}});
        Look {
            at: Instant::now(),
            verdict: serde_json::from_value(verdict(live, json!([]))).unwrap(),
            classes: serde_json::from_value(classes).unwrap(),
            settings: serde_json::from_value(settings).unwrap(),
            readiness: serde_json::from_value(json!({"missing": [], "impaired": [], "stacks": []}))
                .unwrap(),
        }
    }
}
