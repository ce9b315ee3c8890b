//! An Alembic project on this machine: finding it, and running it in its own Python.
//!
//! Nothing here reads or writes a database by itself. The project runs with a clean environment, in a process group of
//! its own, within a time limit; what it prints is kept whole and quoted only without secrets.

mod args;
mod causes;
mod discover;
mod error;
mod manifest;
mod online;
pub mod process;
mod redact;
mod render;
mod shim;
pub mod work;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use args::ProjectArgs;
pub use error::ProjectError;
pub use online::{Failure, Online, Statement};
pub use redact::{Redactor, secrets_of};
pub use render::Render;

pub use crate::alembic::report::Tools;
pub use crate::sql::offline_sql::Direction;

use crate::alembic::formats::{Format as _, Version1};
use crate::alembic::graph;
use crate::alembic::history::{History, HistoryFormat, MigrationHistory, Revision};
use crate::alembic::manifest::MigrationManifest;
use crate::alembic::report::Warning;
use crate::sql::dialect::Dialect;
use process::Stop;
use work::Private;

/// A project that was found, with its revisions read.
#[derive(Debug)]
pub struct Project {
    /// The project's folder, absolute.
    dir: PathBuf,
    cwd: PathBuf,
    config: PathBuf,
    python: PathBuf,
    args: ProjectArgs,
    private: Private,
    /// Where streams are kept; below `private` unless somebody wants to have them.
    logs: PathBuf,
    limit: Duration,
    stop: Stop,
    redactor: Redactor,
    tools: Tools,
    revisions: Vec<Listed>,
    script_location: PathBuf,
    version_locations: Vec<PathBuf>,
    warnings: Vec<Warning>,
}

/// A revision and the file that it is in.
#[derive(Debug)]
pub(crate) struct Listed {
    pub revision: Revision,
    pub path: PathBuf,
}

impl Project {
    /// Finds the project and its Python, and reads its revisions.
    ///
    /// # Errors
    /// When there is no such project, or Alembic can't read it there.
    pub fn open(args: &ProjectArgs) -> Result<Self, ProjectError> {
        Self::open_until(args, &Stop::default())
    }

    /// As [`Self::open`], for somebody who may want to stop it and whatever it runs.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_until(args: &ProjectArgs, stop: &Stop) -> Result<Self, ProjectError> {
        discover::open(args, stop)
    }

    /// The versions that may change a render.
    pub const fn tools(&self) -> &Tools {
        &self.tools
    }

    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub const fn args(&self) -> &ProjectArgs {
        &self.args
    }

    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The folder that Alembic runs in, absolute.
    pub fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Where programs are looked for: the folder of the project's Python comes before those of `PATH`.
    pub fn search_path(&self) -> Vec<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        self.python.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path)).collect()
    }

    /// Lists the revisions anew, as they are on the disk by now.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn list_again(&mut self) -> Result<(), ProjectError> {
        discover::list(self)
    }

    /// From now on nothing stops what this project runs but its time limit.
    pub fn stop_for_nobody(&mut self) {
        self.stop = Stop::default();
    }

    /// What was noticed while the project was read.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Every revision that Alembic lists.
    ///
    /// # Errors
    /// When the project has none, or they contradict each other.
    pub fn history(&self) -> Result<History, ProjectError> {
        let revisions: Vec<Revision> = self.revisions.iter().map(|l| l.revision.clone()).collect();
        let heads = revisions.iter().filter(|r| r.is_head).map(|r| r.revision.clone()).collect();
        Ok(History { ends: None, heads, revisions })
    }

    /// The history as a file of evidence.
    ///
    /// # Errors
    /// When it can't be written in the format: an identifier of a form that is not known.
    pub fn history_file(&self, from: &str, to: &str) -> Result<MigrationHistory, ProjectError> {
        let History { heads, revisions, .. } = self.history()?;
        let file = MigrationHistory {
            format: HistoryFormat::default(),
            version: Version1,
            generated_by: format!("countersign {}, alembic {}", self.tools.countersign, self.tools.alembic),
            from: from.to_owned(),
            to: to.to_owned(),
            heads,
            revisions,
        };
        file.check().map_err(|e| {
            ProjectError::new("E15", e.to_string(), "Rename the revision, or report this as a defect.")
        })?;
        Ok(file)
    }

    /// Full identifiers for two ends that may be abbreviated, relative (`ae1027+1`) or `head`, one line apart.
    ///
    /// # Errors
    /// When an end is unknown or not unique, or no single line leads from one to the other.
    pub fn resolve(&self, from: &str, to: &str) -> Result<(String, String), ProjectError> {
        let history = self.history()?;
        let end = |text| graph::resolve(&history, text).map_err(refused);
        let (from, to) = (end(from)?, end(to)?);
        graph::line(&history, &from, &to).map_err(refused)?;
        Ok((from, to))
    }

    /// The revisions after `from` up to `to`, oldest first.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub fn line(&self, from: &str, to: &str) -> Result<Vec<String>, ProjectError> {
        graph::line(&self.history()?, from, to).map_err(refused)
    }

    /// The offline SQL from one full revision to another: for a downgrade, `from` is the newer one. Rendered three times,
    /// with two hash seeds, against a database that does not exist.
    ///
    /// # Errors
    /// When it can't be rendered, by cause.
    pub fn render(
        &self,
        direction: Direction,
        dialect: Dialect,
        from: &str,
        to: &str,
    ) -> Result<Render, ProjectError> {
        render::render(self, direction, dialect, from, to)
    }

    /// The digests of every script after `from` up to `to`, `env.py` and the settings.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn manifest(&self, from: &str, to: &str) -> Result<MigrationManifest, ProjectError> {
        manifest::manifest(self, from, to)
    }

    /// The revisions that a database is at, as the project's own `env.py` finds them. The URL is passed in the
    /// environment only.
    ///
    /// # Errors
    /// When the project can't ask the database.
    pub fn current(&self, database_url: &str) -> Result<Vec<String>, ProjectError> {
        online::current(self, database_url)
    }

    /// Upgrades or downgrades a copy, and tells what was executed. A migration that fails is no error here.
    ///
    /// # Errors
    /// When it could not be run at all, was cut off, or left no trace.
    pub fn online(
        &self,
        direction: Direction,
        target: &str,
        database_url: &str,
        step: &str,
    ) -> Result<Online, ProjectError> {
        online::online(self, direction, target, database_url, step)
    }

    /// A URL of the scheme that the project wants, with everything after it as given.
    pub fn with_scheme(&self, dialect: Dialect, rest: &str) -> String {
        let given = self.args.url_scheme.as_deref().filter(|scheme| scheme.starts_with(family(dialect)));
        let scheme = given.unwrap_or(match dialect {
            Dialect::Sqlite => "sqlite",
            Dialect::PostgreSql => "postgresql",
            Dialect::MySql => "mysql+pymysql",
        });
        format!("{scheme}://{rest}")
    }
}

const fn family(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "sqlite",
        Dialect::PostgreSql => "postgres",
        // MariaDB too.
        Dialect::MySql => "m",
    }
}

fn refused(refusal: graph::Refusal) -> ProjectError {
    ProjectError { code: refusal.code, message: refusal.message, advice: refusal.advice, exit: 1 }
}
