//! A SQLite file with changes that SQLite still keeps beside it: made one file that holds everything.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::guard::with_ending;
use super::sqlite::{is_sqlite, not_a_database, open};
use crate::client::project::process::Stop;
use crate::client::project::{ProjectError, work};

/// The file beside a SQLite database that holds changes which are not in it: `-wal` or `-journal`.
pub fn pending(original: &Path) -> Option<&'static str> {
    beside(original).filter(|_| is_sqlite(original))
}

/// The file that SQLite would take into account with one of this name, whether that one is there or not.
pub fn beside(path: &Path) -> Option<&'static str> {
    let holds = |ending: &str| fs::metadata(with_ending(path, ending)).is_ok_and(|d| d.len() > 0);
    ["-wal", "-journal"].into_iter().find(|ending| holds(ending))
}

/// The refusal of a snapshot with a file beside it, and what else can be done.
pub fn refusal(ending: &str, why: &str, instead: &str) -> ProjectError {
    ProjectError::new(
        "E22",
        format!(
            "beside the snapshot lies a {ending} file with changes that are not in the snapshot itself{why}."
        ),
        format!(
            "{instead}Checkpoint the snapshot first (`sqlite3 FILE \"PRAGMA wal_checkpoint(TRUNCATE)\"`), or take it \
             with `sqlite3 FILE \".backup COPY\"`."
        ),
    )
}

/// Copies the original with what lies beside it into `folder` and lets SQLite bring the copy up to date. The same
/// files give the same bytes each time. The original is only read: opening it would write beside it.
pub(super) fn recover(
    original: &Path,
    ending: &'static str,
    folder: &Path,
    stop: &Stop,
) -> Result<PathBuf, ProjectError> {
    let io = |e: io::Error| ProjectError::io("the snapshot could not be copied", &e);
    if ending == "-journal" && names_another(&with_ending(original, ending)).map_err(io)? {
        // SQLite would look for that one where it was, and might remove it.
        return Err(refusal(ending, " and that belong to several databases at once", ""));
    }
    let folder = folder.join("recovered");
    work::create(&folder).map_err(io)?;
    let path = folder.join("snapshot.db");
    for ending in ["", "-wal", "-journal"] {
        let (from, to) = (with_ending(original, ending), with_ending(&path, ending));
        if from.exists() {
            fs::copy(from, &to).and_then(|_| writable(&to)).map_err(io)?;
        }
        if stop.asked() {
            return Err(ProjectError::interrupted());
        }
    }
    let whole = || -> rusqlite::Result<bool> {
        let connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // The first look rolls back what a journal says, and reads the log.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        let mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        connection.close().map_err(|(_, error)| error)?;
        Ok(busy == 0 && mode == "delete")
    };
    match whole() {
        Ok(true) if beside(&path).is_none() => Ok(path),
        Ok(_) => Err(refusal(ending, " and that SQLite does not bring into it", "")),
        Err(error) => Err(not_a_database(&error)),
    }
}

/// A read-only file gives a read-only copy; ours has to be written to.
fn writable(path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(path)?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
    #[cfg(not(unix))]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions)
}

/// Whether a journal ends with the name of one for several databases, as SQLite's file format has it.
fn names_another(journal: &Path) -> io::Result<bool> {
    const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let mut file = fs::File::open(journal)?;
    if file.metadata()?.len() < 16 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-8))?;
    let mut last = [0; 8];
    file.read_exact(&mut last)?;
    Ok(last == MAGIC)
}
