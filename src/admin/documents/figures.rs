//! The figures of routes, live and by epoch.

use super::{Counts, Epoch, Latency};
use crate::{
    ledger::{Route, route::STATUS_CLASSES},
    outcome::Outcome,
    route::METHODS,
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
        Self {
            route: route.name().clone(),
            requests: requests(route),
            counts: Counts::from(&figures),
            differences: differences
                .map(|kind| (kind.name().to_owned(), route.differences(*kind)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

fn requests(route: &Route) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut requests = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (method, method_name) in METHODS.into_iter().enumerate() {
        for (class, class_name) in STATUS_CLASSES.into_iter().enumerate() {
            let count = route.live(method, class);
            if count > 0 {
                let classes = requests.entry(method_name.to_owned()).or_default();
                classes.insert(class_name.to_owned(), count);
            }
        }
    }
    requests
}
