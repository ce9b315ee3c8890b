//! One way to talk to SQLite and PostgreSQL: the only file that opens a connection.
//!
//! `conn.sql("… $1 …").bind(v).optional::<T>()` runs the same text on both. Three traps are closed here:
//! a statement whose `$n` and values don't match is refused before it runs; a transaction in which a statement failed
//! can't be committed (PostgreSQL would answer COMMIT with a rollback that the driver reports as success); and a reader
//! sees one moment of the database however many queries it makes.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, PgPool, Postgres, SqlSafeStr, Sqlite, SqlitePool, Transaction};

use super::StoreError;
use super::batch::Batch;
use super::query::{Pending, Query};

/// The two databases that Countersign runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// How many connections to keep, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// Reading connections on SQLite; it has one writing connection besides.
    pub sqlite_readers: u32,
    /// All connections on PostgreSQL.
    pub postgres_connections: u32,
    /// How long to wait for a connection or a lock before [`StoreError::Busy`].
    pub patience: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { sqlite_readers: 8, postgres_connections: 16, patience: Duration::from_secs(10) }
    }
}

/// A database. Cloning shares the connections.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
    queries: Arc<AtomicU64>,
}

#[derive(Debug, Clone)]
enum Pools {
    Sqlite { readers: SqlitePool, writer: SqlitePool },
    Postgres(PgPool),
}

impl Db {
    /// Opens `postgres://…`, `postgresql://…`, `sqlite:path`, `sqlite://path` or a plain path. A SQLite file that doesn't
    /// exist is created.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the address makes no sense or the database can't be reached.
    pub async fn open(url: &str, options: OpenOptions) -> Result<Self, StoreError> {
        let pools = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, options).await?
        } else {
            open_sqlite(sqlite_path(url)?, options).await?
        };
        Ok(Self { pools, queries: Arc::default() })
    }

    pub fn engine(&self) -> Engine {
        match self.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins to read: every query of the answer sees the same moment, that of the first one.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection becomes free in time.
    pub async fn read(&self) -> Result<Read, StoreError> {
        let link = match &self.pools {
            Pools::Sqlite { readers, .. } => Link::Sqlite(readers.begin_with("BEGIN DEFERRED").await?),
            Pools::Postgres(pool) => Link::Postgres(pool.begin_with(POSTGRES_READ).await?),
        };
        Ok(Read(self.session(link)))
    }

    /// Reads without a transaction around it: each statement, or batch of statements, sees its own moment. Saves most of
    /// what a single statement costs.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when no connection becomes free in time.
    pub async fn glance(&self) -> Result<Glance, StoreError> {
        let link = match &self.pools {
            Pools::Sqlite { readers, .. } => Link::SqliteAlone(readers.acquire().await?),
            Pools::Postgres(pool) => Link::PostgresAlone(pool.acquire().await?),
        };
        Ok(Glance(self.session(link)))
    }

    /// Begins to write. On SQLite there is one writer at a time; on PostgreSQL row locks keep writers apart.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the writer's turn doesn't come in time.
    pub async fn write(&self) -> Result<Tx, StoreError> {
        let link = match &self.pools {
            Pools::Sqlite { writer, .. } => Link::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => {
                Link::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE").await?)
            }
        };
        Ok(Tx(self.session(link)))
    }

    /// How many statements have run since the database was opened, without BEGIN and COMMIT: the difference around a
    /// request shows whether it asks once per row.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Copies a SQLite database into a new file, as it is at this moment, while others go on writing.
    ///
    /// # Errors
    /// [`StoreError::Database`] on PostgreSQL, which has tools of its own; when the file exists or can't be written.
    pub async fn copy_to(&self, path: &str) -> Result<(), StoreError> {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return Err(bad_address("only a SQLite database is copied by this program"));
        };
        // A statement of its own: VACUUM refuses to run inside a transaction.
        sqlx::query("VACUUM INTO $1").bind(path).execute(writer).await?;
        Ok(())
    }

    /// Waits for what is running and closes all connections.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await; // last, so that it can fold the write-ahead log into the file
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    fn session(&self, link: Link) -> Session {
        Session { link, queries: Arc::clone(&self.queries), failed: false }
    }
}

/// One moment for all statements.
pub(super) const POSTGRES_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

fn bad_address(why: &'static str) -> StoreError {
    StoreError::Database(sqlx::Error::Configuration(why.into()))
}

fn sqlite_path(url: &str) -> Result<&Path, StoreError> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
    if path.contains("://") {
        return Err(bad_address("a database address begins with postgres:// or sqlite:, or is a path"));
    }
    if path.is_empty() || path.contains(":memory:") || path.starts_with("file:") || path.contains('?') {
        return Err(bad_address("a SQLite address is the path of a file, without parameters"));
    }
    Ok(Path::new(path))
}

/// Makes the file with nobody's rights but the owner's, whatever the umask; SQLite gives its log the file's own mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    match file.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(sqlx::Error::Io(error).into()),
        _ => Ok(()),
    }
}

async fn open_sqlite(path: &Path, options: OpenOptions) -> Result<Pools, StoreError> {
    create_private(path)?;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(options.patience)
        .foreign_keys(true)
        .statement_cache_capacity(256)
        .row_buffer_size(256) // so that a page of rows is not handed over piece by piece
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON");
    // Connections to a file don't wear out, and a ping before each use would double the work of a small read.
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(options.patience)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writer = pool()
        .max_connections(1)
        .connect_with(connect.clone().create_if_missing(true).optimize_on_close(true, None))
        .await?; // first: it creates the file and its write-ahead log
    let readers = pool()
        .max_connections(options.sqlite_readers)
        .connect_with(connect.read_only(true).pragma("query_only", "ON"))
        .await?;
    Ok(Pools::Sqlite { readers, writer })
}

async fn open_postgres(url: &str, options: OpenOptions) -> Result<Pools, StoreError> {
    let connect = PgConnectOptions::from_str(url)?
        .application_name("countersign")
        .statement_cache_capacity(256)
        .options([("lock_timeout", format!("{}ms", options.patience.as_millis()))]);
    let pool = PgPoolOptions::new()
        .max_connections(options.postgres_connections)
        .acquire_timeout(options.patience)
        .connect_with(connect)
        .await?;
    Ok(Pools::Postgres(pool))
}

/// Something to run statements on: a [`Read`], a [`Glance`] or a [`Tx`].
pub trait Conn: Send {
    #[doc(hidden)]
    fn session(&mut self) -> &mut Session;

    fn engine(&mut self) -> Engine {
        match self.session().link {
            Link::Sqlite(_) | Link::SqliteAlone(_) => Engine::Sqlite,
            Link::Postgres(_) | Link::PostgresAlone(_) => Engine::Postgres,
        }
    }

    /// Begins a statement, the same for both engines, with `$1`, `$2` … for its values.
    fn sql(&mut self, text: &'static str) -> Query<'_> {
        self.session().query(text)
    }

    /// Begins a statement that can't be written the same way for both engines.
    fn sql_by_engine(&mut self, sqlite: &'static str, postgres: &'static str) -> Query<'_> {
        let text = match self.engine() {
            Engine::Sqlite => sqlite,
            Engine::Postgres => postgres,
        };
        self.session().query(text)
    }

    /// Begins a statement put together at run time, for optional filters: its pieces are `&'static str`, and everything
    /// that comes from outside is bound. Text of a user or of a file must never be part of it.
    fn sql_owned(&mut self, text: String) -> Query<'_> {
        self.session().query(AssertSqlSafe(text))
    }

    /// Begins to gather statements that are sent together.
    fn batch(&mut self) -> Batch<'_> {
        Batch::new(self.session())
    }
}

/// A read transaction: sees one moment of the database and can't change it. Ends when dropped.
#[derive(Debug)]
pub struct Read(Session);

/// A connection for reading, without a transaction.
#[derive(Debug)]
pub struct Glance(Session);

/// A write transaction. Dropping it without a commit undoes everything.
#[derive(Debug)]
pub struct Tx(Session);

impl Conn for Read {
    fn session(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Conn for Glance {
    fn session(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Conn for Tx {
    fn session(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Tx {
    /// Commits a change that leaves no trace in the audit log; the reason says why that is right.
    ///
    /// # Errors
    /// [`StoreError::Aborted`] when a statement of this transaction failed; whatever the database reports.
    pub async fn commit_unaudited(self, reason: &'static str) -> Result<(), StoreError> {
        tracing::trace!(reason, "commit without an audit event");
        self.0.commit().await
    }

    /// Commits after the audit events have been written in this same transaction. Errors as above.
    pub(crate) async fn commit_audited(self) -> Result<(), StoreError> {
        self.0.commit().await
    }

    /// Runs a script of several statements without values, as migrations are.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<(), StoreError> {
        let Session { link, queries, failed } = &mut self.0;
        queries.fetch_add(1, Ordering::Relaxed);
        let before = std::mem::replace(failed, true);
        match link {
            Link::Sqlite(conn) => sqlx::raw_sql(text).execute(&mut **conn).await.map(|_| ())?,
            Link::Postgres(conn) => sqlx::raw_sql(text).execute(&mut **conn).await.map(|_| ())?,
            Link::SqliteAlone(_) | Link::PostgresAlone(_) => return Err(unbegun()),
        }
        *failed = before;
        Ok(())
    }
}

fn unbegun() -> StoreError {
    StoreError::Corrupt("a write outside of a transaction".to_owned())
}

/// An open transaction of either engine, or a connection without one. Made by [`Db`]; used through [`Conn`].
#[derive(Debug)]
pub struct Session {
    pub(super) link: Link,
    pub(super) queries: Arc<AtomicU64>,
    /// A statement failed, or was abandoned while it ran.
    pub(super) failed: bool,
}

#[derive(Debug)]
pub(super) enum Link {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
    SqliteAlone(PoolConnection<Sqlite>),
    PostgresAlone(PoolConnection<Postgres>),
}

impl Session {
    fn query(&mut self, text: impl SqlSafeStr) -> Query<'_> {
        let Self { link, queries, failed } = self;
        let pending = match link {
            Link::Sqlite(conn) => Pending::Sqlite(conn, SqliteArguments::default()),
            Link::Postgres(conn) => Pending::Postgres(conn, PgArguments::default()),
            Link::SqliteAlone(conn) => Pending::Sqlite(conn, SqliteArguments::default()),
            Link::PostgresAlone(conn) => Pending::Postgres(conn, PgArguments::default()),
        };
        Query::new(pending, text.into_sql_str(), queries, failed)
    }

    async fn commit(self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Aborted);
        }
        match self.link {
            Link::Sqlite(transaction) => transaction.commit().await?,
            Link::Postgres(transaction) => transaction.commit().await?,
            Link::SqliteAlone(_) | Link::PostgresAlone(_) => return Err(unbegun()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::sqlite_path;

    #[test]
    fn a_sqlite_address_is_a_path() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite://a/b.db", "a/b.db"),
            ("sqlite:///a.db", "/a.db"),
            ("/a.db", "/a.db"),
        ] {
            assert_eq!(sqlite_path(url).unwrap().to_str(), Some(path));
        }
        for url in ["", "sqlite:", "sqlite::memory:", "mysql://h/d", "sqlite:a.db?mode=ro", "file:a.db"] {
            assert!(sqlite_path(url).is_err(), "{url}");
        }
    }
}
