//! The route of a request, under which it is counted.

use crate::{
    ledger::{AnsweredBy, Ledger, Route},
    route::{Head, Naming, Routes},
};
use http::{Method, Request, StatusCode};

/// A route, and its own sampling rate.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) route: Route,
    pub(crate) rate: Option<f64>,
    is_declared: bool,
}

// === impl Named ===

impl Named {
    /// `None` if the name depends on a body that is not given.
    pub(crate) fn of(
        routes: &Routes,
        ledger: &Ledger,
        head: &Head<'_>,
        body: Option<&[u8]>,
    ) -> Option<Self> {
        match routes.name(head, body) {
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
    pub(crate) fn count(
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

pub(crate) fn head<B>(request: &Request<B>) -> Head<'_> {
    Head {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query(),
        headers: request.headers(),
    }
}
