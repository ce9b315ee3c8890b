//! For the machines that watch over the portal: `/healthz`, `/readyz`, `/metrics`.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::AppState;
use crate::store::migrate;
use crate::web::error::chain;

/// A database that takes longer than this to answer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn routes(state: AppState) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// Whether requests can be served: the database answers, and its schema is this program's.
async fn ready(State(state): State<AppState>) -> Response {
    let unready = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    match tokio::time::timeout(PATIENCE, migrate::pending(&state.db)).await {
        Ok(Ok(pending)) if pending.is_empty() => "ready\n".into_response(),
        Ok(Ok(_)) => unready("The database has to be migrated.\n"),
        Ok(Err(error)) => {
            tracing::warn!(cause = chain(&error), "not ready");
            unready("The database does not answer.\n")
        }
        Err(_) => unready("The database does not answer in time.\n"),
    }
}

async fn metrics(State(state): State<AppState>) -> Response {
    state.metrics.queries(state.services.queries());
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], state.metrics.render()).into_response()
}
