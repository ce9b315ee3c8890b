//! The files of a dry run: written whole or not at all.

use std::path::{Path, PathBuf};

use super::Options;
use super::recovered::Recovered;
use super::report;
use super::steps::Made;
use crate::alembic::backup::{BackupFormat, BackupManifest};
use crate::alembic::formats::{Format as _, Version1};
use crate::alembic::report::DryRunReport;
use crate::client::project::{ProjectError, work};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;

/// What a stage needs, as it lies on the disk.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Kind, the file's name on the ticket, where it is. In the order in which evidence lists them.
    pub files: Vec<(ArtifactKind, String, PathBuf)>,
    /// The snapshot, where it had to be made one file first. It is no evidence and goes nowhere.
    pub snapshot: Option<PathBuf>,
    pub report: DryRunReport,
}

const NAMES: [(ArtifactKind, &str); 6] = [
    (ArtifactKind::UpgradeSql, "upgrade.sql"),
    (ArtifactKind::DowngradeSql, "downgrade.sql"),
    (ArtifactKind::DryRunReport, "dry-run-report.json"),
    (ArtifactKind::MigrationHistory, "migration-history.json"),
    (ArtifactKind::MigrationManifest, "migration-manifest.json"),
    (ArtifactKind::BackupManifest, "backup-manifest.json"),
];

pub(super) fn write(options: &Options, made: &Made) -> Result<Evidence, ProjectError> {
    let (up, down) = report::scripts(made);
    let history = made.project.history_file(&made.from, &made.to)?;
    let manifest = made.project.manifest(&made.from, &made.to)?;
    let manifest = manifest.to_bytes().map_err(|e| unwritable(&e.to_string()))?;
    let report = report::report(options, made, (&up, &down), Digest::of(&manifest));
    report.check().map_err(|e| unwritable(&e.to_string()))?;
    let backup = BackupManifest {
        format: BackupFormat::default(),
        version: Version1,
        origin: report.subject.snapshot.origin.clone(),
        taken_at: report.subject.snapshot.taken_at,
        sha256: report.subject.snapshot.sha256,
        bytes: report.subject.snapshot.bytes,
        note: made.recovered.as_ref().map(Recovered::note),
    };
    backup.check().map_err(|e| unwritable(&e.to_string()))?;
    let contents = [up.bytes, down.bytes, pretty(&report)?, pretty(&history)?, manifest, pretty(&backup)?];
    let mut files = Vec::new();
    let (alone, folder) = (options.single(), options.folder());
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder)
            .map_err(|e| ProjectError::io(format!("the folder {}", folder.display()), &e))?;
    }
    let snapshot = made.recovered.as_ref().map(|one| one.put(made.snapshot_sha256)).transpose()?;
    for (((kind, name), bytes), single) in NAMES.into_iter().zip(&contents).zip(alone) {
        let path = match (single, &folder) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => folder.join(name),
            (None, None) => continue,
        };
        work::write(&path, bytes)
            .map_err(|e| ProjectError::io(format!("{} can't be written", path.display()), &e))?;
        files.push((kind, own_name(&path, name), path));
    }
    Ok(Evidence { files, snapshot, report })
}

fn own_name(path: &Path, otherwise: &str) -> String {
    path.file_name().map_or_else(|| otherwise.to_owned(), |name| name.to_string_lossy().into_owned())
}

fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ProjectError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| unwritable(&e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn unwritable(why: &str) -> ProjectError {
    ProjectError::new("E04", format!("the evidence can't be written: {why}."), "Report this as a defect.")
}
