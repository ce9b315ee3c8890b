//! Files of stages, their bytes, and what was found in them. Nothing here is ever changed or deleted.

use super::row::row;
use super::types::Json;
use super::{Conn, StoreError, Tx};
use crate::domain::artifact::{Artifact, Finding};
use crate::domain::digest::Digest;
use crate::domain::id::{ArtifactId, StageId, ThreadId, UserId};
use crate::domain::time::Timestamp;

/// Keeps bytes under their digest; `compressed` is zstd.
pub async fn put_blob(tx: &mut Tx, sha256: Digest, bytes: i64, compressed: &[u8]) -> Result<(), StoreError> {
    tx.sql("INSERT INTO blobs (sha256, bytes, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(sha256)
        .bind(bytes)
        .bind(compressed)
        .run()
        .await
        .map(drop)
}

/// The compressed bytes behind a digest.
pub async fn blob(conn: &mut impl Conn, sha256: Digest) -> Result<(i64, Vec<u8>), StoreError> {
    conn.sql("SELECT bytes, body FROM blobs WHERE sha256 = $1").bind(sha256).one().await
}

pub async fn insert(tx: &mut Tx, artifact: &Artifact, findings: &[Finding]) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO artifacts (id, stage_id, kind, version, filename, sha256, bytes, facts, uploaded_by, uploaded_via, \
         uploaded_at, run_id, generation) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(artifact.id)
    .bind(artifact.stage)
    .bind(artifact.kind)
    .bind(artifact.version)
    .bind(artifact.filename.as_str())
    .bind(artifact.sha256)
    .bind(artifact.bytes)
    .bind(Json(&artifact.facts))
    .bind(artifact.uploaded_by)
    .bind(artifact.uploaded_via)
    .bind(artifact.uploaded_at)
    .bind(artifact.run)
    .bind(artifact.generation)
    .run_one()
    .await?;
    for (ordinal, f) in (0_i64..).zip(findings) {
        tx.sql(
            "INSERT INTO findings (id, artifact_id, ordinal, rule, severity, line, last_line, statement, why, advice) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(f.id)
        .bind(f.artifact)
        .bind(ordinal)
        .bind(f.rule.as_str())
        .bind(f.severity)
        .bind(f.line)
        .bind(f.last_line)
        .bind(f.statement.as_str())
        .bind(f.why.as_str())
        .bind(f.advice.as_str())
        .run_one()
        .await?;
    }
    Ok(())
}

row! {
    /// A post in a thread.
    #[derive(Clone, Debug)]
    pub struct Post { pub thread_id: ThreadId, pub name: String, pub body: String, pub at: Timestamp }
}

/// Every post of a stage's threads, in order.
pub async fn posts(conn: &mut impl Conn, stage: StageId) -> Result<Vec<Post>, StoreError> {
    conn.sql(
        "SELECT p.thread_id, u.name, p.body, p.at FROM thread_posts p JOIN threads t ON t.id = p.thread_id \
         JOIN users u ON u.id = p.user_id WHERE t.stage_id = $1 ORDER BY p.at, p.id",
    )
    .bind(stage)
    .all()
    .await
}

/// A new thread.
pub struct NewThread<'a> {
    pub id: ThreadId,
    pub stage: StageId,
    pub artifact: ArtifactId,
    pub line: i64,
    pub quote: &'a str,
    pub blocking: bool,
    pub by: UserId,
    pub at: Timestamp,
}

pub async fn insert_thread(tx: &mut Tx, new: &NewThread<'_>) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO threads (id, stage_id, artifact_id, line, quote, blocking, opened_by, opened_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(new.id)
    .bind(new.stage)
    .bind(new.artifact)
    .bind(new.line)
    .bind(new.quote)
    .bind(new.blocking)
    .bind(new.by)
    .bind(new.at)
    .run_one()
    .await
}

pub async fn insert_post(
    tx: &mut Tx,
    id: uuid::Uuid,
    thread: ThreadId,
    by: UserId,
    body: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("INSERT INTO thread_posts (id, thread_id, user_id, body, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(id)
        .bind(thread)
        .bind(by)
        .bind(body)
        .bind(at)
        .run_one()
        .await
}

/// Resolves a thread, or opens it again.
pub async fn settle_thread(
    tx: &mut Tx,
    thread: ThreadId,
    resolved: Option<(UserId, Timestamp)>,
) -> Result<(), StoreError> {
    tx.sql("UPDATE threads SET resolved_by = $2, resolved_at = $3 WHERE id = $1")
        .bind(thread)
        .bind(resolved.map(|r| r.0))
        .bind(resolved.map(|r| r.1))
        .run_one()
        .await
}
