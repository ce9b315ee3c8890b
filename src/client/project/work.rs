//! A private folder that goes when its owner goes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::Env;

/// A folder that only this user may enter. Removed with everything in it when dropped.
#[derive(Debug)]
pub struct Private {
    path: PathBuf,
}

impl Private {
    /// A new folder below the system's place for temporary files.
    pub fn new() -> io::Result<Self> {
        let name = format!("countersign-{}", hex::encode(Env::system().bytes::<8>()));
        let path = std::env::temp_dir().join(name);
        create(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Nobody is left to be told; the folder is private, whatever stays in it.
        let _left = fs::remove_dir_all(&self.path);
    }
}

/// Makes a folder of mode 0700; one that exists already is an error.
pub fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file by way of a temporary one beside it: it is there whole, or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", hex::encode(Env::system().bytes::<4>())));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _absent = fs::remove_file(&temporary);
    }
    written
}
