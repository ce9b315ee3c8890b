//! The command line that release engineers and their pipelines use. It speaks to a portal over its JSON API and to Alembic
//! through the project's own Python; database credentials and snapshots never leave the machine.
//!
//! One file for each command. May use: domain, sql, alembic, clock, secret. May not enter: the portal's insides, an async
//! runtime, a secret as an argument.

mod apply;
mod attach;
mod complete;
pub mod dry_run;
mod observe;
mod output;
mod portal;
pub mod project;
pub mod rehearsal;
mod rehearse;
mod smoke;
mod ticket;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::clock::Env;
use crate::domain::id::TicketNumber;
use output::{Exit, Failure};
use portal::{Connection, Portal, segment};
use project::ProjectError;

/// The commands of the client's side.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// File, show and list tickets, wait for their gates, state what only a person knows.
    #[command(subcommand)]
    Ticket(ticket::Command),
    /// Render both directions, rehearse on a copy of a snapshot, write the evidence; with --ticket, attach it to a stage.
    #[command(after_help = rehearse::HELP)]
    DryRun(Box<rehearse::Options>),
    /// Attach a file to a stage; bytes that stand there already change nothing.
    Attach(attach::Options),
    /// Apply a stage: check that what runs is what was approved, redeem the apply token, run the command, report.
    #[command(after_help = apply::APPLY_HELP)]
    Apply(Box<apply::Options>),
    /// Undo a stage's run, by downgrade or by restoring the backup, with the same checks as apply.
    #[command(after_help = apply::ROLLBACK_HELP)]
    Rollback(Box<apply::RollbackOptions>),
    /// Run the smoke tests of a stage and attach their report.
    Smoke(smoke::Options),
    /// Judge a stage after watching it.
    Observe(observe::Options),
    /// File the notes that close a ticket.
    Complete(complete::Options),
}

/// Runs a command and says how it ended: 0 done, 1 failed, 2 can't be asked like this, 3 refused by a gate, 4 the portal
/// can't be reached, 5 something does not verify.
pub fn run(command: Command) -> ExitCode {
    let json = match &command {
        Command::Ticket(command) => command.json(),
        Command::DryRun(options) => options.with.json,
        Command::Attach(options) => options.on.with.json,
        Command::Apply(options) => options.json(),
        Command::Rollback(options) => options.json(),
        Command::Smoke(options) => options.on.with.json,
        Command::Observe(options) => options.on.with.json,
        Command::Complete(options) => options.with.json,
    };
    let ended = match command {
        Command::Ticket(command) => ticket::run(command),
        Command::DryRun(options) => rehearse::run(&options),
        Command::Attach(options) => attach::run(&options),
        Command::Apply(options) => apply::run(&options),
        Command::Rollback(options) => apply::rollback(&options),
        Command::Smoke(options) => smoke::run(&options),
        Command::Observe(options) => observe::run(&options),
        Command::Complete(options) => complete::run(&options),
    };
    output::finish(ended, json)
}

/// Answers a command line that can't be taken apart, and one that asks for help or the version: as clap words it and with
/// its exit code, and with one document on standard output where `--json` is among the arguments.
pub fn misused(error: &clap::Error) -> ExitCode {
    output::misused(error, asks_for_json(std::env::args_os().skip(1)))
}

/// Whether `--json` is among the arguments. What follows `--` is another program's.
fn asks_for_json(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}

/// The portal that a command speaks to, and the form of its answer.
#[derive(Clone, Debug, Args)]
pub struct With {
    #[command(flatten)]
    connection: Connection,
    /// Answer with one JSON document on standard output.
    #[arg(long)]
    pub json: bool,
}

impl With {
    fn open(&self) -> Result<Portal, Failure> {
        self.connection.open()
    }
}

/// A stage of a ticket.
#[derive(Clone, Debug, Args)]
pub struct StageOf {
    /// The ticket's number, such as CHG-1.
    ticket: TicketNumber,
    /// The stage, such as staging.
    #[arg(long)]
    stage: String,
}

impl StageOf {
    /// Below the API's prefix.
    fn path(&self) -> String {
        format!("/tickets/{}/stages/{}", self.ticket, segment(&self.stage))
    }
}

/// A stage of a ticket, on a portal.
#[derive(Clone, Debug, Args)]
pub struct OnStage {
    #[command(flatten)]
    pub with: With,
    #[command(flatten)]
    at: StageOf,
}

impl fmt::Display for StageOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.ticket, self.stage)
    }
}

/// A key that no other request has.
fn fresh_key() -> String {
    Env::system().uuid().to_string()
}

/// A file's text, or standard input's for `-`.
fn text_of(path: &Path) -> Result<String, Failure> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|error| Failure::file(path, &error))
}

/// A length of time as people write it: `90s`, `30m`, `24h`.
fn length(text: &str) -> Result<Duration, String> {
    let length = crate::domain::length::read(text).map_err(|why| why.to_string())?;
    Duration::try_from(length).map_err(|error| error.to_string())
}

/// What runs for the project has no business with the portal's secrets.
fn without_secrets(command: &mut std::process::Command) {
    for name in ["COUNTERSIGN_API_TOKEN", "COUNTERSIGN_API_TOKEN_FILE", "COUNTERSIGN_APPLY_TOKEN"] {
        command.env_remove(name);
    }
}

impl From<ProjectError> for Failure {
    fn from(error: ProjectError) -> Self {
        let exit = match error.exit {
            2 => Exit::Usage,
            3 => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, error.code, error.message).advise(error.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_the_command_that_is_run_is_not_ours() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(OsString::from));
        assert!(asks("ticket show --json"));
        assert!(asks("apply CHG-1 --json -- alembic"));
        assert!(!asks("smoke CHG-1 -- pytest --json"));
        assert!(!asks("ticket show --jsonl"));
    }

    /// Names that clash are found when a command is typed, or here.
    #[test]
    fn the_command_line_holds_together() {
        Command::augment_subcommands(clap::Command::new("countersign")).debug_assert();
    }
}
