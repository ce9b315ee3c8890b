//! The backup manifest: which snapshot of a database there is, and since when.

use serde::{Deserialize, Serialize};

use super::formats::{Format, FormatError, Version1, check_count, check_text, field, format_name};
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;

format_name!(BackupFormat, "countersign/backup-manifest");

/// A backup of the target environment's database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupManifest {
    pub format: BackupFormat,
    pub version: Version1,
    /// Where it was taken and where it lies, in words; no password and no personal path.
    pub origin: String,
    pub taken_at: Timestamp,
    /// Of the backup file.
    pub sha256: Digest,
    /// Its size.
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Format for BackupManifest {
    const WHAT: &'static str = "backup manifest";
    const FORMAT: &'static str = BackupFormat::TEXT;
    const LIMIT: usize = 64 * 1024;

    fn check(&self) -> Result<(), FormatError> {
        check_text(Self::WHAT, "origin", &self.origin, 300)?;
        check_count(Self::WHAT, "bytes", self.bytes)?;
        if self.bytes == 0 {
            return Err(field(Self::WHAT, "bytes", "must be more than 0: an empty backup restores nothing"));
        }
        match &self.note {
            Some(note) => check_text(Self::WHAT, "note", note, 1_000),
            None => Ok(()),
        }
    }
}
