//! Whether an actor is still who they were when the request came in, asked under the lock.

use std::collections::BTreeSet;

use super::row::row;
use super::{Conn, StoreError};
use crate::domain::id::{ApiTokenId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;

row! {
    struct RoleRow { active: bool, role: Option<Role> }
}

/// The roles of an active account; none if it is not active.
pub async fn roles(conn: &mut impl Conn, user: UserId) -> Result<Option<BTreeSet<Role>>, StoreError> {
    let rows: Vec<RoleRow> = conn
        .sql(
            "SELECT u.active, r.role FROM users u LEFT JOIN user_roles r ON r.user_id = u.id WHERE u.id = $1",
        )
        .bind(user)
        .all()
        .await?;
    if rows.is_empty() || rows.iter().any(|r| !r.active) {
        return Ok(None);
    }
    Ok(Some(rows.into_iter().filter_map(|r| r.role).collect()))
}

/// Whether an API token still stands.
pub async fn token_stands(
    conn: &mut impl Conn,
    token: ApiTokenId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let found: Option<i64> = conn
        .sql("SELECT CAST(1 AS BIGINT) FROM api_tokens WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)")
        .bind(token)
        .bind(now)
        .optional()
        .await?;
    Ok(found.is_some())
}
