//! What can be wrong with a project or a snapshot: each with its code, and a way on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::dry_run_scene::{Ran, Rev, Scene, ended};

const LINE: [Rev<'static>; 3] = [
    Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
    Rev {
        id: "r2",
        down: "r1",
        upgrade: "op.add_column('t', sa.Column('b', sa.Integer()))",
        downgrade: "op.drop_column('t', 'b')",
    },
    Rev {
        id: "r3",
        down: "r2",
        upgrade: "op.add_column('t', sa.Column('c', sa.Integer()))",
        downgrade: "op.drop_column('t', 'c')",
    },
];
const TABLE: &str = "CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);";

fn refused(ran: &Ran, exit: i32, code: &str, says: &str) {
    assert_eq!((ran.code, ran.json["error"]["code"].as_str()), (exit, Some(code)), "{ran:?}");
    let message = ran.json["error"]["message"].as_str().unwrap_or_default();
    let advice = ran.json["error"]["advice"].as_str().unwrap_or_default();
    assert!(format!("{message} {advice}").contains(says), "{says}: {message} {advice}");
    assert!(!advice.is_empty() && ran.stderr.contains(advice), "what to do is said: {}", ran.stderr);
}

#[test]
fn what_is_not_there_is_named_before_anything_runs() {
    let Some(scene) = Scene::tiny(&LINE, TABLE) else { return };
    refused(&scene.run(&["-c", "other.ini"]), 2, "E01", "other.ini");
    refused(&scene.run(&["--cwd", "nowhere"]), 2, "E01", "--cwd");
    let with = |arguments: &[&str]| ended(&scene.command().args(arguments).output().expect("it runs"));
    let snapshot = scene.snapshot();
    let (snapshot, project) = (snapshot.to_string_lossy(), scene.project());
    let project = project.to_string_lossy();
    refused(&with(&["--project", "nowhere", "--snapshot", &snapshot]), 2, "E01", "--project");
    refused(
        &with(&["--project", &project, "--snapshot", &snapshot, "--python", "nothing"]),
        2,
        "E01",
        "--python",
    );
    refused(&with(&["--project", &project, "--snapshot", "nothing.db"]), 2, "E22", "nothing.db");
    let secret = scene.run(&["--scratch-url", "postgresql://ada:secret@db/x"]);
    refused(&secret, 2, "E23", "COUNTERSIGN_SCRATCH_URL");
    assert!(!format!("{secret:?}").contains("secret@"));
}

#[test]
fn what_python_lacks_is_named() {
    let Some(scene) = Scene::tiny(&LINE, TABLE) else { return };
    let bare = scene.project().join("bare-python");
    fs::write(&bare, format!("#!/bin/sh\nexec {} -S \"$@\"\n", scene.python().display())).expect("a script");
    fs::set_permissions(&bare, fs::Permissions::from_mode(0o755)).expect("a program");
    let mut command = scene.command();
    command.arg("--python").arg(&bare).arg("--project").arg(scene.project());
    let ran = ended(&command.arg("--snapshot").arg(scene.snapshot()).output().expect("it runs"));
    refused(&ran, 2, "E01", "there is no alembic in bare-python");

    scene.write("alembic.ini", "[other]\nx = y\n");
    refused(&scene.run(&[]), 2, "E01", "script_location");
    scene.write("alembic.ini", "[alembic]\nscript_location = elsewhere\n");
    refused(&scene.run(&[]), 2, "E01", "--cwd");
}

#[test]
fn an_env_py_that_does_not_come_up_is_told_by_its_cause() {
    for (extra, code, says) in [
        ("import not_installed_here", "E02", "Install not_installed_here"),
        ("os.environ['TEAM_KEY']", "E02", "--pass-env TEAM_KEY"),
        ("import time; time.sleep(600)", "E03", "--time-limit"),
        ("import os; os._exit(7)", "E02", "ended in the middle"),
        ("raise RuntimeError('postgresql://ada:hunter2@db/x')", "E02", "ada:(hidden)@db"),
    ] {
        let Some(scene) = Scene::tiny_with(&LINE, TABLE, extra, "") else { return };
        let limit = if code == "E03" { "20" } else { "300" };
        let ran = scene.run(&["--time-limit", limit]);
        refused(&ran, 1, code, says);
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn a_snapshot_that_can_t_be_rehearsed_is_told_by_its_cause() {
    let Some(scene) = Scene::tiny(&LINE, TABLE) else { return };
    let run = |sql: &str, arguments: &[&str]| {
        scene.open().execute_batch(sql).expect("sql");
        scene.run(arguments)
    };
    refused(&run("", &["--from", "r2"]), 1, "E20", "is at r1, not at r2");
    refused(&run("", &["--from", "r1", "--to", "r1"]), 1, "E21", "nothing to do");
    refused(&run("", &["--from", "r3", "--to", "r1"]), 1, "E21", "swapped");
    refused(&run("", &["--to", "r9"]), 1, "E21", "“r9” is not in the history");
    let two = "INSERT INTO alembic_version VALUES ('r2')";
    refused(&run(two, &[]), 1, "E20", "2 revisions at once: r1, r2");
    let unknown = "DELETE FROM alembic_version; INSERT INTO alembic_version VALUES ('feedbeef')";
    refused(&run(unknown, &[]), 1, "E20", "at feedbeef, a revision that these scripts do not have");
    refused(&run("DELETE FROM alembic_version", &[]), 1, "E20", "has no row");
    let renamed =
        "INSERT INTO alembic_version VALUES ('r1'); ALTER TABLE alembic_version RENAME TO versions_of_us";
    refused(&run(renamed, &[]), 1, "E20", "--version-table: it may be versions_of_us");
    let other = run("", &["--version-table", "versions_of_us"]);
    refused(&other, 2, "E20", "keeps the revision in the table alembic_version");
    let run = |bytes: &[u8]| {
        fs::write(scene.snapshot(), bytes).expect("a file");
        scene.run(&[])
    };
    refused(&run(b""), 1, "E22", "no SQLite database");
    refused(&run(b"hello"), 1, "E22", "no SQLite database");
    let broken = [b"SQLite format 3\0".to_vec(), vec![7; 5_000]].concat();
    refused(&run(&broken), 1, "E22", "can't be read as a database");
    refused(&run(b"PGDMP\x01"), 2, "E23", "--scratch-url");
}

#[test]
fn a_history_that_is_no_line_is_told_by_its_cause() {
    let rev = |id: &'static str, down: &'static str| Rev { id, down, upgrade: "pass", downgrade: "pass" };
    let merged = [rev("r1", ""), rev("r2", "r1"), rev("r3", "r1"), rev("r4", "r2,r3")];
    let Some(scene) = Scene::tiny(&merged, TABLE) else { return };
    refused(&scene.run(&[]), 1, "E11", "r4 merges 2 revisions");
    scene.write("migrations/versions/copy.py", "revision = \"r4\"\ndown_revision = \"r3\"\n");
    refused(&scene.run(&[]), 1, "E13", "r4");
    fs::remove_dir_all(scene.project().join("migrations/versions")).expect("gone");
    fs::create_dir(scene.project().join("migrations/versions")).expect("empty");
    refused(&scene.run(&[]), 1, "E15", "no revision");
    scene.write("migrations/versions/r2.py", "revision = \"r2\"\ndown_revision = \"gone\"\n");
    refused(&scene.run(&[]), 1, "E14", "missing");
}

#[test]
fn a_snapshot_that_changes_under_way_stops_everything() {
    let touches = "if 'SNAP' in os.environ:\n    os.utime(os.environ['SNAP'])";
    let Some(scene) = Scene::tiny_with(&LINE, TABLE, touches, "") else { return };
    assert_eq!(scene.run(&[]).code, 0);
    fs::remove_dir_all(scene.out()).expect("gone");
    let mut command = scene.usual();
    command.args(["--pass-env", "SNAP"]).env("SNAP", scene.snapshot());
    let ran = ended(&command.output().expect("it runs"));
    refused(&ran, 1, "E06", "SNAPSHOT CHANGED: trades.db");
    assert!(!scene.out().exists(), "nothing of such a run is evidence");
}
