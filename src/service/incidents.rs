//! Incidents and freezes: people's word that nothing may be applied just now.

use jiff::SignedDuration;

use super::change::still;
use super::{ServiceError, Services};
use crate::domain::authority;
use crate::domain::id::{ApplicationId, FreezeId, IncidentId};
use crate::domain::ticket::{FieldFault, text_rule};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::store::freezes::NewFreeze;
use crate::store::incidents::NewIncident;
use crate::store::{Tx, freezes, gate_epoch, incidents, policies};

pub use crate::store::freezes::FreezeRow;
pub use crate::store::incidents::IncidentRow;

/// The most incidents that one page holds.
pub const INCIDENTS_PER_PAGE: i64 = 200;

/// The longest freeze.
const LONGEST_FREEZE: SignedDuration = SignedDuration::from_hours(400 * 24);

/// One page of incidents, newest first.
#[derive(Clone, Debug)]
pub struct IncidentPage {
    pub incidents: Vec<IncidentRow>,
    /// The cursor of the next page; none if this is the last.
    pub next: Option<i64>,
}

/// A freeze to be declared.
#[derive(Clone, Debug)]
pub struct FreezeInput {
    /// One application; all of them if none is named.
    pub application: Option<String>,
    /// One environment; all of them if none is named.
    pub environment: Option<String>,
    pub starts_at: Timestamp,
    /// The first instant after it.
    pub ends_at: Timestamp,
    pub reason: String,
}

impl Services {
    /// Declares an incident: gates of the application close until it is resolved.
    ///
    /// # Errors
    /// Refused to auditors; the fields `application` and `title`.
    pub async fn declare_incident(
        &self,
        actor: &Actor,
        application: &str,
        title: &str,
    ) -> Result<IncidentRow, ServiceError> {
        authority::declares_incidents(actor)?;
        let title = title.trim();
        let mut faults = Vec::new();
        if let Err(message) = text_rule(title, 3, 200, false) {
            faults.push(FieldFault { field: "title", message });
        }
        let mut tx = self.db.write().await?;
        gate_epoch::raise(&mut tx).await?;
        let actor = &still(&mut tx, actor, self.now()).await?;
        authority::declares_incidents(actor)?;
        let known = policies::application(&mut tx, application).await?;
        if known.is_none() {
            faults.insert(0, no_application());
        }
        let Some(application_id) = known.filter(|_| faults.is_empty()) else {
            return Err(ServiceError::Invalid { faults });
        };
        let id = IncidentId(self.env.uuid());
        let new = NewIncident { id, application: application_id, title, by: actor.user, at: self.now() };
        let number = incidents::insert(&mut tx, &new).await?;
        let row = incident(&mut tx, id).await?;
        let event = self
            .event("incident.declared", Some(actor))
            .with("incident", id.to_string())
            .with("number", number)
            .with("application", row.application.as_str());
        tx.commit(&[self.with_text(event, title)]).await?;
        Ok(row)
    }

    /// Says that an incident is over.
    ///
    /// # Errors
    /// Refused to auditors; not found; conflict `already-resolved`.
    pub async fn resolve_incident(&self, actor: &Actor, id: IncidentId) -> Result<IncidentRow, ServiceError> {
        authority::declares_incidents(actor)?;
        let mut tx = self.db.write().await?;
        gate_epoch::raise(&mut tx).await?;
        let actor = &still(&mut tx, actor, self.now()).await?;
        authority::declares_incidents(actor)?;
        let before = incident(&mut tx, id).await?;
        authority::resolves_incident(actor, before.opened_by)?;
        if !incidents::resolve(&mut tx, id, actor.user, self.now()).await? {
            let message = format!("{} is resolved already.", before.label());
            return Err(ServiceError::conflict("already-resolved", message));
        }
        let row = incident(&mut tx, id).await?;
        let event = self
            .event("incident.resolved", Some(actor))
            .with("incident", id.to_string())
            .with("number", row.number)
            .with("application", row.application.as_str());
        tx.commit(&[event]).await?;
        Ok(row)
    }

    /// Incidents, newest first; `cursor` is [`IncidentPage::next`], `limit` at most [`INCIDENTS_PER_PAGE`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_incidents(
        &self,
        open_only: bool,
        cursor: Option<i64>,
        limit: i64,
    ) -> Result<IncidentPage, ServiceError> {
        let limit = limit.clamp(1, INCIDENTS_PER_PAGE);
        let before = cursor.unwrap_or(i64::MAX);
        let mut read = self.db.glance().await?;
        let mut incidents = incidents::list(&mut read, open_only, before, limit + 1).await?;
        let kept = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = incidents.len() > kept;
        incidents.truncate(kept);
        let next = incidents.last().map(|last| last.number).filter(|_| more);
        Ok(IncidentPage { incidents, next })
    }

    /// The incident with this id.
    ///
    /// # Errors
    /// Not found.
    pub async fn incident(&self, id: IncidentId) -> Result<IncidentRow, ServiceError> {
        let mut read = self.db.glance().await?;
        incidents::by_id(&mut read, id).await?.ok_or(ServiceError::NotFound("incident"))
    }

    /// Declares a span in which nothing is applied.
    ///
    /// # Errors
    /// Refused to all but the board and administrators; the fields `application`, `environment`, `starts_at`, `ends_at` and
    /// `reason`.
    pub async fn declare_freeze(&self, actor: &Actor, input: FreezeInput) -> Result<FreezeRow, ServiceError> {
        authority::declares_freezes(actor)?;
        let now = self.now();
        let mut faults = input.check(now);
        let mut tx = self.db.write().await?;
        gate_epoch::raise(&mut tx).await?;
        let actor = &still(&mut tx, actor, now).await?;
        authority::declares_freezes(actor)?;
        let application = find_scope(&mut tx, &input, &mut faults).await?;
        if !faults.is_empty() {
            return Err(ServiceError::Invalid { faults });
        }
        let id = FreezeId(self.env.uuid());
        let new = NewFreeze {
            id,
            application,
            environment: input.environment.as_deref(),
            starts_at: input.starts_at,
            ends_at: input.ends_at,
            reason: input.reason.trim(),
            by: actor.user,
            at: now,
        };
        freezes::insert(&mut tx, &new).await?;
        let row = freeze(&mut tx, id).await?;
        let mut event = self
            .event("freeze.declared", Some(actor))
            .with("freeze", id.to_string())
            .with("starts_at", row.starts_at.to_string())
            .with("ends_at", row.ends_at.to_string());
        for (key, name) in [("application", &row.application), ("environment", &row.environment)] {
            if let Some(name) = name {
                event = event.with(key, name.as_str());
            }
        }
        tx.commit(&[self.with_text(event, &row.reason)]).await?;
        Ok(row)
    }

    /// Ends a freeze now, also one that has not begun.
    ///
    /// # Errors
    /// Refused to all but the board and administrators; not found; conflict `already-ended`.
    pub async fn end_freeze(&self, actor: &Actor, id: FreezeId) -> Result<FreezeRow, ServiceError> {
        authority::declares_freezes(actor)?;
        let mut tx = self.db.write().await?;
        gate_epoch::raise(&mut tx).await?;
        let actor = &still(&mut tx, actor, self.now()).await?;
        authority::declares_freezes(actor)?;
        freeze(&mut tx, id).await?;
        if !freezes::end(&mut tx, id, actor.user, self.now()).await? {
            return Err(ServiceError::conflict("already-ended", "This freeze is over already."));
        }
        let row = freeze(&mut tx, id).await?;
        let event = self.event("freeze.ended", Some(actor)).with("freeze", id.to_string());
        tx.commit(&[event]).await?;
        Ok(row)
    }

    /// Freezes, at most 200: what is to come and what is on first, then what is over.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_freezes(&self) -> Result<Vec<FreezeRow>, ServiceError> {
        Ok(freezes::list(&mut self.db.glance().await?).await?)
    }
}

impl FreezeInput {
    /// What is wrong with it by itself, in the order of the form.
    fn check(&self, now: Timestamp) -> Vec<FieldFault> {
        let mut faults = Vec::new();
        let mut fault = |field, message: &str| faults.push(FieldFault { field, message: message.to_owned() });
        if self.ends_at <= self.starts_at {
            fault("ends_at", "The freeze has to end after it starts.");
        } else if self.ends_at <= now {
            fault("ends_at", "This is in the past.");
        } else if self.ends_at - self.starts_at > LONGEST_FREEZE {
            fault("ends_at", "A freeze lasts 400 days at most.");
        }
        text_rule(self.reason.trim(), 3, 1000, true).unwrap_or_else(|message| fault("reason", &message));
        faults
    }
}

/// Looks up what the freeze covers, and puts faults before the others.
async fn find_scope(
    tx: &mut Tx,
    input: &FreezeInput,
    faults: &mut Vec<FieldFault>,
) -> Result<Option<ApplicationId>, ServiceError> {
    let application = match &input.application {
        None => None,
        Some(name) => {
            let known = policies::application(tx, name).await?;
            if known.is_none() {
                faults.insert(0, no_application());
                return Ok(None);
            }
            known
        }
    };
    if let Some(name) = &input.environment {
        let known = match application {
            Some(application) => policies::environments(tx, application).await?.contains(name),
            None => policies::environment_exists(tx, name).await?,
        };
        if !known {
            let message = "There is no such environment.".to_owned();
            faults.insert(0, FieldFault { field: "environment", message });
        }
    }
    Ok(application)
}

fn no_application() -> FieldFault {
    FieldFault { field: "application", message: "There is no such application.".to_owned() }
}

async fn incident(tx: &mut Tx, id: IncidentId) -> Result<IncidentRow, ServiceError> {
    incidents::by_id(tx, id).await?.ok_or(ServiceError::NotFound("incident"))
}

async fn freeze(tx: &mut Tx, id: FreezeId) -> Result<FreezeRow, ServiceError> {
    freezes::by_id(tx, id).await?.ok_or(ServiceError::NotFound("freeze"))
}

#[cfg(test)]
mod tests;
