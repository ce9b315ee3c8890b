use std::collections::BTreeSet;
use std::path::Path;

use super::{MIGRATIONS, Migration, apply, migrate, outstanding, pending};
use crate::domain::time::Timestamp;
use crate::store::tests::{TestDb, on_both_engines};
use crate::store::{Conn, StoreError};

const NOW: Timestamp = Timestamp::from_micros(1_763_647_200_123_456);

const fn step(version: i64, name: &'static str, script: &'static str) -> Migration {
    Migration { version, name, sqlite: script, postgres: script }
}

const FIRST: Migration =
    step(1, "0001_first", "CREATE TABLE a (id BIGINT PRIMARY KEY);\nCREATE TABLE b (id BIGINT);");
const SECOND: Migration = step(2, "0002_second", "INSERT INTO a (id) VALUES (1); INSERT INTO b VALUES (2);");

on_both_engines! {
    the_embedded_schema_is_applied_once, steps_follow_each_other, a_changed_file_is_refused, a_newer_database_is_refused,
    another_line_of_versions_is_refused, a_failing_step_leaves_nothing, programs_wait_for_each_other,
}

#[test]
fn both_engines_have_the_same_files_and_all_are_embedded() {
    let embedded: BTreeSet<String> =
        MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
    for engine in ["sqlite", "postgres"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(files, embedded, "{engine}");
    }
    for (position, migration) in MIGRATIONS.iter().enumerate() {
        assert_eq!(migration.version, i64::try_from(position).unwrap() + 1);
        assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
    }
}

fn refusal(outcome: Result<Vec<&'static str>, StoreError>) -> String {
    match outcome {
        Err(StoreError::Migration(sentence)) => sentence,
        other => panic!("not a refusal: {other:?}"),
    }
}

async fn the_embedded_schema_is_applied_once(test: &TestDb) {
    let all: Vec<&str> = MIGRATIONS.iter().map(|migration| migration.name).collect();
    assert_eq!(pending(&test.db).await.unwrap(), all);
    assert_eq!(migrate(&test.db, NOW).await.unwrap(), all);
    assert_eq!(pending(&test.db).await.unwrap(), [""; 0]);
    assert_eq!(migrate(&test.db, NOW).await.unwrap(), [""; 0]);
    let mut read = test.db.read().await.unwrap();
    let at: Vec<Timestamp> = read.sql("SELECT applied_at FROM schema_migrations").all().await.unwrap();
    assert_eq!(at, vec![NOW; MIGRATIONS.len()]);
}

async fn steps_follow_each_other(test: &TestDb) {
    assert_eq!(apply(&test.db, &[FIRST], NOW).await.unwrap(), ["0001_first"]);
    assert_eq!(outstanding(&test.db, &[FIRST, SECOND]).await.unwrap(), ["0002_second"]);
    assert_eq!(apply(&test.db, &[FIRST, SECOND], NOW).await.unwrap(), ["0002_second"]);
    let mut read = test.db.read().await.unwrap();
    let both: (i64, i64) = read.sql("SELECT a.id, b.id FROM a CROSS JOIN b").one().await.unwrap();
    assert_eq!(both, (1, 2));
}

async fn a_changed_file_is_refused(test: &TestDb) {
    apply(&test.db, &[FIRST], NOW).await.unwrap();
    let changed = step(1, "0001_first", "CREATE TABLE a (id BIGINT PRIMARY KEY);");
    let sentence = refusal(apply(&test.db, &[changed, SECOND], NOW).await);
    assert!(sentence.starts_with("Migration “0001_first” was changed after"), "{sentence}");
    refusal(outstanding(&test.db, &[changed]).await);
    refusal(apply(&test.db, &[Migration { name: "0001_renamed", ..FIRST }], NOW).await);
    assert_eq!(outstanding(&test.db, &[FIRST, SECOND]).await.unwrap(), ["0002_second"]);
}

async fn a_newer_database_is_refused(test: &TestDb) {
    apply(&test.db, &[FIRST, SECOND], NOW).await.unwrap();
    let sentence = refusal(apply(&test.db, &[FIRST], NOW).await);
    assert!(sentence.contains("“0002_second”") && sentence.contains("doesn't know"), "{sentence}");
    refusal(outstanding(&test.db, &[FIRST]).await);
}

async fn another_line_of_versions_is_refused(test: &TestDb) {
    let third = Migration { version: 3, name: "0003_third", ..SECOND };
    apply(&test.db, &[FIRST, third], NOW).await.unwrap();
    let sentence = refusal(apply(&test.db, &[FIRST, SECOND, third], NOW).await);
    assert!(sentence.contains("“0003_third”") && sentence.contains("“0002_second”"), "{sentence}");
}

async fn a_failing_step_leaves_nothing(test: &TestDb) {
    let broken = step(
        2,
        "0002_broken",
        "CREATE TABLE c (id BIGINT); INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1);",
    );
    let error = apply(&test.db, &[FIRST, broken], NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error:?}");
    assert_eq!(outstanding(&test.db, &[FIRST, broken]).await.unwrap(), ["0002_broken"]);
    let mut read = test.db.read().await.unwrap();
    assert_eq!(read.sql("SELECT COUNT(*) FROM a").one::<i64>().await.unwrap(), 0);
    drop(read);
    let mended = step(2, "0002_broken", "CREATE TABLE c (id BIGINT);");
    assert_eq!(apply(&test.db, &[FIRST, mended], NOW).await.unwrap(), ["0002_broken"]);
}

async fn programs_wait_for_each_other(test: &TestDb) {
    let programs: Vec<_> = (0..6)
        .map(|_| {
            let db = test.db.clone();
            tokio::spawn(async move { apply(&db, &[FIRST, SECOND], NOW).await })
        })
        .collect();
    let mut applied = Vec::new();
    for program in programs {
        applied.extend(program.await.unwrap().unwrap());
    }
    applied.sort_unstable();
    assert_eq!(applied, ["0001_first", "0002_second"]);
}
