//! How far a stage has come. Derived from facts and their gates, never stored.

use super::blocker::GateKey;
use super::facts::Facts;
use super::gate::{GateReport, GateStatus};
use super::named::named;
use super::run::{self, Health, RunStatus};

named! {
    /// How far a stage has come.
    Phase, "phase of a stage" {
        /// Evidence, checklist, review or votes are missing.
        Preparing = "preparing",
        /// All that people do is done; the other gates may still wait.
        Ready = "ready",
        /// An apply token is outstanding.
        Released = "released",
        /// A run is in progress, or nobody knows how it ended.
        Running = "running",
        /// Applied; smoke checks have not passed yet.
        Verifying = "verifying",
        /// Smoke checks passed; nobody has judged it yet.
        Observing = "observing",
        Healthy = "healthy",
        /// The last run failed, changed the database in part, or was judged unhealthy.
        Failed = "failed",
        RolledBack = "rolled-back",
    }
}

/// The phase of a stage; `report` is what the evaluator says of an upgrade on these facts.
pub fn phase(facts: &Facts, report: &GateReport) -> Phase {
    let record = &facts.this;
    if record.runs.iter().any(|r| r.unsettled(facts.now)) {
        return Phase::Running;
    }
    if let Some(standing) = record.standing_upgrade() {
        return match (standing.status, record.health(standing)) {
            (RunStatus::Succeeded, Some(Health::Healthy)) => Phase::Healthy,
            (RunStatus::Succeeded, None) if record.smoke_passed(standing) => Phase::Observing,
            (RunStatus::Succeeded, None) => Phase::Verifying,
            _ => Phase::Failed,
        };
    }
    if record.tokens.iter().any(|t| t.outstanding(facts.now)) {
        return Phase::Released;
    }
    let prepared = [GateKey::Checklist, GateKey::DryRun, GateKey::Review, GateKey::Approvals]
        .into_iter()
        .all(|key| report.gate(key).is_some_and(|g| g.status != GateStatus::Blocked));
    if prepared {
        return Phase::Ready;
    }
    match record.last_upgrade() {
        None => Phase::Preparing,
        Some(last) if run::rollback_of(&record.runs, last.id).is_some() => Phase::RolledBack,
        Some(_) => Phase::Failed,
    }
}
