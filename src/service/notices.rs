//! What everybody should know before they do anything: incidents that are open, the freeze that is on or comes next.

use super::incidents::{FreezeRow, IncidentRow};
use super::{ServiceError, Services};
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

impl Services {
    /// In two queries, whatever there is.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn notices(&self) -> Result<Notices, ServiceError> {
        let mut read = self.db.read().await?;
        let mut open = incidents::list(&mut read, true, i64::MAX, NAMED + 1).await?;
        let freeze = freezes::next(&mut read, self.now()).await?;
        let named = usize::try_from(NAMED).unwrap_or(usize::MAX);
        let more = open.len() > named;
        open.truncate(named);
        Ok(Notices { incidents: open, more, freeze })
    }
}
