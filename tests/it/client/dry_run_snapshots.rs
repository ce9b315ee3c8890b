//! Snapshots of a database that was in use: what SQLite keeps beside a file belongs to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use countersign::alembic::backup::BackupManifest;
use countersign::alembic::formats;
use countersign::domain::digest::Digest;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::dry_run_scene::{Ran, Scene, ended, marks};

/// Nobody may write there, not even we.
fn read_only(folder: &Path, files: u32, itself: u32) {
    for entry in fs::read_dir(folder).expect("the folder").flatten() {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(files)).expect("a mode");
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(itself)).expect("a mode");
}

fn number(path: &Path, sql: &str) -> i64 {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("a database");
    database.query_row(sql, [], |row| row.get(0)).expect("a number")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("{}{ending}", path.file_name().expect("a name").to_string_lossy()))
}

fn dry_run(scene: &Scene, snapshot: &Path, arguments: &[&Path]) -> Ran {
    let mut command = scene.command();
    command.arg("--python").arg(scene.python()).arg("--project").arg(scene.project());
    command.arg("--snapshot").arg(snapshot).args(arguments);
    ended(&command.output().expect("the program runs"))
}

const NEW: &str = "SELECT count(*) FROM trades WHERE legacy_ref = 'NEW'";

/// Ten references that only the log knows, as if the writer's machine had stopped.
fn with_log(scene: &Scene) -> Connection {
    let writer = scene.open();
    writer.pragma_update(None, "journal_mode", "wal").expect("wal");
    writer.pragma_update(None, "wal_autocheckpoint", 0).expect("no checkpoint");
    writer
        .execute("UPDATE trades SET legacy_ref = 'NEW' WHERE id % 3 = 0 AND id <= 30", [])
        .expect("rows in the log only");
    assert!(fs::metadata(beside(&scene.snapshot(), "-wal")).expect("a log").len() > 0);
    writer
}

/// The one file that was rehearsed: named by its digest, and holding everything.
fn assert_is_the_snapshot(scene: &Scene, ran: &Ran, ending: &str) -> Vec<u8> {
    let path = scene.out().join("snapshot.db");
    assert_eq!(ran.json["snapshot"], Value::from(path.to_str().expect("text")));
    let bytes = fs::read(&path).expect("the snapshot");
    let backup: BackupManifest =
        formats::read(scene.file("backup-manifest.json").as_bytes()).expect("a manifest");
    assert_eq!((backup.sha256, backup.bytes), (Digest::of(&bytes), bytes.len() as u64));
    assert!(backup.note.expect("a note").contains(&format!("together with the {ending} file")));
    let subject = ran.subject();
    assert_eq!(subject["snapshot"]["sha256"], Digest::of(&bytes).to_string());
    assert_eq!(subject["snapshot"]["bytes"], bytes.len());
    assert!(ran.warnings("E22")[0].contains(&format!("a {ending} file")), "{ran:?}");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds everything that the database does");
    for ending in ["-wal", "-shm", "-journal"] {
        assert!(!beside(&path, ending).exists(), "{ending}");
    }
    bytes
}

#[test]
fn a_snapshot_with_a_wal_beside_it_is_rehearsed_and_named_as_the_one_file_that_both_make() {
    let Some(scene) = Scene::sample() else { return };
    let writer = with_log(&scene);
    let folder = scene.snapshot().parent().expect("a folder").to_owned();
    read_only(&folder, 0o400, 0o500);
    let before = marks(&folder);
    let first = scene.run(&[]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(marks(&folder), before);
    assert_eq!(scene.leftovers(), Vec::<String>::new());
    let bytes = assert_is_the_snapshot(&scene, &first, "-wal");
    assert_eq!(number(&scene.out().join("snapshot.db"), NEW), 10);
    assert_eq!(first.losses(), [("trades.legacy_ref".to_owned(), 0, 2_010)]);

    // The same twice is no news: same bytes, same manifest, same subject.
    let manifest = scene.file("backup-manifest.json");
    let second = scene.run(&[]);
    assert_eq!((second.code, second.subject()), (0, first.subject()), "{second:?}");
    assert!(assert_is_the_snapshot(&scene, &second, "-wal") == bytes);
    assert_eq!(scene.file("backup-manifest.json"), manifest);
    assert_eq!(marks(&folder), before);

    // It is a snapshot like any other then.
    let third = dry_run(&scene, &scene.out().join("snapshot.db"), &["--out".as_ref(), &scene.out()]);
    assert_eq!(third.subject()["snapshot"]["sha256"], first.subject()["snapshot"]["sha256"], "{third:?}");
    assert_eq!((third.warnings("E22").len(), &third.json["snapshot"]), (0, &Value::Null));
    read_only(&folder, 0o600, 0o700);
    drop(writer);
}

#[test]
fn a_transaction_that_was_cut_off_is_rolled_back_in_the_copy_only() {
    let Some(scene) = Scene::sample() else { return };
    let (path, elsewhere) = (scene.snapshot(), scene.project().join("live.db"));
    fs::rename(&path, &elsewhere).expect("elsewhere");
    let kept = number(&elsewhere, "SELECT count(legacy_ref) FROM trades");
    let writer = Connection::open(&elsewhere).expect("a database");
    writer.execute_batch("PRAGMA cache_size = 5; BEGIN; UPDATE trades SET legacy_ref = 'NEW'").expect("half");
    // What a copy of the files finds in the middle of it.
    for ending in ["", "-journal"] {
        fs::copy(beside(&elsewhere, ending), beside(&path, ending)).expect("a copy");
    }
    drop(writer);
    let half = format!("file:{}?immutable=1", path.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let half = Connection::open_with_flags(half, flags).expect("a database");
    let half: i64 = half.query_row(NEW, [], |row| row.get(0)).expect("a number");
    assert!(half > 0, "the file alone is half changed");
    let folder = path.parent().expect("a folder").to_owned();
    let before = marks(&folder);
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(marks(&folder), before);
    assert_is_the_snapshot(&scene, &ran, "-journal");
    assert_eq!(number(&scene.out().join("snapshot.db"), NEW), 0);
    assert_eq!(ran.losses(), [("trades.legacy_ref".to_owned(), 0, kept.unsigned_abs())]);

    // A journal for several databases leads to files that are not part of the snapshot.
    let mut journal = fs::read(beside(&path, "-journal")).expect("a journal");
    journal.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs::write(beside(&path, "-journal"), journal).expect("a journal");
    refused(&scene.run(&[]), "several databases");
}

#[track_caller]
fn refused(ran: &Ran, says: &str) {
    assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &Value::from("E22")), "{ran:?}");
    assert!(ran.stderr.contains(says) && ran.stderr.contains("wal_checkpoint(TRUNCATE)"), "{}", ran.stderr);
}

#[test]
fn where_the_one_file_can_t_be_put_the_snapshot_is_refused() {
    let Some(scene) = Scene::sample() else { return };
    let writer = with_log(&scene);
    let single = scene.out().with_extension("json");
    refused(&dry_run(&scene, &scene.snapshot(), &["--report".as_ref(), &single]), "--out");
    assert!(!single.exists());

    // Another file's log would be taken for that of the new one.
    fs::create_dir(scene.out()).expect("a folder");
    fs::write(scene.out().join("snapshot.db-wal"), "of another").expect("a file");
    refused(&scene.run(&[]), "another folder with --out");

    // The original would be overwritten.
    let folder = scene.snapshot().parent().expect("a folder").to_owned();
    let original = folder.join("snapshot.db");
    for ending in ["", "-wal"] {
        fs::copy(beside(&scene.snapshot(), ending), beside(&original, ending)).expect("a copy");
    }
    let before = marks(&folder);
    refused(&dry_run(&scene, &original, &["--out".as_ref(), &folder]), "another folder with --out");
    assert_eq!(marks(&folder), before);
    drop(writer);
}
