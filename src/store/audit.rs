//! The audit log: appended in the transaction of the act, never changed.

use super::row::row;
use super::{Conn, StoreError, Tx};
use crate::domain::audit::Event;
use crate::domain::digest::Digest;
use crate::domain::id::{TicketId, TicketNumber};
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

/// When the newest event happened; none in an empty log.
pub async fn newest_at(conn: &mut impl Conn) -> Result<Option<Timestamp>, StoreError> {
    conn.sql("SELECT at FROM audit_events ORDER BY seq DESC LIMIT 1").optional().await
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
        // SQLite would read the whole log backwards for one ticket wherever its statistics are old.
        Some(ticket) => {
            conn.sql_by_engine(
                "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e INDEXED BY audit_events_ticket \
                 LEFT JOIN users u ON u.id = e.user_id WHERE e.ticket_id = $1 AND e.seq < $2 ORDER BY e.seq DESC LIMIT $3",
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

/// What to look for in the log.
#[derive(Clone, Debug, Default)]
pub struct Search<'a> {
    /// Only events before this one.
    pub before: Option<i64>,
    /// The part of an event's kind before the dot.
    pub area: Option<&'a str>,
    pub ticket: Option<TicketNumber>,
    /// A part of the actor's name or address, in small letters.
    pub who: Option<&'a str>,
}

/// Events that fit, newest first.
pub async fn search(conn: &mut impl Conn, search: &Search<'_>, limit: i64) -> Result<Vec<Entry>, StoreError> {
    let mut text = String::from(
        "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e LEFT JOIN users u ON u.id = e.user_id \
         WHERE e.seq < $1",
    );
    let mut n = 1;
    let mut next = |clause: &str| {
        n += 1;
        text.push_str(&clause.replace('?', &format!("${n}")));
    };
    if search.area.is_some() {
        next(" AND e.kind LIKE ? ESCAPE '!'");
    }
    if search.ticket.is_some() {
        next(" AND e.ticket_id = (SELECT t.id FROM tickets t WHERE t.number = ?)");
    }
    if search.who.is_some() {
        next(" AND lower(u.name || ' ' || u.email) LIKE ? ESCAPE '!'");
    }
    next(" ORDER BY e.seq DESC LIMIT ?");
    let mut query = conn.sql_owned(text).bind(search.before.unwrap_or(i64::MAX));
    let literal = |text: &str| text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    if let Some(area) = search.area {
        query = query.bind(format!("{}.%", literal(area)));
    }
    if let Some(number) = search.ticket {
        query = query.bind(number.0);
    }
    if let Some(who) = search.who {
        query = query.bind(format!("%{}%", literal(&who.to_lowercase())));
    }
    query.bind(limit).all().await
}

/// One event.
pub async fn at(conn: &mut impl Conn, seq: i64) -> Result<Option<Entry>, StoreError> {
    conn.sql(
        "SELECT e.seq, e.at, e.kind, e.event, u.name FROM audit_events e LEFT JOIN users u ON u.id = e.user_id \
         WHERE e.seq = $1",
    )
    .bind(seq)
    .optional()
    .await
}

/// How many events there have been, by the head of the log, and by the newest event itself.
pub async fn size(conn: &mut impl Conn) -> Result<(i64, i64), StoreError> {
    conn.sql(
        "SELECT h.next_seq - 1, COALESCE((SELECT MAX(e.seq) FROM audit_events e), 0) FROM audit_head h WHERE h.id = 1",
    )
    .one()
    .await
}

/// The text behind a commitment, unless it was erased.
pub async fn text(conn: &mut impl Conn, commitment: Digest) -> Result<Option<String>, StoreError> {
    conn.sql("SELECT body FROM audit_texts WHERE commitment = $1").bind(commitment).optional().await
}
