//! What people decide about a stage: ticks, votes, accepted findings, health verdicts, completion notes, alarms.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::evidence::Evidence;
use crate::domain::facts::{Tick, Vote};
use crate::domain::id::{ApiTokenId, FindingId, StageId, TicketId, UserId};
use crate::domain::run::Observation;
use crate::domain::ticket::TicketOutcome;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;

/// Keeps the canonical bytes behind a digest.
pub async fn keep_evidence(tx: &mut Tx, evidence: &Evidence) -> Result<(), StoreError> {
    tx.sql("INSERT INTO evidence (digest, canonical) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(evidence.digest)
        .bind(evidence.canonical.as_str())
        .run()
        .await
        .map(drop)
}

/// The canonical bytes behind a digest.
pub async fn evidence(
    conn: &mut impl Conn,
    digest: crate::domain::digest::Digest,
) -> Result<Option<String>, StoreError> {
    conn.sql("SELECT canonical FROM evidence WHERE digest = $1").bind(digest).optional().await
}

pub async fn insert_tick(tx: &mut Tx, id: uuid::Uuid, stage: StageId, tick: &Tick) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO ticks (id, stage_id, item, generation, run_id, done, note, user_id, api_token_id, at, act) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id)
    .bind(stage)
    .bind(tick.item.as_str())
    .bind(tick.generation)
    .bind(tick.run)
    .bind(tick.done)
    .bind(tick.note.as_str())
    .bind(tick.by)
    .bind(tick.via)
    .bind(tick.at)
    .bind(tick.act)
    .run_one()
    .await
}

pub async fn insert_vote(tx: &mut Tx, stage: StageId, vote: &Vote) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO votes (id, stage_id, user_id, person_id, choice, evidence, comment, at, act) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(vote.id)
    .bind(stage)
    .bind(vote.user)
    .bind(vote.person)
    .bind(vote.choice)
    .bind(vote.evidence)
    .bind(vote.comment.as_str())
    .bind(vote.at)
    .bind(vote.act)
    .run_one()
    .await
}

pub async fn accept_finding(
    tx: &mut Tx,
    finding: FindingId,
    by: &Actor,
    note: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("INSERT INTO finding_acceptances (finding_id, user_id, person_id, note, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(finding)
        .bind(by.user)
        .bind(by.person)
        .bind(note)
        .bind(at)
        .run_one()
        .await
}

pub async fn insert_observation(
    tx: &mut Tx,
    id: uuid::Uuid,
    stage: StageId,
    observation: &Observation,
    via: Option<ApiTokenId>,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO observations (id, stage_id, run_id, verdict, note, user_id, api_token_id, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id)
    .bind(stage)
    .bind(observation.run)
    .bind(observation.verdict)
    .bind(observation.note.as_str())
    .bind(observation.by)
    .bind(via)
    .bind(observation.at)
    .run_one()
    .await
}

row! {
    /// The record that closes a ticket.
    #[derive(Clone, Debug)]
    pub struct Completion {
        pub outcome: TicketOutcome,
        pub notes: String,
        pub retrospective: Option<String>,
        pub user_id: UserId,
        pub name: String,
        pub at: Timestamp,
    }
}

pub async fn insert_completion(
    tx: &mut Tx,
    ticket: TicketId,
    outcome: TicketOutcome,
    notes: &str,
    retrospective: Option<&str>,
    by: UserId,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO completions (ticket_id, outcome, notes, retrospective, user_id, at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(ticket)
    .bind(outcome)
    .bind(notes)
    .bind(retrospective)
    .bind(by)
    .bind(at)
    .run_one()
    .await
}

pub async fn completion(conn: &mut impl Conn, ticket: TicketId) -> Result<Option<Completion>, StoreError> {
    conn.sql("SELECT c.*, u.name FROM completions c JOIN users u ON u.id = c.user_id WHERE c.ticket_id = $1")
        .bind(ticket)
        .optional()
        .await
}

pub async fn insert_alarm(
    tx: &mut Tx,
    id: uuid::Uuid,
    ticket: TicketId,
    stage: StageId,
    kind: &'static str,
    detail: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("INSERT INTO alarms (id, ticket_id, stage_id, kind, detail, at) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(ticket)
        .bind(stage)
        .bind(kind)
        .bind(detail)
        .bind(at)
        .run_one()
        .await
}
