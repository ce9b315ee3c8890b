//! The rehearsal: upgrade a copy, measure, downgrade it, compare, upgrade again.
//!
//! The original is never opened for writing and never named to the project. A copy is good for one rehearsal and is thrown
//! away with its folder or database, whatever happened on it.

mod diagnose;
pub mod guard;
mod plain_dump;
mod play;
mod postgres;
mod postgres_state;
pub mod recovery;
mod server;
mod sqlite;
mod sqlite_state;
pub mod state;
mod verify;

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

pub use play::{Goal, Rehearsal, play};
pub use server::ServerUrl;
pub use verify::verify;

use crate::client::project::process::Stop;
use crate::client::project::{Project, ProjectError};
use crate::sql::dialect::Dialect;
use state::{Depth, State};

/// Where Alembic keeps the revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionTable {
    pub schema: Option<String>,
    pub name: String,
}

/// Something that is read on another thread while the next step runs.
pub struct Later<T>(JoinHandle<Result<T, ProjectError>>);

impl<T> Later<T> {
    /// Waits for it.
    pub fn get(self) -> Result<T, ProjectError> {
        self.0.join().unwrap_or_else(|_| {
            Err(ProjectError::new("E04", "a thread of the dry run broke.", "Report this as a defect."))
        })
    }
}

fn later<T: Send + 'static>(read: impl FnOnce() -> Result<T, ProjectError> + Send + 'static) -> Later<T> {
    Later(std::thread::spawn(read))
}

/// What is copied from.
pub trait Snapshot: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// The file that is copied from, where that is not the original but was made of it and what lay beside it.
    fn recovered(&self) -> Option<&Path> {
        None
    }

    /// Makes a copy. `progress` is told how much of how much is done.
    fn copy(&self, name: &str, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Box<dyn Copy>, ProjectError>;

    /// The state of the snapshot itself, which no rehearsal changes; none where only a copy can be read.
    fn look(&self, depth: Depth, table: &VersionTable) -> Option<Later<State>>;
}

/// A copy that may be changed and is thrown away.
pub trait Copy: Send {
    /// The copy's URL for the project.
    fn url(&self, project: &Project) -> String;

    /// The revisions it is at; none if it has no such table.
    fn versions(&self, table: &VersionTable) -> Result<Option<Vec<String>>, ProjectError>;

    /// Tables that look like Alembic's own.
    fn version_tables(&self) -> Vec<String>;

    /// Its state at this moment, read beside what comes next. `name` is used once for each copy.
    fn look(&self, name: &str, depth: Depth, table: &VersionTable) -> Result<Later<State>, ProjectError>;

    fn bytes(&self) -> u64;

    /// The rows of a query, as texts; none if the database refuses it.
    fn ask(&self, sql: &str) -> Option<Vec<Vec<String>>>;

    /// Runs a script as a database administrator would.
    ///
    /// # Errors
    /// What the database said.
    fn apply(&self, sql: &str) -> Result<(), String>;

    /// Files that appeared beside the copy.
    fn strays(&self) -> Vec<String>;
}

/// Finds out what a file is, and opens it.
///
/// # Errors
/// When it is no database that a rehearsal can copy.
pub fn open(
    original: &Path,
    scratch: Option<&ServerUrl>,
    folder: PathBuf,
    project: &Project,
    stop: &Stop,
) -> Result<Box<dyn Snapshot>, ProjectError> {
    if sqlite::is_sqlite(original) {
        return Ok(Box::new(sqlite::SqliteSnapshot::open(original, &folder, stop)?));
    }
    let Some(dump) = postgres::Dump::of(original) else {
        return Err(ProjectError::new(
            "E22",
            "the snapshot is no SQLite database and no dump of pg_dump.",
            "Give a SQLite file, or what pg_dump wrote (custom, tar or plain format).",
        ));
    };
    let Some(scratch) = scratch else {
        return Err(ProjectError::usage(
            "E23",
            "a dump of PostgreSQL is rehearsed on a server.",
            "Name one with --scratch-url or COUNTERSIGN_SCRATCH_URL, where a database may be made and dropped.",
        ));
    };
    let limit = std::time::Duration::from_secs(project.args().time_limit);
    Ok(Box::new(postgres::PostgresSnapshot::new(original, dump, scratch.clone(), folder, limit, stop)))
}
