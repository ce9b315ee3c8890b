//! Whether an actor is still who they were when the request came in, asked under the lock. What is answered holds
//! until the transaction ends: whoever takes a role, an account or a token away waits, and the log tells the order.

use std::collections::BTreeSet;

use super::row::row;
use super::{Conn as _, StoreError, Tx};
use crate::domain::id::{ApiTokenId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;

row! {
    struct RoleRow { active: bool, role: Option<Role> }
}

/// The roles of an active account; none if it is not active.
pub async fn roles(tx: &mut Tx, user: UserId) -> Result<Option<BTreeSet<Role>>, StoreError> {
    let rows: Vec<RoleRow> = tx
        .sql_by_engine(
            "SELECT u.active, r.role FROM users u LEFT JOIN user_roles r ON r.user_id = u.id WHERE u.id = $1",
            "SELECT u.active, r.role FROM users u LEFT JOIN user_roles r ON r.user_id = u.id WHERE u.id = $1 \
             FOR SHARE OF u",
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
pub async fn token_stands(tx: &mut Tx, token: ApiTokenId, now: Timestamp) -> Result<bool, StoreError> {
    let found: Option<i64> = tx
        .sql_by_engine(
            "SELECT 1 FROM api_tokens WHERE id = $1 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > $2)",
            "SELECT CAST(1 AS BIGINT) FROM api_tokens WHERE id = $1 AND revoked_at IS NULL \
             AND (expires_at IS NULL OR expires_at > $2) FOR SHARE",
        )
        .bind(token)
        .bind(now)
        .optional()
        .await?;
    Ok(found.is_some())
}
