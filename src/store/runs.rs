//! Runs and their logs.

use super::row::row;
use super::types::Json;
use super::{Conn, Record, RowRef, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{ApiTokenId, ApplyTokenId, PersonId, RunId, TicketNumber};
use crate::domain::run::{Run, RunStatus, Verdict};
use crate::domain::time::Timestamp;

const COLUMNS: &str = "SELECT r.*, t.number AS ticket, u.name AS redeemed_by_name, \
    u.person_id AS redeemed_person FROM runs r \
    CROSS JOIN stages s CROSS JOIN tickets t CROSS JOIN users u \
    WHERE s.id = r.stage_id AND t.id = s.ticket_id AND u.id = r.redeemed_by";

impl Record for Run {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            token: row.get("token_id")?,
            stage: row.get("stage_id")?,
            ticket: row.get("ticket")?,
            environment: row.get("environment_id")?,
            direction: row.get("direction")?,
            method: row.get("method")?,
            undoes: row.get("undoes")?,
            redeemed_by: row.get("redeemed_by")?,
            redeemed_by_name: row.get("redeemed_by_name")?,
            redeemed_person: row.get("redeemed_person")?,
            redeemed_via: row.get("redeemed_via")?,
            sql_digest: row.get("sql_digest")?,
            evidence: row.get("evidence")?,
            act: row.get("act")?,
            generation: row.get("generation")?,
            started_at: row.get("started_at")?,
            lease_until: row.get("lease_until")?,
            status: row.get("status")?,
            finished_at: row.get("finished_at")?,
            exit_code: row.get("exit_code")?,
            revision_before: row.get("revision_before")?,
            revision_after: row.get("revision_after")?,
            verdict: row.get::<Option<Json<Verdict>>>("verdict")?.map(|v| v.0),
            log_bytes: row.get("log_bytes")?,
            log_cut: row.get("log_cut")?,
            overran: row.get("overran")?,
        })
    }
}

/// Asks for the runs of `(stages)`, oldest first.
pub(super) fn of_stages() -> String {
    format!("{COLUMNS} AND r.stage_id IN (stages) ORDER BY r.act")
}

/// Asks for the runs of `(environments)` that run, or of which nobody has said where they left the database.
pub(super) fn unsettled_in() -> String {
    // Two partial indexes, so two halves.
    format!(
        "{COLUMNS} AND r.status IN ('running', 'unknown') AND r.environment_id IN (environments) UNION ALL \
         {COLUMNS} AND r.status IN ('failed', 'partial') AND r.revision_after IS NULL AND r.verdict IS NULL \
         AND r.environment_id IN (environments) ORDER BY id"
    )
}

/// Asks for the newest upgrade of each of `(environments)` that stands: it changed the database, and nothing put that back.
pub(super) fn standing_in() -> String {
    format!(
        "{COLUMNS} AND r.id IN (SELECT (SELECT n.id FROM runs n WHERE n.environment_id = e.id \
         AND n.direction = 'upgrade' AND n.status IN ('succeeded', 'partial') \
         AND NOT EXISTS (SELECT 1 FROM runs b WHERE b.undoes = n.id AND b.status = 'succeeded') \
         ORDER BY n.started_at DESC LIMIT 1) FROM environments e WHERE e.id IN (environments))"
    )
}

/// A run as it begins.
pub struct NewRun<'a> {
    pub run: &'a Run,
    pub idempotency_key: Option<&'a str>,
    pub request_sha256: Digest,
    /// The signed grant, exactly as it is answered.
    pub grant: &'a str,
    pub window_ends: Option<Timestamp>,
}

pub async fn insert(tx: &mut Tx, new: &NewRun<'_>) -> Result<(), StoreError> {
    let r = new.run;
    tx.sql(
        "INSERT INTO runs (id, token_id, stage_id, environment_id, direction, method, undoes, idempotency_key, \
         request_sha256, redeemed_by, redeemed_via, sql_digest, evidence, grant_text, window_ends, started_at, \
         lease_until, status, log_bytes, log_cut, overran, generation, act) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
         $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
    )
    .bind(r.id)
    .bind(r.token)
    .bind(r.stage)
    .bind(r.environment)
    .bind(r.direction)
    .bind(r.method)
    .bind(r.undoes)
    .bind(new.idempotency_key)
    .bind(new.request_sha256)
    .bind(r.redeemed_by)
    .bind(r.redeemed_via)
    .bind(r.sql_digest.as_str())
    .bind(r.evidence)
    .bind(new.grant)
    .bind(new.window_ends)
    .bind(r.started_at)
    .bind(r.lease_until)
    .bind(r.status)
    .bind(r.log_bytes)
    .bind(r.log_cut)
    .bind(r.overran)
    .bind(r.generation)
    .bind(r.act)
    .run_one()
    .await
}

row! {
    /// What a repeated redemption is compared with, and answered.
    #[derive(Clone, Debug)]
    pub struct Replay {
        pub id: RunId,
        pub idempotency_key: Option<String>,
        pub request_sha256: Digest,
        pub redeemed_via: Option<ApiTokenId>,
        pub grant_text: String,
    }
}

/// Whether this API token has redeemed with this key before.
pub async fn used_key(conn: &mut impl Conn, via: Option<ApiTokenId>, key: &str) -> Result<bool, StoreError> {
    let run: Option<RunId> = conn
        .sql("SELECT id FROM runs WHERE redeemed_via = $1 AND idempotency_key = $2")
        .bind(via)
        .bind(key)
        .optional()
        .await?;
    Ok(run.is_some())
}

/// The run that a token opened.
pub async fn of_token(conn: &mut impl Conn, token: ApplyTokenId) -> Result<Option<Replay>, StoreError> {
    conn.sql(
        "SELECT id, idempotency_key, request_sha256, redeemed_via, grant_text FROM runs WHERE token_id = $1",
    )
    .bind(token)
    .optional()
    .await
}

/// The run that a person opened on a stage with an idempotency key.
pub async fn by_key(
    conn: &mut impl Conn,
    ticket: TicketNumber,
    stage: &str,
    person: PersonId,
    key: &str,
) -> Result<Option<RunId>, StoreError> {
    conn.sql(
        "SELECT r.id FROM tickets t JOIN stages s ON s.ticket_id = t.id JOIN environments e ON e.id = s.environment_id \
         JOIN runs r ON r.stage_id = s.id JOIN users u ON u.id = r.redeemed_by \
         WHERE t.number = $1 AND e.name = $2 AND u.person_id = $3 AND r.idempotency_key = $4 \
         ORDER BY r.act DESC LIMIT 1",
    )
    .bind(ticket)
    .bind(stage)
    .bind(person)
    .bind(key)
    .optional()
    .await
}

row! {
    /// Where a run belongs.
    #[derive(Clone, Debug)]
    pub struct Place { pub ticket: TicketNumber, pub stage: String, pub window_ends: Option<Timestamp>, pub grant_text: String }
}

pub async fn place(conn: &mut impl Conn, id: RunId) -> Result<Option<Place>, StoreError> {
    conn.sql(
        "SELECT t.number AS ticket, e.name AS stage, r.window_ends, r.grant_text FROM runs r \
         JOIN stages s ON s.id = r.stage_id JOIN tickets t ON t.id = s.ticket_id \
         JOIN environments e ON e.id = s.environment_id WHERE r.id = $1",
    )
    .bind(id)
    .optional()
    .await
}

/// Extends the lease of a run that is still running. A lease that has lapsed stays so, noted or not.
pub async fn extend_lease(
    tx: &mut Tx,
    id: RunId,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let touched = tx
        .sql("UPDATE runs SET lease_until = $2 WHERE id = $1 AND status = 'running' AND lease_until > $3")
        .bind(id)
        .bind(until)
        .bind(now)
        .run()
        .await?;
    Ok(touched == 1)
}

/// How a run ended.
pub struct End<'a> {
    pub status: RunStatus,
    pub finished_at: Timestamp,
    pub exit_code: Option<i64>,
    pub revision_before: Option<&'a str>,
    pub revision_after: Option<&'a str>,
    pub overran: bool,
}

/// Ends a running run. Touches nothing when it has ended already.
pub async fn finish(tx: &mut Tx, id: RunId, end: &End<'_>) -> Result<bool, StoreError> {
    let touched = tx
        .sql(
            "UPDATE runs SET status = $2, finished_at = $3, exit_code = $4, revision_before = $5, revision_after = $6, \
             overran = $7 WHERE id = $1 AND status = 'running'",
        )
        .bind(id)
        .bind(end.status)
        .bind(end.finished_at)
        .bind(end.exit_code)
        .bind(end.revision_before)
        .bind(end.revision_after)
        .bind(end.overran)
        .run()
        .await?;
    Ok(touched == 1)
}

/// Keeps what a client said too late. The first such word stands; says whether this is it.
pub async fn keep_late_report(tx: &mut Tx, id: RunId, report: &str) -> Result<bool, StoreError> {
    let touched = tx
        .sql("UPDATE runs SET late_report = $2 WHERE id = $1 AND late_report IS NULL")
        .bind(id)
        .bind(report)
        .run()
        .await?;
    Ok(touched == 1)
}

pub async fn late_report(conn: &mut impl Conn, id: RunId) -> Result<Option<String>, StoreError> {
    Ok(conn
        .sql("SELECT late_report FROM runs WHERE id = $1")
        .bind(id)
        .optional::<Option<String>>()
        .await?
        .flatten())
}

/// A person's word on how a run ended that did not say so itself, or not well.
pub async fn settle(
    tx: &mut Tx,
    id: RunId,
    verdict: &Verdict,
    revision_after: Option<&str>,
) -> Result<(), StoreError> {
    tx.sql(
        "UPDATE runs SET status = $2, finished_at = $3, verdict = $4, revision_after = $5 \
         WHERE id = $1 AND status IN ('unknown', 'failed', 'partial') AND verdict IS NULL",
    )
    .bind(id)
    .bind(verdict.verdict.status())
    .bind(verdict.at)
    .bind(Json(verdict))
    .bind(revision_after)
    .run_one()
    .await
}

row! {
    /// A run whose lease lapsed without anybody writing it down.
    #[derive(Clone, Debug)]
    pub struct Lapsed { pub id: RunId, pub ticket: TicketNumber, pub stage: String }
}

pub async fn lapsed(conn: &mut impl Conn, now: Timestamp) -> Result<Vec<Lapsed>, StoreError> {
    conn.sql(
        "SELECT r.id, t.number AS ticket, e.name AS stage FROM runs r JOIN stages s ON s.id = r.stage_id \
         JOIN tickets t ON t.id = s.ticket_id JOIN environments e ON e.id = s.environment_id \
         WHERE r.status = 'running' AND r.lease_until <= $1 ORDER BY r.id LIMIT 100",
    )
    .bind(now)
    .all()
    .await
}

/// Writes down that a run stopped reporting.
pub async fn mark_unknown(tx: &mut Tx, id: RunId, now: Timestamp) -> Result<bool, StoreError> {
    let touched = tx
        .sql("UPDATE runs SET status = 'unknown' WHERE id = $1 AND status = 'running' AND lease_until <= $2")
        .bind(id)
        .bind(now)
        .run()
        .await?;
    Ok(touched == 1)
}

/// Appends to a log at `start`. Says whether these bytes were new.
pub async fn append_log(
    tx: &mut Tx,
    id: RunId,
    start: i64,
    body: &[u8],
    cut: bool,
) -> Result<bool, StoreError> {
    let added = tx
        .sql("INSERT INTO run_log (run_id, start, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind(start)
        .bind(body)
        .run()
        .await?;
    if added == 0 {
        return Ok(false);
    }
    let end = start + i64::try_from(body.len()).unwrap_or(i64::MAX);
    tx.sql("UPDATE runs SET log_bytes = $2, log_cut = log_cut OR $3 WHERE id = $1 AND log_bytes = $4")
        .bind(id)
        .bind(end)
        .bind(cut)
        .bind(start)
        .run_one()
        .await?;
    Ok(true)
}

/// Whether a run still takes log; while the transaction lasts it can't end.
pub async fn keep_open(tx: &mut Tx, id: RunId) -> Result<bool, StoreError> {
    let open = tx
        .sql("UPDATE runs SET log_bytes = log_bytes WHERE id = $1 AND status IN ('running', 'unknown')")
        .bind(id)
        .run()
        .await?;
    Ok(open > 0)
}

/// Notes that a log went over its cap.
pub async fn cut_log(tx: &mut Tx, id: RunId) -> Result<(), StoreError> {
    tx.sql("UPDATE runs SET log_cut = TRUE WHERE id = $1").bind(id).run_one().await
}

/// A stretch of a log from `from` on, in chunks as they came.
pub async fn log_chunks(
    conn: &mut impl Conn,
    id: RunId,
    from: i64,
    limit: i64,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    conn.sql("SELECT start, body FROM run_log WHERE run_id = $1 AND start >= $2 ORDER BY start LIMIT $3")
        .bind(id)
        .bind(from)
        .bind(limit)
        .all()
        .await
}

/// The newest chunks of a log, newest first.
pub async fn log_tail(conn: &mut impl Conn, id: RunId, limit: i64) -> Result<Vec<Vec<u8>>, StoreError> {
    conn.sql("SELECT body FROM run_log WHERE run_id = $1 ORDER BY start DESC LIMIT $2")
        .bind(id)
        .bind(limit)
        .all()
        .await
}
