//! A fresh database for each test, on either engine.
//!
//! On PostgreSQL the migrations run once for each server and set of migrations, into a template that every test's
//! database is copied from; copying takes a tenth of a second.

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process, thread};

use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;

/// What `migrate` answers.
pub type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    /// Whether tests on this engine can run here. Says so where they can't, and fails where they must.
    ///
    /// # Panics
    /// Without a PostgreSQL server, if nothing may be skipped (`CI` or `TEST_REQUIRE_ALL` is set).
    #[must_use]
    pub fn is_available(self) -> bool {
        if self == Self::Sqlite || env::var_os("TEST_PG_URL").is_some() {
            return true;
        }
        let required = ["CI", "TEST_REQUIRE_ALL"].into_iter().find(|name| env::var_os(name).is_some());
        if let Some(name) = required {
            panic!("TEST_PG_URL names no PostgreSQL server, and {name} forbids skipping: run tests/run");
        }
        eprintln!("SKIPPED on PostgreSQL: TEST_PG_URL names no server. tests/run starts one.");
        false
    }
}

/// Makes two tests, `NAME::sqlite` and `NAME::postgres`, of `async fn NAME(engine: Engine) { … }`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($engine:ident: Engine) $body:block)+) => {$(
        mod $name {
            use super::*;

            $(#[$attribute])*
            async fn on($engine: $crate::support::database::Engine) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                on($crate::support::database::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                if $crate::support::database::Engine::Postgres.is_available() {
                    on($crate::support::database::Engine::Postgres).await;
                }
            }
        }
    )+};
}

/// A migrated database that is gone when this is dropped.
#[derive(Debug)]
pub struct TestDb {
    url: String,
    keeps: Keeps,
}

#[derive(Debug)]
enum Keeps {
    Folder(#[expect(dead_code, reason = "held so that the folder stays")] TempDir),
    Database(String),
}

impl TestDb {
    /// Makes a database and has `migrate` bring it up, given its address.
    ///
    /// # Panics
    /// If the database can't be made or migrated, or there is no server (ask [`Engine::is_available`] first).
    pub async fn new(engine: Engine, migrate: impl AsyncFnOnce(String) -> Outcome) -> Self {
        match engine {
            Engine::Sqlite => Self::sqlite(migrate).await,
            Engine::Postgres => Self::postgres(migrate, &migrations_digest()).await,
        }
    }

    /// Makes a database without anything in it. Panics as [`new`](Self::new) does.
    pub async fn empty(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::sqlite(async |_| Ok(())).await,
            Engine::Postgres => Self::postgres(async |_| Ok(()), "empty").await,
        }
    }

    /// The address to open it by, as the program's own setting takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn sqlite(migrate: impl AsyncFnOnce(String) -> Outcome) -> Self {
        let folder = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("countersign.db").display());
        migrate(url.clone()).await.expect("migrations on SQLite");
        Self { url, keeps: Keeps::Folder(folder) }
    }

    async fn postgres(migrate: impl AsyncFnOnce(String) -> Outcome, version: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let server = server();
        let template = ensure_template(&server, migrate, version).await;
        // Another process has another id; what an earlier owner of this id left behind is dropped first.
        let name = format!("countersign_{}_{}", process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&server).await;
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        run(&mut admin, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        admin.close().await.expect("an orderly end");
        Self { url: url_of(&server, &name), keeps: Keeps::Database(name) }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let Keeps::Database(name) = &self.keeps else { return };
        let name = name.clone();
        // A runtime of its own: this may run while the test's own is unwinding.
        let dropped = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = server().connect().await?;
                admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            })
        });
        // The server throws everything away at its end: a database left behind fails nobody's test.
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("a test database was left behind");
        }
    }
}

/// The server's own database, for making others.
fn server() -> PgConnectOptions {
    let url = env::var("TEST_PG_URL").expect("TEST_PG_URL names a PostgreSQL server (tests/run starts one)");
    url.parse::<PgConnectOptions>().expect("TEST_PG_URL is an address").disable_statement_logging()
}

fn url_of(server: &PgConnectOptions, database: &str) -> String {
    server.clone().database(database).to_url_lossy().to_string()
}

async fn connect(server: &PgConnectOptions) -> PgConnection {
    server.connect().await.expect("the PostgreSQL server of TEST_PG_URL answers")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Makes the template unless it is there. Tests in many processes come here at once: one makes it, behind a lock
/// that the server lets go of should that one die, and under another name until it is whole.
async fn ensure_template(
    server: &PgConnectOptions,
    migrate: impl AsyncFnOnce(String) -> Outcome,
    version: &str,
) -> String {
    const LOCK: i64 = 0x636f_756e_7465_7273;
    let template = format!("countersign_template_{version}");
    let mut admin = connect(server).await;
    run(&mut admin, &format!("SELECT pg_advisory_lock({LOCK})")).await;
    let found: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&template)
        .fetch_one(&mut admin)
        .await
        .expect("the list of databases");
    if !found {
        let unfinished = format!("{template}_unfinished");
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        run(&mut admin, &format!("CREATE DATABASE {unfinished}")).await;
        migrate(url_of(server, &unfinished)).await.expect("migrations on PostgreSQL");
        // Whatever `migrate` left connected would stand in the way.
        let idle = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ";
        run(&mut admin, &format!("{idle}'{unfinished}'")).await;
        run(&mut admin, &format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    }
    admin.close().await.expect("an orderly end, which opens the lock");
    template
}

/// Names the template after the migrations it was made from: a server that outlives a run may hold older ones.
fn migrations_digest() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(fs::read(&file).expect("a readable migration"));
    }
    hex::encode(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{AtomicU32, Engine, Ordering, Outcome, PgConnectOptions, TestDb, connect, run, server};

    async fn count(url: &str) -> i64 {
        let options = url.parse::<PgConnectOptions>().expect("an address");
        let mut connection = connect(&options).await;
        sqlx::query_scalar("SELECT count(*) FROM sign").fetch_one(&mut connection).await.expect("a count")
    }

    async fn one_sign(url: String) -> Outcome {
        let mut connection = connect(&url.parse::<PgConnectOptions>()?).await;
        run(&mut connection, "CREATE TABLE sign (id int); INSERT INTO sign VALUES (1)").await;
        // Still connected when this returns, as a pool would be.
        std::mem::forget(connection);
        Ok(())
    }

    /// A template that no other test uses, gone afterwards.
    async fn drop_template(version: &str) {
        run(
            &mut connect(&server()).await,
            &format!("DROP DATABASE IF EXISTS countersign_template_{version}"),
        )
        .await;
    }

    crate::on_both_engines! {
        /// The macro's two tests run, each on its own engine, and the address is one that the engine takes.
        async fn addresses_can_be_opened(engine: Engine) {
            let db = TestDb::new(engine, async |_| Ok(())).await;
            match engine {
                Engine::Sqlite => assert!(db.url().starts_with("sqlite:///")),
                Engine::Postgres => {
                    let options = db.url().parse::<PgConnectOptions>().expect("an address");
                    run(&mut connect(&options).await, "SELECT 1").await;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_sqlite_database_is_a_file_that_goes() {
        let mut seen = String::new();
        let db = TestDb::new(Engine::Sqlite, async |url| {
            seen = url;
            Ok(())
        })
        .await;
        assert_eq!(db.url(), seen);
        let path = seen.strip_prefix("sqlite://").expect("an address of a file").to_owned();
        let folder = std::path::Path::new(&path).parent().expect("a folder").to_owned();
        assert!(folder.is_dir());
        drop(db);
        assert!(!folder.exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_share_one_template_and_no_row() {
        if !Engine::Postgres.is_available() {
            return;
        }
        drop_template("sharing").await;
        let migrated = Arc::new(AtomicU32::new(0));
        let tasks: Vec<_> = (0..12)
            .map(|_| {
                let migrated = Arc::clone(&migrated);
                tokio::spawn(async move {
                    let migrate = async |url| {
                        migrated.fetch_add(1, Ordering::SeqCst);
                        one_sign(url).await
                    };
                    let db = TestDb::postgres(migrate, "sharing").await;
                    let mut connection = connect(&db.url().parse().expect("an address")).await;
                    run(&mut connection, "INSERT INTO sign VALUES (2)").await;
                    count(db.url()).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("a database"), 2);
        }
        assert_eq!(migrated.load(Ordering::SeqCst), 1);
        drop_template("sharing").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_template_left_half_made_is_made_anew() {
        if !Engine::Postgres.is_available() {
            return;
        }
        drop_template("halves").await;
        let mut admin = connect(&server()).await;
        run(&mut admin, "DROP DATABASE IF EXISTS countersign_template_halves_unfinished").await;
        run(&mut admin, "CREATE DATABASE countersign_template_halves_unfinished").await;
        let db = TestDb::postgres(one_sign, "halves").await;
        assert_eq!(count(db.url()).await, 1);
        let name = db.url().split(['/', '?']).nth(3).expect("a name").to_owned();
        drop(db);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .expect("a count");
        assert_eq!(left, 0, "{name} is still there");
        drop_template("halves").await;
    }
}
