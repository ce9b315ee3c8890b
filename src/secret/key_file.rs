//! Ed25519 private keys in files: PKCS #8 in PEM, which `openssl` reads, of mode 0600, made at first start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::clock::Env;

/// RFC 8410: everything before the 32 bytes of a private key in PKCS #8.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Why there is no usable key. Each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("the key {} is open to others (mode {mode:03o}): run `chmod 600` on it", path.display())]
    TooOpen { path: PathBuf, mode: u32 },
    #[error("{} is not an Ed25519 private key in PEM: restore it from your backup", path.display())]
    NotAKey { path: PathBuf },
    #[error("the key {} can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the key {} can't be made", path.display())]
    Create { path: PathBuf, source: io::Error },
}

/// Reads the seed in a key file, or makes the file if there is none.
///
/// # Errors
/// When the file can't be read or made, holds no key, or is open to others.
pub fn open_or_create(path: &Path, env: &Env) -> Result<[u8; 32], KeyFileError> {
    match open(path) {
        Err(KeyFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path, env).map_err(|source| KeyFileError::Create { path: path.to_owned(), source })?;
            // Read back even when it is ours: another process may have been first.
            open(path)
        }
        other => other,
    }
}

fn open(path: &Path) -> Result<[u8; 32], KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    refuse_if_open_to_others(path, &file)?;
    let mut text = String::new();
    match file.take(4096).read_to_string(&mut text) {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(failed(error)),
        _ => {}
    }
    private_from_pem(&text).ok_or_else(|| KeyFileError::NotAKey { path: path.to_owned() })
}

/// Makes the key file whole or not at all: it is written under another name, flushed, and linked to its own name, which fails
/// if that exists. Then somebody else's key stands, and that is well.
fn create(path: &Path, env: &Env) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", hex::encode(env.bytes::<8>())));
    let draft = path.with_file_name(name);
    let linked = write_draft(&draft, &env.bytes()).and_then(|()| fs::hard_link(&draft, path));
    // The draft also goes when the link failed. One that was never made can't be removed, and need not be.
    drop(fs::remove_file(&draft));
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => flush_directory(path),
    }
}

fn write_draft(draft: &Path, seed: &[u8; 32]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(private_to_pem(seed).as_bytes())?;
    file.sync_all()
}

/// Without this the new name may be lost with the power. Only Unix lets a directory be opened.
fn flush_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Asks the open file, not its name, which could be moved in between. Other systems than Unix have no such modes.
fn refuse_if_open_to_others(path: &Path, file: &File) -> Result<(), KeyFileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let metadata =
            file.metadata().map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::TooOpen { path: path.to_owned(), mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

/// The seed in a private key's PEM.
pub(super) fn private_from_pem(text: &str) -> Option<[u8; 32]> {
    from_pem("PRIVATE KEY", &PKCS8_HEAD, text)
}

/// A private key's PEM.
pub(super) fn private_to_pem(seed: &[u8; 32]) -> String {
    to_pem("PRIVATE KEY", &PKCS8_HEAD, seed)
}

/// A head and 32 bytes in PEM.
pub(super) fn to_pem(label: &str, head: &[u8], key: &[u8; 32]) -> String {
    let body = BASE64.encode([head, key].concat());
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

/// The 32 bytes that follow the given head, in PEM of the given label and nothing else.
pub(super) fn from_pem(label: &str, head: &[u8], text: &str) -> Option<[u8; 32]> {
    let body = text
        .trim()
        .strip_prefix(&format!("-----BEGIN {label}-----"))?
        .strip_suffix(&format!("-----END {label}-----"))?;
    let body: String = body.split_ascii_whitespace().collect();
    BASE64.decode(body).ok()?.strip_prefix(head)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::PlayedClock;
    use crate::domain::time::Timestamp;

    fn env(seed: u64) -> Env {
        Env::repeatable(&PlayedClock::at(Timestamp::default()), seed)
    }

    #[test]
    fn rule_28_a_key_is_made_once_for_its_owner_only_and_then_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grant.key");
        let made = open_or_create(&path, &env(1)).unwrap();
        let read = open_or_create(&path, &env(2)).unwrap();
        assert_eq!(made, read);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the draft is gone");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn of_many_first_starts_one_key_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grant.key");
        let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let start = |seed| {
                let path = &path;
                scope.spawn(move || open_or_create(path, &env(seed)).unwrap())
            };
            let started: Vec<_> = (0..8).map(start).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grant.key");
        open_or_create(&path, &env(1)).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let message = open_or_create(&path, &env(1)).unwrap_err().to_string();
            assert!(
                message.contains(&format!("mode {mode:o}")) && message.contains("chmod 600"),
                "{message}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_damaged_key_is_never_replaced_and_never_shown() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grant.key");
        for content in
            [&b""[..], b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", b"\xff\xfe"]
        {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = open_or_create(&path, &env(1)).unwrap_err();
            assert!(matches!(error, KeyFileError::NotAKey { .. }), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("c2VjcmV0"));
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_missing_folder_is_said_to_be_the_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_or_create(&folder.path().join("gone/grant.key"), &env(1)).unwrap_err();
        assert!(matches!(error, KeyFileError::Create { .. }), "{error:?}");
    }
}
