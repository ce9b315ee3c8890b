//! Incidents: while one is open, its application's gates are closed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::input::{At, Body, Query};
use super::problem::Problem;
use super::{ApiState, cursor};
use crate::domain::id::IncidentId;
use crate::domain::time::Timestamp;
use crate::service::incidents::IncidentRow;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentBody {
    #[schema(value_type = String, format = "uuid")]
    id: IncidentId,
    #[schema(example = "INC-1")]
    number: String,
    application: String,
    title: String,
    opened_by: String,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    resolved_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

impl IncidentBody {
    fn of(row: IncidentRow) -> Self {
        Self {
            id: row.id,
            number: row.label(),
            application: row.application,
            title: row.title,
            opened_by: row.opened_by_name,
            opened_at: row.opened_at,
            resolved_by: row.resolved_by_name,
            resolved_at: row.resolved_at,
        }
    }
}

/// A page of incidents, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentPage {
    items: Vec<IncidentBody>,
    /// Where the next page begins; none after the last.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct IncidentQuery {
    /// Only those that are not resolved.
    #[serde(default)]
    open: bool,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 100; 50 if it is not said.
    limit: Option<usize>,
}

/// List incidents
#[utoipa::path(get, path = "/incidents", tag = "Incidents and freezes",
    params(IncidentQuery),
    responses((status = 200, body = IncidentPage)))]
pub(super) async fn list(
    State(api): State<ApiState>,
    _: Caller,
    Query(query): Query<IncidentQuery>,
) -> Result<Json<IncidentPage>, Problem> {
    let limit = i64::try_from(cursor::limit(query.limit)?).unwrap_or(i64::MAX);
    let before = cursor::read(query.cursor.as_deref())?;
    let page = api.services.list_incidents(query.open, before, limit).await?;
    Ok(Json(IncidentPage {
        items: page.incidents.into_iter().map(IncidentBody::of).collect(),
        next_cursor: page.next.map(cursor::write),
    }))
}

/// Something is wrong with an application.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewIncident {
    #[schema(example = "trading-backend")]
    application: String,
    title: String,
}

/// Declare an incident
#[utoipa::path(post, path = "/incidents", tag = "Incidents and freezes",
    request_body = NewIncident,
    responses((status = 201, body = IncidentBody)))]
pub(super) async fn declare(
    State(api): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewIncident>,
) -> Result<(StatusCode, Json<IncidentBody>), Problem> {
    let row = api.services.declare_incident(&caller.0, &new.application, &new.title).await?;
    Ok((StatusCode::CREATED, Json(IncidentBody::of(row))))
}

/// Resolve an incident
#[utoipa::path(post, path = "/incidents/{id}/resolve", tag = "Incidents and freezes",
    params(("id" = String, Path, description = "The incident's id, or its number such as INC-1")),
    responses((status = 200, body = IncidentBody)))]
pub(super) async fn resolve(
    State(api): State<ApiState>,
    caller: Caller,
    At(reference): At<String>,
) -> Result<Json<IncidentBody>, Problem> {
    let id = find(&api, &reference).await?.ok_or_else(|| Problem::not_found("incident"))?;
    let row = api.services.resolve_incident(&caller.0, id).await?;
    Ok(Json(IncidentBody::of(row)))
}

/// The incident that somebody names by `INC-1` or by its id.
pub(super) async fn find(api: &ApiState, reference: &str) -> Result<Option<IncidentId>, Problem> {
    if let Ok(id) = reference.parse() {
        return Ok(Some(id));
    }
    let number = reference.strip_prefix("INC-").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let Some(number) = number.and_then(|digits| digits.parse::<i64>().ok()) else { return Ok(None) };
    let page = api.services.list_incidents(false, number.checked_add(1), 1).await?;
    Ok(page.incidents.first().filter(|row| row.number == number).map(|row| row.id))
}
