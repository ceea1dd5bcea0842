//! What was found out: verdict, routes, rules, mismatch classes and examples.

use super::{ClassQuery, Handles, Order, Query, problem::Problem};
use crate::{
    compare::Kind,
    telemetry::{
        Route,
        route::{METHODS, STATUS_CLASSES},
    },
    verdict::{Counts, Figures, Outcome},
};
use axum::{
    Json,
    extract::{
        self, Path, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedVerdict {
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    /// The status says it, too.
    Gate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedMismatches {
    route: Option<String>,
    class: Option<String>,
    outcome: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedClasses {
    #[serde(default)]
    order: Order,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The figures of a route since the process began.
#[derive(Debug, Serialize)]
struct RouteFigures {
    route: Arc<str>,
    /// By method and class of status; only what was met.
    requests: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    #[serde(flatten)]
    counts: Counts,
    /// By kind; only what was met.
    differences: BTreeMap<&'static str, u64>,
}

const DEFAULT_LIMIT: usize = 50;
const DEFAULT_CLASSES: usize = 100;
const MAX_LIMIT: usize = 1_000;

pub(super) async fn verdict(
    State(handles): State<Handles>,
    asked: Result<extract::Query<AskedVerdict>, QueryRejection>,
) -> Result<Response, Problem> {
    let extract::Query(asked) = asked.map_err(bad_query)?;
    let verdict = handles.verdict.get();
    let status = match asked.format {
        Format::Gate if !verdict.is_safe() => StatusCode::PRECONDITION_FAILED,
        _ => StatusCode::OK,
    };
    Ok((status, Json(verdict)).into_response())
}

pub(super) async fn routes(State(handles): State<Handles>) -> Json<Value> {
    let routes = handles.ledger.routes();
    let routes: Vec<_> = routes.iter().map(RouteFigures::from).collect();
    Json(json!({"routes": routes}))
}

pub(super) async fn rules(State(handles): State<Handles>) -> Json<Value> {
    Json(handles.rules.get())
}

pub(super) async fn classes(
    State(handles): State<Handles>,
    asked: Result<extract::Query<AskedClasses>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let extract::Query(asked) = asked.map_err(bad_query)?;
    let mut faults = Vec::new();
    let query = ClassQuery {
        order: asked.order,
        limit: limit(asked.limit, DEFAULT_CLASSES, &mut faults),
        cursor: asked.cursor,
    };
    refuse(faults)?;
    let page = handles.look(move |stored| stored.classes(&query)).await;
    page.map(Json)
}

pub(super) async fn class(
    State(handles): State<Handles>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(id) = id.map_err(bad_path)?;
    let asked = id.clone();
    let class = handles.look(move |stored| stored.class(&asked)).await?;
    class
        .map(Json)
        .ok_or_else(|| Problem::unknown("mismatch class", &id))
}

pub(super) async fn mismatches(
    State(handles): State<Handles>,
    asked: Result<extract::Query<AskedMismatches>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let extract::Query(asked) = asked.map_err(bad_query)?;
    let query = asked.validate()?;
    let page = handles.look(move |stored| stored.mismatches(&query)).await;
    page.map(Json)
}

pub(super) async fn mismatch(
    State(handles): State<Handles>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    let Path(id) = id.map_err(bad_path)?;
    let asked = id.clone();
    let mismatch = handles.look(move |stored| stored.mismatch(&asked)).await?;
    mismatch
        .map(Json)
        .ok_or_else(|| Problem::unknown("stored mismatch", &id))
}

/// Most often bytes that are no text.
fn bad_path(rejection: PathRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())
}

fn bad_query(rejection: QueryRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())
}

fn limit(asked: Option<usize>, default: usize, faults: &mut Vec<String>) -> usize {
    let limit = asked.unwrap_or(default);
    if !(1..=MAX_LIMIT).contains(&limit) {
        faults.push(format!("limit: expected a number from 1 to {MAX_LIMIT}"));
    }
    limit
}

fn refuse(faults: Vec<String>) -> Result<(), Problem> {
    if faults.is_empty() {
        return Ok(());
    }
    let problem = Problem::new(StatusCode::BAD_REQUEST, faults.join("; "));
    Err(problem.with_faults(faults))
}

// === impl AskedMismatches ===

impl AskedMismatches {
    /// Every fault at once.
    fn validate(self) -> Result<Query, Problem> {
        let mut faults = Vec::new();
        let mut names = Outcome::ALL.into_iter().map(Outcome::name);
        if let Some(asked) = &self.outcome
            && !names.any(|name| name == asked)
        {
            faults.push(format!("outcome: `{asked}` is not one"));
        }
        let limit = limit(self.limit, DEFAULT_LIMIT, &mut faults);
        let since = self.since.as_deref().map(str::parse::<Timestamp>);
        let since = since.transpose().unwrap_or_else(|_| {
            faults.push("since: expected an instant such as 2026-11-22T10:00:00Z".to_owned());
            None
        });
        refuse(faults)?;
        Ok(Query {
            route: self.route,
            class: self.class,
            outcome: self.outcome,
            since,
            limit,
            cursor: self.cursor,
        })
    }
}

// === impl RouteFigures ===

impl From<&Route> for RouteFigures {
    fn from(route: &Route) -> Self {
        let mut figures = Figures::new(route.name().clone());
        figures.live = route.live_total();
        figures.reads = route.reads();
        figures.sampled = route.sampled();
        let outcomes = Outcome::ALL.into_iter();
        figures.outcomes = outcomes
            .map(|outcome| (outcome, route.outcomes(outcome)))
            .collect();
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
