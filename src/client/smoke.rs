//! `countersign smoke`: runs the smoke tests as they are, and attaches the report that they write.

use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use serde_json::json;

use super::OnStage;
use super::attach::{Attached, attach};
use super::output::{Done, Failure};
use crate::alembic::junit;
use crate::domain::artifact::ArtifactKind;

#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub on: OnStage,
    /// The JUnit XML report that the command writes; it is attached as the stage's smoke report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// What to run, such as `pytest backend/tests --junit-xml=smoke.xml`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(options: &Options) -> Result<Done, Failure> {
    let portal = options.on.with.open()?;
    if let Some(path) = &options.junit {
        // A report of another day must not stand for tests that wrote none.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::file(path, &error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    let (program, arguments) =
        options.command.split_first().ok_or_else(|| Failure::usage("What is to be run?"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    super::without_secrets(&mut command);
    if options.on.with.json {
        command.stdout(std::io::stderr());
    }
    let status = command
        .status()
        .map_err(|error| Failure::failed("not-started", format!("{program} can’t be started: {error}.")))?;
    let attached = options.junit.as_ref().map(|path| report(&portal, options, path)).transpose();
    let attached = attached
        .map_err(|failure| failure.with_document(json!({"exit_code": status.code(), "passed": false})))?;
    let document = json!({
        "exit_code": status.code(),
        "report": attached.as_ref().map(|(attached, _)| attached.json()),
        "passed": status.success() && attached.as_ref().is_none_or(|(_, passed)| *passed),
    });
    if !status.success() {
        let how = status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        return Err(
            Failure::failed("smoke-failed", format!("The smoke tests ended {how}.")).with_document(document)
        );
    }
    match attached {
        Some((_, false)) => Err(Failure::failed(
            "smoke-failed",
            "The command ended with 0, but its report holds no test that passed, or one that failed.",
        )
        .with_document(document)),
        Some((attached, true)) => Ok(Done::new(
            format!("The smoke tests passed; their report is version {} of the stage’s.", attached.version),
            document,
        )),
        None => Ok(Done::new(
            "The smoke tests passed, which nobody has told the portal yet: let them write JUnit XML and name it with \
             --junit FILE, or state the smoke items on the run’s page or with `countersign ticket attest`.",
            document,
        )),
    }
}

/// Attaches the report, whether the tests passed or not: a failed one is evidence too.
fn report(
    portal: &super::Portal,
    options: &Options,
    path: &std::path::Path,
) -> Result<(Attached, bool), Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::file(path, &error).advise("The command has to write its JUnit XML there.")
    })?;
    let facts = junit::read(&bytes).map_err(|error| Failure::failed("no-report", error.to_string()))?;
    let attached = attach(portal, &options.on.at, ArtifactKind::SmokeReport, None, path)?;
    Ok((attached, facts.passed()))
}
