//! A ticket as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::access::Caller;
use super::problem::Problem;
use super::stage::{self, PersonBody, StageBody};
use crate::domain::digest::Digest;
use crate::domain::dossier::Dossier;
use crate::domain::id::{IncidentId, TicketNumber};
use crate::domain::ticket::{TicketKind, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;

/// One change and its passage through every environment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TicketBody {
    #[schema(value_type = String, example = "CHG-1")]
    number: TicketNumber,
    /// Raised by every write to the ticket or anything below it.
    version: i64,
    application: String,
    title: String,
    #[schema(value_type = String, example = "normal")]
    kind: TicketKind,
    #[schema(value_type = String, example = "open")]
    state: TicketState,
    /// Of a completed ticket.
    #[schema(value_type = Option<String>, example = "promoted")]
    outcome: Option<TicketOutcome>,
    description: String,
    release_tag: String,
    prior_release_tag: String,
    from_revision: String,
    to_revision: String,
    authors: Vec<String>,
    emergency_reason: Option<String>,
    #[schema(value_type = Option<String>, format = "uuid")]
    emergency_incident: Option<IncidentId>,
    external_links: Vec<String>,
    requester: PersonBody,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    policy: PolicyBody,
    /// Signs that a secret leaked.
    alarms: Vec<AlarmBody>,
    completion: Option<CompletionBody>,
    /// In the order of the pipeline.
    stages: Vec<StageBody>,
}

/// The policy that the ticket is judged by.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyBody {
    version: i64,
    #[schema(value_type = String)]
    sha256: Digest,
    /// The application's newest version, which the ticket may not be on.
    newest_version: i64,
}

#[derive(Debug, Serialize, ToSchema)]
struct AlarmBody {
    stage: Option<String>,
    #[schema(example = "token-reuse")]
    kind: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// The record that closed the ticket.
#[derive(Debug, Serialize, ToSchema)]
struct CompletionBody {
    #[schema(value_type = String, example = "promoted")]
    outcome: TicketOutcome,
    notes: String,
    retrospective: Option<String>,
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// The ticket as it stands.
pub(super) async fn load(
    api: &ApiState,
    caller: &Caller,
    number: TicketNumber,
) -> Result<TicketBody, Problem> {
    let dossier = api.services.dossier(&caller.0, number).await?;
    let completion = match dossier.ticket.state {
        TicketState::Completed => api.services.completion(dossier.ticket.id).await?,
        TicketState::Draft | TicketState::Open | TicketState::Abandoned => None,
    };
    let completion = completion.map(|c| CompletionBody {
        outcome: c.outcome,
        notes: c.notes,
        retrospective: c.retrospective,
        by: c.name,
        at: c.at,
    });
    let stages = dossier.all_facts().iter().map(stage::of).collect::<Result<_, _>>()?;
    let alarms = alarms(&dossier);
    let ticket = dossier.ticket;
    let content = ticket.content;
    let (emergency_reason, emergency_incident) = match content.emergency {
        Some(emergency) => (Some(emergency.reason), emergency.incident),
        None => (None, None),
    };
    Ok(TicketBody {
        number: ticket.number,
        version: ticket.version,
        application: ticket.application_name,
        title: content.title,
        kind: content.kind,
        state: ticket.state,
        outcome: ticket.outcome,
        description: content.description,
        release_tag: content.release_tag,
        prior_release_tag: content.prior_release_tag,
        from_revision: content.from_revision,
        to_revision: content.to_revision,
        authors: content.authors,
        emergency_reason,
        emergency_incident,
        external_links: content.external_links,
        requester: PersonBody { id: ticket.requester, name: ticket.requester_name },
        created_at: ticket.created_at,
        updated_at: ticket.updated_at,
        policy: PolicyBody {
            version: dossier.policy_version,
            sha256: dossier.policy_sha256,
            newest_version: dossier.newest_policy_version,
        },
        alarms,
        completion,
        stages,
    })
}

fn alarms(dossier: &Dossier) -> Vec<AlarmBody> {
    let name = |id| dossier.stages.iter().find(|s| s.stage.id == id).map(|s| s.stage.name.clone());
    dossier
        .alarms
        .iter()
        .map(|alarm| AlarmBody { stage: name(alarm.stage), kind: alarm.kind.clone(), at: alarm.at })
        .collect()
}
