//! Mismatch classes and stored examples.

use super::{
    AdminState,
    documents::{Class, Classes, Mismatch, MismatchPage},
    openapi::Fails,
    paging,
    problem::Problem,
    router::bad_query,
    state::blocking,
};
use crate::{
    outcome::Outcome,
    store::{ClassFilter, Filter, Order},
};
use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use std::time::SystemTime;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedMismatches {
    /// Only of this route.
    route: Option<String>,
    /// Only those that show this class.
    class: Option<String>,
    /// Only of this epoch: its id, `present`, or `all`, which is the default.
    epoch: Option<String>,
    /// Only with this outcome.
    #[param(schema_with = outcomes)]
    outcome: Option<String>,
    /// Excludes older ones.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Page size.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// `next` of the previous page.
    #[param(pattern = "^[0-7]?[0-9a-f]{1,15}$")]
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedClasses {
    /// Only of this route.
    route: Option<String>,
    /// As in this epoch: its id, `all`, or `present`, which is the default.
    epoch: Option<String>,
    /// Order of the classes.
    #[serde(default)]
    #[param(inline)]
    sort: Order,
    /// Page size.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next` of the previous page, in the same order.
    #[param(pattern = "^[nt][0-9a-f]{1,16}-[0-9a-f]{1,16}$")]
    cursor: Option<String>,
}

/// Default page size of classes.
const DEFAULT_CLASSES: usize = 100;

/// The names of the present epoch and of all, where a call takes the id of one.
pub(super) const PRESENT: &str = "present";
const ALL: &str = "all";

/// The mismatch classes
///
/// A class groups differences of the same route, place (array indices as `[*]`) and kind. Each comes with its 5 newest
/// examples. Those of past epochs are listed only where they are asked for.
#[utoipa::path(
    get,
    path = "/v1/classes",
    operation_id = "getClasses",
    tag = "evidence",
    params(AskedClasses),
    responses(
        (
            status = OK,
            body = Classes,
            description = "A page of classes, the most frequent first where nothing else is asked for",
            links(
                ("class" = (
                    operation_id = "getClass",
                    parameters(("id" = "$response.body#/classes/0/id")),
                )),
            ),
        ),
        Fails<400>,
        Fails<503>,
    ),
)]
pub(super) async fn classes(
    State(state): State<AdminState>,
    asked: Result<Query<AskedClasses>, QueryRejection>,
) -> Result<Json<Classes>, Problem> {
    let Query(asked) = asked.map_err(bad_query)?;
    let mut faults = Vec::new();
    let limit = paging::limit(asked.limit.or(Some(DEFAULT_CLASSES)), &mut faults);
    paging::accept(faults)?;
    let filter = ClassFilter {
        route: asked.route,
        epoch: epoch(&state, asked.epoch.as_deref().unwrap_or(PRESENT)),
        order: asked.sort,
        limit,
        cursor: asked.cursor,
    };
    Ok(Json(blocking(move || state.store.classes(&filter)).await??))
}

/// A mismatch class
#[utoipa::path(
    get,
    path = "/v1/classes/{id}",
    operation_id = "getClass",
    tag = "evidence",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (
            status = OK,
            body = Class,
            description = "The class over all epochs, with its 50 newest examples",
        ),
        Fails<400>,
        Fails<404>,
        Fails<503>,
    ),
)]
pub(super) async fn class(
    State(state): State<AdminState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Class>, Problem> {
    let Path(id) = id.map_err(bad_path)?;
    let asked = id.clone();
    let class = blocking(move || state.store.class(&asked)).await??;
    class
        .map(Json)
        .ok_or_else(|| Problem::unknown("mismatch class", &id))
}

/// Stored examples of mismatches and errors
///
/// The newest first.
#[utoipa::path(
    get,
    path = "/v1/mismatches",
    operation_id = "getMismatches",
    tag = "evidence",
    params(AskedMismatches),
    responses(
        (
            status = OK,
            body = MismatchPage,
            description = "A page of examples",
            links(
                ("example" = (
                    operation_id = "getMismatch",
                    parameters(("id" = "$response.body#/mismatches/0/id")),
                )),
            ),
        ),
        Fails<400>,
        Fails<503>,
    ),
)]
pub(super) async fn mismatches(
    State(state): State<AdminState>,
    asked: Result<Query<AskedMismatches>, QueryRejection>,
) -> Result<Json<MismatchPage>, Problem> {
    let Query(asked) = asked.map_err(bad_query)?;
    let filter = asked.validate(&state)?;
    let store = state.store.clone();
    let mut page = blocking(move || store.mismatches(&filter)).await??;
    page.mismatches
        .iter_mut()
        .for_each(|mismatch| link(&state, mismatch));
    Ok(Json(page))
}

/// A stored example
///
/// The request, both answers (redacted), their differences, rechecks, and the trace id.
#[utoipa::path(
    get,
    path = "/v1/mismatches/{id}",
    operation_id = "getMismatch",
    tag = "evidence",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = OK, body = Mismatch, description = "The example"),
        Fails<400>,
        Fails<404>,
        Fails<503>,
    ),
)]
pub(super) async fn mismatch(
    State(state): State<AdminState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Mismatch>, Problem> {
    let Path(id) = id.map_err(bad_path)?;
    let (asked, store) = (id.clone(), state.store.clone());
    let mismatch = blocking(move || store.mismatch(&asked)).await??;
    let mut mismatch = mismatch.ok_or_else(|| Problem::unknown("stored mismatch", &id))?;
    link(&state, &mut mismatch);
    Ok(Json(mismatch))
}

/// Adds where the trace can be looked at.
fn link(state: &AdminState, mismatch: &mut Mismatch) {
    let telemetry = &state.running.config().settings.telemetry;
    mismatch.trace_url = telemetry.link(&mismatch.trace_id);
}

/// The id of the epoch that a call asks for; `None`: all of them.
pub(super) fn epoch(state: &AdminState, asked: &str) -> Option<String> {
    match asked {
        ALL => None,
        PRESENT => Some(state.ledger.epoch().to_string()),
        id => Some(id.to_owned()),
    }
}

/// Most often the path holds bytes that are not text.
fn bad_path(rejection: PathRejection) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, rejection.body_text())
}

/// The names of the outcomes.
fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = Outcome::ALL.into_iter().map(Outcome::name).collect();
    names.dedup();
    names
}

fn outcomes() -> Schema {
    let name = ObjectBuilder::new().schema_type(Type::String);
    name.enum_values(Some(names())).into()
}

// === impl AskedMismatches ===

impl AskedMismatches {
    /// Reports every fault at once.
    fn validate(self, state: &AdminState) -> Result<Filter, Problem> {
        let mut faults = Vec::new();
        if let Some(asked) = &self.outcome
            && !names().contains(&asked.as_str())
        {
            faults.push(format!("outcome: `{asked}` is not one"));
        }
        let limit = paging::limit(self.limit, &mut faults);
        let since = self.since.as_deref().map(str::parse::<Timestamp>);
        let since = since.transpose().unwrap_or_else(|_| {
            faults.push("since: expected an instant such as 2026-11-22T10:00:00Z".to_owned());
            None
        });
        paging::accept(faults)?;
        Ok(Filter {
            route: self.route,
            class: self.class,
            epoch: epoch(state, self.epoch.as_deref().unwrap_or(ALL)),
            outcome: self.outcome,
            since: since.map(SystemTime::from),
            limit,
            cursor: self.cursor,
        })
    }
}
