//! Tickets and stages.

use super::row::{RowRef, row};
use super::types::Json;
use super::{Conn, Engine, Record, StoreError, Tx};
use crate::domain::facts::Stage;
use crate::domain::id::{
    ApplicationId, EnvironmentId, PersonId, PolicyVersionId, StageId, TicketId, TicketNumber, UserId,
};
use crate::domain::run::{Health, RunStatus};
use crate::domain::ticket::{Emergency, Ticket, TicketContent, TicketKind, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;

/// Reads a row of `tickets` joined with the names of its application and requester.
pub(super) fn ticket_from(row: RowRef<'_>) -> Result<Ticket, StoreError> {
    let reason: Option<String> = row.get("emergency_reason")?;
    let incident = row.get("emergency_incident")?;
    Ok(Ticket {
        id: row.get("id")?,
        number: row.get("number")?,
        version: row.get("version")?,
        application: row.get("application_id")?,
        application_name: row.get("application_name")?,
        policy_version: row.get("policy_version_id")?,
        state: row.get("state")?,
        outcome: row.get("outcome")?,
        content: TicketContent {
            title: row.get("title")?,
            description: row.get("description")?,
            kind: row.get("kind")?,
            release_tag: row.get("release_tag")?,
            prior_release_tag: row.get("prior_release_tag")?,
            from_revision: row.get("from_revision")?,
            to_revision: row.get("to_revision")?,
            authors: row.get::<Json<Vec<String>>>("authors")?.0,
            emergency: reason.map(|reason| Emergency { reason, incident }),
            external_links: row.get::<Json<Vec<String>>>("external_links")?.0,
        },
        requester: row.get("requester")?,
        requester_name: row.get("requester_name")?,
        requested_via: row.get("requested_via")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The next number of a series.
pub async fn next_number(tx: &mut Tx, series: &'static str) -> Result<i64, StoreError> {
    tx.sql("UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value").bind(series).one().await
}

fn search_text(ticket: &Ticket) -> String {
    let c = &ticket.content;
    let mut words = vec![
        ticket.number.to_string(),
        c.title.clone(),
        c.release_tag.clone(),
        c.prior_release_tag.clone(),
        c.from_revision.clone(),
        c.to_revision.clone(),
        ticket.application_name.clone(),
        ticket.requester_name.clone(),
    ];
    words.extend(c.authors.iter().cloned());
    words.join("\n").to_lowercase()
}

/// Writes a new ticket.
pub async fn insert(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let c = &ticket.content;
    tx.sql(
        "INSERT INTO tickets (id, number, version, application_id, policy_version_id, kind, state, title, description, \
         release_tag, prior_release_tag, from_revision, to_revision, authors, external_links, emergency_reason, \
         emergency_incident, requester, requested_via, search, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, \
         $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
    )
    .bind(ticket.id)
    .bind(ticket.number)
    .bind(ticket.version)
    .bind(ticket.application)
    .bind(ticket.policy_version)
    .bind(c.kind)
    .bind(ticket.state)
    .bind(c.title.as_str())
    .bind(c.description.as_str())
    .bind(c.release_tag.as_str())
    .bind(c.prior_release_tag.as_str())
    .bind(c.from_revision.as_str())
    .bind(c.to_revision.as_str())
    .bind(Json(&c.authors))
    .bind(Json(&c.external_links))
    .bind(c.emergency.as_ref().map(|e| e.reason.as_str()))
    .bind(c.emergency.as_ref().and_then(|e| e.incident))
    .bind(ticket.requester)
    .bind(ticket.requested_via)
    .bind(search_text(ticket))
    .bind(ticket.created_at)
    .bind(ticket.updated_at)
    .run_one()
    .await
}

/// Replaces what the requester states.
pub async fn update_content(tx: &mut Tx, ticket: &Ticket) -> Result<(), StoreError> {
    let c = &ticket.content;
    tx.sql(
        "UPDATE tickets SET kind = $2, title = $3, description = $4, release_tag = $5, prior_release_tag = $6, \
         from_revision = $7, to_revision = $8, authors = $9, external_links = $10, emergency_reason = $11, \
         emergency_incident = $12, search = $13 WHERE id = $1",
    )
    .bind(ticket.id)
    .bind(c.kind)
    .bind(c.title.as_str())
    .bind(c.description.as_str())
    .bind(c.release_tag.as_str())
    .bind(c.prior_release_tag.as_str())
    .bind(c.from_revision.as_str())
    .bind(c.to_revision.as_str())
    .bind(Json(&c.authors))
    .bind(Json(&c.external_links))
    .bind(c.emergency.as_ref().map(|e| e.reason.as_str()))
    .bind(c.emergency.as_ref().and_then(|e| e.incident))
    .bind(search_text(ticket))
    .run_one()
    .await
}

/// The first lock of every act on a ticket: raises its version and says what it was before.
pub async fn lock(tx: &mut Tx, number: TicketNumber, now: Timestamp) -> Result<Option<TicketId>, StoreError> {
    tx.sql("UPDATE tickets SET version = version + 1, updated_at = $2 WHERE number = $1 RETURNING id")
        .bind(number)
        .bind(now)
        .optional()
        .await
}

/// The second lock: two tickets for one environment meet here.
pub async fn lock_environment(tx: &mut Tx, environment: EnvironmentId) -> Result<(), StoreError> {
    tx.sql("UPDATE environments SET lock_version = lock_version + 1 WHERE id = $1")
        .bind(environment)
        .run_one()
        .await
}

pub async fn set_state(
    tx: &mut Tx,
    id: TicketId,
    state: TicketState,
    outcome: Option<TicketOutcome>,
) -> Result<(), StoreError> {
    tx.sql("UPDATE tickets SET state = $2, outcome = $3 WHERE id = $1")
        .bind(id)
        .bind(state)
        .bind(outcome)
        .run_one()
        .await
}

pub async fn set_policy(tx: &mut Tx, id: TicketId, policy: PolicyVersionId) -> Result<(), StoreError> {
    tx.sql("UPDATE tickets SET policy_version_id = $2 WHERE id = $1").bind(id).bind(policy).run_one().await
}

pub async fn insert_stage(tx: &mut Tx, ticket: TicketId, stage: &Stage) -> Result<(), StoreError> {
    tx.sql("INSERT INTO stages (id, ticket_id, environment_id, position, generation) VALUES ($1, $2, $3, $4, $5)")
        .bind(stage.id)
        .bind(ticket)
        .bind(stage.environment)
        .bind(stage.position)
        .bind(stage.generation)
        .run_one()
        .await
}

/// The evidence of one stage changed.
pub async fn raise_generation(tx: &mut Tx, stage: StageId) -> Result<(), StoreError> {
    tx.sql("UPDATE stages SET generation = generation + 1 WHERE id = $1").bind(stage).run_one().await
}

/// The evidence of every stage of a ticket changed.
pub async fn raise_all_generations(tx: &mut Tx, ticket: TicketId) -> Result<(), StoreError> {
    tx.sql("UPDATE stages SET generation = generation + 1 WHERE ticket_id = $1")
        .bind(ticket)
        .run()
        .await
        .map(drop)
}

/// Records that somebody touched the content.
pub async fn add_contributor(
    tx: &mut Tx,
    ticket: TicketId,
    person: PersonId,
    act: &'static str,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.sql(
        "INSERT INTO ticket_contributors (ticket_id, person_id, act, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(ticket)
    .bind(person)
    .bind(act)
    .bind(at)
    .run()
    .await
    .map(drop)
}

row! {
    /// The application of a name and its newest policy.
    #[derive(Clone, Debug)]
    pub struct Target { pub application_id: ApplicationId, pub policy_version_id: PolicyVersionId, pub version: i64 }
}

/// Where a new ticket goes.
pub async fn target(conn: &mut impl Conn, application: &str) -> Result<Option<Target>, StoreError> {
    conn.sql(
        "SELECT a.id AS application_id, p.id AS policy_version_id, p.version FROM applications a \
         JOIN policy_versions p ON p.application_id = a.id WHERE a.name = $1 ORDER BY p.version DESC LIMIT 1",
    )
    .bind(application)
    .optional()
    .await
}

/// Environments of an application: id, name, position.
pub async fn environments(
    conn: &mut impl Conn,
    application: ApplicationId,
) -> Result<Vec<(EnvironmentId, String, i64)>, StoreError> {
    conn.sql("SELECT id, name, position FROM environments WHERE application_id = $1 ORDER BY position")
        .bind(application)
        .all()
        .await
}

/// Whether an incident is one of this application's.
pub async fn incident_concerns(
    conn: &mut impl Conn,
    incident: crate::domain::id::IncidentId,
    application: ApplicationId,
) -> Result<bool, StoreError> {
    let found: Option<i64> = conn
        .sql("SELECT number FROM incidents WHERE id = $1 AND application_id = $2")
        .bind(incident)
        .bind(application)
        .optional()
        .await?;
    Ok(found.is_some())
}

/// The environment of a ticket's stage.
pub async fn environment_of(
    conn: &mut impl Conn,
    ticket: TicketId,
    stage: &str,
) -> Result<Option<EnvironmentId>, StoreError> {
    conn.sql(
        "SELECT e.id FROM stages s JOIN environments e ON e.id = s.environment_id WHERE s.ticket_id = $1 AND e.name = $2",
    )
    .bind(ticket)
    .bind(stage)
    .optional()
    .await
}

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
        .filter(|word| word.chars().count() >= INDEXED && !word.contains('\0'))
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

/// Open tickets, oldest first: whoever has a queue looks through these.
pub async fn open_ids(conn: &mut impl Conn, limit: i64) -> Result<Vec<TicketId>, StoreError> {
    conn.sql("SELECT id FROM tickets WHERE state = 'open' ORDER BY number LIMIT $1").bind(limit).all().await
}
