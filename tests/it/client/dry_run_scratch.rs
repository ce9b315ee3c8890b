//! The scratch database on a PostgreSQL server: whatever ends a dry run, it goes, and nothing else is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use serde_json::Value;

use super::dry_run_postgres::{Server, command, dry_run, program};
use super::dry_run_scene::{Ran, Rev, Scene, ended};

fn scene(upgrade: &str) -> Option<Scene> {
    let revisions = [
        Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
        Rev { id: "r2", down: "r1", upgrade, downgrade: "op.drop_column('t', 'b')" },
    ];
    Scene::tiny(&revisions, "")
}

const ADD: &str = "op.add_column('t', sa.Column('b', sa.Integer()))";

fn dumped(scene: &Scene, server: &Server) -> PathBuf {
    server.psql(
        &server.name,
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('r1');
         CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    let dump = scene.project().join("dump");
    server.dump(&["-Fc"], &dump);
    dump
}

#[track_caller]
fn refused(ran: &Ran, code: &str, says: &str) {
    assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &Value::from(code)), "{ran:?}");
    assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
}

/// A psql that does what it is asked and then something else, where it is asked to make a database.
fn with_psql(scene: &Scene, command: &mut Command, then: &str) {
    let folder = scene.project().join("bin");
    fs::create_dir(&folder).expect("a folder");
    let text = format!(
        "#!/bin/sh\n{} \"$@\"\ncode=$?\ncase \"$*\" in *'CREATE DATABASE'*) {then} ;; esac\nexit $code\n",
        program("psql").display()
    );
    fs::write(folder.join("psql"), text).expect("a program");
    fs::set_permissions(folder.join("psql"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").expect("a path");
    command.env("PATH", format!("{}:{path}", folder.display()));
}

fn until(child: &mut Child, holds: impl Fn() -> bool) {
    while !holds() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn what_fails_between_the_making_and_the_restore_leaves_no_database() {
    let Some(server) = Server::new("dry_run_half") else { return };
    let Some(scene) = scene(ADD) else { return };
    let dump = dumped(&scene, &server);
    // More milliseconds than the server takes for a limit.
    let ran = dry_run(&scene, &server, &dump, &["--time-limit", "3000000"]);
    refused(&ran, "E23", "the scratch database refused");
    assert!(server.scratch().is_empty());

    // The database is made, and the connection lost behind it.
    let mut lost = command(&scene, &server, &dump, &[]);
    with_psql(&scene, &mut lost, "code=2");
    refused(&ended(&lost.output().expect("it runs")), "E23", "no scratch database could be made");
    assert!(server.scratch().is_empty());
    fs::remove_dir_all(scene.project().join("bin")).expect("gone");

    // Ctrl-C while it is made.
    let made = scene.project().join("made");
    let mut stopped = command(&scene, &server, &dump, &[]);
    with_psql(&scene, &mut stopped, &format!("touch {}; sleep 600", made.display()));
    let mut child = stopped.spawn().expect("it runs");
    until(&mut child, || made.exists());
    assert_eq!(server.scratch().len(), 1);
    signal("INT", &child);
    refused(&ended(&child.wait_with_output().expect("its end")), "E05", "interrupted");
    assert!(server.scratch().is_empty());

    // And a dump that breaks off in the middle of the restore.
    let whole = fs::read(&dump).expect("a dump");
    fs::write(&dump, &whole[..whole.len() - 40]).expect("half a dump");
    refused(&dry_run(&scene, &server, &dump, &[]), "E22", "the dump can't be restored");
    assert!(server.scratch().is_empty());
}

#[test]
fn a_plain_dump_that_reaches_beyond_its_database_is_refused_before_anything_runs() {
    let Some(server) = Server::new("dry_run_plain") else { return };
    let Some(scene) = scene(ADD) else { return };
    let dump = scene.project().join("dump.sql");
    let touched = scene.project().join("touched");
    let name = &server.name;
    for (text, says) in [
        (
            format!("\\connect {name}\nCREATE TABLE intruder (a int);\n"),
            "line 2 of the dump reaches beyond its own database: \\connect",
        ),
        (format!("SELECT 1 \\! touch {}\n", touched.display()), "\\!"),
        (
            format!("CREATE TABLE x (a int);\nDROP DATABASE {name};\n"),
            "line 3 of the dump reaches beyond its own database: DROP DATABASE",
        ),
        (format!("/* */ ALTER ROLE {name} NOLOGIN;\n"), "ALTER ROLE"),
        ("ALTER SYSTEM SET work_mem = '1MB';\n".to_owned(), "ALTER SYSTEM"),
    ] {
        fs::write(&dump, format!("-- PostgreSQL database dump\n{text}")).expect("a dump");
        let ran = dry_run(&scene, &server, &dump, &[]);
        refused(&ran, "E22", says);
        assert!(ran.stderr.contains("Nothing of it was run"), "{}", ran.stderr);
        assert!(server.scratch().is_empty());
    }
    assert!(!touched.exists());
    assert_eq!(server.psql(name, "SELECT to_regclass('intruder') IS NULL"), "t");
    assert_eq!(
        server.psql("postgres", &format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{name}'")),
        "t"
    );
}

#[test]
fn a_database_whose_dry_run_was_killed_goes_with_the_next_one_and_no_other() {
    let Some(server) = Server::new("dry_run_killed") else { return };
    let Some(scene) = scene("import time\ntime.sleep(600)") else { return };
    let dump = dumped(&scene, &server);
    let waits = |scene: &Scene| {
        let folders = scene.leftovers();
        folders.iter().any(|f| scene.temporary().join(f).join("online-upgrade.request").exists())
    };
    let mut child = command(&scene, &server, &dump, &[]).spawn().expect("it runs");
    until(&mut child, || waits(&scene));
    let mark = format!(
        "SELECT count(*) FROM pg_database WHERE datname = '{}' AND shobj_description(oid, 'pg_database') <> ''",
        server.scratch()[0]
    );
    until(&mut child, || server.psql("postgres", &mark) == "1");

    // While it lives it is left alone, as is what only looks like it.
    let stranger = "countersign_0123456789ab";
    let at = server.scratch();
    server.psql("postgres", &format!("CREATE DATABASE {stranger} OWNER {}", server.name));
    let quick = |scene: &Scene| {
        let bad: &Path = &scene.project().join("bad");
        fs::write(bad, "-- PostgreSQL database dump\nSELECT nonsense;\n").expect("a dump");
        refused(&dry_run(scene, &server, bad, &[]), "E22", "the dump can't be restored");
    };
    quick(&scene);
    assert_eq!(server.scratch().len(), 2);
    assert!(server.scratch().contains(&at[0]));

    signal("KILL", &child);
    child.wait().expect("its end");
    // The server notices that nobody is there any more.
    let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", at[0]);
    for _ in 0..500 {
        if server.psql("postgres", &connected) == "0" {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    quick(&scene);
    assert_eq!(server.scratch(), [stranger]);
}
