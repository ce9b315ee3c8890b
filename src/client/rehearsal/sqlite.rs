//! SQLite: copies made with the backup API, and what is read from them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::guard::with_ending;
use super::recovery;
use super::sqlite_state;
use super::state::{Depth, State};
use super::{Copy, Later, Snapshot, VersionTable, later};
use crate::client::project::process::Stop;
use crate::client::project::{Project, ProjectError, work};
use crate::sql::dialect::Dialect;

/// Pages copied between two looks at the bar and at Ctrl-C.
const PAGES: i32 = 2_048;

/// A SQLite file that is only ever read.
#[derive(Debug)]
pub struct SqliteSnapshot {
    source: PathBuf,
    /// The source is not the original: what lay beside that is in it.
    recovered: bool,
    folder: PathBuf,
    stop: Stop,
}

impl SqliteSnapshot {
    /// Looks at the file. What SQLite keeps beside it belongs to the database, but not to the file's digest, which
    /// everybody compares a snapshot by: then both are made one file first, and that is the snapshot.
    pub fn open(original: &Path, folder: &Path, stop: &Stop) -> Result<Self, ProjectError> {
        let ending = recovery::pending(original);
        let source = match ending {
            Some(ending) => recovery::recover(original, ending, folder, stop)?,
            None => original.to_owned(),
        };
        Ok(Self { source, recovered: ending.is_some(), folder: folder.to_owned(), stop: stop.clone() })
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        open_immutable(&self.source)
    }
}

/// Opens a file without any lock and without a look at what lies beside it.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(["%", &hex::encode_upper([byte])]),
            _ => uri.push(char::from(byte)),
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    open(Path::new(&uri), flags)
}

pub(super) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // What a stranger's schema calls must not run.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Whether a file begins as SQLite's do.
pub fn is_sqlite(path: &Path) -> bool {
    let mut head = [0; 16];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head == *b"SQLite format 3\0"
}

pub(super) fn not_a_database(error: &rusqlite::Error) -> ProjectError {
    ProjectError::new(
        "E22",
        format!("the snapshot can't be read as a database: {error}."),
        "Take the snapshot again, with `sqlite3 FILE \".backup COPY\"` or VACUUM INTO, and check it.",
    )
}

impl Snapshot for SqliteSnapshot {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn recovered(&self) -> Option<&Path> {
        self.recovered.then_some(self.source.as_path())
    }

    fn copy(&self, name: &str, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Box<dyn Copy>, ProjectError> {
        let folder = self.folder.join(name);
        work::create(&folder).map_err(|e| ProjectError::io("no private folder could be made", &e))?;
        let path = folder.join("copy.db");
        let copied = || -> rusqlite::Result<bool> {
            let from = self.connect()?;
            let mut to = Connection::open(&path)?;
            // If this machine stops, so does the rehearsal: nothing is lost with the copy.
            to.pragma_update(None, "synchronous", "OFF")?;
            to.pragma_update(None, "journal_mode", "OFF")?;
            let backup = Backup::new(&from, &mut to)?;
            while backup.step(PAGES)? != StepResult::Done {
                let at = backup.progress();
                let (left, all) = (at.remaining.unsigned_abs(), at.pagecount.unsigned_abs());
                progress(u64::from(all.saturating_sub(left)), u64::from(all));
                if self.stop.asked() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match copied() {
            Ok(true) => Ok(Box::new(SqliteCopy { path, stop: self.stop.clone() })),
            Ok(false) => Err(ProjectError::interrupted()),
            Err(error) => Err(not_a_database(&error)),
        }
    }

    fn look(&self, depth: Depth, table: &VersionTable) -> Option<Later<State>> {
        let (source, stop, table) = (self.source.clone(), self.stop.clone(), table.clone());
        Some(later(move || {
            let read = || sqlite_state::read(&open_immutable(&source)?, depth, &table, &stop);
            read().map_err(|e| not_a_database(&e))
        }))
    }
}

/// A copy that is rehearsed on.
#[derive(Debug)]
struct SqliteCopy {
    path: PathBuf,
    stop: Stop,
}

impl SqliteCopy {
    fn connect(&self) -> rusqlite::Result<Connection> {
        open(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }
}

impl Copy for SqliteCopy {
    fn url(&self, project: &Project) -> String {
        project.with_scheme(Dialect::Sqlite, &format!("/{}", self.path.display()))
    }

    fn versions(&self, table: &VersionTable) -> Result<Option<Vec<String>>, ProjectError> {
        let read = || -> rusqlite::Result<Option<Vec<String>>> {
            let connection = self.connect()?;
            let known = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
            let found: i64 = connection.query_row(known, [&table.name], |row| row.get(0))?;
            if found == 0 {
                return Ok(None);
            }
            let select = format!("SELECT version_num FROM {} ORDER BY 1", quoted(&table.name));
            let mut statement = connection.prepare(&select)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<rusqlite::Result<Vec<String>>>().map(Some)
        };
        read().map_err(|e| not_a_database(&e))
    }

    fn version_tables(&self) -> Vec<String> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let connection = self.connect()?;
            let mut statement = connection.prepare(
                "SELECT s.name FROM sqlite_schema s JOIN pragma_table_info(s.name) c \
                 WHERE s.type = 'table' AND c.name = 'version_num' ORDER BY 1",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect()
        };
        read().unwrap_or_default()
    }

    fn look(&self, name: &str, depth: Depth, table: &VersionTable) -> Result<Later<State>, ProjectError> {
        // Read beside the next step, so from a copy of the copy.
        let folder = self.path.parent().unwrap_or(&self.path).with_extension(name);
        work::create(&folder).map_err(|e| ProjectError::io("no private folder could be made", &e))?;
        let path = folder.join("look.db");
        for ending in ["", "-wal"] {
            let from = with_ending(&self.path, ending);
            if from.exists() {
                fs::copy(from, with_ending(&path, ending))
                    .map_err(|e| ProjectError::io("the copy could not be copied", &e))?;
            }
        }
        let (stop, table) = (self.stop.clone(), table.clone());
        Ok(later(move || {
            let state = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
                .and_then(|connection| sqlite_state::read(&connection, depth, &table, &stop));
            let _gone = fs::remove_dir_all(&folder);
            state.map_err(|e| not_a_database(&e))
        }))
    }

    fn bytes(&self) -> u64 {
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |data| data.len());
        size(self.path.clone()) + size(with_ending(&self.path, "-wal"))
    }

    fn ask(&self, sql: &str) -> Option<Vec<Vec<String>>> {
        let read = || -> rusqlite::Result<Vec<Vec<String>>> {
            let connection = self.connect()?;
            let mut statement = connection.prepare(sql)?;
            let width = statement.column_count();
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let text = |i| row.get_ref(i).map(sqlite_state::text);
                found.push((0..width).map(text).collect::<rusqlite::Result<_>>()?);
            }
            Ok(found)
        };
        read().ok()
    }

    fn apply(&self, sql: &str) -> Result<(), String> {
        let apply = || {
            let connection = self.connect()?;
            // As SQLite's own shell and Python have it, unless the script says otherwise.
            connection.pragma_update(None, "foreign_keys", false)?;
            connection.execute_batch(sql)
        };
        apply().map_err(|e| e.to_string())
    }

    fn strays(&self) -> Vec<String> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with("copy.db")).collect()
    }
}

/// A name as SQLite takes it whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
