//! Apply tokens and the runs they open.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::id::{ApiTokenId, ApplyTokenId, EnvironmentId, PersonId, RunId, StageId, TicketNumber, UserId};
use super::named::named;
use super::time::Timestamp;

named! {
    /// Which way a run moves the database.
    Direction, "direction" { Upgrade = "upgrade", Rollback = "rollback" }
}

named! {
    /// How a rollback undoes a run.
    Method, "rollback method" {
        /// Run the downgrade SQL's migrations.
        Downgrade = "downgrade",
        /// Put the backup back and redeploy the prior tag.
        Restore = "restore",
    }
}

named! {
    /// What is recorded of an apply token. Expiry is derived from the clock.
    TokenState, "state of an apply token" { Issued = "issued", Used = "used", Revoked = "revoked", Expired = "expired" }
}

/// An apply token without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyToken {
    pub id: ApplyTokenId,
    pub stage: StageId,
    pub ticket: TicketNumber,
    pub environment: EnvironmentId,
    pub direction: Direction,
    pub method: Option<Method>,
    pub undoes: Option<RunId>,
    pub evidence: Digest,
    pub released_by: UserId,
    pub released_by_name: String,
    pub released_at: Timestamp,
    pub expires_at: Timestamp,
    pub state: TokenState,
    pub ended_at: Option<Timestamp>,
    /// Why it was revoked, in a few words.
    pub ended_why: Option<String>,
}

impl ApplyToken {
    /// Whether it could still be redeemed.
    pub fn outstanding(&self, now: Timestamp) -> bool {
        self.state == TokenState::Issued && now < self.expires_at
    }
}

named! {
    /// Where a run stands, as recorded.
    RunStatus, "status of a run" {
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Partial = "partial",
        Unknown = "unknown",
    }
}

named! {
    /// What the client says at the end of a run.
    Outcome, "outcome of a run" { Succeeded = "succeeded", Failed = "failed", Partial = "partial" }
}

named! {
    /// A person's word on a run that stopped reporting.
    RunVerdict, "verdict on a run" { Applied = "applied", NotApplied = "not-applied", Partly = "partly" }
}

impl RunVerdict {
    pub const fn status(self) -> RunStatus {
        match self {
            Self::Applied => RunStatus::Succeeded,
            Self::NotApplied => RunStatus::Failed,
            Self::Partly => RunStatus::Partial,
        }
    }
}

/// One execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    pub token: ApplyTokenId,
    pub stage: StageId,
    pub ticket: TicketNumber,
    pub environment: EnvironmentId,
    pub direction: Direction,
    pub method: Option<Method>,
    pub undoes: Option<RunId>,
    pub redeemed_by: UserId,
    pub redeemed_by_name: String,
    /// Who that is: an account and an API token may go while a run is under way.
    pub redeemed_person: PersonId,
    pub redeemed_via: Option<ApiTokenId>,
    pub sql_digest: String,
    pub evidence: Digest,
    /// The ticket's version that redemption made: the run's place in the order of acts.
    pub act: i64,
    /// The stage's generation at redemption: files up to it are the approved ones.
    pub generation: i64,
    pub started_at: Timestamp,
    pub lease_until: Timestamp,
    pub status: RunStatus,
    /// When the server received the end, by report or by verdict.
    pub finished_at: Option<Timestamp>,
    pub exit_code: Option<i64>,
    pub revision_before: Option<String>,
    pub revision_after: Option<String>,
    pub verdict: Option<Verdict>,
    pub log_bytes: i64,
    pub log_cut: bool,
    /// It ended after its window did.
    pub overran: bool,
}

/// Who settled an unknown run, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub verdict: RunVerdict,
    pub note: String,
    pub by: UserId,
    pub by_name: String,
    pub at: Timestamp,
}

impl Run {
    /// What the run is at this instant: one whose lease has lapsed is unknown before anybody writes it down (RULES 17).
    pub fn status_at(&self, now: Timestamp) -> RunStatus {
        if self.status == RunStatus::Running && now >= self.lease_until {
            RunStatus::Unknown
        } else {
            self.status
        }
    }

    /// Running, or nobody knows where it left the database.
    pub fn unsettled(&self, now: Timestamp) -> bool {
        matches!(self.status_at(now), RunStatus::Running | RunStatus::Unknown) || self.unverified()
    }

    /// It ended badly without saying at which revision: as good as unknown until a person has looked (RULES 19).
    pub const fn unverified(&self) -> bool {
        matches!(self.status, RunStatus::Failed | RunStatus::Partial)
            && self.revision_after.is_none()
            && self.verdict.is_none()
    }

    /// A person may, and before a rollback has to, say what it did (RULES 17, 20).
    pub fn awaits_verdict(&self, now: Timestamp) -> bool {
        match self.status_at(now) {
            RunStatus::Unknown => true,
            RunStatus::Partial => self.verdict.is_none(),
            RunStatus::Failed => self.unverified(),
            RunStatus::Running | RunStatus::Succeeded => false,
        }
    }
}

/// The status that the server records for what a client reports (RULES 18).
pub fn settle(outcome: Outcome, after: Option<&str>, from: &str, to: &str) -> RunStatus {
    match (outcome, after) {
        (Outcome::Succeeded, Some(after)) if after == to => RunStatus::Succeeded,
        (Outcome::Failed, None) => RunStatus::Failed,
        (Outcome::Failed, Some(after)) if after == from => RunStatus::Failed,
        (Outcome::Succeeded | Outcome::Failed | Outcome::Partial, _) => RunStatus::Partial,
    }
}

named! {
    /// What a person says of a stage after watching it.
    Health, "health verdict" { Healthy = "healthy", Unhealthy = "unhealthy" }
}

/// A health verdict on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub run: RunId,
    pub verdict: Health,
    pub note: String,
    pub by: UserId,
    pub by_name: String,
    pub at: Timestamp,
}

/// The last upgrade of a stage.
pub fn last_upgrade(runs: &[Run]) -> Option<&Run> {
    runs.iter().filter(|r| r.direction == Direction::Upgrade).max_by_key(|r| r.act)
}

/// The revision at which a run and the attempts to undo it had left the database before this act.
pub fn left_at(runs: &[Run], undone: RunId, before: i64) -> Option<&str> {
    runs.iter()
        .filter(|r| r.act < before && (r.id == undone || r.undoes == Some(undone)))
        .max_by_key(|r| r.act)
        .and_then(|r| r.revision_after.as_deref())
}

/// The rollback that put this run's change back, if one succeeded.
pub fn rollback_of(runs: &[Run], undone: RunId) -> Option<&Run> {
    runs.iter().find(|r| {
        r.direction == Direction::Rollback && r.undoes == Some(undone) && r.status == RunStatus::Succeeded
    })
}
