//! Loads whole tickets with a fixed number of queries, however many tickets are asked for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::batch::Batch;
use super::row::RowRef;
use super::tickets::ticket_from;

use super::{Conn, Record, StoreError};

use crate::domain::digest::Digest;
use crate::domain::dossier::Dossier;

use crate::domain::id::{PolicyVersionId, TicketId, TicketNumber, UserId};
use crate::domain::policy::Policy;

use crate::domain::ticket::Ticket;
use crate::domain::time::Timestamp;

mod around;
mod parts;

use around::{Around, authors};
use parts::{Parts, StageRow};

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

/// Which tickets to load.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    These(&'a [TicketId]),
    Number(TicketNumber),
}

impl Which<'_> {
    /// Adds a statement in which `(?)` stands for the list of the tickets' ids.
    fn ask(self, batch: &mut Batch<'_>, text: &str) {
        match self {
            Self::These(ids) => batch.add(text, ids),
            Self::Number(number) => {
                let one = "(SELECT id FROM tickets WHERE number IN (?))";
                batch.add(&text.replace("(?)", one), &[number]);
            }
        }
    }
}

/// Loads tickets; ids that don't exist are left out, the others come in their order. `readers` are accounts whose right to
/// approve is wanted besides that of the voters.
pub async fn load(
    conn: &mut impl Conn,
    policies: &PolicyCache,
    which: Which<'_>,
    readers: &[UserId],
    now: Timestamp,
) -> Result<Vec<Dossier>, StoreError> {
    let mut batch = conn.batch();
    // CROSS JOIN keeps SQLite's planner from beginning anywhere but at what is asked for, whatever its statistics say.
    which.ask(
        &mut batch,
        "SELECT t.*, a.name AS application_name, u.name AS requester_name FROM tickets t \
         CROSS JOIN applications a CROSS JOIN users u WHERE t.id IN (?) AND a.id = t.application_id AND u.id = t.requester",
    );
    which.ask(
        &mut batch,
        "SELECT s.id, s.ticket_id, s.environment_id, s.position, s.generation, e.name FROM stages s \
         JOIN environments e ON e.id = s.environment_id WHERE s.ticket_id IN (?) ORDER BY s.ticket_id, s.position",
    );
    Parts::ask(&mut batch, which);
    Around::ask(&mut batch, which, readers, now);
    let mut answers = batch.all().await?;
    let tickets = answers.rows::<TicketRow>()?.into_iter().map(|row| row.0);
    let stages: Vec<StageRow> = answers.rows()?;
    let mut parts = Parts::read(&mut answers)?;
    let mut around = Around::read(&mut answers)?;

    let mut found: HashMap<TicketId, Ticket> = tickets.map(|ticket| (ticket.id, ticket)).collect();
    around.accounts.extend(authors(conn, &found).await?);
    let order = match which {
        Which::These(ids) => ids.to_vec(),
        Which::Number(_) => found.keys().copied().collect(),
    };
    let mut dossiers = Vec::with_capacity(order.len());
    for id in order {
        let Some(ticket) = found.remove(&id) else { continue };
        let known = policies.get(conn, ticket.policy_version).await?;
        let mut records = Vec::new();
        for row in stages.iter().filter(|s| s.ticket_id == id) {
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
