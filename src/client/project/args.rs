//! Where a project is and how it is run.

use std::path::PathBuf;

use crate::sql::dialect::Dialect;

/// How to find and run the Alembic project.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ProjectArgs {
    /// The project's folder; paths in the evidence are below it.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub project: PathBuf,
    /// Alembic's settings, in the project or here; without it, the one alembic.ini in the project.
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The section of the settings, as `alembic -n`.
    #[arg(long, short, value_name = "SECTION")]
    pub name: Option<String>,
    /// The project's own Python; without it that of `$VIRTUAL_ENV`, the project's .venv, or python3.
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// An argument for env.py, as `alembic -x`; `{url}` in it becomes the database's URL. May be repeated.
    #[arg(short, value_name = "ARG")]
    pub x: Vec<String>,
    /// The folder to run in, where that is not the project's.
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// A variable of the environment that the project needs; no other is passed on. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub pass_env: Vec<String>,
    /// A variable, besides `DATABASE_URL`, in which the project expects the database's URL. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub url_env: Vec<String>,
    /// What the project's URLs begin with, such as postgresql+psycopg2.
    #[arg(long, value_name = "SCHEME")]
    pub url_scheme: Option<String>,
    /// Whose SQL to render: that of production. Without it, that of the snapshot, or to apply, of the approved report.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    pub dialect: Option<Dialect>,
    /// Seconds that one step may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub time_limit: u64,
    /// The table in which Alembic keeps the revision.
    #[arg(long, value_name = "NAME", default_value = crate::sql::classify::VERSION_TABLE)]
    pub version_table: String,
    /// The schema of that table.
    #[arg(long, value_name = "NAME")]
    pub version_table_schema: Option<String>,
    /// Keep what every step printed in this folder, which must not exist.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

fn dialect(text: &str) -> Result<Dialect, String> {
    Dialect::ALL
        .into_iter()
        .find(|dialect| dialect.name() == text)
        .ok_or_else(|| "expected sqlite, postgresql or mysql".to_owned())
}
