//! The audit log: appended in the transaction of the act, never changed.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::audit::Event;
use crate::domain::digest::Digest;
use crate::domain::id::TicketId;
use crate::domain::time::Timestamp;

impl Tx {
    /// Appends the events and commits. If an event can't be written, nothing of the act is.
    ///
    /// # Errors
    /// When there is no event, or whatever the database reports.
    pub async fn commit(mut self, events: &[Event]) -> Result<(), StoreError> {
        let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
        if count == 0 {
            return Err(StoreError::Corrupt("an act without an audit event".to_owned()));
        }
        // The head row is the last lock of every transaction, so that numbers have no gaps and no deadlock can form.
        let next: i64 = self
            .sql("UPDATE audit_head SET next_seq = next_seq + $1 WHERE id = 1 RETURNING next_seq")
            .bind(count)
            .one()
            .await?;
        for (offset, event) in (0_i64..).zip(events) {
            append(&mut self, next - count + offset, event).await?;
        }
        self.commit_audited().await
    }
}

async fn append(tx: &mut Tx, seq: i64, event: &Event) -> Result<(), StoreError> {
    let canonical = event.canonical(seq).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    tx.sql(
        "INSERT INTO audit_events (seq, at, kind, ticket_id, user_id, event) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(seq)
    .bind(event.at)
    .bind(event.kind)
    .bind(event.ticket.map(|t| t.0))
    .bind(event.user())
    .bind(canonical)
    .run_one()
    .await?;
    if let (Some((text, salt)), Some(commitment)) = (&event.text, event.commitment()) {
        tx.sql("INSERT INTO audit_texts (commitment, salt, body) VALUES ($1, $2, $3)")
            .bind(commitment)
            .bind(salt.as_slice())
            .bind(text.as_str())
            .run_one()
            .await?;
    }
    Ok(())
}

row! {
    /// An event as it stands in the log.
    #[derive(Clone, Debug)]
    pub struct Entry {
        pub seq: i64,
        pub at: Timestamp,
        pub kind: String,
        /// Canonical bytes.
        pub event: String,
        /// The actor's name today, for people; the event itself holds ids only.
        pub name: Option<String>,
    }
}

/// The number that the next event will have: as long as it stays, nothing has happened.
pub async fn head(conn: &mut impl Conn) -> Result<i64, StoreError> {
    conn.sql("SELECT next_seq FROM audit_head WHERE id = 1").one().await
}

/// Events after `after`, in order.
pub async fn after(conn: &mut impl Conn, after: i64, limit: i64) -> Result<Vec<Entry>, StoreError> {
    conn.sql(
        "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e LEFT JOIN users u ON u.id = e.user_id \
         WHERE e.seq > $1 ORDER BY e.seq LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .all()
    .await
}

/// The newest events before `before`, newest first; of one ticket if one is named.
pub async fn newest(
    conn: &mut impl Conn,
    ticket: Option<TicketId>,
    before: i64,
    limit: i64,
) -> Result<Vec<Entry>, StoreError> {
    match ticket {
        None => {
            conn.sql(
                "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e \
                 LEFT JOIN users u ON u.id = e.user_id WHERE e.seq < $1 ORDER BY e.seq DESC LIMIT $2",
            )
            .bind(before)
            .bind(limit)
            .all()
            .await
        }
        Some(ticket) => {
            conn.sql(
                "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e \
                 LEFT JOIN users u ON u.id = e.user_id WHERE e.ticket_id = $1 AND e.seq < $2 ORDER BY e.seq DESC LIMIT $3",
            )
            .bind(ticket)
            .bind(before)
            .bind(limit)
            .all()
            .await
        }
    }
}

/// The text behind a commitment, unless it was erased.
pub async fn text(conn: &mut impl Conn, commitment: Digest) -> Result<Option<String>, StoreError> {
    conn.sql("SELECT body FROM audit_texts WHERE commitment = $1").bind(commitment).optional().await
}
