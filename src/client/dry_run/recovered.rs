//! A snapshot with changes beside it: where the one file goes that is made of both, and what is said of it.

use std::path::{Path, PathBuf};

use super::Options;
use crate::alembic::report::Warning;
use crate::client::project::ProjectError;
use crate::client::project::work::{self, Private};
use crate::client::rehearsal::recovery;
use crate::domain::digest::Digest;

/// What the one file is called.
const NAME: &str = "snapshot.db";

/// Where the one file is to go.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Of the file beside the snapshot.
    ending: &'static str,
}

/// The one file, in a private folder until it is put where it goes.
#[derive(Debug)]
pub(super) struct Recovered {
    #[expect(dead_code, reason = "held so that the folder stays")]
    folder: Private,
    file: PathBuf,
    place: Place,
}

impl Place {
    /// None if nothing lies beside the snapshot.
    ///
    /// # Errors
    /// When there is no folder for it, or it would be in the way there.
    pub fn of(options: &Options, original: &Path) -> Result<Option<Self>, ProjectError> {
        let Some(ending) = recovery::pending(original) else { return Ok(None) };
        let Some(folder) = options.folder() else {
            let instead = format!("Give a folder with --out, where both are put together as {NAME}. ");
            return Err(recovery::refusal(ending, "", &instead));
        };
        let path = folder.join(NAME);
        let is_original = std::fs::canonicalize(&path).is_ok_and(|there| there == original);
        if is_original || recovery::beside(&path).is_some() {
            let why = format!(", and both can't be put together as {}", path.display());
            return Err(recovery::refusal(ending, &why, "Give another folder with --out. "));
        }
        Ok(Some(Self { path, ending }))
    }

    pub fn with(self, folder: Private, file: PathBuf) -> Recovered {
        Recovered { folder, file, place: self }
    }
}

impl Recovered {
    /// Writes the file where it goes, and says where.
    ///
    /// # Errors
    /// When it can't be written there, or is not what was rehearsed on.
    pub fn put(&self, sha256: Digest) -> Result<PathBuf, ProjectError> {
        let path = &self.place.path;
        work::copy(&self.file, path, sha256)
            .map_err(|e| ProjectError::io(format!("{} can't be written", path.display()), &e))?;
        Ok(path.clone())
    }

    /// For the backup manifest.
    pub fn note(&self) -> String {
        format!(
            "the snapshot together with the {} file that lay beside it, made one file by the dry run ({NAME})",
            self.place.ending
        )
    }

    /// For the report.
    pub fn warning(&self) -> Warning {
        let ending = self.place.ending;
        let text = format!(
            "beside the snapshot lay a {ending} file with changes: what was rehearsed, and what the digest names, is \
             both together as one file, {NAME}"
        );
        Warning::new("E22", text)
    }
}
