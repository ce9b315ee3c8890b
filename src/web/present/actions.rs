//! The ways on from a stage: what can be done next, and why not. Every one is asked of the domain.

use super::Judged;
use super::rail::{Standing, standing};
use crate::domain::artifact::ArtifactKind;
use crate::domain::facts::Facts;
use crate::domain::refusal::Refusal;
use crate::domain::ticket::TicketState;
use crate::domain::transition::{TicketAction, decide_ticket};
use crate::domain::user::{Actor, Role};
use crate::web::paths;
use crate::web::view::work::Action;

/// The buttons of a stage's page, the one thing to do last and primary.
pub fn of_stage(stages: &[Judged], stage: &Judged, reader: &Actor) -> Vec<Action> {
    let mut actions = Vec::new();
    let page = |name: &str| format!("{}/{name}", stage.href());
    if stage.facts.this.newest(ArtifactKind::UpgradeSql).is_some() {
        actions.push(Action::new("Review SQL", page("diff")).icon("file-diff"));
    }
    if stage.last_run().is_some() {
        actions.push(Action::new("Run", page("run")).icon("terminal"));
    }
    actions.extend(token(stage, reader));
    actions.extend(decide(stage, reader));
    actions.extend(completion(stages, stage, reader));
    // One primary button on a page: the last of what is possible.
    let mut seen = false;
    for action in actions.iter_mut().rev() {
        action.primary &= !seen && action.refused.is_none();
        seen |= action.primary;
    }
    actions
}

fn token(stage: &Judged, reader: &Actor) -> Option<Action> {
    let page = format!("{}/token", stage.href());
    let open = stage.facts.ticket.state == TicketState::Open;
    if matches!(standing(stage), Standing::Released { .. }) {
        return Some(Action::new("Apply token", page).icon("key-round"));
    }
    // What has been applied is undone from the page of its run.
    if !open || !reader.has(Role::Engineer) || stage.facts.this.standing_upgrade().is_some() {
        return None;
    }
    let release = Action::new("Release apply token", page).icon("key-round");
    Some(match stage.may_release(reader) {
        Ok(()) => release.primary(),
        Err(refusal) => release.refused(words(&refusal)),
    })
}

fn decide(stage: &Judged, reader: &Actor) -> Option<Action> {
    let open = stage.facts.ticket.state == TicketState::Open;
    if !open || !reader.has(Role::Board) || stage.facts.this.standing_upgrade().is_some() {
        return None;
    }
    let page = format!("{}/decide", stage.href());
    if stage.own_vote(reader).is_some() {
        return Some(Action::new("Your signature", page).icon("pen-line"));
    }
    let sign = Action::new("Approve or reject", page);
    Some(match stage.may_approve(reader) {
        // Enough have signed: another signature is welcome, and not the thing to do.
        Ok(()) if stage.report.tally.approvals.len() as u64 >= u64::from(stage.report.quorum) => sign,
        Ok(()) => sign.primary(),
        Err(refusal) => sign.refused(words(&refusal)),
    })
}

fn completion(stages: &[Judged], stage: &Judged, reader: &Actor) -> Option<Action> {
    let page = format!("{}/completion", paths::ticket(stage.facts.ticket.number));
    match stage.facts.ticket.state {
        TicketState::Completed => Some(Action::new("Completion notes", page).primary()),
        TicketState::Open => may_complete(stages, reader).then(|| Action::new("File notes", page).primary()),
        TicketState::Draft | TicketState::Abandoned => None,
    }
}

/// Whether only the words of the notes are missing.
pub fn may_complete(stages: &[Judged], reader: &Actor) -> bool {
    let complete = TicketAction::Complete { notes: ".", retrospective: Some(".") };
    about_ticket(stages, reader, complete).is_ok()
}

/// Asks the domain about the ticket as a whole.
///
/// # Errors
/// The refusal that the write path would answer.
pub fn about_ticket(stages: &[Judged], reader: &Actor, action: TicketAction<'_>) -> Result<(), Refusal> {
    let facts: Vec<Facts> = stages.iter().map(|stage| stage.facts.clone()).collect();
    decide_ticket(&facts, reader, action).map(drop)
}

/// Editing, for an engineer: with the reason where it is too late.
pub fn edit(stages: &[Judged], reader: &Actor) -> Option<Action> {
    let ticket = &stages.first()?.facts.ticket;
    if ticket.state != TicketState::Open || !reader.has(Role::Engineer) {
        return None;
    }
    let edit = Action::new("Edit", format!("{}/edit", paths::ticket(ticket.number))).icon("pen-line");
    Some(match about_ticket(stages, reader, TicketAction::Edit) {
        Ok(()) => edit,
        Err(refusal) => edit.refused(words(&refusal)),
    })
}

/// A refusal beside a button. Whole lists of gates stand on the page already.
pub fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::GatesClosed(report) => {
            let shut = report.blocked().count();
            let (is, all) = (if shut == 1 { "is" } else { "are" }, report.gates.len());
            let gates = if shut == 1 { "gate" } else { "gates" };
            format!("{shut} {gates} of {all} {is} blocked.")
        }
        Refusal::EvidenceIncomplete(_) => "The evidence is not complete yet.".to_owned(),
        other => other.to_string(),
    }
}
