//! Policy: checking a file, applying it as the next version, and showing versions.

use super::users::by_operator;
use super::{ServiceError, Services};
use crate::domain::authority;
use crate::domain::digest::Digest;
use crate::domain::id::{ApplicationId, EnvironmentId, PolicyVersionId};
use crate::domain::policy::{Policy, PolicyFault};
use crate::domain::ticket::FieldFault;
use crate::domain::user::Actor;
use crate::store::policies::NewVersion;
use crate::store::{Tx, gate_epoch, policies};

pub use crate::store::policies::{PolicySummary, PolicyText};

/// What came of applying a policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppliedPolicy {
    pub application: String,
    pub version: i64,
    /// Of the file.
    pub sha256: Digest,
    /// Whether it differs, byte for byte, from the version that was the newest before.
    pub changed: bool,
}

/// An application and the environments that its tickets pass through, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub id: ApplicationId,
    pub name: String,
    pub environments: Vec<String>,
}

impl Services {
    /// Reads a policy file and applies nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check_policy(toml: &str) -> Result<Policy, Vec<PolicyFault>> {
        Policy::check(toml)
    }

    /// Makes a file the newest version of its application's policy, and makes the application if it is new. A file equal
    /// to the newest version changes and records nothing. Tickets stay with the version they have until somebody moves them.
    ///
    /// # Errors
    /// Refused to all but administrators and the operator; the field `toml`, one fault each; conflict
    /// `environments-changed` if an environment was renamed, moved or left out.
    pub async fn apply_policy(
        &self,
        actor: Option<&Actor>,
        toml: &str,
    ) -> Result<AppliedPolicy, ServiceError> {
        authority::administers(actor)?;
        let policy = Policy::check(toml).map_err(|faults| ServiceError::Invalid {
            faults: faults.iter().map(|f| FieldFault { field: "toml", message: f.to_string() }).collect(),
        })?;
        let sha256 = Digest::of(toml.as_bytes());
        let mut tx = self.db.write().await?;
        // Also keeps two files for one application apart.
        gate_epoch::raise(&mut tx).await?;
        self.still_administers(&mut tx, actor).await?;
        let newest = policies::newest_of(&mut tx, &policy.application).await?;
        if let Some(same) = newest.as_ref().filter(|newest| newest.sha256 == sha256) {
            let (application, version) = (policy.application, same.version);
            return Ok(AppliedPolicy { application, version, sha256, changed: false });
        }
        let application = self.application_of(&mut tx, &policy).await?;
        let version = newest.map_or(1, |newest| newest.version + 1);
        let id = PolicyVersionId(self.env.uuid());
        let by = actor.map(|actor| actor.user);
        let new = NewVersion { id, application, version, sha256, toml, at: self.now(), by };
        policies::insert_version(&mut tx, &new).await?;
        let event = by_operator(self.event("policy.applied", actor))
            .with("application", policy.application.as_str())
            .with("version", version)
            .with("sha256", sha256.to_string());
        tx.commit(&[event]).await?;
        Ok(AppliedPolicy { application: policy.application, version, sha256, changed: true })
    }

    /// Finds or adds the application, and adds environments that are new at the end of its pipeline.
    async fn application_of(&self, tx: &mut Tx, policy: &Policy) -> Result<ApplicationId, ServiceError> {
        let known = policies::application(tx, &policy.application).await?;
        let application = known.unwrap_or_else(|| ApplicationId(self.env.uuid()));
        if known.is_none()
            && !policies::insert_application(tx, application, &policy.application, self.now()).await?
        {
            return Err(ServiceError::Busy);
        }
        let before = policies::environments(tx, application).await?;
        let mut names = policy.environments.iter().map(|environment| environment.name.as_str());
        if !before.iter().all(|name| names.next() == Some(name.as_str())) {
            let message = format!(
                "The environments of {} are {}. Their names and order are part of tickets and evidence: a new version of \
                 the policy keeps them and may add others after them.",
                policy.application,
                before.join(", ")
            );
            return Err(ServiceError::conflict("environments-changed", message));
        }
        for (position, name) in
            (0_i64..).zip(before.iter().map(String::as_str).chain(names)).skip(before.len())
        {
            policies::insert_environment(tx, EnvironmentId(self.env.uuid()), application, name, position)
                .await?;
        }
        Ok(application)
    }

    /// The newest version of every application's policy, by application, at most 200.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn policies(&self) -> Result<Vec<PolicySummary>, ServiceError> {
        Ok(policies::newest(&mut self.db.read().await?).await?)
    }

    /// The versions of an application's policy below `before`, newest first, at most 200.
    ///
    /// # Errors
    /// Not found for an application that there isn't.
    pub async fn policy_versions(
        &self,
        application: &str,
        before: Option<i64>,
    ) -> Result<Vec<PolicySummary>, ServiceError> {
        let mut read = self.db.read().await?;
        if policies::application(&mut read, application).await?.is_none() {
            return Err(ServiceError::NotFound("application"));
        }
        Ok(policies::versions(&mut read, application, before.unwrap_or(i64::MAX)).await?)
    }

    /// One version of an application's policy with its text; the newest if none is named.
    ///
    /// # Errors
    /// Not found.
    pub async fn policy_version(
        &self,
        application: &str,
        version: Option<i64>,
    ) -> Result<PolicyText, ServiceError> {
        let mut read = self.db.read().await?;
        let found = match version {
            Some(version) => policies::version(&mut read, application, version).await?,
            None => policies::newest_of(&mut read, application).await?,
        };
        found.ok_or(ServiceError::NotFound("policy version"))
    }

    /// All applications by name, at most 200.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn applications(&self) -> Result<Vec<Application>, ServiceError> {
        let mut read = self.db.read().await?;
        let applications = policies::applications(&mut read).await?;
        let environments = policies::all_environments(&mut read).await?;
        let of = |id| {
            environments.iter().filter(|(owner, _)| *owner == id).map(|(_, name)| name.clone()).collect()
        };
        let whole = applications.into_iter().map(|row| Application {
            id: row.id,
            environments: of(row.id),
            name: row.name,
        });
        Ok(whole.collect())
    }
}

#[cfg(test)]
mod tests;
