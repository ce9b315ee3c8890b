//! What comes after a run: the health verdict, and the notes that close the ticket.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ApiState;
use super::access::Caller;
use super::input::{At, Body};
use super::problem::Problem;
use super::stage::{self, StageBody};
use super::ticket::{self, TicketBody};
use crate::domain::id::TicketNumber;
use crate::domain::run::Health;

/// What a person says of a stage after watching it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ObservationInput {
    /// `healthy` or `unhealthy`.
    #[schema(value_type = String, example = "healthy")]
    verdict: Health,
    #[serde(default)]
    note: String,
}

/// Judge the last upgrade of a stage
///
/// `healthy` is refused before the watch is over and before smoke checks have passed.
#[utoipa::path(post, path = "/tickets/{number}/stages/{stage}/observation", tag = "Stages",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging")),
    request_body = ObservationInput,
    responses((status = 200, body = StageBody)))]
pub(super) async fn observe(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
    Body(body): Body<ObservationInput>,
) -> Result<Json<StageBody>, Problem> {
    api.services.observe(&caller.0, number, &stage, body.verdict, &body.note).await?;
    let dossier = api.services.dossier(&caller.0, number).await?;
    stage::one(&dossier, &stage).map(Json)
}

/// The record that closes a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompletionInput {
    notes: String,
    /// An emergency needs one: what happened, and what changes so that it doesn't again.
    retrospective: Option<String>,
}

/// Complete a ticket
#[utoipa::path(post, path = "/tickets/{number}/completion", tag = "Tickets",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1")),
    request_body = CompletionInput,
    responses((status = 200, body = TicketBody)))]
pub(super) async fn complete(
    State(api): State<ApiState>,
    caller: Caller,
    At(number): At<TicketNumber>,
    Body(body): Body<CompletionInput>,
) -> Result<Json<TicketBody>, Problem> {
    api.services.complete_ticket(&caller.0, number, &body.notes, body.retrospective.as_deref()).await?;
    ticket::load(&api, &caller, number).await.map(Json)
}
