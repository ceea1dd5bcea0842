//! The route of a request, under which it is counted.

use super::settings::LiveSettings;
use crate::{
    ledger::{AnsweredBy, Ledger, Route},
    route::{Head, Naming},
};
use http::{Method, Request, StatusCode};

/// A route, and its own sampling rate.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) route: Route,
    pub(super) rate: Option<f64>,
    is_declared: bool,
}

// === impl Named ===

impl Named {
    /// `None` if the name depends on a body that is not given.
    pub(super) fn of(
        live: &LiveSettings,
        ledger: &Ledger,
        head: &Head<'_>,
        body: Option<&[u8]>,
    ) -> Option<Self> {
        match live.routes.name(head, body) {
            Naming::Named(name, Some(entry)) => Some(Self {
                route: ledger.route(&name),
                rate: entry.sample,
                is_declared: true,
            }),
            Naming::Named(name, None) => Some(Self {
                route: ledger.undeclared(&name),
                rate: None,
                is_declared: false,
            }),
            Naming::NeedsBody => None,
        }
    }

    /// Counts the request; `None` if there was no answer. Names are only learned from paths that exist, so that probes
    /// of invented paths do not blur other names.
    pub(super) fn count(
        &self,
        ledger: &Ledger,
        method: &Method,
        status: Option<StatusCode>,
        by: AnsweredBy,
    ) {
        self.route.count_live(method, status, by);
        let exists = |status: StatusCode| status.is_success() || status == StatusCode::NOT_MODIFIED;
        if !self.is_declared && status.is_some_and(exists) {
            ledger.learn(&self.route);
        }
    }
}

pub(super) fn head<B>(request: &Request<B>) -> Head<'_> {
    Head {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
    }
}
