//! What surrounds tickets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::batch::{Answers, Batch};
use super::super::row::row;

use super::super::{Conn, StoreError};
use super::{KnownPolicy, Which};

use crate::domain::dossier::{Alarm, Dossier};
use crate::domain::facts::{Freeze, Incident, StageRecord, Voter};
use crate::domain::id::{ApplicationId, EnvironmentId, PersonId, StageId, TicketId, UserId};

use crate::domain::ticket::{Ticket, author_keys};
use crate::domain::time::Timestamp;

row! {
    struct ContributorRow { ticket_id: TicketId, person_id: PersonId }
}

row! {
    pub(super) struct AccountRow {
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

const ACCOUNTS: &str = "SELECT u.id, u.person_id, u.email, u.name, u.active, u.created_at, (SELECT count(*) \
    FROM user_roles r WHERE r.user_id = u.id AND r.role = 'board') AS board FROM users u WHERE u.id IN (?)";

/// What surrounds tickets.
pub(super) struct Around {
    contributors: Vec<ContributorRow>,
    pub(super) accounts: Vec<AccountRow>,
    shaped: HashMap<UserId, BTreeSet<PersonId>>,
    incidents: Vec<IncidentRow>,
    freezes: Vec<FreezeRow>,
    tokens: Vec<crate::domain::run::ApplyToken>,
    runs: Vec<crate::domain::run::Run>,
    standing: Vec<crate::domain::run::Run>,
    alarms: Vec<AlarmRow>,
    newest_policies: Vec<NewestPolicy>,
}

impl Around {
    /// In the order of [`read`](Self::read).
    pub(super) fn ask(batch: &mut Batch<'_>, which: Which<'_>, readers: &[UserId], now: Timestamp) {
        // Whoever voted or accepted a finding: their word counts only as long as they may give it.
        let voters = "(SELECT v.user_id FROM votes v JOIN stages s ON s.id = v.stage_id WHERE s.ticket_id IN (?) \
            UNION SELECT x.user_id FROM stages s CROSS JOIN artifacts a CROSS JOIN findings f \
            CROSS JOIN finding_acceptances x WHERE s.ticket_id IN (?) AND a.stage_id = s.id AND f.artifact_id = a.id \
            AND x.finding_id = f.id)";
        let shaped = "SELECT user_id, by_person FROM account_acts WHERE user_id IN (?)";
        which.ask(batch, &ACCOUNTS.replace("(?)", voters));
        batch.add(ACCOUNTS, readers);
        which.ask(batch, &shaped.replace("(?)", voters));
        batch.add(shaped, readers);
        which.ask(
            batch,
            "SELECT DISTINCT ticket_id, person_id FROM ticket_contributors WHERE ticket_id IN (?)",
        );
        let applications = "(SELECT application_id FROM tickets WHERE id IN (?))";
        let mut ask = |text: &str| which.ask(batch, &text.replace("(applications)", applications));
        ask("SELECT i.id, i.application_id, i.number, i.title, u.name, i.opened_at FROM incidents i \
             JOIN users u ON u.id = i.opened_by WHERE i.resolved_at IS NULL AND i.application_id IN (applications) \
             ORDER BY i.number");
        ask(
            "SELECT application_id, max(version) AS version FROM policy_versions WHERE application_id IN (applications) \
             GROUP BY application_id",
        );
        let environments = "(SELECT environment_id FROM stages WHERE ticket_id IN (?))";
        let mut ask = |text: &str| which.ask(batch, &text.replace("(environments)", environments));
        ask(&super::super::apply_tokens::issued_in());
        ask(&super::super::runs::unsettled_in());
        ask(&super::super::runs::standing_in());
        which.ask(
            batch,
            "SELECT ticket_id, stage_id, kind, detail, at FROM alarms WHERE ticket_id IN (?) ORDER BY at, id",
        );
        batch.add(
            "SELECT id, application_id, environment, starts_at, ends_at, reason FROM freezes WHERE ends_at > (?) \
             ORDER BY starts_at, id",
            &[now],
        );
    }

    pub(super) fn read(answers: &mut Answers) -> Result<Self, StoreError> {
        let mut accounts: Vec<AccountRow> = answers.rows()?;
        accounts.extend(answers.rows::<AccountRow>()?);
        let mut shaped: HashMap<UserId, BTreeSet<PersonId>> = HashMap::new();
        for _ in 0..2 {
            for (user, person) in answers.rows()? {
                shaped.entry(user).or_default().insert(person);
            }
        }
        Ok(Self {
            accounts,
            shaped,
            contributors: answers.rows()?,
            incidents: answers.rows()?,
            newest_policies: answers.rows()?,
            tokens: answers.rows()?,
            runs: answers.rows()?,
            standing: answers.rows()?,
            alarms: answers.rows()?,
            freezes: answers.rows()?,
        })
    }

    pub(super) fn dossier(
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
            standing: self
                .standing
                .iter()
                .filter(|r| environments.contains(&r.environment))
                .cloned()
                .collect(),
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
        .with_acceptances_weighed()
    }
}

/// Accounts of declared authors, by e-mail address or by name: whoever is named can't approve.
pub(super) async fn authors(
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
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut batch = conn.batch();
    batch.add(
        &ACCOUNTS.replace("u.id IN (?)", "u.email IN (?) OR u.name IN (?) OR lower(u.name) IN (?)"),
        &named,
    );
    batch.all().await?.rows()
}
