//! Attesting checklist items.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiState;
use super::access::Caller;
use super::input::{At, Body};
use super::problem::Problem;
use super::stage::{self, ItemBody};
use crate::domain::id::TicketNumber;

/// What somebody states.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Attestation {
    done: bool,
    #[serde(default)]
    note: String,
}

/// Attest a checklist item, or take that back
///
/// The token states it as its owner. Items that evidence decides can't be ticked.
#[utoipa::path(post, path = "/tickets/{number}/stages/{stage}/checklist/{item}", tag = "Stages",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"),
           ("item" = String, Path, description = "The item's key, such as release-frozen")),
    request_body = Attestation,
    responses((status = 200, body = ItemBody)))]
pub(super) async fn attest(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage, item)): At<(TicketNumber, String, String)>,
    Body(body): Body<Attestation>,
) -> Result<Json<ItemBody>, Problem> {
    api.services.tick(&caller.0, number, &stage, &item, body.done, &body.note).await?;
    let dossier = api.services.dossier(&caller.0, number).await?;
    let facts = dossier.facts(&stage).ok_or_else(|| Problem::not_found("stage"))?;
    stage::item(&facts, &item).map(Json).ok_or_else(|| Problem::not_found("item"))
}
