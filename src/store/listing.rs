//! Lists of tickets: narrowed, searched, paged.

use super::row::{RowRef, row};
use super::{Conn, Engine, Record, StoreError};
use crate::domain::id::{TicketId, TicketNumber, UserId};
use crate::domain::run::{Health, RunStatus};
use crate::domain::ticket::{TicketKind, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;

/// What a list of tickets is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Words that all have to occur.
    pub q: Vec<String>,
    pub state: Option<TicketState>,
    pub application: Option<String>,
    pub kind: Option<TicketKind>,
    pub requester: Option<UserId>,
    /// Only tickets with a smaller number: the page after.
    pub before: Option<i64>,
}

/// A line of a list.
#[derive(Clone, Debug)]
pub struct Line {
    pub id: TicketId,
    pub number: TicketNumber,
    pub title: String,
    pub kind: TicketKind,
    pub state: TicketState,
    pub outcome: Option<TicketOutcome>,
    pub application: String,
    pub release_tag: String,
    pub from_revision: String,
    pub to_revision: String,
    pub requester: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Record for Line {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            title: row.get("title")?,
            kind: row.get("kind")?,
            state: row.get("state")?,
            outcome: row.get("outcome")?,
            application: row.get("application")?,
            release_tag: row.get("release_tag")?,
            from_revision: row.get("from_revision")?,
            to_revision: row.get("to_revision")?,
            requester: row.get("requester_name")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// The fewest letters of a word that an index finds.
const INDEXED: usize = 3;

/// Tickets, newest number first.
pub async fn list(conn: &mut impl Conn, filter: &Filter, limit: i64) -> Result<Vec<Line>, StoreError> {
    if filter.q.iter().any(|word| word.contains('\0')) {
        return Ok(Vec::new()); // which no text holds, and PostgreSQL can't even be asked for
    }
    // SQLite's index of words is a table of its own; PostgreSQL finds its one by itself.
    let phrases = match conn.engine() {
        Engine::Sqlite => phrases(&filter.q),
        Engine::Postgres => None,
    };
    // Names are looked up last, so that no statistics ever make a planner begin with people.
    let mut text = String::from(
        "SELECT t.id, t.number, t.title, t.kind, t.state, t.outcome, t.release_tag, t.from_revision, t.to_revision, \
         t.created_at, t.updated_at, (SELECT a.name FROM applications a WHERE a.id = t.application_id) AS application, \
         (SELECT u.name FROM users u WHERE u.id = t.requester) AS requester_name FROM ",
    );
    text.push_str(match phrases {
        None => "tickets t WHERE t.number < $1",
        Some(_) => {
            "tickets_search w CROSS JOIN tickets t ON t.number = w.rowid WHERE w.rowid < $1 AND w.tickets_search MATCH $2"
        }
    });
    let mut n = if phrases.is_some() { 2 } else { 1 };
    let mut next = |clause: &str| {
        n += 1;
        text.push_str(&clause.replace('?', &format!("${n}")));
    };
    for _ in &filter.q {
        next(" AND t.search LIKE ? ESCAPE '!'");
    }
    if filter.state.is_some() {
        next(" AND t.state = ?");
    }
    if filter.application.is_some() {
        next(" AND t.application_id = (SELECT a.id FROM applications a WHERE a.name = ?)");
    }
    if filter.kind.is_some() {
        next(" AND t.kind = ?");
    }
    if filter.requester.is_some() {
        next(" AND t.requester = ?");
    }
    let order = if phrases.is_some() { "w.rowid" } else { "t.number" };
    next(&format!(" ORDER BY {order} DESC LIMIT ?"));
    let mut query = conn.sql_owned(text).bind(filter.before.unwrap_or(i64::MAX));
    if let Some(phrases) = phrases {
        query = query.bind(phrases);
    }
    for word in &filter.q {
        let escaped = word.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
        query = query.bind(format!("%{escaped}%"));
    }
    if let Some(state) = filter.state {
        query = query.bind(state);
    }
    if let Some(application) = &filter.application {
        query = query.bind(application.as_str());
    }
    if let Some(kind) = filter.kind {
        query = query.bind(kind);
    }
    if let Some(requester) = filter.requester {
        query = query.bind(requester);
    }
    query.bind(limit).all().await
}

/// What to ask the index for, if it knows any of the words: all of those.
fn phrases(words: &[String]) -> Option<String> {
    let known: Vec<String> = words
        .iter()
        .map(|word| word.to_lowercase())
        .filter(|word| word.chars().count() >= INDEXED)
        .map(|word| format!("\"{}\"", word.replace('"', "\"\"")))
        .collect();
    (!known.is_empty()).then(|| known.join(" "))
}

row! {
    /// Where a stage of a listed ticket is, as far as runs tell.
    #[derive(Clone, Debug)]
    pub struct StageLine {
        pub ticket_id: TicketId,
        pub name: String,
        pub position: i64,
        /// The last upgrade's status and lease, if there was one.
        pub status: Option<RunStatus>,
        pub lease_until: Option<Timestamp>,
        pub rolled_back: i64,
        pub health: Option<Health>,
        pub token_until: Option<Timestamp>,
    }
}

/// The stages of listed tickets, in one query.
pub async fn stage_lines(conn: &mut impl Conn, tickets: &[TicketId]) -> Result<Vec<StageLine>, StoreError> {
    if tickets.is_empty() {
        return Ok(Vec::new());
    }
    let mut batch = conn.batch();
    batch.add(
        "SELECT s.ticket_id, e.name, s.position, r.status, r.lease_until, \
         CASE WHEN r.id IS NULL THEN 0 ELSE (SELECT count(*) FROM runs b WHERE b.stage_id = s.id AND b.undoes = r.id \
         AND b.status = 'succeeded') END AS rolled_back, \
         CASE WHEN r.id IS NULL THEN NULL ELSE (SELECT o.verdict FROM observations o WHERE o.stage_id = s.id \
         AND o.run_id = r.id ORDER BY o.at DESC LIMIT 1) END AS health, \
         (SELECT max(k.expires_at) FROM apply_tokens k WHERE k.stage_id = s.id AND k.state = 'issued') AS token_until \
         FROM stages s JOIN environments e ON e.id = s.environment_id LEFT JOIN runs r ON r.id = (SELECT x.id FROM runs x \
         WHERE x.stage_id = s.id AND x.direction = 'upgrade' ORDER BY x.act DESC LIMIT 1) \
         WHERE s.ticket_id IN (?) ORDER BY s.ticket_id, s.position",
        tickets,
    );
    batch.all().await?.rows()
}

/// Open tickets for somebody's queue: emergencies, then those that they filed, then the newest.
pub async fn open_ids(conn: &mut impl Conn, reader: UserId, limit: i64) -> Result<Vec<TicketId>, StoreError> {
    // Each part ends at the limit by its own index; one order over all of them would sort every open ticket.
    conn.sql(
        "SELECT id FROM (SELECT * FROM (SELECT id, number, 0 AS part FROM tickets WHERE state = 'open' \
         AND kind = 'emergency' ORDER BY number DESC LIMIT $2) AS e UNION ALL \
         SELECT * FROM (SELECT id, number, 1 AS part FROM tickets WHERE state = 'open' AND requester = $1 \
         AND kind <> 'emergency' ORDER BY number DESC LIMIT $2) AS own UNION ALL \
         SELECT * FROM (SELECT id, number, 2 AS part FROM tickets WHERE state = 'open' AND requester <> $1 \
         AND kind <> 'emergency' ORDER BY number DESC LIMIT $2) AS others) AS q ORDER BY part, number DESC LIMIT $2",
    )
    .bind(reader)
    .bind(limit)
    .all()
    .await
}

/// The newest open tickets of applications, by the application's name, at most `each` of one.
pub async fn newest_open(
    conn: &mut impl Conn,
    applications: &[&str],
    each: usize,
) -> Result<Vec<(String, TicketNumber)>, StoreError> {
    let mut batch = conn.batch();
    let text = format!(
        "SELECT a.name, t.number FROM applications a CROSS JOIN tickets t WHERE a.name IN (?) AND t.id IN (SELECT x.id \
         FROM tickets x WHERE x.application_id = a.id AND x.state = 'open' ORDER BY x.number DESC LIMIT {each}) \
         ORDER BY t.number DESC"
    );
    batch.add(&text, applications);
    batch.all().await?.rows()
}
