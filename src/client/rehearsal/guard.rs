//! The original: what it was at the start is what it must be after every step.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::client::project::ProjectError;
use crate::client::project::process::Stop;
use crate::domain::digest::Digest;

/// Remembers the original and the files that SQLite keeps beside it.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The original and its `-wal` come first.
    files: Vec<(PathBuf, Option<Mark>)>,
}

/// What changes whenever a file's bytes do, even if somebody turns its time back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    bytes: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Mark {
    fn of(data: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            bytes: data.len(),
            modified: data.modified().ok(),
            #[cfg(unix)]
            inode: (data.dev(), data.ino(), data.ctime(), data.ctime_nsec()),
        }
    }
}

impl Guard {
    /// Remembers a file as it is now.
    pub fn over(original: &Path) -> Self {
        let beside = ["", "-wal", "-shm", "-journal"].map(|ending| with_ending(original, ending));
        let mark = |path: PathBuf| {
            let mark = fs::metadata(&path).ok().map(|data| Mark::of(&data));
            (path, mark)
        };
        Self { files: beside.map(mark).into() }
    }

    /// Watches another file too, as it is now.
    #[must_use]
    pub fn and(mut self, path: &Path) -> Self {
        self.files.extend(Self::over(path).files);
        self
    }

    /// When the original was last changed, or what SQLite keeps beside it was written.
    pub fn modified(&self) -> Option<SystemTime> {
        let written = |(_, mark): &(PathBuf, Option<Mark>)| mark.as_ref().filter(|m| m.bytes > 0)?.modified;
        self.files.iter().take(2).filter_map(written).max()
    }

    /// Whether the original is what it was.
    ///
    /// # Errors
    /// SNAPSHOT CHANGED, with the file's name.
    pub fn check(&self, step: &str) -> Result<(), ProjectError> {
        for (path, before) in &self.files {
            let now = fs::metadata(path).ok().map(|data| Mark::of(&data));
            if *before != now {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Err(ProjectError::new(
                    "E06",
                    format!("SNAPSHOT CHANGED: {name} is not what it was before the step {step}."),
                    "Nothing of this run counts. Take a snapshot that nobody writes to, and keep it read-only.",
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The digest of a file, read once.
pub fn digest(path: &Path, stop: &Stop) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 || stop.asked() {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}
