//! How much waits for somebody: the badge on every page, so it is kept for as long as nothing happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{ServiceError, Services};
use crate::domain::dossier::Dossier;
use crate::domain::facts::Facts;
use crate::domain::gate::{self, GateReport};
use crate::domain::id::{TicketId, UserId};
use crate::domain::queue::{Seen, asked};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::store::{audit, dossier};

/// The open tickets that a queue is made of: emergencies, the reader's own, then the newest. With more than that, a
/// queue is no help any more, and its page says so.
pub const QUEUE_LOOKS_AT: usize = 50;

/// Time alone opens and shuts gates too; the badge may be late by this, in microseconds.
const GOOD_FOR: i64 = 15 * 1_000_000;

/// Counts are dropped when there are more than this many.
const KEPT: usize = 1_000;

/// A count, with the log's head and the time at which it was right.
#[derive(Clone, Copy, Debug)]
struct Counted {
    head: i64,
    at: Timestamp,
    count: usize,
}

/// Counts by person. Everything that changes a queue is in the audit log, so its head tells whether one still holds.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueCounts(Arc<Mutex<HashMap<UserId, Counted>>>);

impl QueueCounts {
    fn get(&self, user: UserId, head: i64, now: Timestamp) -> Option<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = known.get(&user)?;
        let fresh = now.as_micros() - counted.at.as_micros() < GOOD_FOR && now >= counted.at;
        (counted.head == head && fresh).then_some(counted.count)
    }

    fn put(&self, user: UserId, counted: Counted) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(user, counted);
    }
}

impl Services {
    /// How many tickets ask something of this person, among the [`QUEUE_LOOKS_AT`] open ones that it looks at. One small query
    /// while nothing happens; a fixed number of queries otherwise.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn queue_count(&self, actor: &Actor) -> Result<usize, ServiceError> {
        let head = self.log_head().await?;
        self.queue_count_at(actor, head).await
    }

    /// The head of the audit log: as long as it stays, nothing has happened.
    pub(super) async fn log_head(&self) -> Result<i64, ServiceError> {
        let mut read = self.db.glance().await?;
        Ok(audit::head(&mut read).await?)
    }

    pub(super) async fn queue_count_at(&self, actor: &Actor, head: i64) -> Result<usize, ServiceError> {
        let now = self.now();
        if let Some(count) = self.queue_counts.get(actor.user, head, now) {
            return Ok(count);
        }
        let mut count = 0;
        for dossier in self.open_dossiers(actor, QUEUE_LOOKS_AT).await? {
            let stages = judged(&dossier)?;
            let seen: Vec<Seen<'_>> = stages.iter().map(|(facts, report)| Seen { facts, report }).collect();
            count += usize::from(asked(&seen, actor).is_some());
        }
        self.queue_counts.put(actor.user, Counted { head, at: now, count });
        Ok(count)
    }

    /// These tickets as they stand, in a fixed number of queries.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn dossiers(&self, actor: &Actor, ids: &[TicketId]) -> Result<Vec<Dossier>, ServiceError> {
        let mut read = self.db.read().await?;
        let which = dossier::Which::These(ids);
        Ok(dossier::load(&mut read, &self.policies, which, &[actor.user], self.now()).await?)
    }
}

fn judged(dossier: &Dossier) -> Result<Vec<(Facts, GateReport)>, ServiceError> {
    dossier
        .all_facts()
        .into_iter()
        .map(|facts| {
            let report = gate::evaluate(&facts)?;
            Ok((facts, report))
        })
        .collect()
}

#[cfg(test)]
mod tests;
