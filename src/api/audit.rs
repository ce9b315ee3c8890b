//! The audit log, as newline-delimited JSON.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiState;
use super::access::Caller;
use super::input::Query;
use super::problem::Problem;
use crate::service::audit_log::EVENTS_AT_ONCE;

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// The `seq` of the last event that the caller has; 0 for all.
    #[serde(default)]
    after: i64,
    /// 1 to 500, which it is if it is not said.
    limit: Option<i64>,
}

/// Read the audit log
///
/// One event a line, in order, each with the canonical bytes (RFC 8785) that the log holds. Fewer lines than `limit` mean
/// that there are no more yet.
#[utoipa::path(get, path = "/audit", tag = "Audit",
    params(AuditQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = String)))]
pub(super) async fn list(
    State(api): State<ApiState>,
    _: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(EVENTS_AT_ONCE);
    if query.after < 0 || !(1..=EVENTS_AT_ONCE).contains(&limit) {
        let detail = format!("after: 0 or a number of an event; limit: 1 to {EVENTS_AT_ONCE}.");
        return Err(Problem::bad_request("bad-query", detail));
    }
    let mut lines = String::new();
    for entry in api.services.audit_events(query.after, limit).await? {
        lines.push_str(&entry.event);
        lines.push('\n');
    }
    let media = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media)], lines).into_response())
}
