//! The migration manifest: the scripts that an approval covers, since Alembic runs Python and not the SQL people read.

use serde::{Deserialize, Serialize};

use super::formats::{self, Format, FormatError, Version1, check_len, check_revision, field, format_name};
use crate::domain::digest::{Digest, canonical_json};

format_name!(ManifestFormat, "countersign/migration-manifest");

/// Every migration script between two revisions, `env.py`, and `alembic.ini` with its secrets stripped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationManifest {
    pub format: ManifestFormat,
    pub version: Version1,
    pub from: String,
    pub to: String,
    /// By path, in the order of its bytes.
    pub files: Vec<ManifestFile>,
}

/// A file of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Below the project's folder, with `/` between names.
    pub path: String,
    pub sha256: Digest,
}

/// Reads a manifest, whose bytes must be the canonical ones: then their digest is [`MigrationManifest::sha256`].
///
/// # Errors
/// When it is no manifest, or not in its one spelling.
pub fn read(bytes: &[u8]) -> Result<MigrationManifest, FormatError> {
    let manifest: MigrationManifest = formats::read(bytes)?;
    if canonical_json(&manifest).ok().as_deref() == Some(bytes) {
        Ok(manifest)
    } else {
        Err(FormatError::NotCanonical { what: MigrationManifest::WHAT })
    }
}

/// `alembic.ini` as it is hashed: every value of a key that ends with `url`, or holds `password`, `passwd`, `secret`
/// or `token`, is replaced by `(stripped)`, and lines that continue such a value are taken out. Line ends become LF.
#[must_use]
pub fn strip_ini(ini: &str) -> String {
    let mut out = String::with_capacity(ini.len());
    let mut inside = false;
    for line in ini.lines() {
        let continues = line.starts_with([' ', '\t']) && !line.trim().is_empty();
        if continues && inside {
            continue;
        }
        let key = line.split_once(['=', ':']).map(|(key, _)| key.trim_end());
        inside = !line.starts_with(['#', ';', '[']) && !continues && key.is_some_and(is_secret);
        match key.filter(|_| inside) {
            Some(key) => {
                out.push_str(key);
                out.push_str(" = (stripped)");
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.ends_with("url") || ["password", "passwd", "secret", "token"].iter().any(|part| key.contains(part))
}

impl MigrationManifest {
    /// The canonical bytes: the file itself.
    ///
    /// # Errors
    /// Never for a manifest that passes [`Format::check`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical_json(self)
    }

    /// `manifest_sha256`: the digest of the canonical bytes.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn sha256(&self) -> Result<Digest, serde_json::Error> {
        self.to_bytes().map(|bytes| Digest::of(&bytes))
    }
}

impl Format for MigrationManifest {
    const WHAT: &'static str = "migration manifest";
    const FORMAT: &'static str = ManifestFormat::TEXT;
    const LIMIT: usize = 4 * 1024 * 1024;

    fn check(&self) -> Result<(), FormatError> {
        let what = Self::WHAT;
        check_revision(what, "from", &self.from)?;
        check_revision(what, "to", &self.to)?;
        if self.from == self.to {
            return Err(field(what, "to", "must differ from `from`"));
        }
        check_len(what, "files", &self.files, 20_000)?;
        if self.files.is_empty() {
            return Err(field(what, "files", "must name at least one file"));
        }
        for (i, file) in self.files.iter().enumerate() {
            if let Some(rule) = path_fault(&file.path) {
                return Err(field(what, format!("files[{i}].path"), rule));
            }
            if i > 0 && self.files[i - 1].path >= file.path {
                return Err(field(
                    what,
                    format!("files[{i}].path"),
                    "must come after the one before, by bytes",
                ));
            }
        }
        Ok(())
    }
}

fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > 512 {
        Some("must have 1 to 512 bytes")
    } else if path.starts_with('/') || path.contains('\\') || path.contains(':') {
        Some("must be below the project's folder, with `/` between names")
    } else if path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        Some("must not hold empty names, `.` or `..`")
    } else if path.chars().any(|c| c.is_control() || crate::sql::hidden::is_hidden(c)) {
        Some("must not hold control or invisible characters")
    } else {
        None
    }
}
