//! Whether an actor is still who they were when the request came in, asked under the lock. What is answered holds
//! until the transaction ends: whoever takes a role, an account or a token away waits, and the log tells the order.

use std::collections::BTreeSet;

use super::{Conn as _, StoreError, Tx};
use crate::domain::id::{ApiTokenId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;

/// The roles of an active account; none if it is not active.
///
/// Two statements: PostgreSQL would answer one with the roles from before it waited for the account's row.
pub async fn roles(tx: &mut Tx, user: UserId) -> Result<Option<BTreeSet<Role>>, StoreError> {
    let active: Option<bool> = tx
        .sql_by_engine(
            "SELECT active FROM users WHERE id = $1",
            "SELECT active FROM users WHERE id = $1 FOR SHARE",
        )
        .bind(user)
        .optional()
        .await?;
    if active != Some(true) {
        return Ok(None);
    }
    let roles: Vec<Role> = tx.sql("SELECT role FROM user_roles WHERE user_id = $1").bind(user).all().await?;
    Ok(Some(roles.into_iter().collect()))
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
