//! Bearer tokens that people own.

use std::collections::BTreeSet;

use super::row::row;
use super::users::roles;
use super::{Conn, Json, Record, RowRef, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{ApiTokenId, PersonId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::{Role, Scope};

/// Revoked and expired tokens of a user that a list still shows, and live ones that it may hold.
const LISTED: i64 = 200;

row! {
    /// A token as its owner sees it later.
    #[derive(Clone, Debug)]
    pub struct ApiToken {
        pub id: ApiTokenId,
        pub user_id: UserId,
        pub name: String,
        pub scopes: Json<BTreeSet<Scope>>,
        pub created_at: Timestamp,
        pub expires_at: Option<Timestamp>,
        pub revoked_at: Option<Timestamp>,
        pub used_at: Option<Timestamp>,
    }
}

/// A token that may act now, and its owner with the roles of this moment.
pub struct Bearer {
    pub id: ApiTokenId,
    pub token_name: String,
    pub scopes: BTreeSet<Scope>,
    pub used_at: Option<Timestamp>,
    pub user: UserId,
    pub person: PersonId,
    pub name: String,
    pub roles: BTreeSet<Role>,
}

impl Record for Bearer {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        let Json(scopes) = row.get("scopes")?;
        Ok(Self {
            id: row.get("id")?,
            token_name: row.get("token_name")?,
            scopes,
            used_at: row.get("used_at")?,
            user: row.get("user_id")?,
            person: row.get("person_id")?,
            name: row.get("name")?,
            roles: roles(row)?,
        })
    }
}

pub async fn insert(tx: &mut Tx, token: Digest, new: &ApiToken) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO api_tokens (id, token_hash, user_id, name, scopes, created_at, expires_at, revoked_at, used_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id)
    .bind(token)
    .bind(new.user_id)
    .bind(new.name.as_str())
    .bind(Json(&new.scopes.0))
    .bind(new.created_at)
    .bind(new.expires_at)
    .bind(new.revoked_at)
    .bind(new.used_at)
    .run_one()
    .await
}

/// The token behind this hash, if it is neither revoked nor expired and its owner is active.
pub async fn bearer(
    conn: &mut impl Conn,
    token: Digest,
    now: Timestamp,
) -> Result<Option<Bearer>, StoreError> {
    conn.sql(
        "SELECT t.id, t.name AS token_name, t.scopes, t.used_at, t.user_id, u.person_id, u.name, \
         (SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.user_id = u.id) AS roles \
         FROM api_tokens t JOIN users u ON u.id = t.user_id \
         WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2) AND u.active",
    )
    .bind(token)
    .bind(now)
    .optional()
    .await
}

/// Notes that the token was used.
pub async fn touch(tx: &mut Tx, id: ApiTokenId, now: Timestamp) -> Result<(), StoreError> {
    tx.sql("UPDATE api_tokens SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)")
        .bind(id)
        .bind(now)
        .run()
        .await?;
    Ok(())
}

/// Whose token this is.
pub async fn owner(conn: &mut impl Conn, id: ApiTokenId) -> Result<Option<UserId>, StoreError> {
    conn.sql("SELECT user_id FROM api_tokens WHERE id = $1").bind(id).optional().await
}

/// How many of a user's tokens may act now.
pub async fn live_count(conn: &mut impl Conn, user: UserId, now: Timestamp) -> Result<i64, StoreError> {
    conn.sql(
        "SELECT COUNT(*) FROM api_tokens \
         WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
    )
    .bind(user)
    .bind(now)
    .one()
    .await
}

/// A user's tokens, those that are not revoked first, then the newest.
pub async fn list(conn: &mut impl Conn, user: UserId) -> Result<Vec<ApiToken>, StoreError> {
    conn.sql(
        "SELECT id, user_id, name, scopes, created_at, expires_at, revoked_at, used_at FROM api_tokens \
         WHERE user_id = $1 ORDER BY CASE WHEN revoked_at IS NULL THEN 0 ELSE 1 END, created_at DESC, id LIMIT $2",
    )
    .bind(user)
    .bind(LISTED)
    .all()
    .await
}

/// Revokes one token; says whether it was good until now.
pub async fn revoke(tx: &mut Tx, id: ApiTokenId, now: Timestamp) -> Result<bool, StoreError> {
    let revoked = tx
        .sql("UPDATE api_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL")
        .bind(id)
        .bind(now)
        .run()
        .await?;
    Ok(revoked == 1)
}

/// Revokes all tokens of a user and says which ones they were.
pub async fn revoke_all(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<Vec<ApiTokenId>, StoreError> {
    tx.sql("UPDATE api_tokens SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL RETURNING id")
        .bind(user)
        .bind(now)
        .all()
        .await
}
