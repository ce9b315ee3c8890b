//! The command line that release engineers and their pipelines use.
//!
//! It speaks to the portal over HTTP only. Databases, their credentials and snapshots stay on the machine it runs on.

pub mod dry_run;
pub mod project;
pub mod rehearsal;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

/// The commands of the client's side.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render both directions, rehearse on a copy of a snapshot, and write the evidence.
    DryRun(Box<DryRun>),
}

/// A dry run and the form of its answer.
#[derive(Debug, clap::Args)]
pub struct DryRun {
    #[command(flatten)]
    options: dry_run::Options,
    /// Answer with one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// Runs a command: 0 done, 1 failed, 2 can't be asked like this, 3 refused.
pub fn run(command: Command) -> ExitCode {
    let Command::DryRun(command) = command;
    let (text, failed) = match dry_run::run(&command.options) {
        Ok(done) => (if command.json { done.json.to_string() } else { done.text }, done.failed),
        Err(error) => {
            let json =
                json!({"error": {"code": error.code, "message": error.message, "advice": error.advice}});
            (if command.json { json.to_string() } else { String::new() }, Some(error))
        }
    };
    if !text.is_empty() {
        let _closed = writeln!(std::io::stdout().lock(), "{text}");
    }
    match failed {
        None => ExitCode::SUCCESS,
        Some(error) => {
            let _closed = writeln!(
                std::io::stderr().lock(),
                "countersign: {}: {}\n  {}",
                error.code,
                error.message,
                error.advice
            );
            ExitCode::from(error.exit)
        }
    }
}
