//! `/_simulator/…`: the control routes. They do not exist at Box, need no token and are not counted.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::acts::{self, Act};
use crate::change_log::{TrueChange, true_changes};
use crate::day::{self, Stepped};
use crate::deeds::Deed;
use crate::faults::Fault;
use crate::rate_limit::Rate;
use crate::recorder::{Counts, Recorded};
use crate::shared::Shared;
use crate::truth::{self, Extent, TrueContent, Truth};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(summary))
        .route("/truth", get(truth))
        .route("/changes", get(changes))
        .route("/content/{user_id}", get(content))
        .route("/deeds", get(deeds))
        .route("/requests", get(requests))
        .route("/counts", get(counts))
        .route("/reset", post(reset))
        .route("/step", post(step))
        .route("/advance", post(advance))
        .route("/act", post(act))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/rate_limit", post(rate_limit))
        .route("/revoke_tokens", post(revoke_tokens))
}

async fn summary(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let world = shared.world();
    Json(json!({
        "now": truth::utc(world.now),
        "days_stepped": world.days_stepped,
        "users": world.managed().count(),
        "groups": world.groups.iter().filter(|group| !group.is_deleted).count(),
        "memberships": world.memberships.iter().filter(|membership| !membership.is_removed).count(),
        "events": world.log.all().len(),
    }))
}

#[derive(Deserialize)]
struct TruthParams {
    /// `false` omits the events, which are the largest part.
    events: Option<bool>,
}

async fn truth(State(shared): State<Arc<Shared>>, Query(params): Query<TruthParams>) -> Json<Truth> {
    let extent = if params.events == Some(false) { Extent::WithoutEvents } else { Extent::Everything };
    Json(truth::truth(&shared.world(), extent))
}

async fn changes(State(shared): State<Arc<Shared>>) -> Json<Vec<TrueChange>> {
    Json(true_changes(&shared.world()))
}

async fn content(
    State(shared): State<Arc<Shared>>,
    Path(user_id): Path<String>,
) -> Json<Option<TrueContent>> {
    Json(truth::content(&shared.world(), &user_id))
}

#[derive(Deserialize)]
struct DeedParams {
    /// Only deeds with a greater sequence.
    since: Option<u64>,
}

async fn deeds(State(shared): State<Arc<Shared>>, Query(params): Query<DeedParams>) -> Json<Vec<Deed>> {
    let since = usize::try_from(params.since.unwrap_or(0)).unwrap_or(usize::MAX);
    Json(shared.world().deeds.get(since..).unwrap_or_default().to_vec())
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<Vec<Recorded>> {
    Json(shared.recorder.requests())
}

async fn counts(State(shared): State<Arc<Shared>>) -> Json<Counts> {
    Json(shared.recorder.counts())
}

async fn reset(State(shared): State<Arc<Shared>>) {
    shared.recorder.reset();
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepParams {
    days: Option<u32>,
}

async fn step(
    State(shared): State<Arc<Shared>>,
    Query(params): Query<StepParams>,
    body: Bytes,
) -> Result<Json<Stepped>, (StatusCode, &'static str)> {
    if !body.is_empty() {
        return Err((
            StatusCode::BAD_REQUEST,
            "the days go into the address: POST /_simulator/step?days=7\n",
        ));
    }
    Ok(Json(day::step(&mut shared.world_mut(), params.days.unwrap_or(1))))
}

#[derive(Deserialize)]
struct AdvanceParams {
    secs: u32,
}

async fn advance(State(shared): State<Arc<Shared>>, Query(params): Query<AdvanceParams>) {
    shared.world_mut().advance(params.secs.into());
}

async fn act(State(shared): State<Arc<Shared>>, Json(act): Json<Act>) -> Json<Vec<String>> {
    Json(acts::act(&mut shared.world_mut(), &act))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json<Vec<Fault>> {
    Json(shared.faults.list())
}

async fn add_fault(State(shared): State<Arc<Shared>>, Json(fault): Json<Fault>) {
    shared.faults.add(fault);
}

async fn clear_faults(State(shared): State<Arc<Shared>>) {
    shared.faults.clear();
}

async fn rate_limit(State(shared): State<Arc<Shared>>, Json(rate): Json<Rate>) {
    shared.rate_limit.set(rate);
}

async fn revoke_tokens(State(shared): State<Arc<Shared>>) {
    shared.tokens.revoke_all();
}
