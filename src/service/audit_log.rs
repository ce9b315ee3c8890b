//! Reading the audit log.

use super::{ServiceError, Services};
use crate::store::audit;

pub use crate::store::audit::Entry;

/// The most events that one answer holds.
pub const MOST_EVENTS: i64 = 1000;

impl Services {
    /// Events after the number `after`, in the order of the log; at most `limit`, and never more than [`MOST_EVENTS`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_after(&self, after: i64, limit: i64) -> Result<Vec<Entry>, ServiceError> {
        let mut read = self.db.read().await?;
        Ok(audit::after(&mut read, after, limit.clamp(1, MOST_EVENTS)).await?)
    }
}
