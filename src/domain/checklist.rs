//! Preflight items: ticked by a person, or decided by evidence.

use super::artifact::{ArtifactFacts, ArtifactKind, SqlFacts};
use super::blocker::Blocker;
use super::facts::{Facts, Intent, StageRecord, Tick};
use super::policy::{AutomaticItem, ChecklistItem, ChecklistKind};
use super::run::Method;

/// An item as it stands for the current evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    pub key: String,
    pub label: String,
    /// Stated by a person, as against decided by evidence.
    pub attested: bool,
    pub session_only: bool,
    pub done: bool,
    /// What evidence says, for an automatic item.
    pub why: Option<String>,
    /// Who stated it, and what they wrote.
    pub tick: Option<Tick>,
}

/// Every preflight item of the stage's policy.
pub fn preflight(facts: &Facts) -> Vec<ItemStatus> {
    facts.this.policy.preflight_items().map(|item| status(facts, item)).collect()
}

/// Every smoke item of the stage's policy, for the last upgrade.
pub fn smoke(record: &StageRecord) -> Vec<ItemStatus> {
    record
        .policy
        .smoke_items()
        .map(|item| {
            let tick = record.last_upgrade().and_then(|run| record.smoke_tick(&item.key, run.id)).cloned();
            ItemStatus {
                key: item.key.clone(),
                label: item.label.clone(),
                attested: true,
                session_only: item.session_only(),
                done: tick.as_ref().is_some_and(|t| t.done),
                why: None,
                tick,
            }
        })
        .collect()
}

fn status(facts: &Facts, item: &ChecklistItem) -> ItemStatus {
    let (done, why, tick) = match item.kind {
        ChecklistKind::Attested { .. } => {
            let tick = facts.this.preflight_tick(&item.key).cloned();
            (tick.as_ref().is_some_and(|t| t.done), None, tick)
        }
        ChecklistKind::Automatic(automatic) => {
            let problem = evidence_problem(facts, automatic);
            (problem.is_none(), problem, None)
        }
    };
    ItemStatus {
        key: item.key.clone(),
        label: item.label.clone(),
        attested: item.is_attested(),
        session_only: item.session_only(),
        done,
        why,
        tick,
    }
}

/// What keeps an automatic item from being done.
fn evidence_problem(facts: &Facts, item: AutomaticItem) -> Option<String> {
    let restoring = facts.intent == Intent::Rollback(Method::Restore);
    match item {
        AutomaticItem::LinearHistory => history_problem(facts),
        // A restore puts the backup back as it is: no SQL runs that could be rendered or rehearsed.
        AutomaticItem::FreshSnapshot | AutomaticItem::SqlRendered | AutomaticItem::DryRunPassed
            if restoring =>
        {
            None
        }
        AutomaticItem::FreshSnapshot => snapshot_problem(facts),
        AutomaticItem::SqlRendered => sql_problem(facts),
        AutomaticItem::DryRunPassed => dry_run(facts).first().map(Blocker::words),
        AutomaticItem::FindingsDocumented => review(facts).first().map(Blocker::words),
    }
}

fn history_problem(facts: &Facts) -> Option<String> {
    let content = &facts.ticket.content;
    match facts.this.newest(ArtifactKind::MigrationHistory).map(|a| &a.facts) {
        None => Some("the migration history is not attached.".to_owned()),
        Some(ArtifactFacts::History(history)) => {
            if history.from != content.from_revision || history.to != content.to_revision {
                Some(
                    "the history was read for other revisions than the ticket's; attach it again.".to_owned(),
                )
            } else {
                history.problem.clone()
            }
        }
        Some(ArtifactFacts::Unreadable { problem }) => Some(problem.clone()),
        Some(_) => Some("the file is not a migration history.".to_owned()),
    }
}

fn snapshot_problem(facts: &Facts) -> Option<String> {
    match facts.this.newest(ArtifactKind::BackupManifest).map(|a| &a.facts) {
        None => Some("the backup manifest is not attached.".to_owned()),
        Some(ArtifactFacts::Backup(backup)) => {
            let expires = backup.taken_at + facts.this.policy.snapshot_max_age;
            if backup.taken_at > facts.now {
                Some(format!(
                    "the backup says it was taken {}, which is still to come.",
                    backup.taken_at.words()
                ))
            } else if facts.now >= expires {
                Some(format!(
                    "the backup of {} is too old since {}.",
                    backup.taken_at.words(),
                    expires.words()
                ))
            } else {
                None
            }
        }
        Some(ArtifactFacts::Unreadable { problem }) => Some(problem.clone()),
        Some(_) => Some("the file is not a backup manifest.".to_owned()),
    }
}

fn sql_problem(facts: &Facts) -> Option<String> {
    let content = &facts.ticket.content;
    if facts.this.policy.require_migration_manifest {
        match facts.this.newest(ArtifactKind::MigrationManifest).map(|a| &a.facts) {
            None => return Some("the migration manifest is not attached.".to_owned()),
            Some(ArtifactFacts::Manifest(manifest))
                if facts.intent == Intent::Upgrade
                    && (manifest.from != content.from_revision || manifest.to != content.to_revision) =>
            {
                return Some(format!(
                    "the migration manifest goes from {} to {}, not from {} to {}.",
                    manifest.from, manifest.to, content.from_revision, content.to_revision
                ));
            }
            Some(ArtifactFacts::Manifest(_)) => {}
            Some(ArtifactFacts::Unreadable { problem }) => return Some(problem.clone()),
            Some(_) => return Some("the file is not a migration manifest.".to_owned()),
        }
    }
    let captured = facts.this.report().is_some_and(|r| r.captured_online);
    let (from, to) = facts.range();
    match facts.intent {
        Intent::Upgrade => one_sql(&facts.this, ArtifactKind::UpgradeSql, captured, &from, &to)
            .or_else(|| one_sql(&facts.this, ArtifactKind::DowngradeSql, captured, &to, &from)),
        // Only the downgrade runs, from where the database actually is.
        Intent::Rollback(_) => one_sql(&facts.this, ArtifactKind::DowngradeSql, captured, &from, &to),
    }
}

fn one_sql(record: &StageRecord, kind: ArtifactKind, captured: bool, from: &str, to: &str) -> Option<String> {
    let label = kind.label();
    let sql: &SqlFacts = match record.newest(kind).map(|a| &a.facts) {
        None => return Some(format!("{label} is not attached.")),
        Some(ArtifactFacts::Sql(sql)) => sql,
        Some(ArtifactFacts::Unreadable { problem }) => return Some(problem.clone()),
        Some(_) => return Some(format!("{label} is not SQL.")),
    };
    if sql.not_possible.is_some() && kind == ArtifactKind::DowngradeSql {
        return None; // Declared, and a blocking finding of its own until the board accepts it (RULES 23).
    }
    if let Some(problem) = &sql.problem {
        return Some(format!("{label}: {problem}"));
    }
    if sql.statements == 0 {
        return Some(format!("{label} holds no statement."));
    }
    let chain_matches = sql.from.as_deref() == Some(from) && sql.to.as_deref() == Some(to);
    if chain_matches || captured {
        None
    } else {
        Some(match (&sql.from, &sql.to) {
            (Some(a), Some(b)) => format!("{label} goes from {a} to {b}, not from {from} to {to}."),
            _ => format!("{label} does not show the alembic_version steps from {from} to {to}."),
        })
    }
}

/// What keeps the dry run from standing for the current files.
pub fn dry_run(facts: &Facts) -> Vec<Blocker> {
    let record = &facts.this;
    let Some(newest) = record.newest(ArtifactKind::DryRunReport) else { return vec![Blocker::ReportMissing] };
    let report = match &newest.facts {
        ArtifactFacts::Report(report) => report,
        ArtifactFacts::Unreadable { problem } => {
            return vec![Blocker::ReportUnreadable { problem: problem.clone() }];
        }
        _ => return vec![Blocker::ReportUnreadable { problem: "it is not a dry-run report".to_owned() }],
    };
    let mut blockers = Vec::new();
    if !report.passed {
        blockers.push(Blocker::ReportFailed { problem: report.problem.clone() });
    }
    let sha = |kind| record.newest(kind).map(|a| a.sha256);
    if facts.intent == Intent::Upgrade
        && (report.upgrade_sha256.is_none() || report.upgrade_sha256 != sha(ArtifactKind::UpgradeSql))
    {
        blockers.push(Blocker::ReportOfOther { what: "upgrade SQL" });
    }
    let declared_impossible = matches!(
        record.newest(ArtifactKind::DowngradeSql).map(|a| &a.facts),
        Some(ArtifactFacts::Sql(SqlFacts { not_possible: Some(_), .. }))
    );
    if !declared_impossible
        && (report.downgrade_sha256.is_none() || report.downgrade_sha256 != sha(ArtifactKind::DowngradeSql))
    {
        blockers.push(Blocker::ReportOfOther { what: "downgrade SQL" });
    }
    if let Some(manifest) = sha(ArtifactKind::MigrationManifest)
        && report.manifest_sha256 != Some(manifest)
    {
        blockers.push(Blocker::ReportOfOther { what: "set of migration scripts" });
    }
    match record.newest(ArtifactKind::BackupManifest).map(|a| &a.facts) {
        Some(ArtifactFacts::Backup(backup)) if backup.sha256 != report.snapshot_sha256 => {
            blockers.push(Blocker::ReportOfOther { what: "snapshot" });
        }
        Some(ArtifactFacts::Unreadable { problem }) => {
            blockers.push(Blocker::CannotTell { why: problem.clone() });
        }
        _ => {}
    }
    let content = &facts.ticket.content;
    let right_range = match facts.intent {
        Intent::Upgrade => report.from == content.from_revision && report.to == content.to_revision,
        // A database left half-way is rehearsed from where it actually is (RULES 20).
        Intent::Rollback(_) => {
            let (actual, _) = facts.range();
            report.to == actual || report.snapshot_revision.as_deref() == Some(actual.as_str())
        }
    };
    if !right_range {
        blockers.push(Blocker::ReportOfOther { what: "range of revisions" });
    }
    freshness(facts, report.snapshot_taken_at, report.finished_at, &mut blockers);
    blockers
}

fn freshness(
    facts: &Facts,
    taken_at: super::time::Timestamp,
    finished_at: super::time::Timestamp,
    blockers: &mut Vec<Blocker>,
) {
    let snapshot_expires = taken_at + facts.this.policy.snapshot_max_age;
    let report_expires = finished_at + facts.this.policy.dry_run_max_age;
    if taken_at > facts.now {
        blockers.push(Blocker::DatedAhead { what: "snapshot", at: taken_at });
    } else if facts.now >= snapshot_expires {
        blockers.push(Blocker::SnapshotStale { taken_at, expired_at: snapshot_expires });
    }
    if finished_at > facts.now {
        blockers.push(Blocker::DatedAhead { what: "dry-run report", at: finished_at });
    } else if facts.now >= report_expires {
        blockers.push(Blocker::ReportStale { expired_at: report_expires });
    }
}

/// What keeps the review from being settled.
pub fn review(facts: &Facts) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    let open: Vec<_> = facts.this.findings.iter().filter(|f| f.blocks()).collect();
    if let Some(first) = open.first() {
        blockers.push(Blocker::FindingsOpen {
            count: open.len(),
            rule: first.rule.clone(),
            line: first.line,
        });
    }
    let threads = facts.this.threads.iter().filter(|t| t.blocking && t.resolved_at.is_none()).count();
    if threads > 0 {
        blockers.push(Blocker::ThreadsOpen { count: threads });
    }
    blockers
}

/// What has to be there before anybody can vote.
pub fn missing_evidence(facts: &Facts) -> Vec<Blocker> {
    let mut needed = vec![
        ArtifactKind::UpgradeSql,
        ArtifactKind::DowngradeSql,
        ArtifactKind::DryRunReport,
        ArtifactKind::MigrationHistory,
        ArtifactKind::BackupManifest,
    ];
    if facts.this.policy.require_migration_manifest {
        needed.push(ArtifactKind::MigrationManifest);
    }
    let mut missing: Vec<Blocker> = needed
        .into_iter()
        .filter(|kind| facts.this.newest(*kind).is_none())
        .map(|kind| Blocker::FileMissing { kind })
        .collect();
    if let Some(previous) = &facts.previous
        && previous.standing_upgrade().is_none()
        && facts.this.standing_upgrade().is_none()
    {
        // The run of the stage before is part of the evidence: a vote without it would be stale at once.
        missing.push(Blocker::PreviousNotRun { stage: previous.stage.name.clone() });
    }
    missing
}
