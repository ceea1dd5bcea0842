//! Results: the verdict, routes, rules.

use super::{
    AdminState,
    documents::Rules,
    openapi::Fails,
    paging::{self, AskedPage},
    problem::Problem,
    router::{NoQuery, bad_query},
    service::history,
};
use crate::{
    ledger::{
        Route,
        route::{METHODS, STATUS_CLASSES},
    },
    outcome::Outcome,
    value::Kind,
    verdict::{Counts, Figures, Verdict, history::Change},
};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedVerdict {
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    /// The status says it, too.
    Gate,
}

/// The live figures of every route.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Routes {
    routes: Vec<RouteFigures>,
}

/// A route's figures since the process began.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LiveRoute)]
struct RouteFigures {
    route: Arc<str>,
    /// By method and status class; only those that occurred.
    requests: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    #[serde(flatten)]
    counts: Counts,
    /// By kind; only those that occurred.
    differences: BTreeMap<&'static str, u64>,
}

/// Changes of the verdict, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerdictHistory {
    changes: Vec<Change>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
    /// Changes of this page that are left out because they cannot be read.
    unreadable: u64,
}

/// May the switch be made, and why (not)
///
/// With `format=gate` the status says it too.
#[utoipa::path(
    get,
    path = "/v1/verdict",
    operation_id = "getVerdict",
    tag = "evidence",
    params(AskedVerdict),
    responses(
        (status = OK, body = Verdict, description = "The verdict; of a gate: it is safe"),
        (status = PRECONDITION_FAILED, body = Verdict, description = "Of a gate: it is not safe"),
        Fails<400>,
    ),
)]
pub(super) async fn verdict(
    State(state): State<AdminState>,
    asked: Result<Query<AskedVerdict>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(bad_query)?;
    let verdict = state.verdict.verdict();
    let status = match asked.format {
        Format::Gate if !verdict.is_safe() => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::OK,
    };
    Ok((status, Json(verdict)).into_response())
}

/// When the verdict changed, and why
///
/// The newest first. While the verdict flaps, some changes are skipped.
#[utoipa::path(
    get,
    path = "/v1/verdict/history",
    operation_id = "getVerdictHistory",
    tag = "evidence",
    params(AskedPage),
    responses(
        (status = OK, body = VerdictHistory, description = "A page of changes"),
        Fails<400>,
        Fails<503>,
    ),
)]
pub(super) async fn history(
    State(state): State<AdminState>,
    asked: Result<Query<AskedPage>, QueryRejection>,
) -> Result<Json<VerdictHistory>, Problem> {
    let page = paging::page(history::of_verdict(&state.database), asked).await?;
    Ok(Json(VerdictHistory {
        changes: page.entries,
        next: page.next.map(|next| next.to_string()),
        unreadable: page.unreadable,
    }))
}

/// The live figures of every route
#[utoipa::path(
    get,
    path = "/v1/routes",
    operation_id = "getRoutes",
    tag = "evidence",
    responses((status = OK, body = Routes, description = "The routes"), Fails<400>),
)]
pub(super) async fn routes(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Routes>, Problem> {
    asked.map_err(bad_query)?;
    let routes = state.ledger.routes();
    let routes = routes.iter().map(RouteFigures::from).collect();
    Ok(Json(Routes { routes }))
}

/// Every rule in force
///
/// With how often each was evaluated, and how many differences it masked.
#[utoipa::path(
    get,
    path = "/v1/rules",
    operation_id = "getRules",
    tag = "rules",
    responses((status = OK, body = Rules, description = "The rules"), Fails<400>),
)]
pub(super) async fn rules(
    State(state): State<AdminState>,
    asked: Result<Query<NoQuery>, QueryRejection>,
) -> Result<Json<Rules>, Problem> {
    asked.map_err(bad_query)?;
    Ok(Json(state.verdict.rules()))
}

// === impl RouteFigures ===

impl From<&Route> for RouteFigures {
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
        let differences = Kind::ALL.into_iter();
        Self {
            route: route.name().clone(),
            requests: requests(route),
            counts: Counts::from(&figures),
            differences: differences
                .map(|kind| (kind.name(), route.differences(kind)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

fn requests(route: &Route) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let mut requests = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (method, method_name) in METHODS.into_iter().enumerate() {
        for (class, class_name) in STATUS_CLASSES.into_iter().enumerate() {
            let count = route.live(method, class);
            if count > 0 {
                let classes = requests.entry(method_name).or_default();
                classes.insert(class_name, count);
            }
        }
    }
    requests
}
