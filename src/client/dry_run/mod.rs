//! `countersign dry-run`: everything that a stage needs as evidence, made in one go from a project and a snapshot.

mod evidence;
mod interrupt;
mod options;
mod recovered;
mod report;
mod steps;
mod text;

use std::fmt::Write as _;

use serde_json::{Value, json};

pub use evidence::Evidence;
pub use options::Options;

use super::project::ProjectError;
use crate::alembic::report::{DryRunReport, Outcome};
use crate::domain::digest::Digest;

/// A dry run that came to a report, good or bad.
#[derive(Debug)]
pub struct Finished {
    pub evidence: Evidence,
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Why the rehearsal failed, if it did: the evidence is there, but no gate opens for it.
    pub failed: Option<ProjectError>,
}

/// Rehearses, and writes the files.
///
/// # Errors
/// When there is nothing to report: no project, no database, no line of revisions.
pub fn run(options: &Options) -> Result<Finished, ProjectError> {
    let stop = interrupt::listen();
    let made = steps::run(options, &stop)?;
    let evidence = evidence::write(options, &made)?;
    let report = &evidence.report;
    let files: Vec<Value> = evidence
        .files
        .iter()
        .map(|(kind, name, path)| {
            let sha256 = std::fs::read(path).map(|bytes| Digest::of(&bytes).to_string()).unwrap_or_default();
            json!({"kind": kind, "name": name, "path": path, "sha256": sha256})
        })
        .collect();
    let text = text::human(&made.project, &evidence);
    let mut json = json!({"outcome": report.subject.outcome, "files": files, "report": report});
    if let Some(snapshot) = &evidence.snapshot {
        json["snapshot"] = json!(snapshot);
    }
    let failed = (report.subject.outcome == Outcome::Failed).then(|| failure(report));
    Ok(Finished { evidence, text, json, failed })
}

fn failure(report: &DryRunReport) -> ProjectError {
    let mut message = String::new();
    let failed =
        report.subject.steps.iter().filter(|s| s.status == crate::alembic::report::StepStatus::Failed);
    let mut code = "E40";
    for step in failed {
        let why = step.why.as_deref().unwrap_or_default();
        if let Some(known) = CODES.iter().find(|known| why.starts_with(*known)) {
            code = known;
        }
        let _ =
            write!(message, "{}step {} failed: {why}", if message.is_empty() { "" } else { "; " }, step.name);
    }
    ProjectError::new(code, message, advice(code))
}

/// Codes that a failed step's reason may begin with.
const CODES: [&str; 8] = ["E40", "E41", "E43", "E50", "E52", "E37", "E03", "E30"];

fn advice(code: &str) -> &'static str {
    match code {
        "E41" => {
            "Let env.py take the URL from DATABASE_URL or sqlalchemy.url, or name its variable with --url-env."
        }
        "E43" => {
            "Don't have this SQL approved: make the migration the same offline and online, or have what was executed approved \
             with --no-render REASON."
        }
        "E50" => "Mend the downgrade, or declare that there is no way back with --no-downgrade REASON.",
        "E52" => "Mend the downgrade: it must end at the revision that it began from.",
        "E37" => "Render the SQL again from a clean checkout.",
        _ => "Mend the migration or the data, and run the dry run again on a fresh copy.",
    }
}
