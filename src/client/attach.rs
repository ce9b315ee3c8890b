//! `countersign attach`: files of a stage. A second run sends only what is missing.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::output::{Done, Failure};
use super::portal::shapes::{Artifact, Gates, Page, Uploaded};
use super::portal::{Portal, PortalError};
use super::{OnStage, StageOf};
use crate::alembic::formats;
use crate::alembic::report::DryRunReport;
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub on: OnStage,
    /// upgrade-sql, downgrade-sql, dry-run-report, migration-history, migration-manifest, backup-manifest, smoke-report,
    /// monitoring-snapshot or other.
    #[arg(long)]
    kind: ArtifactKind,
    /// The file to attach.
    file: PathBuf,
    /// What the file is called on the ticket; else as here.
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.on.with.open()?;
    let attached = attach(&portal, &options.on.at, options.kind, options.name.as_deref(), &options.file)?;
    Ok(Done::new(attached.line(&options.on.at), attached.json()))
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub kind: ArtifactKind,
    pub version: i64,
    pub sha256: Digest,
    /// A new version; else what stands there says the same.
    pub new: bool,
}

impl Attached {
    pub fn json(&self) -> Value {
        json!({"kind": self.kind, "version": self.version, "sha256": self.sha256, "new": self.new})
    }

    pub fn line(&self, at: &StageOf) -> String {
        let what = if self.new { "attached as" } else { "stands already as" };
        format!("{} of {at} {what} version {} (sha256 {}).", self.kind, self.version, self.sha256)
    }
}

/// A file of evidence: its kind, its name on the ticket, and where it is here.
pub type Evidence = (ArtifactKind, String, PathBuf);

/// Attaches one file, unless what stands there says the same.
pub fn attach(
    portal: &Portal,
    at: &StageOf,
    kind: ArtifactKind,
    name: Option<&str>,
    path: &Path,
) -> Result<Attached, Failure> {
    let own = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.map(str::to_owned).or(own).unwrap_or_else(|| kind.to_string());
    let mut all = upload_all(portal, at, &[(kind, name, path.to_owned())])?;
    all.pop().ok_or_else(|| Failure::failed("nothing-attached", "Nothing was attached."))
}

/// Attaches everything that a dry run made, in one go. The report comes last: until it is there the gate `dry-run` stays
/// shut, so a passed report never stands beside files that it is not about, wherever this is interrupted.
pub fn upload_all(portal: &Portal, at: &StageOf, files: &[Evidence]) -> Result<Vec<Attached>, Failure> {
    let known: Page<Artifact> = portal.get(&format!("{}/artifacts", at.path()))?;
    let mut files: Vec<&Evidence> = files.iter().collect();
    files.sort_by_key(|(kind, ..)| (*kind == ArtifactKind::DryRunReport, *kind));
    files.into_iter().map(|file| upload(portal, at, file, &known.items)).collect()
}

fn upload(portal: &Portal, at: &StageOf, file: &Evidence, known: &[Artifact]) -> Result<Attached, Failure> {
    let (kind, name, path) = file;
    let here = File::open(path).map_err(|error| Failure::file(path, &error))?;
    if !here.metadata().map_err(|error| Failure::file(path, &error))?.is_file() {
        return Err(Failure::usage(format!("{} is not a file.", path.display())));
    }
    let sha256 = digest(&here).map_err(|error| Failure::file(path, &error))?;
    let same_name = |a: &&Artifact| *kind != ArtifactKind::Other || a.filename == *name;
    let newest = known.iter().filter(|a| a.current && a.kind == *kind).find(same_name);
    if let Some(newest) = newest {
        let stands = newest.sha256 == sha256 || says_the_same(portal, at, newest, path)?;
        if stands && kind.is_evidence() {
            return Ok(Attached { kind: *kind, version: newest.version, sha256: newest.sha256, new: false });
        }
    }
    let query =
        serde_urlencoded::to_string([("filename", name)]).map_err(|e| Failure::usage(e.to_string()))?;
    let answer = portal.upload(&format!("{}/artifacts/{kind}?{query}", at.path()), &here)?;
    let uploaded: Uploaded = answer.read()?;
    if uploaded.sha256 != sha256 {
        let message = format!("{} changed while it was sent.", path.display());
        return Err(Failure::failed("file-changed", message).advise("Attach it again when it is finished."));
    }
    Ok(Attached { kind: *kind, version: uploaded.version, sha256, new: answer.status == 201 })
}

pub fn digest(mut file: &File) -> std::io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest(hash.finalize().into())),
            read => hash.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

/// Whether the report that stands is about the same and not too old: what differs from run to run is no news (RULES 22).
fn says_the_same(portal: &Portal, at: &StageOf, newest: &Artifact, path: &Path) -> Result<bool, Failure> {
    if newest.kind != ArtifactKind::DryRunReport {
        return Ok(false);
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let Ok(here) = formats::read::<DryRunReport>(&bytes) else { return Ok(false) };
    let there = portal
        .download(&format!("{}/artifacts/{}?version={}", at.path(), newest.kind, newest.version))?
        .into_bytes();
    let Ok(there) = formats::read::<DryRunReport>(&there) else { return Ok(false) };
    Ok(here.subject == there.subject && fresh(portal, at)?)
}

/// The portal's clock and policy say whether a report is too old.
fn fresh(portal: &Portal, at: &StageOf) -> Result<bool, PortalError> {
    let gates: Gates = portal.get(&format!("{}/gates", at.path()))?;
    Ok(gates.blockers().iter().all(|blocker| blocker.code != "dry-run-stale"))
}
