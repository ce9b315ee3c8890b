//! Use cases. Each one locks, loads facts, lets the domain decide, writes, audits and commits, in that order.
//!
//! May use: domain, sql, alembic, store, secret, clock. May not enter: HTTP, templates, a rule that is not the domain's.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::clock::Env;
use crate::secret::grant::GrantKey;
use crate::secret::hasher::PasswordHasher;
use crate::store::Db;
use crate::store::dossier::PolicyCache;

pub mod api_tokens;
pub mod artifacts;
pub mod audit_log;
mod change;
pub mod contents;
pub mod diff;
pub mod enrolment;
pub mod error;
mod grant;
pub mod idempotency;
pub mod incidents;
pub mod journal;
pub mod marks;
mod measured;
pub mod notices;
pub mod policies;
pub mod queue;
mod reading;
pub mod redemption;
pub mod review;
pub mod runs;
pub mod sign_in;
mod throttle;
pub mod tickets;
pub mod timeline;
pub mod tokens;
pub mod users;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;

pub use error::ServiceError;

/// Bounds that the operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest upload, in bytes.
    pub upload: u64,
    /// Largest run log that is kept, in bytes.
    pub log: u64,
    /// A session ends after this long without a request.
    pub session_idle: SignedDuration,
    /// A session ends after this long in any case.
    pub session_max: SignedDuration,
}

/// What every use case needs. Cloning shares it.
#[derive(Clone)]
pub struct Services {
    pub(crate) db: Db,
    pub(crate) env: Env,
    pub(crate) hasher: Arc<PasswordHasher>,
    pub(crate) grant: Arc<GrantKey>,
    pub(crate) limits: Limits,
    pub(crate) policies: PolicyCache,
    queue_counts: queue::QueueCounts,
    kept_notices: notices::KeptNotices,
    kept_differences: diff::KeptDifferences,
    known_to_show: marks::KnownToShow,
}

impl Services {
    pub fn new(db: Db, env: Env, hasher: PasswordHasher, grant: GrantKey, limits: Limits) -> Self {
        Self {
            db,
            env,
            hasher: Arc::new(hasher),
            grant: Arc::new(grant),
            limits,
            policies: PolicyCache::default(),
            queue_counts: queue::QueueCounts::default(),
            kept_notices: notices::KeptNotices::default(),
            kept_differences: diff::KeptDifferences::default(),
            known_to_show: marks::KnownToShow::default(),
        }
    }

    /// The same portal by another clock and other dice: what the demo plays its story with.
    #[must_use]
    pub fn with_env(&self, env: Env) -> Self {
        Self { env, ..self.clone() }
    }

    /// The server's clock, the only one that counts.
    pub fn now(&self) -> crate::domain::time::Timestamp {
        self.env.now()
    }

    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many statements have run: a test's proof that no page asks once per row.
    pub fn queries(&self) -> u64 {
        self.db.queries()
    }
}
