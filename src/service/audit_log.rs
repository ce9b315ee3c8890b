//! Reading the audit log.

use super::{ServiceError, Services};
use crate::store::audit;

pub use crate::store::audit::{Entry, Search};

/// Events that one answer holds at most.
pub const EVENTS_AT_ONCE: i64 = 500;

/// The log as it stands: how many events its head counts, and the number of the newest one. They are the same, or the end
/// of the log has been cut off behind the portal's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSize {
    pub counted: i64,
    pub newest: i64,
}

impl Services {
    /// Events after `after`, in order, at most [`EVENTS_AT_ONCE`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_events(&self, after: i64, limit: i64) -> Result<Vec<Entry>, ServiceError> {
        let mut read = self.db.read().await?;
        Ok(audit::after(&mut read, after, limit.clamp(1, EVENTS_AT_ONCE)).await?)
    }

    /// Events that fit, newest first, at most [`EVENTS_AT_ONCE`]; and the size of the whole log.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn search_audit(
        &self,
        search: &Search<'_>,
        limit: i64,
    ) -> Result<(Vec<Entry>, LogSize), ServiceError> {
        let mut read = self.db.read().await?;
        let found = audit::search(&mut read, search, limit.clamp(1, EVENTS_AT_ONCE)).await?;
        let (counted, newest) = audit::size(&mut read).await?;
        Ok((found, LogSize { counted, newest }))
    }

    /// One event.
    ///
    /// # Errors
    /// Not found.
    pub async fn audit_event(&self, seq: i64) -> Result<Entry, ServiceError> {
        let mut read = self.db.read().await?;
        audit::at(&mut read, seq).await?.ok_or(ServiceError::NotFound("audit event"))
    }
}
