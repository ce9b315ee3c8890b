//! Artifacts: immutable, versioned, content-addressed files of a stage, and what was read out of them.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::id::{ApiTokenId, ArtifactId, FindingId, PersonId, RunId, StageId, ThreadId, UserId};
use super::named::named;
use super::time::Timestamp;

named! {
    /// What a file is, in the order in which evidence lists them.
    ArtifactKind, "kind of artifact" {
        UpgradeSql = "upgrade-sql",
        DowngradeSql = "downgrade-sql",
        DryRunReport = "dry-run-report",
        MigrationHistory = "migration-history",
        MigrationManifest = "migration-manifest",
        BackupManifest = "backup-manifest",
        SmokeReport = "smoke-report",
        MonitoringSnapshot = "monitoring-snapshot",
        RunLog = "run-log",
        Other = "other",
    }
}

impl ArtifactKind {
    /// Whether the file is part of what voters approve (RULES 1).
    pub const fn is_evidence(self) -> bool {
        match self {
            Self::UpgradeSql
            | Self::DowngradeSql
            | Self::DryRunReport
            | Self::MigrationHistory
            | Self::MigrationManifest
            | Self::BackupManifest
            | Self::Other => true,
            Self::SmokeReport | Self::MonitoringSnapshot | Self::RunLog => false,
        }
    }

    /// Whether the file is SQL that people review line by line.
    pub const fn is_sql(self) -> bool {
        matches!(self, Self::UpgradeSql | Self::DowngradeSql)
    }

    /// What people call it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UpgradeSql => "Upgrade SQL",
            Self::DowngradeSql => "Downgrade SQL",
            Self::DryRunReport => "Dry-run report",
            Self::MigrationHistory => "Migration history",
            Self::MigrationManifest => "Migration manifest",
            Self::BackupManifest => "Backup manifest",
            Self::SmokeReport => "Smoke report",
            Self::MonitoringSnapshot => "Monitoring snapshot",
            Self::RunLog => "Run log",
            Self::Other => "Other file",
        }
    }
}

/// What the portal read out of a file when it arrived. Gates look at this, never at bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum ArtifactFacts {
    Sql(SqlFacts),
    Report(ReportFacts),
    History(HistoryFacts),
    Manifest(ManifestFacts),
    Backup(BackupFacts),
    Smoke(SmokeFacts),
    /// The file is of a form or version that can't be read: kept, and blocking wherever it is needed.
    Unreadable {
        problem: String,
    },
    /// Nothing is read out of this kind.
    Opaque,
}

/// Facts of a rendered SQL file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlFacts {
    /// Digest of the normalised text: compares a fresh render at redemption, nothing else (RULES 6).
    pub sqlnorm1: Option<Digest>,
    pub statements: u32,
    pub lines: u32,
    /// The chain of `alembic_version` steps found in the text.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Why the text can't be taken for a clean render, if it can't.
    pub problem: Option<String>,
    /// The file declares that there is nothing to render: a downgrade that is not possible, with its reason.
    pub not_possible: Option<String>,
}

/// Facts of a dry-run report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFacts {
    pub passed: bool,
    /// Why it did not pass.
    pub problem: Option<String>,
    pub from: String,
    pub to: String,
    /// Raw digest of the upgrade SQL that was rehearsed.
    pub upgrade_sha256: Option<Digest>,
    pub downgrade_sha256: Option<Digest>,
    pub snapshot_sha256: Digest,
    /// The revision that the snapshot was at.
    pub snapshot_revision: Option<String>,
    pub snapshot_taken_at: Timestamp,
    pub manifest_sha256: Option<Digest>,
    pub finished_at: Timestamp,
    /// Two renders gave the same text: a fresh render can be compared at redemption.
    pub reproducible: bool,
    /// The upgrade SQL was captured from an online run, since it can't be rendered offline.
    pub captured_online: bool,
    pub restores_schema: Option<bool>,
    pub restores_data: Option<bool>,
    pub rows_lost: u64,
    pub values_lost: u64,
    /// Digest of the report's stable part: the same rehearsal twice has the same subject.
    pub subject_sha256: Digest,
}

/// Facts of a migration history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryFacts {
    pub heads: Vec<String>,
    pub from: String,
    pub to: String,
    /// How many revisions lie after `from` up to `to`.
    pub revisions: u32,
    /// Why the range is not one line, naming the branch point or the heads.
    pub problem: Option<String>,
}

/// Facts of a migration manifest. Its raw digest *is* the manifest's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFacts {
    pub files: u32,
    pub from: String,
    pub to: String,
}

/// Facts of a backup manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFacts {
    pub sha256: Digest,
    pub bytes: u64,
    pub taken_at: Timestamp,
    pub origin: String,
}

/// Facts of a smoke report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmokeFacts {
    pub tests: u32,
    pub failed: u32,
    pub skipped: u32,
}

impl SmokeFacts {
    /// An empty set of tests is not a pass.
    pub const fn passed(&self) -> bool {
        self.tests > self.skipped && self.failed == 0
    }
}

/// One version of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub id: ArtifactId,
    pub stage: StageId,
    pub kind: ArtifactKind,
    /// 1, 2, 3, … within stage and kind.
    pub version: i64,
    pub filename: String,
    pub sha256: Digest,
    pub bytes: i64,
    pub facts: ArtifactFacts,
    pub uploaded_by: UserId,
    pub uploaded_by_name: String,
    pub uploaded_via: Option<ApiTokenId>,
    pub uploaded_at: Timestamp,
    /// The stage's generation with this upload counted.
    pub generation: i64,
    /// The upgrade run that was the stage's last when this arrived: smoke and monitoring belong to a run.
    pub run: Option<RunId>,
}

named! {
    /// How much a finding weighs. Policy may set another weight for a rule.
    Severity, "severity" { Note = "note", Warn = "warn", Block = "block" }
}

/// What analysis says of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub id: FindingId,
    pub artifact: ArtifactId,
    pub rule: String,
    pub severity: Severity,
    /// First and last line, counted from 1.
    pub line: i64,
    pub last_line: i64,
    pub statement: String,
    pub why: String,
    pub advice: String,
    pub accepted: Option<Acceptance>,
}

impl Finding {
    /// Somebody has taken the risk on themselves whose word counts.
    pub const fn is_accepted(&self) -> bool {
        matches!(self.accepted, Some(Acceptance { counts: true, .. }))
    }

    /// Blocks, and nobody has taken the risk on themselves.
    pub const fn blocks(&self) -> bool {
        matches!(self.severity, Severity::Block) && !self.is_accepted()
    }
}

/// A board member's note that a risk is known and taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    pub by: UserId,
    pub by_name: String,
    pub person: PersonId,
    pub note: String,
    pub at: Timestamp,
    /// False once its author touched the change or left the board; then another member has to accept it.
    pub counts: bool,
}

/// A conversation about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub id: ThreadId,
    pub artifact: ArtifactId,
    pub line: i64,
    pub quote: String,
    /// Whether it keeps the review gate shut until it is resolved.
    pub blocking: bool,
    pub opened_by: UserId,
    pub opened_by_name: String,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    pub resolved_by_name: Option<String>,
}

/// The files that stand: the newest version of each kind, and the newest of each name among other files.
pub fn current<'a>(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Vec<&'a Artifact> {
    let mut newest: Vec<&'a Artifact> = Vec::new();
    for artifact in artifacts {
        let same = |other: &&Artifact| {
            other.kind == artifact.kind
                && (artifact.kind != ArtifactKind::Other || other.filename == artifact.filename)
        };
        match newest.iter().position(same) {
            Some(at) if newest[at].version < artifact.version => newest[at] = artifact,
            Some(_) => {}
            None => newest.push(artifact),
        }
    }
    newest.sort_by(|a, b| (a.kind, &a.filename).cmp(&(b.kind, &b.filename)));
    newest
}
