//! The digests of the scripts that an upgrade runs.

use std::path::Path;

use super::{Project, ProjectError};
use crate::alembic::formats::{Format as _, Version1};
use crate::alembic::manifest::{ManifestFile, ManifestFormat, MigrationManifest, strip_ini};
use crate::domain::digest::Digest;

pub(super) fn manifest(project: &Project, from: &str, to: &str) -> Result<MigrationManifest, ProjectError> {
    let mut files = Vec::new();
    for revision in project.line(from, to)? {
        let listed = project.revisions.iter().find(|l| l.revision.revision == revision);
        let path = listed.map(|l| l.path.as_path()).ok_or_else(|| {
            ProjectError::new("E14", format!("revision {revision} has no file."), "Check version_locations.")
        })?;
        files.push(file(project, path, false)?);
    }
    files.push(file(project, &project.script_location.join("env.py"), false)?);
    files.push(file(project, &project.config, true)?);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    let manifest = MigrationManifest {
        format: ManifestFormat::default(),
        version: Version1,
        from: from.to_owned(),
        to: to.to_owned(),
        files,
    };
    manifest.check().map_err(|e| ProjectError::new("E14", e.to_string(), "Rename that file or folder."))?;
    Ok(manifest)
}

fn file(project: &Project, path: &Path, settings: bool) -> Result<ManifestFile, ProjectError> {
    let name = name(project, path);
    let bytes = std::fs::read(path).map_err(|e| ProjectError::io(format!("{name} can't be read"), &e))?;
    let sha256 = match std::str::from_utf8(&bytes) {
        Ok(text) if settings => Digest::of(strip_ini(text).as_bytes()),
        _ => Digest::of(&bytes),
    };
    Ok(ManifestFile { path: name, sha256 })
}

/// Below the project's folder. Scripts of an installed package are named from the folder that Alembic has them in, so
/// that the name is the same on every machine.
fn name(project: &Project, path: &Path) -> String {
    let below = |folder: &Path, prefix: &str| {
        let rest = path.strip_prefix(folder).ok()?;
        let parts = rest.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
        Some(prefix.to_owned() + &parts.collect::<Vec<_>>().join("/"))
    };
    let locations = project.version_locations.iter().enumerate();
    below(&project.dir, "")
        .or_else(|| below(&project.script_location, "script_location/"))
        .or_else(|| {
            locations.into_iter().find_map(|(i, folder)| below(folder, &format!("version_locations/{i}/")))
        })
        .or_else(|| below(project.config.parent()?, "config/"))
        .unwrap_or_else(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
