//! A private folder that goes when its owner goes, or with the next dry run if its owner was killed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::clock::Env;
use crate::domain::digest::Digest;

const PREFIX: &str = "countersign-";

/// The file in a private folder that its owner holds locked as long as it lives. The system takes the lock back from
/// whoever is killed.
const ALIVE: &str = "alive";

/// A folder that only this user may enter. Removed with everything in it when dropped.
#[derive(Debug)]
pub struct Private {
    path: PathBuf,
    /// None where files can't be locked: then nobody else ever removes the folder.
    alive: Option<File>,
}

impl Private {
    /// A new folder below the system's place for temporary files.
    pub fn new() -> io::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!("{PREFIX}{}", hex::encode(Env::system().bytes::<8>())));
        create(&path)?;
        let mut private = Self { path, alive: None };
        private.alive = private.claim()?;
        Ok(private)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file or folder in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The file gets its name when it is locked: a folder with an open lock in it has no owner any more.
    fn claim(&self) -> io::Result<Option<File>> {
        let fresh = self.join("new");
        let file = File::create_new(&fresh)?;
        if file.try_lock().is_err() {
            return fs::remove_file(&fresh).map(|()| None);
        }
        fs::rename(&fresh, self.join(ALIVE))?;
        Ok(Some(file))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Nobody is left to be told; the folder is private, whatever stays in it.
        let _left = fs::remove_dir_all(&self.path);
        // Only now may somebody else have what is left.
        drop(self.alive.take());
    }
}

/// Removes the private folders of this user whose owners were killed.
pub fn sweep() {
    sweep_below(&std::env::temp_dir());
}

fn sweep_below(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default();
        let named = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if named && let Some(_alone) = abandoned(&entry.path()) {
            // Whatever can't be removed is tried again by the next one.
            let _left = fs::remove_dir_all(entry.path());
        }
    }
}

/// The lock of a folder that is ours and has no owner any more. Nothing that is a link is followed.
fn abandoned(path: &Path) -> Option<File> {
    let folder = fs::symlink_metadata(path).ok().filter(|data| data.is_dir() && is_ours(data))?;
    let marker =
        fs::symlink_metadata(path.join(ALIVE)).ok().filter(|data| data.is_file() && is_ours(data))?;
    let file = OpenOptions::new().read(true).write(true).open(path.join(ALIVE)).ok()?;
    file.try_lock().ok()?;
    // Still the same folder and file as were looked at.
    let same =
        is_same(&folder, &fs::symlink_metadata(path).ok()?) && is_same(&marker, &file.metadata().ok()?);
    same.then_some(file)
}

/// Whether something belongs to this user, who alone may change it.
#[cfg(unix)]
fn is_ours(data: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let open_to_others = if data.is_dir() { 0o077 } else { 0o022 };
    data.uid() == rustix::process::geteuid().as_raw() && data.mode() & open_to_others == 0
}

#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.created().ok() == other.created().ok()
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
    by_way_of_another(path, |temporary| fs::write(temporary, bytes))
}

/// Copies a file in the same way, for this user only. What arrives has to have this digest.
pub fn copy(from: &Path, to: &Path, sha256: Digest) -> io::Result<()> {
    by_way_of_another(to, |temporary| {
        let (mut from, mut to) = (File::open(from)?, private_file(temporary)?);
        let mut hash = Sha256::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            let read = from.read(&mut piece)?;
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
            to.write_all(&piece[..read])?;
        }
        if Digest(hash.finalize().into()) != sha256 {
            return Err(io::Error::other("it is not what it was any more"));
        }
        to.sync_all()
    })
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn by_way_of_another(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", hex::encode(Env::system().bytes::<4>())));
    let temporary = path.with_file_name(name);
    let written = write(&temporary).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _absent = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves a private folder as one that was killed does.
    fn killed(private: Private) -> PathBuf {
        let mut private = std::mem::ManuallyDrop::new(private);
        drop(private.alive.take());
        private.path.clone()
    }

    #[test]
    fn only_folders_without_an_owner_are_swept() {
        let place = tempfile::tempdir().unwrap();
        let alive = Private::below(place.path()).unwrap();
        let dead = killed(Private::below(place.path()).unwrap());
        fs::create_dir(dead.join("logs")).unwrap();
        fs::write(dead.join("logs/much"), "of it").unwrap();
        // Without our mark, or by another name.
        let bare = place.path().join("countersign-0123456789abcdef");
        create(&bare).unwrap();
        fs::write(bare.join("new"), "").unwrap();
        let other = place.path().join("countersign-test-of-somebody");
        fs::rename(killed(Private::below(place.path()).unwrap()), &other).unwrap();
        sweep_below(place.path());
        assert!(!dead.exists());
        assert!(alive.join(ALIVE).exists() && bare.join("new").exists() && other.join(ALIVE).exists());
        let path = alive.path().to_owned();
        drop(alive);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed_and_what_others_may_change_is_left() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = killed(Private::below(elsewhere.path()).unwrap());
        let link = place.path().join("countersign-0123456789abcdef");
        symlink(&target, &link).unwrap();
        let linked = killed(Private::below(place.path()).unwrap());
        fs::remove_file(linked.join(ALIVE)).unwrap();
        symlink(target.join(ALIVE), linked.join(ALIVE)).unwrap();
        let open = killed(Private::below(place.path()).unwrap());
        fs::set_permissions(&open, fs::Permissions::from_mode(0o770)).unwrap();
        sweep_below(place.path());
        assert!(target.join(ALIVE).exists() && link.exists() && linked.exists() && open.exists());
        // What is linked from a folder of ours stays, though the folder goes.
        fs::remove_file(linked.join(ALIVE)).unwrap();
        let dead = killed(Private::below(place.path()).unwrap());
        symlink(&target, dead.join("link")).unwrap();
        sweep_below(place.path());
        assert!(!dead.exists() && target.join(ALIVE).exists());
    }

    #[test]
    fn a_file_arrives_whole_and_as_it_was_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "bytes").unwrap();
        copy(&from, &to, Digest::of(b"bytes")).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        fs::write(&from, "others").unwrap();
        assert!(copy(&from, &to, Digest::of(b"bytes")).is_err());
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
