//! Who is signed in with a browser.

use std::collections::BTreeSet;

use super::row::row;
use super::users::roles;
use super::{Conn, Record, RowRef, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::id::{PersonId, SessionId, UserId};
use crate::domain::time::Timestamp;
use crate::domain::user::Role;

/// A session as it begins.
pub struct NewSession<'a> {
    pub id: SessionId,
    pub token: Digest,
    pub user: UserId,
    pub created_at: Timestamp,
    /// Its end, however much it is used.
    pub expires_at: Timestamp,
    /// What the browser calls itself.
    pub agent: &'a str,
}

/// A live session, and its user with the roles of this moment.
pub struct Live {
    pub id: SessionId,
    pub user: UserId,
    pub person: PersonId,
    pub name: String,
    pub email: String,
    pub roles: BTreeSet<Role>,
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Record for Live {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            user: row.get("user_id")?,
            person: row.get("person_id")?,
            name: row.get("name")?,
            email: row.get("email")?,
            roles: roles(row)?,
            seen_at: row.get("seen_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

pub async fn insert(tx: &mut Tx, session: &NewSession<'_>) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO sessions (id, token_hash, user_id, created_at, seen_at, expires_at, agent) \
         VALUES ($1, $2, $3, $4, $4, $5, $6)",
    )
    .bind(session.id)
    .bind(session.token)
    .bind(session.user)
    .bind(session.created_at)
    .bind(session.expires_at)
    .bind(session.agent)
    .run_one()
    .await
}

/// The session behind this hash, if it has not expired, was last seen after `idle_since`, and its user is active.
pub async fn live(
    conn: &mut impl Conn,
    token: Digest,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Option<Live>, StoreError> {
    conn.sql(
        "SELECT s.id, s.user_id, u.person_id, u.name, u.email, s.seen_at, s.expires_at, \
         (SELECT string_agg(r.role, ',') FROM user_roles r WHERE r.user_id = u.id) AS roles \
         FROM sessions s JOIN users u ON u.id = s.user_id \
         WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND u.active",
    )
    .bind(token)
    .bind(now)
    .bind(idle_since)
    .optional()
    .await
}

row! {
    /// A session, as its owner sees it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Listed {
        pub id: SessionId,
        /// What the browser called itself.
        pub agent: String,
        pub created_at: Timestamp,
        pub seen_at: Timestamp,
    }
}

/// A user's sessions that still stand, the one last used first, at most 100.
pub async fn standing(
    conn: &mut impl Conn,
    user: UserId,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<Vec<Listed>, StoreError> {
    conn.sql(
        "SELECT id, agent, created_at, seen_at FROM sessions WHERE user_id = $1 AND expires_at > $2 AND seen_at > $3 \
         ORDER BY seen_at DESC, id LIMIT 100",
    )
    .bind(user)
    .bind(now)
    .bind(idle_since)
    .all()
    .await
}

/// Notes that the session was used. One that has ended meanwhile stays ended.
pub async fn touch(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
    tx.sql("UPDATE sessions SET seen_at = $2 WHERE id = $1 AND seen_at < $2")
        .bind(id)
        .bind(now)
        .run()
        .await?;
    Ok(())
}

/// Ends one session; says whether it was there.
pub async fn end(tx: &mut Tx, id: SessionId) -> Result<bool, StoreError> {
    Ok(tx.sql("DELETE FROM sessions WHERE id = $1").bind(id).run().await? == 1)
}

/// Ends a user's sessions, all but `kept`, and says which ones they were.
pub async fn end_all(
    tx: &mut Tx,
    user: UserId,
    kept: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    match kept {
        None => tx.sql("DELETE FROM sessions WHERE user_id = $1 RETURNING id").bind(user).all().await,
        Some(kept) => {
            tx.sql("DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id")
                .bind(user)
                .bind(kept)
                .all()
                .await
        }
    }
}

/// Forgets a user's sessions that nobody can use any more.
pub async fn forget_ended(
    tx: &mut Tx,
    user: UserId,
    now: Timestamp,
    idle_since: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("DELETE FROM sessions WHERE user_id = $1 AND (expires_at <= $2 OR seen_at <= $3)")
        .bind(user)
        .bind(now)
        .bind(idle_since)
        .run()
        .await?;
    Ok(())
}
