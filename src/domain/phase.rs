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
    // A run that ended badly without saying where may wait for a verdict too, but it is not under way.
    if record.runs.iter().any(|r| matches!(r.status_at(facts.now), RunStatus::Running | RunStatus::Unknown)) {
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::facts::{Intent, Purpose, Stage, StageRecord, Tick};
    use crate::domain::gate;
    use crate::domain::id::{
        ApplicationId, ApplyTokenId, EnvironmentId, PersonId, PolicyVersionId, RunId, StageId, TicketId,
        TicketNumber, UserId,
    };
    use crate::domain::policy::{Policy, RUNBOOK};
    use crate::domain::run::{ApplyToken, Direction, Method, Observation, Run, TokenState};
    use crate::domain::ticket::{Ticket, TicketContent, TicketKind, TicketState};
    use crate::domain::time::Timestamp;

    const NOBODY: UserId = UserId(Uuid::nil());

    fn now() -> Timestamp {
        "2026-11-24T14:30:00Z".parse().unwrap()
    }

    fn nothing_yet() -> Facts {
        let policy = Policy::parse(RUNBOOK).unwrap().environments.remove(0);
        let content = TicketContent {
            title: "Notional on trades".to_owned(),
            description: String::new(),
            kind: TicketKind::Normal,
            release_tag: "v2".to_owned(),
            prior_release_tag: "v1".to_owned(),
            from_revision: "aaaa".to_owned(),
            to_revision: "bbbb".to_owned(),
            authors: Vec::new(),
            emergency: None,
            external_links: Vec::new(),
        };
        let ticket = Ticket {
            id: TicketId(Uuid::nil()),
            number: TicketNumber(1),
            version: 1,
            application: ApplicationId(Uuid::nil()),
            application_name: "trading-backend".to_owned(),
            policy_version: PolicyVersionId(Uuid::nil()),
            state: TicketState::Open,
            outcome: None,
            content,
            requester: NOBODY,
            requester_name: "ada".to_owned(),
            requested_via: None,
            created_at: now(),
            updated_at: now(),
        };
        let stage = Stage {
            id: StageId(Uuid::nil()),
            environment: EnvironmentId(Uuid::nil()),
            name: "staging".to_owned(),
            position: 0,
            generation: 1,
        };
        let this = StageRecord {
            stage,
            policy,
            artifacts: Vec::new(),
            findings: Vec::new(),
            threads: Vec::new(),
            ticks: Vec::new(),
            votes: Vec::new(),
            tokens: Vec::new(),
            runs: Vec::new(),
            observations: Vec::new(),
        };
        Facts {
            now: now(),
            purpose: Purpose::View,
            intent: Intent::Upgrade,
            ticket,
            policy_version: 1,
            policy_sha256: Digest::of(b""),
            this,
            previous: None,
            voters: BTreeMap::new(),
            contributors: BTreeSet::new(),
            incidents: Vec::new(),
            freezes: Vec::new(),
            environment_tokens: Vec::new(),
            environment_runs: Vec::new(),
            environment_last: None,
            is_last: true,
        }
    }

    fn run(n: u128, status: RunStatus, undoes: Option<u128>) -> Run {
        let started_at =
            now() - SignedDuration::from_mins(20) + SignedDuration::from_secs(i64::try_from(n).unwrap());
        Run {
            id: RunId(Uuid::from_u128(n)),
            token: ApplyTokenId(Uuid::from_u128(n)),
            stage: StageId(Uuid::nil()),
            ticket: TicketNumber(1),
            environment: EnvironmentId(Uuid::nil()),
            direction: if undoes.is_some() { Direction::Rollback } else { Direction::Upgrade },
            method: undoes.map(|_| Method::Downgrade),
            undoes: undoes.map(|n| RunId(Uuid::from_u128(n))),
            redeemed_by: NOBODY,
            redeemed_by_name: "ada".to_owned(),
            redeemed_person: PersonId(Uuid::nil()),
            redeemed_via: None,
            sql_digest: String::new(),
            evidence: Digest::of(b""),
            act: i64::try_from(n).unwrap(),
            generation: 1,
            started_at,
            lease_until: now() + SignedDuration::from_secs(1),
            status,
            finished_at: Some(started_at + SignedDuration::from_mins(1)),
            exit_code: None,
            revision_before: None,
            // Without it a failed run is as good as unknown.
            revision_after: (status == RunStatus::Failed).then(|| "a".to_owned()),
            verdict: None,
            log_bytes: 0,
            log_cut: false,
            overran: false,
        }
    }

    fn token(expires_at: Timestamp) -> ApplyToken {
        ApplyToken {
            id: ApplyTokenId(Uuid::from_u128(99)),
            stage: StageId(Uuid::nil()),
            ticket: TicketNumber(1),
            environment: EnvironmentId(Uuid::nil()),
            direction: Direction::Upgrade,
            method: None,
            undoes: None,
            evidence: Digest::of(b""),
            released_by: NOBODY,
            released_by_name: "ada".to_owned(),
            released_at: now(),
            expires_at,
            state: TokenState::Issued,
            ended_at: None,
            ended_why: None,
        }
    }

    fn judged(verdict: Health) -> Observation {
        Observation {
            run: RunId(Uuid::from_u128(1)),
            verdict,
            note: String::new(),
            by: NOBODY,
            by_name: "ada".to_owned(),
            at: now(),
        }
    }

    fn smoke_ticks(facts: &mut Facts) {
        let keys: Vec<String> = facts.this.policy.smoke_items().map(|item| item.key.clone()).collect();
        facts.this.ticks = keys
            .into_iter()
            .map(|item| Tick {
                item,
                generation: 1,
                run: Some(RunId(Uuid::from_u128(1))),
                done: true,
                note: String::new(),
                by: NOBODY,
                by_name: "ada".to_owned(),
                via: None,
                at: now(),
                act: 1,
            })
            .collect();
    }

    /// The phase, with what people do before a run done or not.
    fn of(facts: &Facts, prepared: bool) -> Phase {
        let mut report = gate::evaluate(facts).unwrap();
        if prepared {
            for gate in &mut report.gates {
                if gate.key < GateKey::PreviousStage {
                    gate.status = GateStatus::Open;
                }
            }
        }
        phase(facts, &report)
    }

    #[test]
    fn before_a_run_it_is_preparing_then_ready_then_released() {
        let mut facts = nothing_yet();
        assert_eq!(of(&facts, false), Phase::Preparing);
        assert_eq!(of(&facts, true), Phase::Ready);
        facts.this.tokens.push(token(now() + SignedDuration::from_secs(1)));
        assert_eq!(of(&facts, true), Phase::Released);
        facts.this.tokens[0].expires_at = now();
        assert_eq!(of(&facts, true), Phase::Ready);
    }

    #[test]
    fn a_run_without_a_known_end_is_running() {
        let mut facts = nothing_yet();
        facts.this.runs.push(run(1, RunStatus::Running, None));
        assert_eq!(of(&facts, true), Phase::Running);
        facts.this.runs[0].lease_until = now();
        assert_eq!(of(&facts, true), Phase::Running);
        facts.this.runs[0].status = RunStatus::Unknown;
        assert_eq!(of(&facts, true), Phase::Running);
    }

    #[test]
    fn after_a_success_it_is_verified_watched_and_judged() {
        let mut facts = nothing_yet();
        facts.this.runs.push(run(1, RunStatus::Succeeded, None));
        assert_eq!(of(&facts, true), Phase::Verifying);
        smoke_ticks(&mut facts);
        assert_eq!(of(&facts, true), Phase::Observing);
        facts.this.observations.push(judged(Health::Healthy));
        assert_eq!(of(&facts, true), Phase::Healthy);
        facts.this.observations.push(judged(Health::Unhealthy));
        assert_eq!(of(&facts, true), Phase::Failed);
    }

    #[test]
    fn a_failure_stands_until_it_is_prepared_anew_and_a_partial_run_until_it_is_undone() {
        let mut facts = nothing_yet();
        facts.this.runs.push(run(1, RunStatus::Failed, None));
        assert_eq!(of(&facts, false), Phase::Failed);
        assert_eq!(of(&facts, true), Phase::Ready);
        facts.this.runs[0].status = RunStatus::Partial;
        assert_eq!(of(&facts, true), Phase::Failed);
        facts.this.runs.push(run(2, RunStatus::Failed, Some(1)));
        assert_eq!(of(&facts, true), Phase::Failed);
        facts.this.runs[1].status = RunStatus::Running;
        assert_eq!(of(&facts, true), Phase::Running);
        facts.this.runs[1].status = RunStatus::Succeeded;
        assert_eq!(of(&facts, false), Phase::RolledBack);
    }
}
