//! What this machine remembers of a run while it is under way: enough to find out later what is true, and no secret.
//!
//! One slot for each stage of a ticket on a portal: the record, the command's output, and a lock that whoever works on
//! the slot holds. The output is a file that the command writes to by itself, so that the command outlives this program;
//! a lock on that file goes on to the command and stays as long as the command does, whatever its process id becomes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::leftover;
use crate::client::fresh_key;
use crate::client::output::Failure;
use crate::domain::digest::Digest;
use crate::domain::id::{ApplyTokenId, RunId, TicketNumber};
use crate::domain::run::{Direction, Method};
use crate::domain::sql_digest::SqlDigest;

/// How far it came. Each is on the disk before what it speaks of is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The token is about to be redeemed.
    Prepared,
    /// The run is open; the command was not started.
    Redeemed,
    /// The command was started, or is about to be.
    Started,
    /// The command ended.
    Ended,
}

/// A run as this machine knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub portal: String,
    pub ticket: TicketNumber,
    pub stage: String,
    pub direction: Direction,
    pub method: Option<Method>,
    pub from: String,
    pub to: String,
    /// The redemption's idempotency key: under it the portal finds the run again.
    pub key: String,
    pub sql_digest: SqlDigest,
    pub manifest_sha256: Option<Digest>,
    pub revision_before: Option<String>,
    pub prior_tag_redeployed: bool,
    /// How the token was released, if it was for this run, so that nobody else has it.
    #[serde(default)]
    pub release: Option<Release>,
    pub phase: Phase,
    pub run: Option<RunId>,
    pub exit_code: Option<i64>,
}

/// The release of a token for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its idempotency key: under it the portal tells which token it was, should the answer get lost.
    pub key: String,
    /// The token that was released, as soon as that is known.
    pub token: Option<ApplyTokenId>,
}

impl Release {
    pub fn fresh() -> Self {
        Self { key: fresh_key(), token: None }
    }
}

/// The version of the record that this release writes and reads.
pub const VERSION: u32 = 1;

/// The place of one stage's run, held by this process.
#[derive(Debug)]
pub struct Slot {
    folder: PathBuf,
    name: String,
    /// Held as long as this lives.
    _claim: File,
}

impl Slot {
    /// Takes the slot of a stage.
    ///
    /// # Errors
    /// When another process on this machine holds it, or the folder can't be used.
    pub fn claim(
        folder: Option<&Path>,
        portal: &str,
        ticket: TicketNumber,
        stage: &str,
    ) -> Result<Self, Failure> {
        let folder = match folder {
            Some(folder) => folder.to_owned(),
            None => usual_folder(|name| std::env::var_os(name).map(PathBuf::from))?,
        };
        private_folder(&folder).map_err(|error| Failure::file(&folder, &error))?;
        let which = Digest::of(format!("{portal}\n{stage}").as_bytes()).to_string();
        let name = format!("{ticket}-{}", which.get(..16).unwrap_or_default());
        let path = folder.join(format!("{name}.lock"));
        let claim = open(&path, OpenOptions::new().create(true).append(true))
            .map_err(|e| Failure::file(&path, &e))?;
        match claim.try_lock() {
            Ok(()) => Ok(Self { folder, name, _claim: claim }),
            Err(TryLockError::WouldBlock) => Err(Failure::refused(
                "in-progress-here",
                format!("Another countersign on this machine is at work on {ticket} on {stage}."),
            )
            .advise("Wait for it to end.")),
            Err(TryLockError::Error(error)) => Err(Failure::file(&path, &error)),
        }
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }

    /// Where the command's output is.
    pub fn log_path(&self) -> PathBuf {
        self.path("log")
    }

    /// Where the approved SQL is put for the command.
    pub fn sql_path(&self) -> PathBuf {
        self.path("sql")
    }

    /// What is remembered, if anything.
    ///
    /// # Errors
    /// When there is something that can't be read: then nothing may be done over it.
    pub fn read(&self) -> Result<Option<Record>, Failure> {
        let path = self.path("json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file(&path, &error)),
        };
        let advice = "Another release may have written it: use that one, or settle the run on the portal and remove the file.";
        let record: Record = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::failed("state", format!("{} can’t be read: {error}.", path.display())).advise(advice)
        })?;
        if record.version == VERSION {
            Ok(Some(record))
        } else {
            Err(Failure::failed("state", format!("{} has version {}.", path.display(), record.version))
                .advise(advice))
        }
    }

    /// Remembers this, durably: when it returns, the disk has it.
    pub fn write(&self, record: &Record) -> Result<(), Failure> {
        let (path, fresh) = (self.path("json"), self.path("new"));
        let bytes =
            serde_json::to_vec(record).map_err(|error| Failure::failed("state", error.to_string()))?;
        let written = open(&fresh, OpenOptions::new().create(true).write(true).truncate(true))
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&fresh, &path))
            .and_then(|()| sync_folder(&self.folder));
        written.map_err(|error| Failure::file(&path, &error))
    }

    /// Forgets the run, whose end the portal has. The output stays if the portal does not have all of it.
    pub fn forget(&self, keep_log: bool) {
        let kinds: &[&str] = if keep_log { &["json", "sql"] } else { &["json", "sql", "log"] };
        for kind in kinds {
            // What can't be removed is found again, and found settled.
            let _ = fs::remove_file(self.path(kind));
        }
    }

    /// A new file for the command's output, locked; the lock goes on to whoever inherits it.
    pub fn new_log(&self) -> Result<File, Failure> {
        let path = self.log_path();
        let fail = |error: std::io::Error| Failure::file(&path, &error);
        self.nothing_runs()?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            Ok(()) | Err(_) => {}
        }
        let log = open(&path, OpenOptions::new().create_new(true).append(true)).map_err(fail)?;
        match log.try_lock() {
            Ok(()) => Ok(log),
            Err(error) => Err(Failure::failed("state", format!("{}: {error}", path.display()))),
        }
    }

    /// Whether the command, or a process that it left behind, still holds the output open.
    pub fn still_running(&self) -> Result<bool, Failure> {
        let path = self.log_path();
        let log = match open(&path, OpenOptions::new().append(true)) {
            Ok(log) => log,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Failure::file(&path, &error)),
        };
        match log.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(Failure::file(&path, &error)),
        }
    }

    /// Refuses to go on beside a command that still runs.
    pub fn nothing_runs(&self) -> Result<(), Failure> {
        if !self.still_running()? {
            return Ok(());
        }
        let path = self.log_path();
        let message = format!(
            "The command of an earlier run, or something that it started, is still running here and writes to {}: {}.",
            path.display(),
            leftover::words(&leftover::holders(&path))
        );
        Err(Failure::refused("still-running", message)
            .advise("Wait for it to end, or end it; then try again."))
    }

    /// Keeps the approved SQL for the command, readable to its owner only.
    pub fn write_sql(&self, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.sql_path();
        open(&path, OpenOptions::new().create(true).write(true).truncate(true))
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|error| Failure::file(&path, &error))?;
        Ok(path)
    }
}

/// Where programs keep what has to outlive a restart (XDG).
fn usual_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, Failure> {
    variable("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").filter(|path| path.is_absolute()).map(|home| home.join(".local/state")))
        .or_else(|| variable("LOCALAPPDATA"))
        .map(|folder| folder.join("countersign"))
        .ok_or_else(|| {
            Failure::usage("There is no home to keep the run’s state in: name a folder with --state-dir.")
        })
}

fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            version: VERSION,
            portal: "https://portal.example.org".to_owned(),
            ticket: TicketNumber(1),
            stage: "staging".to_owned(),
            direction: Direction::Upgrade,
            method: None,
            from: "a".to_owned(),
            to: "b".to_owned(),
            key: "k".to_owned(),
            sql_digest: SqlDigest::Raw(Digest::of(b"x")),
            manifest_sha256: None,
            revision_before: Some("a".to_owned()),
            prior_tag_redeployed: false,
            release: Some(Release { key: "r".to_owned(), token: None }),
            phase: Phase::Prepared,
            run: None,
            exit_code: None,
        }
    }

    fn claim(folder: &Path) -> Result<Slot, Failure> {
        Slot::claim(Some(folder), "https://portal.example.org", TicketNumber(1), "staging")
    }

    #[test]
    fn what_is_written_is_read_back_and_nobody_else_may_look() {
        let folder = tempfile::tempdir().unwrap();
        let slot = claim(&folder.path().join("state")).unwrap();
        assert_eq!(slot.read().unwrap(), None);
        slot.write(&record()).unwrap();
        assert_eq!(slot.read().unwrap(), Some(record()));
        #[cfg(unix)]
        for entry in fs::read_dir(folder.path().join("state")).unwrap() {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&entry.unwrap().metadata().unwrap().permissions());
            assert_eq!(mode & 0o077, 0);
        }
        slot.forget(false);
        assert_eq!(slot.read().unwrap(), None);
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = claim(folder.path()).unwrap();
        assert_eq!(claim(folder.path()).unwrap_err().code, "in-progress-here");
        drop(first);
        assert!(claim(folder.path()).is_ok());
    }

    #[test]
    fn a_record_of_another_release_is_not_run_over() {
        let folder = tempfile::tempdir().unwrap();
        let slot = claim(folder.path()).unwrap();
        slot.write(&Record { version: 2, ..record() }).unwrap();
        assert_eq!(slot.read().unwrap_err().code, "state");
        fs::write(slot.path("json"), b"{").unwrap();
        assert_eq!(slot.read().unwrap_err().code, "state");
    }

    #[test]
    fn the_lock_on_the_output_lives_as_long_as_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let slot = claim(folder.path()).unwrap();
        assert!(!slot.still_running().unwrap());
        let log = slot.new_log().unwrap();
        let mut command = std::process::Command::new("sleep");
        command.arg("30").stdout(log.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        drop((log, command));
        assert!(slot.still_running().unwrap());
        // Nothing is started beside it, and its output stays where it is.
        assert_eq!(slot.nothing_runs().unwrap_err().code, "still-running");
        assert_eq!(slot.new_log().unwrap_err().code, "still-running");
        assert!(slot.still_running().unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!slot.still_running().unwrap());
    }
}
