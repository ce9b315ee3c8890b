//! Who has read which file.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::id::{ArtifactId, StageId};
use crate::domain::reading::{How, Reading};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;

row!(Reading { artifact, user, person, name, how, at });

/// Keeps a reading, and says whether it is a new one.
pub async fn insert(
    tx: &mut Tx,
    artifact: ArtifactId,
    by: &Actor,
    how: How,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let done = tx
        .sql(
            "INSERT INTO readings (artifact_id, user_id, person_id, how, at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING",
        )
        .bind(artifact)
        .bind(by.user)
        .bind(by.person)
        .bind(how)
        .bind(at)
        .run()
        .await?;
    Ok(done > 0)
}

/// Every reading of a stage's files, in order.
pub async fn of_stage(conn: &mut impl Conn, stage: StageId) -> Result<Vec<Reading>, StoreError> {
    conn.sql(
        "SELECT r.artifact_id AS artifact, r.user_id AS \"user\", r.person_id AS person, u.name, r.how, r.at \
         FROM artifacts a JOIN readings r ON r.artifact_id = a.id JOIN users u ON u.id = r.user_id \
         WHERE a.stage_id = $1 ORDER BY r.at, r.artifact_id, r.user_id, r.how",
    )
    .bind(stage)
    .all()
    .await
}
