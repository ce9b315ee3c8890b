//! Answers kept under the keys that clients chose.

use uuid::Uuid;

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;

row! {
    /// What is known of a key.
    #[derive(Clone, Debug)]
    pub struct Kept {
        pub request_sha256: Digest,
        /// HTTP status, once there is an answer.
        pub status: Option<i64>,
        pub body: Option<String>,
    }
}

pub async fn find(conn: &mut impl Conn, owner: Uuid, key: &str) -> Result<Option<Kept>, StoreError> {
    conn.sql("SELECT request_sha256, status, body FROM idempotency WHERE owner = $1 AND key = $2")
        .bind(owner)
        .bind(key)
        .optional()
        .await
}

/// Takes a key. False when somebody has it.
pub async fn reserve(
    tx: &mut Tx,
    owner: Uuid,
    key: &str,
    request: Digest,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let taken = tx
        .sql(
            "INSERT INTO idempotency (owner, key, request_sha256, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(owner)
        .bind(key)
        .bind(request)
        .bind(at)
        .run()
        .await?;
    Ok(taken == 1)
}

/// Keeps the answer.
pub async fn answer(tx: &mut Tx, owner: Uuid, key: &str, status: i64, body: &str) -> Result<(), StoreError> {
    tx.sql("UPDATE idempotency SET status = $3, body = $4 WHERE owner = $1 AND key = $2")
        .bind(owner)
        .bind(key)
        .bind(status)
        .bind(body)
        .run_one()
        .await
}

/// Gives a key back: the request failed before it changed anything.
pub async fn release(tx: &mut Tx, owner: Uuid, key: &str) -> Result<(), StoreError> {
    tx.sql("DELETE FROM idempotency WHERE owner = $1 AND key = $2 AND status IS NULL")
        .bind(owner)
        .bind(key)
        .run()
        .await
        .map(drop)
}

/// Forgets keys older than `before`.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.sql("DELETE FROM idempotency WHERE at < $1").bind(before).run().await
}
