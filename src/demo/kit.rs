//! The sample project's real evidence, re-dated: what a dry run of its four newest revisions left behind.

use crate::alembic::backup::BackupManifest;
use crate::alembic::formats;
use crate::alembic::report::DryRunReport;
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;
use crate::sql::normalise::sqlnorm1;

/// Where the sample's databases are before the change.
pub const FROM: &str = "d48b1e9c5f62";
/// Where it leads.
pub const TO: &str = "0c7e5d1b94fa";

const UPGRADE: &str = include_str!("data/upgrade.sql");
const DOWNGRADE: &str = include_str!("data/downgrade.sql");
const REPORT: &str = include_str!("data/dry-run-report.json");
const HISTORY: &str = include_str!("data/migration-history.json");
const MANIFEST: &str = include_str!("data/migration-manifest.json");
const BACKUP: &str = include_str!("data/backup-manifest.json");
/// A passed smoke report.
pub const SMOKE: &str = include_str!("data/smoke-report.xml");

/// A file as it would be uploaded.
#[derive(Clone, Debug)]
pub struct File {
    pub kind: ArtifactKind,
    pub name: String,
    pub bytes: Vec<u8>,
}

/// A whole set of evidence that fits together.
#[derive(Clone, Debug)]
pub struct Kit {
    pub upgrade: String,
    pub downgrade: String,
    pub taken_at: Timestamp,
    pub finished_at: Timestamp,
    pub environment: String,
}

/// The embedded data is not what it was when it was checked in.
#[derive(Debug, thiserror::Error)]
#[error("the embedded evidence can't be used: {0}")]
pub struct BadKit(String);

impl Kit {
    /// The sample's evidence from a snapshot taken at one time and rehearsed at another.
    pub fn new(environment: &str, taken_at: Timestamp, finished_at: Timestamp) -> Self {
        Self {
            upgrade: UPGRADE.to_owned(),
            downgrade: DOWNGRADE.to_owned(),
            taken_at,
            finished_at,
            environment: environment.to_owned(),
        }
    }

    /// The same with another upgrade, told from the first by a comment at its top.
    #[must_use]
    pub fn with_comment(mut self, comment: &str) -> Self {
        self.upgrade = format!("-- {comment}\n{}", self.upgrade);
        self
    }

    /// The digest of the snapshot that this evidence speaks of: another one for each time and place.
    fn snapshot(&self) -> Digest {
        Digest::of(format!("{} {}", self.environment, self.taken_at).as_bytes())
    }

    /// The files, in the order in which evidence lists them.
    ///
    /// # Errors
    /// When the embedded data does not parse.
    pub fn files(&self) -> Result<Vec<File>, BadKit> {
        let bad = |e: &dyn std::fmt::Display| BadKit(e.to_string());
        let mut report: DryRunReport = formats::read(REPORT.as_bytes()).map_err(|e| bad(&e))?;
        let mut backup: BackupManifest = formats::read(BACKUP.as_bytes()).map_err(|e| bad(&e))?;
        let origin = format!("{}, nightly backup of {}", self.environment, self.taken_at);
        report.subject.upgrade.sha256 = Digest::of(self.upgrade.as_bytes());
        report.subject.upgrade.sqlnorm1 = Some(SqlDigest::Norm1(sqlnorm1(&self.upgrade)));
        report.subject.downgrade.sha256 = Digest::of(self.downgrade.as_bytes());
        report.subject.downgrade.sqlnorm1 = Some(SqlDigest::Norm1(sqlnorm1(&self.downgrade)));
        report.subject.snapshot.sha256 = self.snapshot();
        report.subject.snapshot.taken_at = self.taken_at;
        report.subject.snapshot.origin.clone_from(&origin);
        let ran = report.measurements.finished_at - report.measurements.started_at;
        report.measurements.started_at = self.finished_at - ran;
        report.measurements.finished_at = self.finished_at;
        let age = report.measurements.started_at.since(self.taken_at).as_secs();
        report.measurements.snapshot_age_seconds = u64::try_from(age).unwrap_or(0);
        backup.sha256 = self.snapshot();
        backup.taken_at = self.taken_at;
        backup.origin = origin;
        backup.note = None;
        let json = |value: Result<Vec<u8>, serde_json::Error>| value.map_err(|e| BadKit(e.to_string()));
        let file = |kind, name: &str, bytes: Vec<u8>| File { kind, name: name.to_owned(), bytes };
        Ok(vec![
            file(ArtifactKind::UpgradeSql, "upgrade.sql", self.upgrade.clone().into_bytes()),
            file(ArtifactKind::DowngradeSql, "downgrade.sql", self.downgrade.clone().into_bytes()),
            file(
                ArtifactKind::DryRunReport,
                "dry-run-report.json",
                json(serde_json::to_vec_pretty(&report))?,
            ),
            file(ArtifactKind::MigrationHistory, "migration-history.json", HISTORY.as_bytes().to_vec()),
            file(ArtifactKind::MigrationManifest, "migration-manifest.json", MANIFEST.as_bytes().to_vec()),
            file(
                ArtifactKind::BackupManifest,
                "backup-manifest.json",
                json(serde_json::to_vec_pretty(&backup))?,
            ),
        ])
    }

    /// What a run of the upgrade presents.
    pub fn upgrade_digest(&self) -> SqlDigest {
        SqlDigest::Norm1(sqlnorm1(&self.upgrade))
    }

    /// What a run of the downgrade presents.
    pub fn downgrade_digest(&self) -> SqlDigest {
        SqlDigest::Norm1(sqlnorm1(&self.downgrade))
    }

    /// What a restore presents.
    pub fn restore_digest(&self) -> SqlDigest {
        SqlDigest::Raw(self.snapshot())
    }

    /// The digest of the migration manifest.
    pub fn manifest_digest() -> Digest {
        Digest::of(MANIFEST.as_bytes())
    }
}
