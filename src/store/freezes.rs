//! Freezes: spans in which nothing is applied.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::id::{ApplicationId, FreezeId, UserId};
use crate::domain::time::Timestamp;

/// The most that a list shows.
const LISTED: i64 = 200;

row! {
    /// A freeze as people see it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FreezeRow {
        pub id: FreezeId,
        /// The application it covers; all of them if none is named.
        pub application: Option<String>,
        /// The environment it covers; all of them if none is named.
        pub environment: Option<String>,
        pub starts_at: Timestamp,
        /// The first instant after it; an early end moves it.
        pub ends_at: Timestamp,
        pub reason: String,
        pub declared_by_name: String,
        pub declared_at: Timestamp,
        /// Who ended it early.
        pub ended_by_name: Option<String>,
    }
}

macro_rules! select_freeze {
    ($rest:literal) => {
        concat!(
            "SELECT f.id, a.name AS application, f.environment, f.starts_at, f.ends_at, f.reason, \
             d.name AS declared_by_name, f.declared_at, e.name AS ended_by_name FROM freezes f \
             JOIN users d ON d.id = f.declared_by LEFT JOIN applications a ON a.id = f.application_id \
             LEFT JOIN users e ON e.id = f.ended_by ",
            $rest
        )
    };
}

/// The freeze with this id.
pub async fn by_id(conn: &mut impl Conn, id: FreezeId) -> Result<Option<FreezeRow>, StoreError> {
    conn.sql(select_freeze!("WHERE f.id = $1")).bind(id).optional().await
}

/// Freezes, those that end last first: what is to come and what is on, then what is over.
pub async fn list(conn: &mut impl Conn) -> Result<Vec<FreezeRow>, StoreError> {
    conn.sql(select_freeze!("ORDER BY f.ends_at DESC, f.id LIMIT $1")).bind(LISTED).all().await
}

/// The freeze that is on, or else the one that comes next.
pub async fn next(conn: &mut impl Conn, now: Timestamp) -> Result<Option<FreezeRow>, StoreError> {
    conn.sql(select_freeze!("WHERE f.ends_at > $1 ORDER BY f.starts_at, f.id LIMIT 1"))
        .bind(now)
        .optional()
        .await
}

/// A freeze as it is declared.
pub struct NewFreeze<'a> {
    pub id: FreezeId,
    pub application: Option<ApplicationId>,
    pub environment: Option<&'a str>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    pub reason: &'a str,
    pub by: UserId,
    pub at: Timestamp,
}

pub async fn insert(tx: &mut Tx, new: &NewFreeze<'_>) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO freezes (id, application_id, environment, starts_at, ends_at, reason, declared_by, declared_at, \
         ended_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)",
    )
    .bind(new.id)
    .bind(new.application)
    .bind(new.environment)
    .bind(new.starts_at)
    .bind(new.ends_at)
    .bind(new.reason)
    .bind(new.by)
    .bind(new.at)
    .run_one()
    .await
}

/// Ends a freeze early; says whether it was still to end.
pub async fn end(tx: &mut Tx, id: FreezeId, by: UserId, at: Timestamp) -> Result<bool, StoreError> {
    let ended = tx
        .sql("UPDATE freezes SET ends_at = $3, ended_by = $2 WHERE id = $1 AND ends_at > $3")
        .bind(id)
        .bind(by)
        .bind(at)
        .run()
        .await?;
    Ok(ended == 1)
}
