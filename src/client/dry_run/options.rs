//! What a dry run is asked.

use std::path::PathBuf;

use crate::client::project::{ProjectArgs, ProjectError};
use crate::client::rehearsal::ServerUrl;
use crate::domain::time::Timestamp;

/// Render both directions, rehearse on a copy of a snapshot, and write the evidence.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// A SQLite file, or what `pg_dump` wrote. It is only ever read.
    #[arg(long, value_name = "FILE")]
    pub snapshot: PathBuf,
    /// The revision to begin at; without it, the one that the snapshot is at.
    #[arg(long, value_name = "REV")]
    pub from: Option<String>,
    /// The revision to come to; without it, the only head.
    #[arg(long, value_name = "REV")]
    pub to: Option<String>,
    /// A PostgreSQL server, without a password, where a scratch database may be made for a dump. With a password, give it
    /// in `COUNTERSIGN_SCRATCH_URL`.
    #[arg(long, value_name = "URL")]
    pub scratch_url: Option<String>,
    /// Where the snapshot comes from, in words; without it, the file's name.
    #[arg(long, value_name = "TEXT")]
    pub origin: Option<String>,
    /// When the snapshot was taken; without it, when the file was last changed.
    #[arg(long, value_name = "TIME")]
    pub taken_at: Option<Timestamp>,
    /// Declare that there is no way back, and why: the downgrade is neither rendered nor rehearsed.
    #[arg(long, value_name = "REASON")]
    pub no_downgrade: Option<String>,
    /// Declare that offline SQL can't stand for the upgrade, and why: the SQL that was executed on the copy is taken
    /// instead.
    #[arg(long, value_name = "REASON")]
    pub no_render: Option<String>,
    /// Apply the offline SQL to a second copy and compare; done anyway where statements differ.
    #[arg(long)]
    pub verify_sql: bool,
    /// The folder for all files that have no option of their own.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The upgrade SQL.
    #[arg(long, value_name = "FILE")]
    pub sql_output: Option<PathBuf>,
    /// The downgrade SQL.
    #[arg(long, value_name = "FILE")]
    pub downgrade_sql_output: Option<PathBuf>,
    /// The dry-run report.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The migration history.
    #[arg(long, value_name = "FILE")]
    pub history_output: Option<PathBuf>,
    /// The migration manifest.
    #[arg(long, value_name = "FILE")]
    pub manifest_output: Option<PathBuf>,
    /// The backup manifest of the snapshot.
    #[arg(long, value_name = "FILE")]
    pub backup_manifest_output: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Project")]
    pub project: ProjectArgs,
}

/// Where everything goes if nobody says where.
const OUT: &str = "countersign-dry-run";

/// The variable for a URL with a password.
const SCRATCH: &str = "COUNTERSIGN_SCRATCH_URL";

impl Options {
    pub(super) fn scratch(&self) -> Result<Option<ServerUrl>, ProjectError> {
        let (text, argument) = match &self.scratch_url {
            Some(text) => (text.clone(), true),
            None => match std::env::var(SCRATCH) {
                Ok(text) if !text.is_empty() => (text, false),
                _ => return Ok(None),
            },
        };
        let url: ServerUrl = text.parse().map_err(|why| {
            ProjectError::usage("E23", format!("the scratch URL can't be read: {why}."), "Check its form.")
        })?;
        if argument && url.password().is_some() {
            return Err(ProjectError::usage(
                "E23",
                "the scratch URL on the command line holds a password, which everybody on this machine can read there.",
                format!("Give it in {SCRATCH} instead, and change the password."),
            ));
        }
        Ok(Some(url))
    }

    /// Where everything goes that has no option of its own; none if only single files are wanted.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let only_single = self.single().iter().any(Option::is_some);
        self.out.clone().or_else(|| (!only_single).then(|| PathBuf::from(OUT)))
    }

    /// The options for single files, in the order in which evidence lists them.
    pub(super) fn single(&self) -> [Option<&PathBuf>; 6] {
        [
            self.sql_output.as_ref(),
            self.downgrade_sql_output.as_ref(),
            self.report.as_ref(),
            self.history_output.as_ref(),
            self.manifest_output.as_ref(),
            self.backup_manifest_output.as_ref(),
        ]
    }
}
