//! Freezes: spans in which nothing is applied.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::access::Caller;
use super::input::Body;
use super::problem::Problem;
use crate::domain::id::FreezeId;
use crate::domain::time::Timestamp;
use crate::service::incidents::{FreezeInput, FreezeRow};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreezeBody {
    #[schema(value_type = String, format = "uuid")]
    id: FreezeId,
    /// All applications, if none is named.
    application: Option<String>,
    /// All environments, if none is named.
    environment: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    reason: String,
    declared_by: String,
    #[schema(value_type = String, format = DateTime)]
    declared_at: Timestamp,
    /// Who ended it early.
    ended_by: Option<String>,
}

impl FreezeBody {
    fn of(row: FreezeRow) -> Self {
        Self {
            id: row.id,
            application: row.application,
            environment: row.environment,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason: row.reason,
            declared_by: row.declared_by_name,
            declared_at: row.declared_at,
            ended_by: row.ended_by_name,
        }
    }
}

/// At most 200: those that end last first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FreezeList {
    items: Vec<FreezeBody>,
}

/// List freezes
#[utoipa::path(get, path = "/freezes", tag = "Incidents and freezes",
    responses((status = 200, body = FreezeList)))]
pub(super) async fn list(State(api): State<ApiState>, _: Caller) -> Result<Json<FreezeList>, Problem> {
    let rows = api.services.list_freezes().await?;
    Ok(Json(FreezeList { items: rows.into_iter().map(FreezeBody::of).collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFreeze {
    /// All applications, if none is named.
    application: Option<String>,
    /// All environments, if none is named.
    environment: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    reason: String,
}

/// Declare a freeze
#[utoipa::path(post, path = "/freezes", tag = "Incidents and freezes",
    request_body = NewFreeze,
    responses((status = 201, body = FreezeBody)))]
pub(super) async fn declare(
    State(api): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewFreeze>,
) -> Result<(StatusCode, Json<FreezeBody>), Problem> {
    let input = FreezeInput {
        application: new.application,
        environment: new.environment,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        reason: new.reason,
    };
    let row = api.services.declare_freeze(&caller.0, input).await?;
    Ok((StatusCode::CREATED, Json(FreezeBody::of(row))))
}
