//! Editing what a ticket states, until its first run: `/tickets/CHG-1/edit`.

use axum::extract::State;
use axum::http::StatusCode;

use super::answers::{Answers, incidents, summary};
use super::change::since;
use crate::domain::dossier::Dossier;
use crate::domain::id::TicketNumber;
use crate::domain::ticket::FieldFault;
use crate::domain::transition::{TicketAction, decide_ticket};
use crate::service::ServiceError;
use crate::web::error::{Failure, Page, faults};
use crate::web::extract::Path;
use crate::web::forms::Form;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::forms::{Choice, ErrorSummary, Fault};
use crate::web::view::pages::ticket_form::TicketForm;
use crate::web::view::shell::Nav;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond};

/// The form with what the ticket states.
pub(super) async fn get(
    State(site): State<WebState>,
    reader: Reader,
    Path(number): Path<TicketNumber>,
) -> Page {
    let dossier = site.services.dossier(reader.actor(), number).await?;
    decide_ticket(&dossier.all_facts(), reader.actor(), TicketAction::Edit).map_err(ServiceError::from)?;
    let ticket = &dossier.ticket;
    let answers = Answers::of(&ticket.application_name, &ticket.content);
    form(&site, &reader, &dossier, answers, Outcome::Fresh).await
}

/// Saves, and leads back to the ticket.
pub(super) async fn post(
    State(site): State<WebState>,
    reader: Reader,
    Path(number): Path<TicketNumber>,
    Form(sent): Form<Answers>,
) -> Page {
    let version = sent.version.ok_or_else(|| {
        Failure::unprocessable(
            "Nothing has been changed. It does not say which version of the ticket you saw.",
        )
    })?;
    let saved = match sent.content() {
        Err(found) => Err(ServiceError::Invalid { faults: found }),
        Ok(content) => site.services.edit_ticket(reader.actor(), number, version, content).await,
    };
    let outcome = match saved {
        Ok(()) => {
            let said = format!("{number} is changed. Earlier approvals and statements are stale.");
            return Ok(respond::see_other_saying(&site, &paths::ticket(number), Lamp::Open, &said));
        }
        Err(ServiceError::Conflict { code: "ticket-changed", .. }) => Outcome::Changed { seen: version },
        Err(other) => Outcome::Faults(faults(other)?),
    };
    let dossier = site.services.dossier(reader.actor(), number).await?;
    form(&site, &reader, &dossier, sent, outcome).await
}

/// Why the form is shown.
enum Outcome {
    Fresh,
    Faults(Vec<FieldFault>),
    /// Somebody acted on the ticket after this version of it.
    Changed {
        seen: i64,
    },
}

async fn form(site: &Site, reader: &Reader, dossier: &Dossier, sent: Answers, outcome: Outcome) -> Page {
    let ticket = &dossier.ticket;
    let number = ticket.number;
    let (status, errors, found, version) = match outcome {
        Outcome::Fresh => (StatusCode::OK, None, Vec::new(), ticket.version),
        // The version that was seen stays: correcting a field must not lose that something else changed.
        Outcome::Faults(found) => {
            let errors = summary("The ticket was not changed", &found);
            let seen = sent.version.unwrap_or(ticket.version);
            (StatusCode::UNPROCESSABLE_ENTITY, Some(errors), found, seen)
        }
        Outcome::Changed { seen } => {
            let current = Answers::of(&ticket.application_name, &ticket.content);
            let changes = since(site, dossier, seen).await?;
            let errors = conflict(&sent, &current, &changes);
            (StatusCode::CONFLICT, Some(errors), Vec::new(), ticket.version)
        }
    };
    let title = format!("Edit {number}");
    let title = if errors.is_some() { format!("Error: {title}") } else { title };
    let application = ticket.application_name.as_str();
    let page = TicketForm {
        shell: frame::shell(site, reader, title, Nav::Tickets).await?,
        number: Some(number.to_string()),
        version: Some(version),
        errors,
        answers: sent.inputs(&found),
        // A ticket stays with its application.
        applications: vec![Choice::new(application, application)],
        incidents: incidents(site, Some(application)).await?,
    };
    respond::page_with(status, &page)
}

/// What happened meanwhile, and where the ticket now differs from what was typed.
fn conflict(sent: &Answers, current: &Answers, changes: &[String]) -> ErrorSummary {
    let fields: [(&str, &str, &str, &str); 12] = [
        ("title", "Title", &sent.title, &current.title),
        ("application", "Application", &sent.application, &current.application),
        ("release_tag", "Release tag", &sent.release_tag, &current.release_tag),
        ("prior_release_tag", "Prior release tag", &sent.prior_release_tag, &current.prior_release_tag),
        ("from_revision", "From revision", &sent.from_revision, &current.from_revision),
        ("to_revision", "To revision", &sent.to_revision, &current.to_revision),
        ("kind", "Kind", &sent.kind, &current.kind),
        ("emergency_reason", "Reason for an emergency", &sent.emergency_reason, &current.emergency_reason),
        ("emergency_incident", "Incident", &sent.emergency_incident, &current.emergency_incident),
        ("description", "Description", &sent.description, &current.description),
        ("authors", "Authors", &sent.authors, &current.authors),
        ("external_links", "Links", &sent.external_links, &current.external_links),
    ];
    let differing = fields.into_iter().filter(|(_, _, typed, now)| typed.trim() != now.trim());
    let faults = differing
        .map(|(field, label, _, now)| {
            let now: String = now.chars().take(120).collect();
            let text = if now.is_empty() {
                format!("{label}: the ticket has nothing here now")
            } else {
                format!("{label}: the ticket now says “{now}”")
            };
            Fault { field: field.to_owned(), text }
        })
        .collect();
    ErrorSummary {
        title: "The ticket changed after you opened this form, so nothing was saved".into(),
        faults,
        kept: format!(
            "Meanwhile: {}. What you typed is kept; saving now writes it over what the ticket says.",
            changes.join("; ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_names_what_differs_and_what_happened() {
        let current = Answers { title: "Theirs".into(), to_revision: "b2".into(), ..Answers::default() };
        let sent = Answers { title: "Mine".into(), to_revision: "b2".into(), ..Answers::default() };
        let summary = conflict(&sent, &current, &["Ada edited the ticket".to_owned()]);
        let fields: Vec<_> = summary.faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["title"]);
        assert!(summary.faults[0].text.contains("Theirs"));
        assert!(summary.kept.contains("Ada edited the ticket"));
    }
}
