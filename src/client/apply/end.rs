//! How a run ended: read from the database, told to the portal, and said to whoever waits.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::execution::{Ended, LogEnd};
use super::state::{Phase, Record, Slot};
use super::{Target, checks, database_url};
use crate::client::output::{Done, Exit, Failure, note};
use crate::client::portal::shapes::Run;
use crate::client::portal::{Portal, PortalError};
use crate::client::project::Project;
use crate::domain::run::{Method, Outcome, RunStatus};

/// How long the portal may be away when a run has ended, before somebody has to come back.
const PATIENCE: Duration = Duration::from_mins(1);

/// What ends a run.
#[derive(Clone, Copy)]
pub(super) struct Ending<'a> {
    pub target: &'a Target,
    pub portal: &'a Portal,
    pub slot: &'a Slot,
    pub project: &'a Project,
}

/// What a client can honestly say: the database has the last word, and what it does not bear out is partial.
pub(super) fn outcome(ended: Option<Ended>, after: Option<&str>, from: &str, to: &str) -> Outcome {
    match (ended, after) {
        (Some(Ended::Code(0)) | None, Some(after)) if after == to => Outcome::Succeeded,
        (Some(Ended::Code(0)), _) => Outcome::Partial,
        (Some(_) | None, None) => Outcome::Failed,
        (Some(_) | None, Some(after)) if after == from => Outcome::Failed,
        (Some(_) | None, Some(_)) => Outcome::Partial,
    }
}

impl Ending<'_> {
    /// Reads where the database is, and reports it.
    pub fn report(self, record: &Record, ended: Option<Ended>, log: LogEnd) -> Result<Done, Failure> {
        let after = self.revision();
        let outcome = outcome(ended, after.as_deref(), &record.from, &record.to);
        let run = self.finish(record, outcome, after.as_deref())?;
        self.slot.forget(log != LogEnd::Whole);
        if log != LogEnd::Whole {
            let why = if log == LogEnd::Cut { "only up to its cap" } else { "not whole" };
            note(&format!(
                "The portal has the log {why}; all of it is in {}.",
                self.slot.log_path().display()
            ));
        }
        self.said(record, &run, after.as_deref())
    }

    /// Ends a run whose command was never started.
    pub fn not_started(self, record: &Record, failure: Failure) -> Failure {
        let after = self.revision();
        match self.finish(record, Outcome::Failed, after.as_deref()) {
            Ok(run) => {
                self.slot.forget(false);
                let message = format!("{} Run {} ended {}.", failure.message, run.id, run.status);
                Failure { message, ..failure }
            }
            Err(unreported) => unreported,
        }
    }

    /// Where the database is; nothing if it does not say.
    fn revision(self) -> Option<String> {
        let read = database_url().and_then(|url| Ok(self.project.current(&url)?));
        match read {
            Ok(revisions) if revisions.len() > 1 => {
                note(&format!("The database is at several revisions: {}.", checks::one(&revisions)));
                None
            }
            Ok(revisions) => Some(checks::one(&revisions)).filter(|text| !text.is_empty()),
            Err(failure) => {
                note(&format!("The database’s revision can’t be read: {}", failure.message));
                None
            }
        }
    }

    fn finish(self, record: &Record, outcome: Outcome, after: Option<&str>) -> Result<Run, Failure> {
        let id = record.run.ok_or_else(|| Failure::failed("state", "The run’s id is not known here."))?;
        let restores = record.method == Some(Method::Restore);
        let body = json!({
            "outcome": outcome,
            "exit_code": record.exit_code,
            "revision_before": record.revision_before.as_deref().filter(|text| !text.is_empty()),
            "revision_after": after,
            "backup_restored": restores && outcome == Outcome::Succeeded,
            "prior_tag_redeployed": record.prior_tag_redeployed,
        });
        let started = Instant::now();
        loop {
            match self.tell(&format!("/runs/{id}/finish"), &body) {
                Ok(run) => return Ok(run),
                Err(error) if error.leaves_open() && started.elapsed() < PATIENCE => {
                    thread::sleep(Duration::from_secs(1));
                }
                Err(error) => return Err(self.unreported(error, record, after)),
            }
        }
    }

    fn tell(self, path: &str, body: &Value) -> Result<Run, PortalError> {
        self.portal.report(path, Some(body), true)?.read()
    }

    fn unreported(self, error: PortalError, record: &Record, after: Option<&str>) -> Failure {
        let refused = !error.leaves_open();
        let somebody_else = error.is_about_the_caller();
        let failure = Failure::from(error);
        let exit = if refused { failure.exit } else { Exit::Unreachable };
        let code = match (record.exit_code, record.phase) {
            (Some(code), _) => format!("ended with {code}"),
            (None, Phase::Started | Phase::Ended) => "ended in a way nobody saw".to_owned(),
            (None, Phase::Prepared | Phase::Redeemed) => "was not started".to_owned(),
        };
        let at = after.unwrap_or("a revision that can’t be read");
        Failure {
            exit,
            message: format!(
                "{} The command {code} and the database is at {at}, which the portal does not know yet.",
                failure.message
            ),
            advice: Some(if somebody_else {
                let resume = self.target.resume_command();
                format!("With an API token of whoever redeemed, and the scope apply: {resume}.")
            } else if refused {
                "A person has to look at the database and record a verdict on the run’s page.".to_owned()
            } else {
                format!("When the portal answers again: {}.", self.target.resume_command())
            }),
            ..failure
        }
    }

    /// The portal's word on how it ended.
    fn said(self, record: &Record, run: &Run, after: Option<&str>) -> Result<Done, Failure> {
        let at = after.map_or_else(|| "its revision can’t be read".to_owned(), |at| format!("it is at {at}"));
        let page = self.portal.page(&format!("/tickets/{}/stages/{}/run", run.ticket, run.stage));
        let code = record.exit_code.map_or_else(|| "in a way nobody saw".to_owned(), |c| format!("with {c}"));
        let failed = |code: &str, message: String, advice: String| {
            Err(Failure::failed(code, format!("{message}\n  {page}")).advise(advice))
        };
        let target = self.target;
        match run.status {
            RunStatus::Succeeded => Ok(Done::new(
                format!("{target} succeeded: the database is at {}.\n{page}", record.to),
                json!({
                    "run": run.id, "status": run.status, "exit_code": record.exit_code,
                    "revision_before": record.revision_before, "revision_after": after, "log_cut": run.log_cut,
                    "log_bytes": run.log_bytes,
                }),
            )),
            RunStatus::Failed if after.is_some() => failed(
                "run-failed",
                format!("{target} failed: the command ended {code}; the database, by its revision, is where it was, at {}.", record.from),
                "Where the database has no transactional DDL (SQLite, MySQL), look for half a change first. Another run needs \
                 fresh approvals."
                    .to_owned(),
            ),
            RunStatus::Failed | RunStatus::Partial if after.is_none() => failed(
                "run-unverified",
                format!("{target} ended {code}, and where it left the database is not known."),
                "A person has to look at the database and record a verdict on the run’s page.".to_owned(),
            ),
            RunStatus::Failed | RunStatus::Partial => failed(
                "run-partial",
                format!("{target} is partial: the command ended {code}; of the database, {at}, not at {}.", record.to),
                "Record a verdict on the run’s page; a rollback starts from where the database is, with its own dry run."
                    .to_owned(),
            ),
            RunStatus::Running | RunStatus::Unknown => failed(
                "run-unknown",
                format!(
                    "{target} was silent for longer than its lease, so the portal keeps what is said now as evidence: the command \
                     ended {code}; of the database, {at}."
                ),
                "A person has to record a verdict on the run’s page.".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_called_a_success_that_the_database_does_not_bear_out() {
        let (code, signal) = (|c| Some(Ended::Code(c)), Some(Ended::Signal(9)));
        for (ended, after, said) in [
            (code(0), Some("to"), Outcome::Succeeded),
            (code(0), Some("from"), Outcome::Partial),
            (code(0), Some("between"), Outcome::Partial),
            (code(0), None, Outcome::Partial),
            (code(1), Some("from"), Outcome::Failed),
            (code(1), Some("to"), Outcome::Partial),
            (code(1), Some("between"), Outcome::Partial),
            (code(1), None, Outcome::Failed),
            (signal, Some("from"), Outcome::Failed),
            (signal, Some("to"), Outcome::Partial),
            (None, Some("to"), Outcome::Succeeded),
            (None, Some("from"), Outcome::Failed),
            (None, Some("between"), Outcome::Partial),
            (None, None, Outcome::Failed),
        ] {
            assert_eq!(outcome(ended, after, "from", "to"), said, "{ended:?} {after:?}");
        }
    }
}
