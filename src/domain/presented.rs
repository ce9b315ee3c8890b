//! What a run has to present when it redeems its token: the digests that the approved evidence holds.

use super::artifact::{Artifact, ArtifactFacts, ArtifactKind, ReportFacts};
use super::digest::Digest;
use super::facts::{Facts, Intent};
use super::run::Method;
use super::sql_digest::SqlDigest;

/// The digests that redemption compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The file that is run, and its raw digest.
    pub kind: ArtifactKind,
    pub version: i64,
    pub raw: Digest,
    /// What the client is told to present, and what is accepted.
    pub sql_digest: SqlDigest,
    /// The migration manifest's digest, if the evidence holds one (RULES 7).
    pub manifest: Option<Digest>,
    /// The identity of the database, if policy declares one.
    pub database: Option<String>,
}

/// What does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Sql,
    /// The approved file itself was presented where a render is comparable.
    RawNotAccepted,
    Manifest,
    Database,
}

impl Mismatch {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sql => "sql-digest-mismatch",
            Self::RawNotAccepted => "raw-digest-not-accepted",
            Self::Manifest => "manifest-mismatch",
            Self::Database => "database-mismatch",
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::Sql => "The SQL about to run is not the SQL that was approved. The token is untouched.",
            Self::RawNotAccepted => {
                "A fresh render can be compared here, so its sqlnorm1 digest is wanted. The token is untouched."
            }
            Self::Manifest => {
                "The migration scripts are not the ones that were approved. The token is untouched."
            }
            Self::Database => {
                "This is not the database that policy names for this environment. The token is untouched."
            }
        }
    }
}

/// What to expect of a run with this intent; none where the approved evidence lacks the file.
pub fn expected(facts: &Facts) -> Option<Expected> {
    let kind = match facts.intent {
        Intent::Upgrade => ArtifactKind::UpgradeSql,
        Intent::Rollback(Method::Downgrade) => ArtifactKind::DowngradeSql,
        Intent::Rollback(Method::Restore) => ArtifactKind::BackupManifest,
    };
    // A rollback that rides on an approved run uses the files of that approval, not what came after.
    let riding = facts.ridden_run();
    let file = |kind| riding.map_or_else(|| facts.this.newest(kind), |run| facts.this.as_of(run, kind));
    let artifact: &Artifact = file(kind)?;
    let report = match file(ArtifactKind::DryRunReport).map(|a| &a.facts) {
        Some(ArtifactFacts::Report(report)) => Some(report),
        _ => None,
    };
    let sql_digest = match (&artifact.facts, kind) {
        (ArtifactFacts::Backup(backup), ArtifactKind::BackupManifest) => SqlDigest::Raw(backup.sha256),
        (ArtifactFacts::Sql(sql), _) if sql.not_possible.is_none() => match sql.sqlnorm1 {
            Some(norm) if !unreproducible(report) => SqlDigest::Norm1(norm),
            _ => SqlDigest::Raw(artifact.sha256),
        },
        _ => return None,
    };
    let manifest =
        if kind == ArtifactKind::BackupManifest { None } else { file(ArtifactKind::MigrationManifest) };
    Some(Expected {
        kind,
        version: artifact.version,
        raw: artifact.sha256,
        sql_digest,
        manifest: manifest.map(|a| a.sha256),
        database: facts.this.policy.database.clone(),
    })
}

/// The approved report declares that a render can't be reproduced, so the approved file itself is what runs (RULES 6).
fn unreproducible(report: Option<&ReportFacts>) -> bool {
    report.is_some_and(|r| !r.reproducible || r.captured_online)
}

impl Expected {
    /// Compares what a client presents.
    ///
    /// # Errors
    /// The first thing that does not match.
    pub fn check(
        &self,
        sql: SqlDigest,
        manifest: Option<Digest>,
        database: Option<&str>,
    ) -> Result<(), Mismatch> {
        if sql != self.sql_digest {
            let raw_of_same = sql == SqlDigest::Raw(self.raw);
            return Err(if raw_of_same { Mismatch::RawNotAccepted } else { Mismatch::Sql });
        }
        if self.manifest.is_some() && manifest != self.manifest {
            return Err(Mismatch::Manifest);
        }
        if self.database.is_some() && database != self.database.as_deref() {
            return Err(Mismatch::Database);
        }
        Ok(())
    }
}
