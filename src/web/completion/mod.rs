//! `/tickets/CHG-1/completion`: filing the notes that close a ticket, then the record to print.
//!
//! Every link of the record is made from what is stored. May not enter: an address that somebody typed as a proof.

mod events;
mod record;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;

use super::extract::Path;
use super::forms::Form;
use super::present::{self, Judged};
use super::session::Reader;
use super::view::forms::{ErrorSummary, Fault, Input};
use super::view::pages::completion::{CompletionPage, Filing};
use super::view::prose::Prose;
use super::view::shell::Nav;
use super::view::state::State as Lamp;
use super::view::work::Action;
use super::{Failure, Page, Site, WebState, error, frame, paths, respond};
use crate::domain::dossier::Dossier;
use crate::domain::id::TicketNumber;
use crate::domain::ticket::{FieldFault, TicketKind, TicketState};
use crate::domain::transition::{TicketAction, decide_ticket};
use crate::service::ServiceError;
use crate::web::view::format::Time;

pub fn routes() -> Router<WebState> {
    Router::new().route("/tickets/{number}/completion", get(show).post(file))
}

#[derive(Deserialize)]
struct Sent {
    /// The ticket's version that the writer saw.
    version: Option<i64>,
    #[serde(default)]
    notes: String,
    retrospective: Option<String>,
}

async fn show(State(site): State<WebState>, reader: Reader, Path((number,)): Path<(TicketNumber,)>) -> Page {
    let dossier = site.services.dossier(reader.actor(), number).await?;
    respond::page(&draw(&site, &reader, &dossier).await?)
}

async fn file(
    State(site): State<WebState>,
    reader: Reader,
    Path((number,)): Path<(TicketNumber,)>,
    Form(sent): Form<Sent>,
) -> Page {
    let dossier = site.services.dossier(reader.actor(), number).await?;
    if dossier.ticket.state == TicketState::Open
        && sent.version.is_some_and(|version| version != dossier.ticket.version)
    {
        let fault = FieldFault {
            field: "notes",
            message: "The ticket changed after you opened the page. Read the record below, then file again."
                .to_owned(),
        };
        return again(&site, &reader, &dossier, sent, StatusCode::CONFLICT, &[fault]).await;
    }
    let retrospective = sent.retrospective.as_deref();
    match site.services.complete_ticket(reader.actor(), number, &sent.notes, retrospective).await {
        Ok(_) => {
            let place = format!("{}/completion", paths::ticket(number));
            let words = "The notes are filed, and the ticket is closed.";
            Ok(respond::see_other_saying(&site, &place, Lamp::Open, words))
        }
        Err(error) => {
            let faults = error::faults(error)?;
            again(&site, &reader, &dossier, sent, StatusCode::UNPROCESSABLE_ENTITY, &faults).await
        }
    }
}

async fn again(
    site: &Site,
    reader: &Reader,
    dossier: &Dossier,
    sent: Sent,
    status: StatusCode,
    faults: &[FieldFault],
) -> Page {
    let mut page = draw(site, reader, dossier).await?;
    page.shell.title = format!("Error: {}", page.shell.title);
    let filing = page.filing.get_or_insert_default();
    filing.notes = Input::of(sent.notes);
    filing.retrospective = Input::of(sent.retrospective.unwrap_or_default());
    for fault in faults {
        let input =
            if fault.field == "retrospective" { &mut filing.retrospective } else { &mut filing.notes };
        input.error = Some(fault.message.clone());
    }
    let listed =
        faults.iter().map(|fault| Fault { field: fault.field.to_owned(), text: fault.message.clone() });
    filing.errors = Some(ErrorSummary {
        title: "The notes were not filed".into(),
        faults: listed.collect(),
        kept: "What you typed is kept.".into(),
    });
    respond::page_with(status, &page)
}

async fn draw(site: &Site, reader: &Reader, dossier: &Dossier) -> Result<CompletionPage, Failure> {
    let stages = Judged::all(dossier).map_err(ServiceError::from)?;
    let ticket = &dossier.ticket;
    let completion = match ticket.state {
        TicketState::Completed => site.services.completion(ticket.id).await?,
        TicketState::Draft | TicketState::Open | TicketState::Abandoned => None,
    };
    let mut shell =
        frame::shell(site, reader, format!("Completion of {}", ticket.number), Nav::Tickets).await?;
    shell.now = dossier.now;
    let issued = Time::exact(dossier.now);
    Ok(CompletionPage {
        head: present::about::head(ticket, stages.last(), dossier.now),
        version: ticket.version,
        actions: completion
            .iter()
            .map(|_| Action::new("Audit entries", format!("/audit?q={}", ticket.number)))
            .collect(),
        filing: filing(&stages, dossier, reader),
        issued: Prose::from("Issued ").time(issued),
        verdict: record::verdict(dossier, &stages, completion.as_ref()),
        changed: record::changed(dossier),
        stages: stages.iter().filter_map(|stage| record::stage(stage, reader.actor())).collect(),
        events: events::events(dossier, &stages, completion.as_ref()),
        notes: completion.as_ref().map(|filed| filed.notes.clone()),
        retrospective: completion.as_ref().and_then(|filed| filed.retrospective.clone()),
        links: record::links(dossier, &stages),
        audit: Prose::from("Every act on this ticket is an entry of the ")
            .link("audit log", format!("/audit?q={}", ticket.number))
            .text(". Digests on this page are SHA-256."),
        shell,
    })
}

/// The form, while the ticket is open.
fn filing(stages: &[Judged], dossier: &Dossier, reader: &Reader) -> Option<Filing> {
    if dossier.ticket.state != TicketState::Open {
        return None;
    }
    let facts: Vec<_> = stages.iter().map(|stage| stage.facts.clone()).collect();
    let action = TicketAction::Complete { notes: ".", retrospective: Some(".") };
    let refused = decide_ticket(&facts, reader.actor(), action).err();
    Some(Filing {
        note: if refused.is_none() { "every stage is settled" } else { "not yet" }.to_owned(),
        emergency: dossier.ticket.content.kind == TicketKind::Emergency,
        refused: refused.map(|why| why.to_string()),
        ..Filing::default()
    })
}
