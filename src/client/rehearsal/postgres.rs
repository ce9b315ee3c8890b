//! PostgreSQL: a dump restored into a scratch database of our own, which is dropped whatever happens.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::plain_dump;
use super::postgres_state;
use super::server::{Client, Held, Said, ServerUrl};
use super::state::{Depth, State};
use super::{Copy, Later, Snapshot, VersionTable, later};
use crate::client::project::process::Stop;
use crate::client::project::{Project, ProjectError};
use crate::clock::Env;
use crate::sql::dialect::Dialect;

/// What `pg_dump` wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// For `pg_restore`: custom or tar.
    Archive,
    /// For psql.
    Plain,
}

impl Dump {
    /// Told by how the file begins.
    pub fn of(path: &Path) -> Option<Self> {
        let mut head = Vec::new();
        File::open(path).and_then(|file| file.take(4_096).read_to_end(&mut head)).ok()?;
        if head.starts_with(b"PGDMP") || head.starts_with(b"toc.dat\0") {
            return Some(Self::Archive);
        }
        String::from_utf8_lossy(&head).contains("PostgreSQL database dump").then_some(Self::Plain)
    }
}

/// The comment on a scratch database whose owner is connected to it as long as it lives.
const MARK: &str = "scratch database of countersign";

#[derive(Debug)]
pub struct PostgresSnapshot {
    original: PathBuf,
    dump: Dump,
    server: ServerUrl,
    client: Client,
}

impl PostgresSnapshot {
    pub fn new(
        original: &Path,
        dump: Dump,
        server: ServerUrl,
        folder: PathBuf,
        limit: Duration,
        stop: &Stop,
    ) -> Self {
        let client = Client { folder, limit, stop: stop.clone() };
        let snapshot = Self { original: original.to_owned(), dump, server, client };
        snapshot.sweep();
        snapshot
    }

    /// Drops this user's scratch databases whose owners were killed: marked as such, and nobody is connected to them. The
    /// server itself refuses to drop one that somebody has come to meanwhile. What can't be done is left to the next one.
    fn sweep(&self) {
        let abandoned = format!(
            "SELECT d.datname FROM pg_database d WHERE d.datname ~ '^countersign_[0-9a-f]{{12}}$' \
             AND pg_get_userbyid(d.datdba) = current_user AND shobj_description(d.oid, 'pg_database') = '{MARK}' \
             AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)"
        );
        if let Ok(Said::Well(names)) = self.client.run("psql", &self.server, &query(&abandoned)) {
            for name in names.lines().filter(|name| !name.is_empty()) {
                let _left =
                    self.client.run("psql", &self.server, &query(&format!("DROP DATABASE IF EXISTS {name}")));
            }
        }
    }

    /// Refuses a script that would leave the scratch database: psql does whatever stands in it.
    fn stays(&self) -> Result<(), ProjectError> {
        let found = plain_dump::reaches_out(&self.original)
            .map_err(|e| ProjectError::io("the snapshot can't be read", &e))?;
        found.map_or(Ok(()), |(line, what)| {
            Err(ProjectError::new(
                "E22",
                format!(
                    "line {line} of the dump reaches beyond its own database: {what}. Nothing of it was run."
                ),
                "Dump one database with `pg_dump --format custom`, without --create and without --clean.",
            ))
        })
    }
}

impl Snapshot for PostgresSnapshot {
    fn dialect(&self) -> Dialect {
        Dialect::PostgreSql
    }

    fn copy(&self, _: &str, _: &(dyn Fn(u64, u64) + Sync)) -> Result<Box<dyn Copy>, ProjectError> {
        if self.dump == Dump::Plain {
            self.stays()?;
        }
        let name = format!("countersign_{}", hex::encode(Env::system().bytes::<6>()));
        let limit = self.client.limit.as_millis();
        // From here on it is dropped with the copy, also if its making is cut short.
        let mut copy = PostgresCopy {
            url: self.server.with_database(&name),
            server: self.server.clone(),
            client: self.client.clone(),
            refused: false,
            held: None,
        };
        let made = self.client.run(
            "psql",
            &self.server,
            &query(&format!("CREATE DATABASE {name} TEMPLATE template0")),
        )?;
        if let Said::Badly(said) = made {
            copy.refused = true;
            return Err(ProjectError::new(
                "E23",
                format!("no scratch database could be made: {}.", said.trim()),
                "Give a --scratch-url whose user may make databases (CREATEDB), on a server that is not production.",
            ));
        }
        let limits = format!(
            "ALTER DATABASE {name} SET lock_timeout = '10s'; ALTER DATABASE {name} SET statement_timeout = '{limit}ms'; \
             ALTER DATABASE {name} SET timezone = 'UTC'"
        );
        copy.must(&limits)?;
        // Marked by the connection that keeps others from taking it for left behind, and not before that one is there.
        let mark = format!("SET idle_session_timeout = 0; COMMENT ON DATABASE {name} IS '{MARK}'");
        copy.held = Some(copy.url.hold(&mark)?);
        let original = self.original.to_string_lossy();
        let said = match self.dump {
            Dump::Archive => {
                let arguments =
                    ["--no-owner", "--no-privileges", "--exit-on-error", "--dbname", &name, &original];
                self.client.run("pg_restore", &copy.url, &arguments)?
            }
            Dump::Plain => {
                let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", &original];
                self.client.run("psql", &copy.url, &arguments)?
            }
        };
        match said {
            Said::Well(_) => Ok(Box::new(copy)),
            Said::Badly(said) => Err(ProjectError::new(
                "E22",
                format!("the dump can't be restored: {}.", first_error(&said)),
                "Dump with `pg_dump --format custom --no-owner --no-privileges`, by a pg_dump not newer than pg_restore.",
            )),
        }
    }

    fn look(&self, _: Depth, _: &VersionTable) -> Option<Later<State>> {
        None
    }
}

fn first_error(said: &str) -> String {
    let line = said.lines().find(|line| line.to_lowercase().contains("error:"));
    line.or(said.lines().next()).unwrap_or_default().trim().to_owned()
}

fn query(sql: &str) -> [&str; 8] {
    ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]
}

/// A scratch database.
#[derive(Debug)]
struct PostgresCopy {
    url: ServerUrl,
    server: ServerUrl,
    client: Client,
    /// The server did not make it, or so it seemed.
    refused: bool,
    held: Option<Held>,
}

impl PostgresCopy {
    fn must(&self, sql: &str) -> Result<String, ProjectError> {
        match self.client.run("psql", &self.url, &query(sql))? {
            Said::Well(out) => Ok(out),
            Said::Badly(said) => Err(ProjectError::new(
                "E23",
                format!("the scratch database refused: {}.", first_error(&said)),
                "See what the server's log says of it.",
            )),
        }
    }
}

impl Drop for PostgresCopy {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.url.database);
        let went = self.client.run_until("psql", &self.server, &query(&drop), &Stop::default());
        // The connection may have been lost behind the making: then there is something to drop all the same.
        if !matches!(went, Ok(Said::Well(_))) && !self.refused {
            eprintln!(
                "warning: the scratch database {} could not be dropped; drop it by hand.",
                self.url.database
            );
        }
    }
}

impl Copy for PostgresCopy {
    fn url(&self, project: &Project) -> String {
        project.with_scheme(Dialect::PostgreSql, &self.url.rest())
    }

    fn versions(&self, table: &VersionTable) -> Result<Option<Vec<String>>, ProjectError> {
        let name = postgres_state::qualified(table);
        let there = self.must(&format!("SELECT to_regclass({}) IS NOT NULL", postgres_state::text(&name)))?;
        if there.trim() != "t" {
            return Ok(None);
        }
        let out = self.must(&format!("SELECT version_num FROM {name} ORDER BY 1"))?;
        Ok(Some(out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()))
    }

    fn version_tables(&self) -> Vec<String> {
        let sql = "SELECT table_schema || '.' || table_name FROM information_schema.columns \
                   WHERE column_name = 'version_num' ORDER BY 1";
        self.must(sql).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn look(&self, _: &str, depth: Depth, table: &VersionTable) -> Result<Later<State>, ProjectError> {
        // Read at once: the next step would wait for the reader's locks, or the reader for its.
        let state = postgres_state::read(&|sql| self.must(sql), depth, table)?;
        Ok(later(move || Ok(state)))
    }

    fn bytes(&self) -> u64 {
        let size = self.must("SELECT pg_database_size(current_database())");
        size.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn ask(&self, sql: &str) -> Option<Vec<Vec<String>>> {
        let arguments =
            ["-X", "-A", "-t", "-q", "-P", "null=NULL", "-F", "\u{1f}", "-v", "ON_ERROR_STOP=1", "-c", sql];
        match self.client.run("psql", &self.url, &arguments) {
            Ok(Said::Well(out)) => {
                let row = |line: &str| line.split('\u{1f}').map(str::to_owned).collect();
                Some(out.lines().map(row).collect())
            }
            _ => None,
        }
    }

    fn apply(&self, sql: &str) -> Result<(), String> {
        let file = self.client.folder.join(format!("{}.sql", hex::encode(Env::system().bytes::<6>())));
        std::fs::write(&file, sql).map_err(|e| e.to_string())?;
        let path = file.to_string_lossy();
        let arguments = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f", &path];
        match self.client.run("psql", &self.url, &arguments) {
            Ok(Said::Well(_)) => Ok(()),
            Ok(Said::Badly(said)) => Err(first_error(&said)),
            Err(error) => Err(error.message),
        }
    }

    fn strays(&self) -> Vec<String> {
        Vec::new()
    }
}
