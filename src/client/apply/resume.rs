//! `--resume`: finds out what is true from this machine's record, the database and the portal, and reports it. It starts
//! nothing: a command that may have run is not run again by a program.

use serde_json::json;

use super::end::Ending;
use super::execution::{Ended, Execution, LogEnd};
use super::state::{Phase, Record, Slot};
use super::{Common, Target, leftover, redeem};
use crate::client::output::{Done, Failure, note};
use crate::client::portal::shapes::{Run, Ticket};
use crate::client::portal::{Portal, PortalError};
use crate::client::project::Project;
use crate::domain::run::RunStatus;

pub(super) fn resume(
    options: &Common,
    target: &Target,
    portal: &Portal,
    slot: &Slot,
) -> Result<Done, Failure> {
    let Some(mut record) = slot.read()? else { return elsewhere(target, portal) };
    if (record.direction, record.method) != (target.direction, target.method) {
        let method = record.method.map_or_else(String::new, |method| format!(" --method {method}"));
        return Err(Failure::usage(format!(
            "What was cut off here is a {}{method} of {}, not this.",
            record.direction, target.at
        )));
    }
    let Some(run) = run_of(portal, &record)? else {
        no_other_run(target, portal)?;
        let token = redeem::take_back(portal, target, &record);
        slot.forget(false);
        return Err(Failure::failed(
            "not-redeemed",
            format!("{target} was cut off before its token was redeemed: nothing ran, and {token}."),
        )
        .advise("Run the command again."));
    };
    record.run = Some(run.id);
    if record.phase == Phase::Prepared {
        record.phase = Phase::Redeemed;
    }
    slot.write(&record)?;
    if settled(run.status) {
        // Whatever the portal was told of how it ended, a command that still runs is not forgotten.
        slot.nothing_runs()?;
        slot.forget(false);
        return already(target, portal, &run);
    }
    let project = Project::open(&options.project)?;
    let ending = Ending { target, portal, slot, project: &project };
    if record.phase == Phase::Redeemed {
        let message =
            format!("{target} was cut off after its token was redeemed and before the command was started.");
        return Err(ending.not_started(&record, Failure::failed("not-started", message)));
    }
    let execution = Execution::new(options, portal, slot, &run);
    if slot.still_running()? {
        let who = leftover::words(&leftover::holders(&slot.log_path()));
        note(&format!("The command is still running: {who}. It is accompanied to its end."));
    }
    let log = execution.rejoin();
    let ended = match (record.phase, record.exit_code.and_then(|code| i32::try_from(code).ok())) {
        (Phase::Ended, Some(code)) => Some(Ended::Code(code)),
        // Whoever could have seen how it ended is gone.
        _ => None,
    };
    // The log of a run that nobody reports on any more may be refused; its end is what counts.
    let log = if run.log_cut { LogEnd::Cut } else { log };
    ending.report(&record, ended, log)
}

/// A run that is open on the stage may be the one that the record speaks of, opened under another name: another person's
/// API token finds no run under the key.
pub(super) fn no_other_run(target: &Target, portal: &Portal) -> Result<(), Failure> {
    let ticket: Ticket = portal.get(&format!("/tickets/{}", target.at.ticket))?;
    let stage = ticket.stages.into_iter().find(|stage| stage.name == target.at.stage);
    match stage.and_then(|stage| stage.last_run).filter(|run| !settled(run.status)) {
        None => Ok(()),
        Some(run) => Err(Failure::refused(
            "run-open",
            format!("Run {} of {} is {}, and may be the one that was cut off here.", run.id, target.at, run.status),
        )
        .advise(
            "Resume with an API token of whoever started it; if nobody has one, record a verdict on the run’s page.",
        )),
    }
}

/// The run that the record speaks of; none if its token was never redeemed.
pub(super) fn run_of(portal: &Portal, record: &Record) -> Result<Option<Run>, PortalError> {
    let path = match record.run {
        Some(id) => format!("/runs/{id}"),
        None => format!(
            "/tickets/{}/stages/{}/redemptions/{}",
            record.ticket,
            crate::client::portal::segment(&record.stage),
            record.key
        ),
    };
    match portal.get(&path) {
        Ok(run) => Ok(Some(run)),
        Err(error) if error.code() == Some("not-found") && record.run.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

const fn settled(status: RunStatus) -> bool {
    matches!(status, RunStatus::Succeeded | RunStatus::Failed | RunStatus::Partial)
}

/// The portal knows how the run ended: by this machine's report, whose answer got lost, or by a person's verdict.
fn already(target: &Target, portal: &Portal, run: &Run) -> Result<Done, Failure> {
    let page = portal.page(&format!("/tickets/{}/stages/{}/run", run.ticket, run.stage));
    let at = run.revision_after.as_deref().unwrap_or("a revision that nobody named");
    let text = format!("{target} is recorded as {}, with the database at {at}.\n{page}", run.status);
    if run.status == RunStatus::Succeeded {
        let document = json!({"run": run.id, "status": run.status, "revision_after": run.revision_after});
        return Ok(Done::new(text, document));
    }
    Err(Failure::failed(&format!("run-{}", run.status), text))
}

/// Nothing was cut off on this machine; the portal may know of a run that was, elsewhere.
fn elsewhere(target: &Target, portal: &Portal) -> Result<Done, Failure> {
    let ticket: Ticket = portal.get(&format!("/tickets/{}", target.at.ticket))?;
    let stage = ticket.stages.into_iter().find(|stage| stage.name == target.at.stage);
    let stage =
        stage.ok_or_else(|| Failure::failed("no-such-stage", format!("There is no {}.", target.at)))?;
    match stage.last_run {
        Some(run) if settled(run.status) => already(target, portal, &run),
        Some(run) => Err(Failure::failed(
            "run-elsewhere",
            format!(
                "Run {} of {} is {}, and was not started from this machine’s state folder.",
                run.id, target.at, run.status
            ),
        )
        .advise(
            "Resume it where it was started; if that machine is gone, record a verdict on the run’s page.",
        )),
        None => Err(Failure::failed(
            "nothing-ran",
            format!("Nothing was cut off here, and nothing ran: {}.", target.at),
        )
        .advise("Run the command without --resume.")),
    }
}
