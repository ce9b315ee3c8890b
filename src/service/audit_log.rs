//! Reading the audit log.

use super::{ServiceError, Services};
use crate::store::audit;

pub use crate::store::audit::Entry;

/// Events that one answer holds at most.
pub const EVENTS_AT_ONCE: i64 = 500;

impl Services {
    /// Events after `after`, in order, at most [`EVENTS_AT_ONCE`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_events(&self, after: i64, limit: i64) -> Result<Vec<Entry>, ServiceError> {
        let mut read = self.db.read().await?;
        Ok(audit::after(&mut read, after, limit.clamp(1, EVENTS_AT_ONCE)).await?)
    }

    /// Events before `before`, newest first, at most [`EVENTS_AT_ONCE`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn newest_audit_events(&self, before: i64, limit: i64) -> Result<Vec<Entry>, ServiceError> {
        let mut read = self.db.read().await?;
        Ok(audit::newest(&mut read, None, before, limit.clamp(1, EVENTS_AT_ONCE)).await?)
    }
}
