//! What everybody should know before they do anything: incidents that are open, the freeze that is on or comes next.

use std::sync::{Arc, Mutex, PoisonError};

use super::incidents::{FreezeRow, IncidentRow};
use super::{ServiceError, Services};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::store::{freezes, incidents};

/// Incidents that are named; of more, only that there are more.
const NAMED: i64 = 3;

/// What every page says above itself.
#[derive(Clone, Debug, Default)]
pub struct Notices {
    /// The newest open incidents, a few of them.
    pub incidents: Vec<IncidentRow>,
    /// Whether more are open than are named.
    pub more: bool,
    /// The freeze that is on, or else the next one.
    pub freeze: Option<FreezeRow>,
}

/// What the frame of every page tells its reader.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// As [`Services::queue_count`].
    pub queue_count: usize,
    pub notices: Notices,
}

/// The notices, with the head of the audit log before they were read: they hold as long as it stays, because incidents
/// and freezes begin and end by acts. Only the end of a freeze comes by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptNotices(Arc<Mutex<Option<(i64, Notices)>>>);

impl KeptNotices {
    fn get(&self, head: i64, now: Timestamp) -> Option<Notices> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, notices) = kept.as_ref()?;
        let over = notices.freeze.as_ref().is_some_and(|freeze| freeze.ends_at <= now);
        (*known == head && !over).then(|| notices.clone())
    }

    fn put(&self, head: i64, notices: &Notices) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, notices.clone()));
    }
}

impl Services {
    /// What a page tells its reader besides what it is about. One small query while nothing happens.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn surroundings(&self, actor: &Actor) -> Result<Surroundings, ServiceError> {
        let head = self.log_head().await?;
        let queue_count = self.queue_count_at(actor, head).await?;
        if let Some(notices) = self.kept_notices.get(head, self.now()) {
            return Ok(Surroundings { queue_count, notices });
        }
        let notices = self.notices().await?;
        self.kept_notices.put(head, &notices);
        Ok(Surroundings { queue_count, notices })
    }

    /// In two queries, whatever there is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn notices(&self) -> Result<Notices, ServiceError> {
        let mut read = self.db.glance().await?;
        let mut open = incidents::list(&mut read, true, i64::MAX, NAMED + 1).await?;
        let freeze = freezes::next(&mut read, self.now()).await?;
        let named = usize::try_from(NAMED).unwrap_or(usize::MAX);
        let more = open.len() > named;
        open.truncate(named);
        Ok(Notices { incidents: open, more, freeze })
    }
}
