//! The schema's history. Migrations are embedded, run in order, each in a transaction of its own, and never change
//! once they have been applied anywhere.

use super::{Conn, Db, Engine, StoreError, Tx};
use crate::domain::digest::Digest;
use crate::domain::time::Timestamp;

/// One step of the schema, told to both engines.
#[derive(Debug, Clone, Copy)]
struct Migration {
    version: i64,
    /// The file's name without `.sql`, such as `0001_init`.
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_init"),
    migration!(2, "0002_standing"),
    migration!(3, "0003_reading"),
    migration!(4, "0004_open"),
    migration!(5, "0005_wrong_tries"),
];

/// Any number will do, as long as all replicas take the same one.
const ADVISORY_LOCK: i64 = 0x636f_756e_7465_7273;

impl Migration {
    fn script(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}

/// Brings the schema up to date and returns the names of what was applied. Several programs may do this at once: they
/// wait for each other, and each step is applied once.
///
/// # Errors
/// [`StoreError::Migration`] when the database has been migrated by a newer program or by changed files; what the
/// database reports when a script fails. Steps before the failing one stay applied, the failing one leaves nothing.
pub async fn migrate(db: &Db, now: Timestamp) -> Result<Vec<&'static str>, StoreError> {
    apply(db, MIGRATIONS, now).await
}

/// The names of the migrations that are still to be applied.
///
/// # Errors
/// [`StoreError::Migration`] as for [`migrate`].
pub async fn pending(db: &Db) -> Result<Vec<&'static str>, StoreError> {
    outstanding(db, MIGRATIONS).await
}

async fn apply(db: &Db, known: &[Migration], now: Timestamp) -> Result<Vec<&'static str>, StoreError> {
    let mut done = Vec::new();
    loop {
        let mut tx = db.write().await?;
        lock(&mut tx).await?;
        let engine = tx.engine();
        let Some(next) = remaining(&applied(&mut tx).await?, known, engine)?.first() else {
            return Ok(done);
        };
        let script = next.script(engine);
        tx.script(script).await?;
        record(&mut tx, next, Digest::of(script.as_bytes()), now).await?;
        tx.commit_unaudited("the schema is not part of anybody's work").await?;
        tracing::info!(migration = next.name, "applied a migration");
        done.push(next.name);
    }
}

async fn outstanding(db: &Db, known: &[Migration]) -> Result<Vec<&'static str>, StoreError> {
    let mut read = db.read().await?;
    let exists: bool = read
        .sql_by_engine(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations')",
            "SELECT to_regclass('schema_migrations') IS NOT NULL",
        )
        .one()
        .await?;
    let applied = if exists { applied(&mut read).await? } else { Vec::new() };
    Ok(remaining(&applied, known, db.engine())?.iter().map(|migration| migration.name).collect())
}

/// Keeps other programs from migrating until the transaction ends, and makes sure that the list exists.
async fn lock(tx: &mut Tx) -> Result<(), StoreError> {
    if tx.engine() == Engine::Postgres {
        // A script may rewrite large tables, and another replica's script is worth waiting for.
        tx.script("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0").await?;
        tx.sql("SELECT pg_advisory_xact_lock($1)").bind(ADVISORY_LOCK).run().await?;
    }
    tx.sql_by_engine(
        "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, \
         sha256 BLOB NOT NULL, applied_at INTEGER NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL, \
         sha256 BYTEA NOT NULL, applied_at TIMESTAMPTZ NOT NULL)",
    )
    .run()
    .await?;
    Ok(())
}

type Applied = (i64, String, Digest);

async fn applied(conn: &mut impl Conn) -> Result<Vec<Applied>, StoreError> {
    conn.sql("SELECT version, name, sha256 FROM schema_migrations ORDER BY version").all().await
}

async fn record(
    tx: &mut Tx,
    migration: &Migration,
    sha256: Digest,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.sql("INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(sha256)
        .bind(now)
        .run_one()
        .await
}

/// What follows after `applied`, which must be the beginning of `known`, unchanged.
fn remaining<'k>(
    applied: &[Applied],
    known: &'k [Migration],
    engine: Engine,
) -> Result<&'k [Migration], StoreError> {
    for (position, (version, name, sha256)) in applied.iter().enumerate() {
        let Some(migration) = known.get(position) else {
            return Err(StoreError::Migration(format!(
                "The database was migrated to “{name}”, which this version of Countersign doesn't know. \
                 Start the version that did it, or a newer one."
            )));
        };
        if migration.version != *version {
            return Err(StoreError::Migration(format!(
                "The database has migration “{name}” where this version of Countersign has “{}”. \
                 It was migrated by another line of versions; restore a backup or start that version.",
                migration.name
            )));
        }
        if migration.name != name || Digest::of(migration.script(engine).as_bytes()) != *sha256 {
            return Err(StoreError::Migration(format!(
                "Migration “{name}” was changed after it had been applied to this database. Start the version of \
                 Countersign that applied it; a change to the schema needs a migration of its own."
            )));
        }
    }
    Ok(&known[applied.len()..])
}

#[cfg(test)]
mod tests;
