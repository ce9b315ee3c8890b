//! The facade's promises, each on both engines. PostgreSQL is the server at `TEST_PG_URL`; without it those tests
//! pass unrun on a developer's machine and fail where `CI` is set.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::row::row;
use super::{Conn, Db, Engine, OpenOptions, StoreError, Tx};

/// A database of its own for one test.
pub(crate) struct TestDb {
    pub db: Db,
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl TestDb {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self { db: Db::open(&url, OpenOptions::default()).await.unwrap(), url, _folder: Some(folder) }
    }

    pub(crate) async fn postgres() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("TEST_PG_URL") else {
            assert!(std::env::var_os("CI").is_none(), "TEST_PG_URL must name a PostgreSQL server");
            return None;
        };
        let name = format!("store_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.unwrap();
        for statement in ["DROP DATABASE IF EXISTS", "CREATE DATABASE"] {
            admin.execute(AssertSqlSafe(format!("{statement} {name}"))).await.unwrap();
        }
        let url = server.replacen("/postgres?", &format!("/{name}?"), 1);
        assert_ne!(url, server, "TEST_PG_URL must end in /postgres?host=…");
        Some(Self { db: Db::open(&url, OpenOptions::default()).await.unwrap(), url, _folder: None })
    }
}

/// Runs each `async fn(&TestDb)` on both engines.
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(&crate::store::tests::TestDb::sqlite().await).await; }
        )+}
        mod on_pg_server {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(test) = crate::store::tests::TestDb::postgres().await { super::$name(&test).await; }
            }
        )+}
    };
}
pub(super) use on_both_engines;

on_both_engines! {
    values_and_placeholders_must_match, a_dropped_transaction_leaves_nothing, a_failed_statement_forbids_the_commit,
    an_abandoned_statement_forbids_the_commit, racing_writers_all_succeed, a_reader_sees_one_moment,
    a_reader_cant_write, rows_affected_are_checked, rows_become_structs_and_tuples, statements_are_counted,
    waiting_too_long_is_busy, a_change_is_there_after_reopening, a_batch_answers_every_statement,
    a_batch_that_breaks_leaves_good_connections,
}

async fn begin_with_items(db: &Db) -> Tx {
    let mut tx = db.write().await.unwrap();
    tx.sql("CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT, amount BIGINT NOT NULL DEFAULT 0)")
        .run()
        .await
        .unwrap();
    tx.sql("INSERT INTO item (id, name) VALUES (1, 'one'), (2, NULL)").run().await.unwrap();
    tx
}

async fn with_items(test: &TestDb) -> &Db {
    begin_with_items(&test.db).await.commit_unaudited("test").await.unwrap();
    &test.db
}

async fn total(db: &Db) -> i64 {
    let mut read = db.read().await.unwrap();
    read.sql("SELECT CAST(SUM(amount) AS BIGINT) FROM item").one().await.unwrap()
}

async fn values_and_placeholders_must_match(test: &TestDb) {
    let db = with_items(test).await;
    let mut tx = db.write().await.unwrap();
    let before = db.queries();
    let missing = tx.sql("UPDATE item SET amount = $1 WHERE id = $2").bind(5_i64).run().await.unwrap_err();
    assert!(matches!(missing, StoreError::BindCount { placeholders: 2, bound: 1, .. }), "{missing:?}");
    let spare = tx.sql("UPDATE item SET amount = $1").bind(5_i64).bind(1_i64).run().await.unwrap_err();
    assert!(matches!(spare, StoreError::BindCount { placeholders: 1, bound: 2, .. }), "{spare:?}");
    let none = tx.sql("SELECT $1").one::<i64>().await.unwrap_err();
    assert!(matches!(none, StoreError::BindCount { placeholders: 1, bound: 0, .. }), "{none:?}");
    assert_eq!(db.queries(), before, "nothing may have run");
    // Twice the same placeholder is one value.
    tx.sql("UPDATE item SET amount = $1 WHERE id = $1").bind(2_i64).run_one().await.unwrap();
    tx.commit_unaudited("test").await.unwrap();
    assert_eq!(total(db).await, 2);
}

async fn a_dropped_transaction_leaves_nothing(test: &TestDb) {
    let db = with_items(test).await;
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 9").run().await.unwrap();
    drop(tx);
    assert_eq!(total(db).await, 0);
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = amount + 1").run().await.unwrap();
    tx.commit_audited().await.unwrap();
    assert_eq!(total(db).await, 2);
}

async fn a_failed_statement_forbids_the_commit(test: &TestDb) {
    let db = with_items(test).await;
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 9").run().await.unwrap();
    let refused = tx.sql("INSERT INTO item (id) VALUES (1)").run().await.unwrap_err();
    assert!(refused.is_unique() && !refused.is_transient(), "{refused:?}");
    assert!(matches!(tx.commit_audited().await, Err(StoreError::Aborted)));
    assert_eq!(total(db).await, 0);
    // What was refused without a failure forbids nothing.
    let mut tx = db.write().await.unwrap();
    let insert = "INSERT INTO item (id) VALUES ($1) ON CONFLICT DO NOTHING";
    assert_eq!(tx.sql(insert).bind(1_i64).run().await.unwrap(), 0);
    assert_eq!(tx.sql(insert).bind(3_i64).run().await.unwrap(), 1);
    tx.commit_audited().await.unwrap();
}

async fn an_abandoned_statement_forbids_the_commit(test: &TestDb) {
    let db = with_items(test).await;
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 9").run().await.unwrap();
    let slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) \
                SELECT CAST(MAX(i) AS BIGINT) FROM n";
    assert!(tx.sql(slow).one::<i64>().now_or_never().is_none());
    assert!(matches!(tx.commit_audited().await, Err(StoreError::Aborted)));
    assert_eq!(total(db).await, 0);
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 1").run().await.unwrap();
    tx.commit_audited().await.unwrap();
    assert_eq!(total(db).await, 2);
}

async fn racing_writers_all_succeed(test: &TestDb) {
    let db = with_items(test).await;
    let racers: Vec<_> = (0..20)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.write().await?;
                // The lock first, then the decision: what every change of a ticket does.
                tx.sql("UPDATE item SET name = 'locked' WHERE id = $1").bind(1_i64).run_one().await?;
                let amount: i64 = tx.sql("SELECT amount FROM item WHERE id = $1").bind(1_i64).one().await?;
                tokio::task::yield_now().await;
                tx.sql("UPDATE item SET amount = $2 WHERE id = $1")
                    .bind(1_i64)
                    .bind(amount + 1)
                    .run_one()
                    .await?;
                tx.commit_unaudited("test").await
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap().unwrap();
    }
    assert_eq!(total(db).await, 20);
}

async fn a_reader_sees_one_moment(test: &TestDb) {
    let db = with_items(test).await;
    let mut read = db.read().await.unwrap();
    let select = "SELECT amount FROM item WHERE id = 1";
    assert_eq!(read.sql(select).one::<i64>().await.unwrap(), 0);
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 7 WHERE id = 1").run_one().await.unwrap();
    tx.sql("INSERT INTO item (id) VALUES (3)").run_one().await.unwrap();
    tx.commit_unaudited("test").await.unwrap();
    assert_eq!(read.sql(select).one::<i64>().await.unwrap(), 0);
    assert_eq!(read.sql("SELECT COUNT(*) FROM item").one::<i64>().await.unwrap(), 2);
    drop(read);
    assert_eq!(db.read().await.unwrap().sql(select).one::<i64>().await.unwrap(), 7);
}

async fn a_reader_cant_write(test: &TestDb) {
    let db = with_items(test).await;
    for write in ["UPDATE item SET amount = 7", "INSERT INTO item (id) VALUES (3)", "DROP TABLE item"] {
        let mut read = db.read().await.unwrap();
        let refused = read.sql(write).run().await.unwrap_err();
        assert!(matches!(refused, StoreError::Database(_)), "{write}: {refused:?}");
    }
    assert_eq!(total(db).await, 0);
}

async fn rows_affected_are_checked(test: &TestDb) {
    let db = with_items(test).await;
    let mut tx = db.write().await.unwrap();
    let all = tx.sql("UPDATE item SET amount = 1").run_one().await.unwrap_err();
    assert!(matches!(all, StoreError::RowsAffected { expected: 1, got: 2 }), "{all:?}");
    let none = tx.sql("DELETE FROM item WHERE id = 99").run_one().await.unwrap_err();
    assert!(matches!(none, StoreError::RowsAffected { expected: 1, got: 0 }), "{none:?}");
    let missing = tx.sql("SELECT id FROM item WHERE id = 99").one::<i64>().await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound), "{missing:?}");
    assert_eq!(tx.sql("SELECT id FROM item WHERE id = 99").optional::<i64>().await.unwrap(), None);
    let returned: i64 =
        tx.sql("UPDATE item SET amount = 5 WHERE id = 2 RETURNING amount").one().await.unwrap();
    assert_eq!(returned, 5);
}

row! {
    #[derive(Debug, PartialEq)]
    struct Item {
        amount: i64,
        name: Option<String>,
    }
}

#[derive(Debug, PartialEq)]
struct Key {
    id: i64,
}
row!(Key { id });

async fn rows_become_structs_and_tuples(test: &TestDb) {
    let db = with_items(test).await;
    let mut read = db.read().await.unwrap();
    let select = "SELECT id, name, amount FROM item ORDER BY id";
    assert_eq!(
        read.sql(select).all::<Item>().await.unwrap(),
        [Item { amount: 0, name: Some("one".into()) }, Item { amount: 0, name: None }]
    );
    assert_eq!(read.sql(select).all::<Key>().await.unwrap(), [Key { id: 1 }, Key { id: 2 }]);
    assert_eq!(read.sql(select).all::<(i64,)>().await.unwrap(), [(1,), (2,)]);
    assert_eq!(
        read.sql(select).all::<(i64, Option<String>, i64)>().await.unwrap(),
        [(1, Some("one".into()), 0), (2, None, 0)]
    );
    let null = read.sql("SELECT name FROM item WHERE id = 2").optional::<Option<String>>().await.unwrap();
    assert_eq!(null, Some(None));
    let filter = "AND id > $1".to_owned();
    let owned = read.sql_owned(format!("SELECT id FROM item WHERE 1 = 1 {filter}")).bind(1_i64);
    assert_eq!(owned.all::<i64>().await.unwrap(), [2]);
    let (sqlite, engine) = ("SELECT 'SQLite'", db.engine());
    let name: String = read.sql_by_engine(sqlite, "SELECT 'PostgreSQL'").one().await.unwrap();
    assert_eq!(name, if engine == Engine::Sqlite { "SQLite" } else { "PostgreSQL" });
    let unknown = read.sql("SELECT id AS other FROM item").one::<Key>().await.unwrap_err();
    assert!(matches!(unknown, StoreError::Database(_)), "{unknown:?}");
}

async fn statements_are_counted(test: &TestDb) {
    let db = with_items(test).await;
    let before = db.clone().queries();
    assert_eq!(total(db).await, 0);
    let mut tx = db.write().await.unwrap();
    tx.sql("UPDATE item SET amount = 1").run().await.unwrap();
    tx.sql("SELECT id FROM item").all::<i64>().await.unwrap();
    tx.commit_audited().await.unwrap();
    assert_eq!(db.queries() - before, 3);
}

async fn waiting_too_long_is_busy(test: &TestDb) {
    let items = with_items(test).await;
    let patience = Duration::from_millis(200);
    let hasty = Db::open(&test.url, OpenOptions { patience, ..OpenOptions::default() }).await.unwrap();
    for holder in [items, &hasty] {
        let mut first = holder.write().await.unwrap();
        first.sql("UPDATE item SET amount = 1 WHERE id = 1").run_one().await.unwrap();
        let second = async {
            let mut tx = hasty.write().await?;
            tx.sql("UPDATE item SET amount = 2 WHERE id = 1").run_one().await
        };
        let error = second.await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }
}

async fn a_change_is_there_after_reopening(test: &TestDb) {
    with_items(test).await.close().await;
    assert!(test.db.read().await.is_err());
    let again = Db::open(&test.url, OpenOptions::default()).await.unwrap();
    assert_eq!(total(&again).await, 0);
}

#[tokio::test]
async fn sqlite_is_durable_and_distrustful() {
    let test = TestDb::sqlite().await;
    let mut tx = test.db.write().await.unwrap();
    assert_eq!(tx.sql("PRAGMA journal_mode").one::<String>().await.unwrap(), "wal");
    for (pragma, value) in [
        ("PRAGMA synchronous", 2),
        ("PRAGMA foreign_keys", 1),
        ("PRAGMA trusted_schema", 0),
        ("PRAGMA cell_size_check", 1),
        ("PRAGMA busy_timeout", 10_000),
        ("PRAGMA query_only", 0),
    ] {
        assert_eq!(tx.sql(pragma).one::<i64>().await.unwrap(), value, "{pragma}");
    }
    let mut read = test.db.read().await.unwrap();
    assert_eq!(read.sql("PRAGMA query_only").one::<i64>().await.unwrap(), 1);
    let version: String = read.sql("SELECT sqlite_version()").one().await.unwrap();
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers >= vec![3, 51, 3], "{version} can corrupt the write-ahead log when it is reset");
}

async fn a_batch_answers_every_statement(test: &TestDb) {
    let db = with_items(test).await;
    let mut read = db.read().await.unwrap();
    let mut glance = db.glance().await.unwrap();
    for mut batch in [read.batch(), glance.batch()] {
        let before = db.queries();
        batch.add("SELECT id FROM item WHERE id IN (?) ORDER BY id", &[2_i64, 1, 7]);
        batch.add::<i64>("SELECT id FROM item WHERE id IN (?)", &[]);
        batch.add("SELECT id, name FROM item WHERE id IN (?) OR id IN (?)", &[1_i64]);
        let mut answers = batch.all().await.unwrap();
        assert_eq!(answers.rows::<i64>().unwrap(), [1, 2]);
        assert_eq!(answers.rows::<i64>().unwrap(), [0; 0]);
        assert_eq!(answers.rows::<(i64, String)>().unwrap(), [(1, "one".to_owned())]);
        assert!(answers.rows::<i64>().is_err());
        assert_eq!(db.queries() - before, 3);
    }
}

async fn a_batch_that_breaks_leaves_good_connections(test: &TestDb) {
    let db = with_items(test).await;
    for _ in 0..20 {
        let mut glance = db.glance().await.unwrap();
        let mut batch = glance.batch();
        batch.add("SELECT id FROM item WHERE id IN (?)", &[1_i64]);
        batch.add("SELECT id FROM nowhere WHERE id IN (?)", &[1_i64]);
        assert!(matches!(batch.all().await, Err(StoreError::Database(_))));

        let mut glance = db.glance().await.unwrap();
        let mut batch = glance.batch();
        batch.add("SELECT id FROM item WHERE id IN (?)", &[1_i64]);
        batch.add("SELECT id FROM item WHERE id IN (?)", &[2_i64]);
        let _ = Box::pin(batch.all()).now_or_never(); // as a browser that goes away leaves it
        drop(glance);

        let mut read = db.read().await.unwrap();
        assert_eq!(read.sql("SELECT COUNT(*) FROM item").one::<i64>().await.unwrap(), 2);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_and_its_log_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let test = TestDb::sqlite().await;
    let mut tx = test.db.write().await.unwrap();
    tx.sql("CREATE TABLE t (x INTEGER)").run().await.unwrap();
    tx.commit_unaudited("a test").await.unwrap();
    let path = test.url.strip_prefix("sqlite:").unwrap();
    for file in [path.to_owned(), format!("{path}-wal")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
}
