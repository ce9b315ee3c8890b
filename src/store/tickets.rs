//! Tickets and stages.

use super::row::{RowRef, row};
use super::types::Json;
use super::{Conn, StoreError, Tx};
use crate::domain::facts::Stage;
use crate::domain::id::{
    ApplicationId, EnvironmentId, PersonId, PolicyVersionId, StageId, TicketId, TicketNumber,
};
use crate::domain::ticket::{Emergency, Ticket, TicketContent, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;

/// Reads a row of `tickets` joined with the names of its application and requester.
pub(super) fn ticket_from(row: RowRef<'_>) -> Result<Ticket, StoreError> {
    let reason: Option<String> = row.get("emergency_reason")?;
    let incident = row.get("emergency_incident")?;
    Ok(Ticket {
        id: row.get("id")?,
        number: row.get("number")?,
        version: row.get("version")?,
        application: row.get("application_id")?,
        application_name: row.get("application_name")?,
        policy_version: row.get("policy_version_id")?,
        state: row.get("state")?,
        outcome: row.get("outcome")?,
        content: TicketContent {
            title: row.get("title")?,
            description: row.get("description")?,
            kind: row.get("kind")?,
            release_tag: row.get("release_tag")?,
            prior_release_tag: row.get("prior_release_tag")?,
            from_revision: row.get("from_revision")?,
            to_revision: row.get("to_revision")?,
            authors: row.get::<Json<Vec<String>>>("authors")?.0,
            emergency: reason.map(|reason| Emergency { reason, incident }),
            external_links: row.get::<Json<Vec<String>>>("external_links")?.0,
        },
        requester: row.get("requester")?,
        requester_name: row.get("requester_name")?,
        requested_via: row.get("requested_via")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The next number of a series.
pub async fn next_number(tx: &mut Tx, series: &'static str) -> Result<i64, StoreError> {
    tx.sql("UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value").bind(series).one().await
}

fn search_text(ticket: &Ticket) -> String {
    let c = &ticket.content;
    let mut words = vec![
        ticket.number.to_string(),
        c.title.clone(),
        c.release_tag.clone(),
        c.prior_release_tag.clone(),
        c.from_revision.clone(),
        c.to_revision.clone(),
        ticket.application_name.clone(),
        ticket.requester_name.clone(),
    ];
    words.extend(c.authors.iter().cloned());
    words.join("\n").to_lowercase()
}

/// Writes a new ticket.
pub async fn insert(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let c = &ticket.content;
    tx.sql(
        "INSERT INTO tickets (id, number, version, application_id, policy_version_id, kind, state, title, description, \
         release_tag, prior_release_tag, from_revision, to_revision, authors, external_links, emergency_reason, \
         emergency_incident, requester, requested_via, search, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, \
         $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
    )
    .bind(ticket.id)
    .bind(ticket.number)
    .bind(ticket.version)
    .bind(ticket.application)
    .bind(ticket.policy_version)
    .bind(c.kind)
    .bind(ticket.state)
    .bind(c.title.as_str())
    .bind(c.description.as_str())
    .bind(c.release_tag.as_str())
    .bind(c.prior_release_tag.as_str())
    .bind(c.from_revision.as_str())
    .bind(c.to_revision.as_str())
    .bind(Json(&c.authors))
    .bind(Json(&c.external_links))
    .bind(c.emergency.as_ref().map(|e| e.reason.as_str()))
    .bind(c.emergency.as_ref().and_then(|e| e.incident))
    .bind(ticket.requester)
    .bind(ticket.requested_via)
    .bind(search_text(ticket))
    .bind(ticket.created_at)
    .bind(ticket.updated_at)
    .run_one()
    .await
}

/// Replaces what the requester states.
pub async fn update_content(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let c = &ticket.content;
    tx.sql(
        "UPDATE tickets SET kind = $2, title = $3, description = $4, release_tag = $5, prior_release_tag = $6, \
         from_revision = $7, to_revision = $8, authors = $9, external_links = $10, emergency_reason = $11, \
         emergency_incident = $12, search = $13 WHERE id = $1",
    )
    .bind(ticket.id)
    .bind(c.kind)
    .bind(c.title.as_str())
    .bind(c.description.as_str())
    .bind(c.release_tag.as_str())
    .bind(c.prior_release_tag.as_str())
    .bind(c.from_revision.as_str())
    .bind(c.to_revision.as_str())
    .bind(Json(&c.authors))
    .bind(Json(&c.external_links))
    .bind(c.emergency.as_ref().map(|e| e.reason.as_str()))
    .bind(c.emergency.as_ref().and_then(|e| e.incident))
    .bind(search_text(ticket))
    .run_one()
    .await
}

/// The first lock of every act on a ticket: raises its version and says what it was before.
pub async fn lock(tx: &mut Tx, number: TicketNumber, now: Timestamp) -> Result<Option<TicketId>, StoreError> {
    tx.sql("UPDATE tickets SET version = version + 1, updated_at = $2 WHERE number = $1 RETURNING id")
        .bind(number)
        .bind(now)
        .optional()
        .await
}

/// The second lock: two tickets for one environment meet here.
pub async fn lock_environment(tx: &mut Tx, environment: EnvironmentId) -> Result<(), StoreError> {
    tx.sql("UPDATE environments SET lock_version = lock_version + 1 WHERE id = $1")
        .bind(environment)
        .run_one()
        .await
}

pub async fn set_state(
    tx: &mut Tx,
    id: TicketId,
    state: TicketState,
    outcome: Option<TicketOutcome>,
) -> Result<(), StoreError> {
    tx.sql("UPDATE tickets SET state = $2, outcome = $3 WHERE id = $1")
        .bind(id)
        .bind(state)
        .bind(outcome)
        .run_one()
        .await
}

pub async fn set_policy(tx: &mut Tx, id: TicketId, policy: PolicyVersionId) -> Result<(), StoreError> {
    tx.sql("UPDATE tickets SET policy_version_id = $2 WHERE id = $1").bind(id).bind(policy).run_one().await
}

pub async fn insert_stage(tx: &mut Tx, ticket: TicketId, stage: &Stage) -> Result<(), StoreError> {
    tx.sql("INSERT INTO stages (id, ticket_id, environment_id, position, generation) VALUES ($1, $2, $3, $4, $5)")
        .bind(stage.id)
        .bind(ticket)
        .bind(stage.environment)
        .bind(stage.position)
        .bind(stage.generation)
        .run_one()
        .await
}

/// The evidence of one stage changed.
pub async fn raise_generation(tx: &mut Tx, stage: StageId) -> Result<(), StoreError> {
    tx.sql("UPDATE stages SET generation = generation + 1 WHERE id = $1").bind(stage).run_one().await
}

/// The evidence of every stage of a ticket changed.
pub async fn raise_all_generations(tx: &mut Tx, ticket: TicketId) -> Result<(), StoreError> {
    tx.sql("UPDATE stages SET generation = generation + 1 WHERE ticket_id = $1")
        .bind(ticket)
        .run()
        .await
        .map(drop)
}

/// Records that somebody touched the content.
pub async fn add_contributor(
    tx: &mut Tx,
    ticket: TicketId,
    person: PersonId,
    act: &'static str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO ticket_contributors (ticket_id, person_id, act, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(ticket)
    .bind(person)
    .bind(act)
    .bind(at)
    .run()
    .await
    .map(drop)
}

row! {
    /// The application of a name and its newest policy.
    #[derive(Clone, Debug)]
    pub struct Target { pub application_id: ApplicationId, pub policy_version_id: PolicyVersionId, pub version: i64 }
}

/// Where a new ticket goes.
pub async fn target(conn: &mut impl Conn, application: &str) -> Result<Option<Target>, StoreError> {
    conn.sql(
        "SELECT a.id AS application_id, p.id AS policy_version_id, p.version FROM applications a \
         JOIN policy_versions p ON p.application_id = a.id WHERE a.name = $1 ORDER BY p.version DESC LIMIT 1",
    )
    .bind(application)
    .optional()
    .await
}

/// Environments of an application: id, name, position.
pub async fn environments(
    conn: &mut impl Conn,
    application: ApplicationId,
) -> Result<Vec<(EnvironmentId, String, i64)>, StoreError> {
    conn.sql("SELECT id, name, position FROM environments WHERE application_id = $1 ORDER BY position")
        .bind(application)
        .all()
        .await
}

/// Whether an incident is one of this application's.
pub async fn incident_concerns(
    conn: &mut impl Conn,
    incident: crate::domain::id::IncidentId,
    application: ApplicationId,
) -> Result<bool, StoreError> {
    let found: Option<i64> = conn
        .sql("SELECT number FROM incidents WHERE id = $1 AND application_id = $2")
        .bind(incident)
        .bind(application)
        .optional()
        .await?;
    Ok(found.is_some())
}

/// The environment of a ticket's stage.
pub async fn environment_of(
    conn: &mut impl Conn,
    ticket: TicketId,
    stage: &str,
) -> Result<Option<EnvironmentId>, StoreError> {
    conn.sql(
        "SELECT e.id FROM stages s JOIN environments e ON e.id = s.environment_id WHERE s.ticket_id = $1 AND e.name = $2",
    )
    .bind(ticket)
    .bind(stage)
    .optional()
    .await
}
