//! Incidents: while one is open, its application's gates are closed.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::id::{ApplicationId, IncidentId, UserId};
use crate::domain::time::Timestamp;

row! {
    /// An incident as people see it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IncidentRow {
        pub id: IncidentId,
        /// As in `INC-7`.
        pub number: i64,
        pub application: String,
        pub title: String,
        pub opened_by: UserId,
        pub opened_by_name: String,
        pub opened_at: Timestamp,
        pub resolved_by_name: Option<String>,
        pub resolved_at: Option<Timestamp>,
    }
}

impl IncidentRow {
    /// What people call it: `INC-7`.
    pub fn label(&self) -> String {
        format!("INC-{}", self.number)
    }
}

macro_rules! select_incident {
    ($rest:literal) => {
        concat!(
            "SELECT i.id, i.number, a.name AS application, i.title, i.opened_by, o.name AS opened_by_name, i.opened_at, \
             r.name AS resolved_by_name, i.resolved_at FROM incidents i \
             JOIN applications a ON a.id = i.application_id JOIN users o ON o.id = i.opened_by \
             LEFT JOIN users r ON r.id = i.resolved_by ",
            $rest
        )
    };
}

/// The incident with this id.
pub async fn by_id(conn: &mut impl Conn, id: IncidentId) -> Result<Option<IncidentRow>, StoreError> {
    conn.sql(select_incident!("WHERE i.id = $1")).bind(id).optional().await
}

/// Incidents numbered below `before`, newest first.
pub async fn list(
    conn: &mut impl Conn,
    open_only: bool,
    before: i64,
    limit: i64,
) -> Result<Vec<IncidentRow>, StoreError> {
    let text = if open_only {
        select_incident!("WHERE i.number < $1 AND i.resolved_at IS NULL ORDER BY i.number DESC LIMIT $2")
    } else {
        select_incident!("WHERE i.number < $1 ORDER BY i.number DESC LIMIT $2")
    };
    conn.sql(text).bind(before).bind(limit).all().await
}

/// An incident as it begins.
pub struct NewIncident<'a> {
    pub id: IncidentId,
    pub application: ApplicationId,
    pub title: &'a str,
    pub by: UserId,
    pub at: Timestamp,
}

/// Adds an incident and gives it the next number.
pub async fn insert(tx: &mut Tx, new: &NewIncident<'_>) -> Result<i64, StoreError> {
    let number: i64 =
        tx.sql("UPDATE counters SET value = value + 1 WHERE name = 'incident' RETURNING value").one().await?;
    tx.sql(
        "INSERT INTO incidents (id, number, application_id, title, opened_by, opened_at, resolved_by, resolved_at) \
         VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL)",
    )
    .bind(new.id)
    .bind(number)
    .bind(new.application)
    .bind(new.title)
    .bind(new.by)
    .bind(new.at)
    .run_one()
    .await?;
    Ok(number)
}

/// Ends an incident; says whether it was open.
pub async fn resolve(tx: &mut Tx, id: IncidentId, by: UserId, at: Timestamp) -> Result<bool, StoreError> {
    let resolved = tx
        .sql("UPDATE incidents SET resolved_by = $2, resolved_at = $3 WHERE id = $1 AND resolved_at IS NULL")
        .bind(id)
        .bind(by)
        .bind(at)
        .run()
        .await?;
    Ok(resolved == 1)
}
