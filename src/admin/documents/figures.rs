//! The figures of routes, live and by epoch.

use super::{Counts, Epoch, Latency};
use crate::{
    ledger::{LiveCount, Route},
    outcome::Outcome,
    value::Kind,
    verdict::{Figures, Tallies},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use strum::VariantArray as _;
use utoipa::ToSchema;

/// Every epoch, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Epochs {
    pub epochs: Vec<EpochFigures>,
}

/// An epoch with its figures.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EpochFigures {
    #[serde(flatten)]
    pub epoch: Epoch,
    pub routes: Vec<EpochRoute>,
}

/// A route's figures in one epoch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EpochRoute {
    pub route: Arc<str>,
    #[serde(flatten)]
    pub counts: Counts,
    pub latency: Latency,
}

/// The live figures of every route.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Routes {
    pub routes: Vec<LiveRoute>,
}

/// A route's figures since the process began.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct LiveRoute {
    pub route: Arc<str>,
    /// By method and status class; only those that occurred.
    pub requests: BTreeMap<String, BTreeMap<String, u64>>,
    /// Requests by who answered: `old`, `new`, `twinread`; only those that occurred. A request without an answer counts
    /// for whom was asked.
    pub answered_by: BTreeMap<String, u64>,
    #[serde(flatten)]
    pub counts: Counts,
    /// By kind; only those that occurred.
    pub differences: BTreeMap<String, u64>,
}

// === impl EpochFigures ===

impl From<Tallies> for EpochFigures {
    fn from(tallies: Tallies) -> Self {
        Self {
            epoch: (&tallies.epoch).into(),
            routes: tallies.routes.iter().map(EpochRoute::from).collect(),
        }
    }
}

// === impl EpochRoute ===

impl From<&Figures> for EpochRoute {
    fn from(figures: &Figures) -> Self {
        Self {
            route: figures.route.clone(),
            counts: figures.into(),
            latency: figures.latency.into(),
        }
    }
}

// === impl LiveRoute ===

impl From<&Route> for LiveRoute {
    fn from(route: &Route) -> Self {
        let mut figures = Figures::new(route.name().clone());
        figures.live = route.live_total();
        figures.reads = route.reads();
        figures.sampled = route.sampled();
        figures.delayed = route.delayed();
        let outcomes = Outcome::ALL.into_iter();
        figures.outcomes = outcomes
            .map(|outcome| (outcome, route.outcomes(outcome)))
            .collect();
        figures.forced = route.forced();
        figures.waiting = figures.sampled.saturating_sub(figures.outcomes.ended());
        let differences = Kind::VARIANTS.iter();
        let mut live_route = Self {
            route: route.name().clone(),
            requests: BTreeMap::new(),
            answered_by: BTreeMap::new(),
            counts: Counts::from(&figures),
            differences: differences
                .map(|kind| (kind.name().to_owned(), route.differences(*kind)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        };
        for live in route.live_counts() {
            live_route.count(live);
        }
        live_route
    }
}

impl LiveRoute {
    fn count(&mut self, live: LiveCount) {
        let classes = self.requests.entry(live.method.to_owned()).or_default();
        *classes.entry(live.status_class.to_owned()).or_default() += live.count;
        let by = live.answered_by.into_str().to_owned();
        *self.answered_by.entry(by).or_default() += live.count;
    }
}
