//! Apply tokens: only the hash of a secret is kept.

use super::row::row;
use super::{Conn, Record, RowRef, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{ApiTokenId, ApplyTokenId, EnvironmentId, StageId, TicketNumber};
use crate::domain::run::{ApplyToken, Direction, Method};
use crate::domain::time::Timestamp;

const COLUMNS: &str = "SELECT k.*, t.number AS ticket, u.name AS released_by_name FROM apply_tokens k \
    CROSS JOIN stages s CROSS JOIN tickets t CROSS JOIN users u \
    WHERE s.id = k.stage_id AND t.id = s.ticket_id AND u.id = k.released_by";

impl Record for ApplyToken {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            stage: row.get("stage_id")?,
            ticket: row.get("ticket")?,
            environment: row.get("environment_id")?,
            direction: row.get("direction")?,
            method: row.get("method")?,
            undoes: row.get("undoes")?,
            evidence: row.get("evidence")?,
            released_by: row.get("released_by")?,
            released_by_name: row.get("released_by_name")?,
            released_at: row.get("released_at")?,
            expires_at: row.get("expires_at")?,
            state: row.get("state")?,
            ended_at: row.get("ended_at")?,
            ended_why: row.get("ended_why")?,
        })
    }
}

/// Asks for the tokens of `(stages)`, oldest first.
pub(super) fn of_stages() -> String {
    format!("{COLUMNS} AND k.stage_id IN (stages) ORDER BY k.released_at, k.id")
}

/// Asks for the tokens of `(environments)` that nothing has ended, whoever's ticket they are of.
pub(super) fn issued_in() -> String {
    format!("{COLUMNS} AND k.state = 'issued' AND k.environment_id IN (environments) ORDER BY k.id")
}

/// A new token.
pub struct NewToken<'a> {
    pub token: &'a ApplyToken,
    pub hash: Digest,
    /// Names of the gates that were waived.
    pub waived: &'a [&'static str],
    pub via: Option<ApiTokenId>,
}

pub async fn insert(tx: &mut Tx, new: &NewToken<'_>) -> Result<(), StoreError> {
    let k = new.token;
    tx.sql(
        "INSERT INTO apply_tokens (id, token_hash, stage_id, environment_id, direction, method, undoes, evidence, \
         waived, released_by, released_via, released_at, expires_at, state) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(k.id)
    .bind(new.hash)
    .bind(k.stage)
    .bind(k.environment)
    .bind(k.direction)
    .bind(k.method)
    .bind(k.undoes)
    .bind(k.evidence)
    .bind(new.waived.join(" "))
    .bind(k.released_by)
    .bind(new.via)
    .bind(k.released_at)
    .bind(k.expires_at)
    .bind(k.state)
    .run_one()
    .await
}

row! {
    /// What a secret leads to.
    #[derive(Clone, Debug)]
    pub struct Found {
        pub id: ApplyTokenId,
        pub ticket: TicketNumber,
        pub stage: String,
        pub direction: Direction,
        pub method: Option<Method>,
    }
}

pub async fn find(conn: &mut impl Conn, hash: Digest) -> Result<Option<Found>, StoreError> {
    conn.sql(
        "SELECT k.id, k.direction, k.method, t.number AS ticket, e.name AS stage FROM apply_tokens k \
         JOIN stages s ON s.id = k.stage_id JOIN tickets t ON t.id = s.ticket_id JOIN environments e ON e.id = s.environment_id WHERE k.token_hash = $1",
    )
    .bind(hash)
    .optional()
    .await
}

/// Marks a token as used. Touches no row when somebody else was faster.
pub async fn mark_used(tx: &mut Tx, id: ApplyTokenId, now: Timestamp) -> Result<bool, StoreError> {
    let touched = tx
        .sql(
            "UPDATE apply_tokens SET state = 'used', ended_at = $2 WHERE id = $1 AND state = 'issued' AND expires_at > $2",
        )
        .bind(id)
        .bind(now)
        .run()
        .await?;
    Ok(touched == 1)
}

/// Counts one more redemption with other digests than were approved, and says how many that makes.
pub async fn count_wrong_try(tx: &mut Tx, id: ApplyTokenId) -> Result<i64, StoreError> {
    tx.sql("UPDATE apply_tokens SET wrong_tries = wrong_tries + 1 WHERE id = $1 RETURNING wrong_tries")
        .bind(id)
        .one()
        .await
}

/// Ends the outstanding tokens of a stage, and says which they were.
pub async fn revoke(
    tx: &mut Tx,
    stage: StageId,
    why: &str,
    now: Timestamp,
) -> Result<Vec<ApplyTokenId>, StoreError> {
    tx.sql(
        "UPDATE apply_tokens SET state = 'revoked', ended_at = $2, ended_why = $3 \
         WHERE stage_id = $1 AND state = 'issued' RETURNING id",
    )
    .bind(stage)
    .bind(now)
    .bind(why)
    .all()
    .await
}

/// Writes down that tokens of an environment have expired, so that the next one can be released.
pub async fn expire(
    tx: &mut Tx,
    environment: EnvironmentId,
    now: Timestamp,
) -> Result<Vec<ApplyTokenId>, StoreError> {
    tx.sql(
        "UPDATE apply_tokens SET state = 'expired', ended_at = expires_at \
         WHERE environment_id = $1 AND state = 'issued' AND expires_at <= $2 RETURNING id",
    )
    .bind(environment)
    .bind(now)
    .all()
    .await
}
