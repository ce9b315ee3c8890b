//! Loads whole tickets with a fixed number of queries, however many tickets are asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use super::row::{RowRef, row};
use super::tickets::ticket_from;
use super::types::Json;
use super::{Conn, Record, StoreError};
use crate::domain::artifact::{Acceptance, Artifact, ArtifactFacts, ArtifactKind, Finding, Severity, Thread};
use crate::domain::digest::Digest;
use crate::domain::dossier::{Alarm, Dossier};
use crate::domain::facts::{Choice, Freeze, Incident, Stage, StageRecord, Tick, Vote, Voter};
use crate::domain::id::{
    ApiTokenId, ApplicationId, ArtifactId, EnvironmentId, FindingId, PersonId, PolicyVersionId, RunId,
    StageId, TicketId, UserId, VoteId,
};
use crate::domain::policy::Policy;
use crate::domain::run::{Health, Observation};
use crate::domain::ticket::{Ticket, author_keys};
use crate::domain::time::Timestamp;

/// Policies as parsed. A version never changes, so each is read once.
#[derive(Clone, Debug, Default)]
pub struct PolicyCache(Arc<RwLock<HashMap<PolicyVersionId, Arc<KnownPolicy>>>>);

/// A version of an application's policy.
#[derive(Debug)]
pub struct KnownPolicy {
    pub version: i64,
    pub sha256: Digest,
    pub policy: Policy,
}

impl PolicyCache {
    /// The policy of this version.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the stored text is not a policy any more.
    pub async fn get(
        &self,
        conn: &mut impl Conn,
        id: PolicyVersionId,
    ) -> Result<Arc<KnownPolicy>, StoreError> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Arc::clone(known));
        }
        let (version, sha256, toml): (i64, Digest, String) = conn
            .sql("SELECT version, sha256, toml FROM policy_versions WHERE id = $1")
            .bind(id)
            .one()
            .await?;
        let policy = Policy::parse(&toml).map_err(|faults| {
            StoreError::Corrupt(format!("policy version {id} has {} faults", faults.len()))
        })?;
        let known = Arc::new(KnownPolicy { version, sha256, policy });
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&known));
        Ok(known)
    }
}

/// `$from, $from+1, …`: placeholders for a list of `count` values.
pub(super) fn placeholders(from: usize, count: usize) -> String {
    let mut text = String::new();
    for n in from..from + count.max(1) {
        let _ = write!(text, "{}${n}", if n == from { "" } else { ", " });
    }
    text
}

/// Rows of a statement whose text ends where a list of ids in parentheses belongs.
async fn by_ids<'v, T: Record, I: super::types::Bind<'v> + Copy>(
    conn: &mut impl Conn,
    head: &'static str,
    ids: &[I],
    tail: &'static str,
) -> Result<Vec<T>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = conn.sql_owned(format!("{head} ({}) {tail}", placeholders(1, ids.len())));
    for id in ids {
        query = query.bind(*id);
    }
    query.all().await
}

/// Loads these tickets, in the order of their ids as given; ids that don't exist are left out. `readers` are accounts
/// whose right to approve is wanted besides that of the voters.
pub async fn load(
    conn: &mut impl Conn,
    policies: &PolicyCache,
    tickets: &[TicketId],
    readers: &[UserId],
    now: Timestamp,
) -> Result<Vec<Dossier>, StoreError> {
    let mut found: HashMap<TicketId, Ticket> = by_ids::<TicketRow, _>(
        conn,
        "SELECT t.*, a.name AS application_name, u.name AS requester_name FROM tickets t \
         JOIN applications a ON a.id = t.application_id JOIN users u ON u.id = t.requester WHERE t.id IN",
        tickets,
        "",
    )
    .await?
    .into_iter()
    .map(|row| (row.0.id, row.0))
    .collect();
    let stages: Vec<StageRow> = by_ids(
        conn,
        "SELECT s.id, s.ticket_id, s.environment_id, s.position, s.generation, e.name FROM stages s \
         JOIN environments e ON e.id = s.environment_id WHERE s.ticket_id IN",
        tickets,
        "ORDER BY s.ticket_id, s.position",
    )
    .await?;
    let stage_ids: Vec<StageId> = stages.iter().map(|s| s.id).collect();
    let mut parts = Parts::load(conn, &stage_ids).await?;
    let mut around = Around::load(conn, &found, &stages, &parts, readers, now).await?;

    let mut dossiers = Vec::with_capacity(tickets.len());
    for id in tickets {
        let Some(ticket) = found.remove(id) else { continue };
        let known = policies.get(conn, ticket.policy_version).await?;
        let mut records = Vec::new();
        for row in stages.iter().filter(|s| s.ticket_id == *id) {
            let policy = known.policy.environment(&row.name).ok_or_else(|| {
                StoreError::Corrupt(format!("the policy of {} has no {}", ticket.number, row.name))
            })?;
            records.push(parts.take(row, policy));
        }
        dossiers.push(around.dossier(ticket, &known, records, now));
    }
    Ok(dossiers)
}

struct TicketRow(Ticket);

impl Record for TicketRow {
    fn from_row(row: RowRef<'_>) -> Result<Self, StoreError> {
        ticket_from(row).map(Self)
    }
}

row! {
    struct StageRow {
        id: StageId,
        ticket_id: TicketId,
        environment_id: EnvironmentId,
        position: i64,
        generation: i64,
        name: String,
    }
}

row! {
    struct ArtifactRow {
        id: ArtifactId,
        stage_id: StageId,
        kind: ArtifactKind,
        version: i64,
        filename: String,
        sha256: Digest,
        bytes: i64,
        facts: Json<ArtifactFacts>,
        uploaded_by: UserId,
        name: String,
        uploaded_via: Option<ApiTokenId>,
        uploaded_at: Timestamp,
        generation: i64,
        run_id: Option<RunId>,
    }
}

impl ArtifactRow {
    fn into_domain(self) -> Artifact {
        Artifact {
            id: self.id,
            stage: self.stage_id,
            kind: self.kind,
            version: self.version,
            filename: self.filename,
            sha256: self.sha256,
            bytes: self.bytes,
            facts: self.facts.0,
            uploaded_by: self.uploaded_by,
            uploaded_by_name: self.name,
            uploaded_via: self.uploaded_via,
            uploaded_at: self.uploaded_at,
            generation: self.generation,
            run: self.run_id,
        }
    }
}

row! {
    struct FindingRow {
        id: FindingId,
        stage_id: StageId,
        artifact_id: ArtifactId,
        rule: String,
        severity: Severity,
        line: i64,
        last_line: i64,
        statement: String,
        why: String,
        advice: String,
        accepted_by: Option<UserId>,
        accepted_name: Option<String>,
        accepted_person: Option<PersonId>,
        accepted_note: Option<String>,
        accepted_at: Option<Timestamp>,
    }
}

impl FindingRow {
    fn into_domain(self) -> Finding {
        let accepted = match (
            self.accepted_by,
            self.accepted_name,
            self.accepted_person,
            self.accepted_note,
            self.accepted_at,
        ) {
            (Some(by), Some(by_name), Some(person), Some(note), Some(at)) => {
                Some(Acceptance { by, by_name, person, note, at })
            }
            _ => None,
        };
        Finding {
            id: self.id,
            artifact: self.artifact_id,
            rule: self.rule,
            severity: self.severity,
            line: self.line,
            last_line: self.last_line,
            statement: self.statement,
            why: self.why,
            advice: self.advice,
            accepted,
        }
    }
}

row! {
    struct ThreadRow {
        id: crate::domain::id::ThreadId,
        stage_id: StageId,
        artifact_id: ArtifactId,
        line: i64,
        quote: String,
        blocking: bool,
        opened_by: UserId,
        opened_by_name: String,
        opened_at: Timestamp,
        resolved_at: Option<Timestamp>,
        resolved_by_name: Option<String>,
    }
}

row! {
    struct TickRow {
        stage_id: StageId,
        item: String,
        generation: i64,
        run_id: Option<RunId>,
        done: bool,
        note: String,
        user_id: UserId,
        name: String,
        api_token_id: Option<ApiTokenId>,
        at: Timestamp,
        act: i64,
    }
}

row! {
    struct VoteRow {
        id: VoteId,
        stage_id: StageId,
        user_id: UserId,
        person_id: PersonId,
        name: String,
        choice: Choice,
        evidence: Digest,
        comment: String,
        at: Timestamp,
        act: i64,
    }
}

row! {
    struct ObservationRow {
        stage_id: StageId,
        run_id: RunId,
        verdict: Health,
        note: String,
        user_id: UserId,
        name: String,
        at: Timestamp,
    }
}

/// What hangs below stages.
struct Parts {
    artifacts: Vec<ArtifactRow>,
    findings: Vec<FindingRow>,
    threads: Vec<ThreadRow>,
    ticks: Vec<TickRow>,
    votes: Vec<VoteRow>,
    tokens: Vec<crate::domain::run::ApplyToken>,
    runs: Vec<crate::domain::run::Run>,
    observations: Vec<ObservationRow>,
}

/// Takes the rows of one stage out of the rows of all.
fn take<T>(rows: &mut Vec<T>, belongs: impl Fn(&T) -> bool) -> Vec<T> {
    rows.extract_if(.., |row| belongs(row)).collect()
}

impl Parts {
    async fn load(conn: &mut impl Conn, stages: &[StageId]) -> Result<Self, StoreError> {
        Ok(Self {
            artifacts: by_ids(
                conn,
                "SELECT a.*, u.name FROM artifacts a JOIN users u ON u.id = a.uploaded_by WHERE a.stage_id IN",
                stages,
                "ORDER BY a.stage_id, a.kind, a.version",
            )
            .await?,
            findings: by_ids(
                conn,
                "SELECT f.*, a.stage_id, x.user_id AS accepted_by, u.name AS accepted_name, \
                 x.person_id AS accepted_person, x.note AS accepted_note, x.at AS accepted_at FROM findings f \
                 JOIN artifacts a ON a.id = f.artifact_id LEFT JOIN finding_acceptances x ON x.finding_id = f.id \
                 LEFT JOIN users u ON u.id = x.user_id WHERE a.version = (SELECT max(b.version) FROM artifacts b \
                 WHERE b.stage_id = a.stage_id AND b.kind = a.kind) AND a.stage_id IN",
                stages,
                "ORDER BY a.stage_id, a.kind, f.ordinal",
            )
            .await?,
            threads: by_ids(
                conn,
                "SELECT t.*, o.name AS opened_by_name, r.name AS resolved_by_name FROM threads t \
                 JOIN users o ON o.id = t.opened_by LEFT JOIN users r ON r.id = t.resolved_by WHERE t.stage_id IN",
                stages,
                "ORDER BY t.opened_at, t.id",
            )
            .await?,
            ticks: by_ids(
                conn,
                "SELECT k.*, u.name FROM ticks k JOIN users u ON u.id = k.user_id WHERE k.stage_id IN",
                stages,
                "ORDER BY k.act",
            )
            .await?,
            votes: by_ids(
                conn,
                "SELECT v.*, u.name FROM votes v JOIN users u ON u.id = v.user_id WHERE v.stage_id IN",
                stages,
                "ORDER BY v.act",
            )
            .await?,
            tokens: super::apply_tokens::of_stages(conn, stages).await?,
            runs: super::runs::of_stages(conn, stages).await?,
            observations: by_ids(
                conn,
                "SELECT o.*, u.name FROM observations o JOIN users u ON u.id = o.user_id WHERE o.stage_id IN",
                stages,
                "ORDER BY o.at, o.id",
            )
            .await?,
        })
    }

    fn take(&mut self, row: &StageRow, policy: &crate::domain::policy::EnvironmentPolicy) -> StageRecord {
        let id = row.id;
        StageRecord {
            stage: Stage {
                id,
                environment: row.environment_id,
                name: row.name.clone(),
                position: row.position,
                generation: row.generation,
            },
            policy: policy.clone(),
            artifacts: take(&mut self.artifacts, |r| r.stage_id == id)
                .into_iter()
                .map(ArtifactRow::into_domain)
                .collect(),
            findings: take(&mut self.findings, |r| r.stage_id == id)
                .into_iter()
                .map(FindingRow::into_domain)
                .map(|f| Finding { severity: policy.weight(&f.rule, f.severity), ..f })
                .collect(),
            threads: take(&mut self.threads, |r| r.stage_id == id)
                .into_iter()
                .map(|t| Thread {
                    id: t.id,
                    artifact: t.artifact_id,
                    line: t.line,
                    quote: t.quote,
                    blocking: t.blocking,
                    opened_by: t.opened_by,
                    opened_by_name: t.opened_by_name,
                    opened_at: t.opened_at,
                    resolved_at: t.resolved_at,
                    resolved_by_name: t.resolved_by_name,
                })
                .collect(),
            ticks: take(&mut self.ticks, |r| r.stage_id == id)
                .into_iter()
                .map(|k| Tick {
                    item: k.item,
                    generation: k.generation,
                    run: k.run_id,
                    done: k.done,
                    note: k.note,
                    by: k.user_id,
                    by_name: k.name,
                    via: k.api_token_id,
                    at: k.at,
                    act: k.act,
                })
                .collect(),
            votes: take(&mut self.votes, |r| r.stage_id == id)
                .into_iter()
                .map(|v| Vote {
                    id: v.id,
                    user: v.user_id,
                    person: v.person_id,
                    name: v.name,
                    choice: v.choice,
                    evidence: v.evidence,
                    comment: v.comment,
                    at: v.at,
                    act: v.act,
                })
                .collect(),
            tokens: take(&mut self.tokens, |r| r.stage == id),
            runs: take(&mut self.runs, |r| r.stage == id),
            observations: take(&mut self.observations, |r| r.stage_id == id)
                .into_iter()
                .map(|o| Observation {
                    run: o.run_id,
                    verdict: o.verdict,
                    note: o.note,
                    by: o.user_id,
                    by_name: o.name,
                    at: o.at,
                })
                .collect(),
        }
    }
}

row! {
    struct ContributorRow { ticket_id: TicketId, person_id: PersonId }
}

row! {
    struct AccountRow {
        id: UserId,
        person_id: PersonId,
        email: String,
        name: String,
        active: bool,
        created_at: Timestamp,
        board: i64,
    }
}

row! {
    struct IncidentRow {
        id: crate::domain::id::IncidentId,
        application_id: ApplicationId,
        number: i64,
        title: String,
        name: String,
        opened_at: Timestamp,
    }
}

row! {
    struct FreezeRow {
        id: crate::domain::id::FreezeId,
        application_id: Option<ApplicationId>,
        environment: Option<String>,
        starts_at: Timestamp,
        ends_at: Timestamp,
        reason: String,
    }
}

row! {
    struct AlarmRow { ticket_id: TicketId, stage_id: StageId, kind: String, detail: String, at: Timestamp }
}

row! {
    struct NewestPolicy { application_id: ApplicationId, version: i64 }
}

/// What surrounds tickets.
struct Around {
    contributors: Vec<ContributorRow>,
    accounts: Vec<AccountRow>,
    shaped: HashMap<UserId, BTreeSet<PersonId>>,
    incidents: Vec<IncidentRow>,
    freezes: Vec<FreezeRow>,
    tokens: Vec<crate::domain::run::ApplyToken>,
    runs: Vec<crate::domain::run::Run>,
    alarms: Vec<AlarmRow>,
    newest_policies: Vec<NewestPolicy>,
}

impl Around {
    async fn load(
        conn: &mut impl Conn,
        tickets: &HashMap<TicketId, Ticket>,
        stages: &[StageRow],
        parts: &Parts,
        readers: &[UserId],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let ticket_ids: Vec<TicketId> = tickets.keys().copied().collect();
        let applications: BTreeSet<ApplicationId> = tickets.values().map(|t| t.application).collect();
        let applications: Vec<ApplicationId> = applications.into_iter().collect();
        let environments: BTreeSet<EnvironmentId> = stages.iter().map(|s| s.environment_id).collect();
        let environments: Vec<EnvironmentId> = environments.into_iter().collect();
        let voters: BTreeSet<UserId> =
            parts.votes.iter().map(|v| v.user_id).chain(readers.iter().copied()).collect();
        let voters: Vec<UserId> = voters.into_iter().collect();

        let mut accounts: Vec<AccountRow> = by_ids(
            conn,
            "SELECT u.id, u.person_id, u.email, u.name, u.active, u.created_at, (SELECT count(*) FROM user_roles r \
             WHERE r.user_id = u.id AND r.role = 'board') AS board FROM users u WHERE u.id IN",
            &voters,
            "",
        )
        .await?;
        accounts.extend(authors(conn, tickets).await?);
        let shaped: Vec<(UserId, PersonId)> =
            by_ids(conn, "SELECT user_id, by_person FROM account_acts WHERE user_id IN", &voters, "").await?;
        let mut shaped_by: HashMap<UserId, BTreeSet<PersonId>> = HashMap::new();
        for (user, person) in shaped {
            shaped_by.entry(user).or_default().insert(person);
        }
        Ok(Self {
            contributors: by_ids(
                conn,
                "SELECT DISTINCT ticket_id, person_id FROM ticket_contributors WHERE ticket_id IN",
                &ticket_ids,
                "",
            )
            .await?,
            accounts,
            shaped: shaped_by,
            incidents: by_ids(
                conn,
                "SELECT i.id, i.application_id, i.number, i.title, u.name, i.opened_at FROM incidents i \
                 JOIN users u ON u.id = i.opened_by WHERE i.resolved_at IS NULL AND i.application_id IN",
                &applications,
                "ORDER BY i.number",
            )
            .await?,
            freezes: conn
                .sql(
                    "SELECT id, application_id, environment, starts_at, ends_at, reason FROM freezes \
                     WHERE ends_at > $1 ORDER BY starts_at, id",
                )
                .bind(now)
                .all()
                .await?,
            tokens: super::apply_tokens::issued_in(conn, &environments).await?,
            runs: super::runs::unsettled_in(conn, &environments).await?,
            alarms: by_ids(
                conn,
                "SELECT ticket_id, stage_id, kind, detail, at FROM alarms WHERE ticket_id IN",
                &ticket_ids,
                "ORDER BY at, id",
            )
            .await?,
            newest_policies: by_ids(
                conn,
                "SELECT application_id, max(version) AS version FROM policy_versions WHERE application_id IN",
                &applications,
                "GROUP BY application_id",
            )
            .await?,
        })
    }

    fn dossier(
        &mut self,
        ticket: Ticket,
        known: &KnownPolicy,
        stages: Vec<StageRecord>,
        now: Timestamp,
    ) -> Dossier {
        let named: BTreeSet<String> =
            ticket.content.authors.iter().flat_map(|a| author_keys(a)).map(str::to_lowercase).collect();
        let mut contributors: BTreeSet<PersonId> =
            self.contributors.iter().filter(|c| c.ticket_id == ticket.id).map(|c| c.person_id).collect();
        contributors.extend(
            self.accounts
                .iter()
                .filter(|a| named.contains(&a.email.to_lowercase()) || named.contains(&a.name.to_lowercase()))
                .map(|a| a.person_id),
        );
        let voters: BTreeMap<UserId, Voter> = self
            .accounts
            .iter()
            .map(|a| {
                let voter = Voter {
                    active: a.active,
                    board: a.board > 0,
                    created_at: a.created_at,
                    shaped_by: self.shaped.get(&a.id).cloned().unwrap_or_default(),
                };
                (a.id, voter)
            })
            .collect();
        let environments: BTreeSet<EnvironmentId> = stages.iter().map(|s| s.stage.environment).collect();
        let application = ticket.application;
        Dossier {
            now,
            policy_version: known.version,
            policy_sha256: known.sha256,
            newest_policy_version: self
                .newest_policies
                .iter()
                .find(|p| p.application_id == application)
                .map_or(known.version, |p| p.version),
            voters,
            contributors,
            incidents: self
                .incidents
                .iter()
                .filter(|i| i.application_id == application)
                .map(|i| Incident {
                    id: i.id,
                    number: i.number,
                    title: i.title.clone(),
                    opened_by_name: i.name.clone(),
                    opened_at: i.opened_at,
                    resolved_at: None,
                })
                .collect(),
            freezes: self
                .freezes
                .iter()
                .filter(|f| f.application_id.is_none_or(|a| a == application))
                .map(|f| Freeze {
                    id: f.id,
                    environment: f.environment.clone(),
                    starts_at: f.starts_at,
                    ends_at: f.ends_at,
                    reason: f.reason.clone(),
                })
                .collect(),
            tokens: self.tokens.iter().filter(|t| environments.contains(&t.environment)).cloned().collect(),
            runs: self.runs.iter().filter(|r| environments.contains(&r.environment)).cloned().collect(),
            alarms: self
                .alarms
                .iter()
                .filter(|a| a.ticket_id == ticket.id)
                .map(|a| Alarm {
                    stage: a.stage_id,
                    kind: a.kind.clone(),
                    detail: a.detail.clone(),
                    at: a.at,
                })
                .collect(),
            ticket,
            stages,
        }
    }
}

/// Accounts of declared authors, by e-mail address or by name: whoever is named can't approve.
async fn authors(
    conn: &mut impl Conn,
    tickets: &HashMap<TicketId, Ticket>,
) -> Result<Vec<AccountRow>, StoreError> {
    // As typed and in small letters: SQLite's lower() knows ASCII only.
    let named: BTreeSet<String> = tickets
        .values()
        .flat_map(|t| &t.content.authors)
        .flat_map(|a| author_keys(a))
        .flat_map(|a| [a.to_owned(), a.to_lowercase()])
        .collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let list = placeholders(1, named.len());
    let mut query = conn.sql_owned(format!(
        "SELECT u.id, u.person_id, u.email, u.name, u.active, u.created_at, (SELECT count(*) FROM user_roles r \
         WHERE r.user_id = u.id AND r.role = 'board') AS board FROM users u WHERE u.email IN ({list}) OR u.name IN ({list}) OR lower(u.name) IN ({list})"
    ));
    for name in &named {
        query = query.bind(name.as_str());
    }
    query.all().await
}
