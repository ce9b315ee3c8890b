//! The sample project, from its snapshot to the evidence.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use countersign::alembic::backup::BackupManifest;
use countersign::alembic::report::DryRunReport;
use countersign::alembic::{formats, history, manifest, not_possible};
use countersign::domain::digest::Digest;
use countersign::sql::dialect::Dialect;
use countersign::sql::offline_sql;
use serde_json::Value;

use super::dry_run_scene::{FROM, Scene, TO, ended, marks};

#[test]
fn the_sample_project_is_rehearsed_from_end_to_end() {
    let Some(scene) = Scene::sample() else { return };
    // Counted by another hand than the one that reports.
    let values = scene.number("SELECT count(legacy_ref) FROM trades");
    let trades = scene.number("SELECT count(*) FROM trades");
    let snapshots = scene.snapshot().parent().expect("a folder").to_owned();
    fs::set_permissions(scene.snapshot(), fs::Permissions::from_mode(0o400)).expect("read-only");
    fs::set_permissions(&snapshots, fs::Permissions::from_mode(0o500)).expect("read-only");
    let before = marks(&snapshots);
    let ran = scene.run(&["--origin", "staging, nightly"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(marks(&snapshots), before);
    assert_eq!(scene.leftovers(), Vec::<String>::new());

    // The files are those that a rehearsal by hand left.
    for name in ["upgrade.sql", "downgrade.sql", "migration-manifest.json"] {
        let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/data").join(name);
        assert_eq!(scene.file(name), fs::read_to_string(recorded).expect("recorded"), "{name}");
    }
    let report: DryRunReport = formats::read(scene.file("dry-run-report.json").as_bytes()).expect("a report");
    let recorded: DryRunReport =
        formats::read(include_bytes!("../../../src/demo/data/dry-run-report.json")).expect("a report");
    let subject = &report.subject;
    let mut schema = recorded.subject.schema.clone();
    schema.other.sort();
    assert_eq!(subject.schema, schema);
    assert_eq!(subject.destructive, recorded.subject.destructive);
    assert_eq!(subject.destructive[0].non_null_values_lost, values);
    assert_eq!(subject.downgrade_restores, recorded.subject.downgrade_restores);
    assert_eq!(
        (&subject.upgrade, &subject.downgrade),
        (&recorded.subject.upgrade, &recorded.subject.downgrade)
    );
    let ours = report.measurements.tables.iter().find(|t| t.table == "trades").expect("trades");
    assert_eq!((ours.rows_before, ours.rows_after), (Some(trades), Some(trades)));
    let pages = "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = 'trades')";
    assert_eq!(ours.bytes_before, Some(scene.number(pages)));
    let revisions: Vec<_> = report.measurements.revisions.iter().map(|r| r.revision.as_str()).collect();
    assert_eq!(revisions, ["d9a7f3b06e58", "e6c2b8a4f107", "f50d9e7b3a26", TO]);
    let checks = subject.checks.as_ref().expect("checks");
    assert_eq!((checks.statements.executed, checks.statements.rendered), (15, Some(15)));
    assert!(checks.statements.only_executed.is_empty() && checks.statements.only_rendered.is_empty());
    assert!(checks.integrity.before.is_empty() && checks.integrity.after.is_empty());
    assert!(ran.step("compare").1.contains("trades.legacy_ref (2000 values lost)"));

    let manifest = scene.file("migration-manifest.json");
    assert_eq!(subject.manifest_sha256, Digest::of(manifest.as_bytes()));
    manifest::read(manifest.as_bytes()).expect("canonical");
    let history = history::read(scene.file("migration-history.json").as_bytes()).expect("a history");
    assert_eq!(history.facts(FROM, TO).linear_between.expect("a line").len(), 4);
    let backup: BackupManifest =
        formats::read(scene.file("backup-manifest.json").as_bytes()).expect("a manifest");
    assert_eq!((backup.sha256, backup.origin.as_str()), (Digest::of(&before[0].1), "staging, nightly"));

    // Nothing tells on which machine, by whom, where.
    let text = serde_json::to_string(&ran.json["report"]).expect("text");
    assert!(!text.contains(&*scene.project().to_string_lossy()) && !text.contains("/tmp/"), "{text}");

    let again = scene.run(&["--origin", "staging, nightly"]);
    assert_eq!(again.subject(), ran.subject());
    fs::set_permissions(&snapshots, fs::Permissions::from_mode(0o700)).expect("writable");
}

#[test]
fn the_negative_projects_are_refused_or_reported_as_what_they_are() {
    let Some(scene) = Scene::sample() else { return };
    let unique = scene.run(&["-c", "backend/alembic-bad-unique.ini"]);
    assert_eq!((unique.code, unique.step("upgrade").0), (1, "failed"), "{unique:?}");
    let why = unique.step("upgrade").1;
    for part in [
        "E40: revision bad0000000u1",
        "3 duplicated values of trades (external_id)",
        "id 699 and 700; id 1399 and 1400; id 2099 and 2100",
        "left at 0c7e5d1b94fa, yet table trade_sources exists",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(unique.stderr.contains("E40") && unique.stderr.contains("fresh copy"), "{}", unique.stderr);
    assert_eq!(unique.subject()["outcome"], "failed");

    let heads = scene.run(&["-c", "backend/alembic-second-head.ini"]);
    assert_eq!(heads.code, 1);
    assert_eq!(heads.json["error"]["code"], "E10");
    let message = heads.json["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("0c7e5d1b94fa and bad0000000h2; they part at f50d9e7b3a26"), "{message}");

    let online = scene.run(&["-c", "backend/alembic-online-only.ini"]);
    assert_eq!(online.code, 0, "{online:?}");
    assert_eq!(online.step("upgrade").0, "passed");
    for step in ["render-upgrade", "render-downgrade", "downgrade"] {
        assert_eq!(online.step(step).0, "not-possible", "{step}");
    }
    assert!(online.step("render-upgrade").1.contains("E30: no offline SQL at revision bad0000000n3"));
    assert!(online.step("downgrade").1.contains("symbols cannot be put back"));
    assert!(not_possible::reason(scene.file("downgrade.sql").as_bytes()).is_some());
    let subject = online.subject();
    assert_eq!(subject["upgrade"]["captured_online"], true);
    let captured = scene.file("upgrade.sql");
    let script = offline_sql::read(&captured, Dialect::Sqlite);
    assert_eq!(script.chain(FROM, "bad0000000n3").expect("a line").len(), 5);
    assert!(captured.contains("UPDATE trades SET symbol = 'ETH-USD' WHERE id = "));
    // The line is that of the captured file.
    let line = subject["destructive"][0]["line"].as_u64().expect("a line");
    let line = captured.lines().nth(usize::try_from(line).expect("small") - 1);
    assert_eq!(line, Some("ALTER TABLE trades DROP COLUMN legacy_ref;"));
}

#[test]
fn a_dry_run_that_is_stopped_leaves_nothing_and_one_that_is_killed_touches_nothing() {
    let Some(scene) = Scene::sample() else { return };
    let before = marks(scene.snapshot().parent().expect("a folder"));
    // It waits inside a migration until somebody ends it.
    scene.write(
        "backend/alembic/versions/slow.py",
        &format!("import time\nrevision = \"slow\"\ndown_revision = \"{TO}\"\n\n\ndef upgrade():\n    time.sleep(600)\n"),
    );
    for signal in ["TERM", "KILL"] {
        let mut child = scene.usual().spawn().expect("the program runs");
        let waits = || {
            let folders = scene.leftovers();
            folders.iter().any(|f| scene.temporary().join(f).join("online-upgrade.request").exists())
        };
        while !waits() {
            assert!(child.try_wait().expect("a child").is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(20));
        }
        let kill = format!("kill -{signal} {}", child.id());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().expect("kill").success());
        let ran = ended(&child.wait_with_output().expect("its end"));
        if signal == "TERM" {
            assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &Value::from("E05")), "{ran:?}");
            assert_eq!(scene.leftovers(), Vec::<String>::new());
        }
        assert_eq!(marks(scene.snapshot().parent().expect("a folder")), before);
    }
    // What was killed could not clean up: the next one does, even if it comes to nothing, and leaves what is not ours.
    let left = scene.leftovers();
    assert!(!left.is_empty(), "it was killed");
    std::fs::create_dir(scene.temporary().join("countersign-0123456789abcdef")).expect("a folder");
    assert_eq!(scene.run(&["--to", "nothing"]).code, 1);
    assert_eq!(scene.leftovers(), ["countersign-0123456789abcdef"]);
}
