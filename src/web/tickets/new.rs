//! Filing: `GET /tickets/new` and `POST /tickets`.

use axum::extract::State;
use axum::http::StatusCode;

use super::answers::{Answers, incidents, summary};
use crate::domain::refusal::Refusal;
use crate::domain::ticket::FieldFault;
use crate::domain::user::Role;
use crate::service::ServiceError;
use crate::web::error::{Page, faults};
use crate::web::forms::Form;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::forms::Choice;
use crate::web::view::pages::ticket_form::TicketForm;
use crate::web::view::shell::Nav;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond};

/// The empty form.
pub(super) async fn get(State(site): State<WebState>, reader: Reader) -> Page {
    if !reader.actor().has(Role::Engineer) {
        return Err(ServiceError::from(Refusal::NeedsRole(&[Role::Engineer])).into());
    }
    form(&site, &reader, Answers { kind: "normal".into(), ..Answers::default() }, &[]).await
}

/// Files a ticket and leads to it.
pub(super) async fn post(State(site): State<WebState>, reader: Reader, Form(sent): Form<Answers>) -> Page {
    let found = match sent.content() {
        Err(found) => found,
        Ok(content) => {
            match site.services.file_ticket(reader.actor(), &sent.application, content).await.map_err(faults)
            {
                Ok(number) => {
                    let said = format!("{number} is filed. Attach the files of its first stage.");
                    return Ok(respond::see_other_saying(&site, &paths::ticket(number), Lamp::Open, &said));
                }
                Err(Ok(found)) => found,
                Err(Err(failure)) => return Err(failure),
            }
        }
    };
    form(&site, &reader, sent, &found).await
}

async fn form(site: &Site, reader: &Reader, mut answers: Answers, found: &[FieldFault]) -> Page {
    let mut applications: Vec<Choice> = site
        .services
        .applications()
        .await?
        .into_iter()
        .map(|known| Choice::new(known.name.clone(), known.name))
        .collect();
    match applications.as_slice() {
        [only] if found.is_empty() => answers.application.clone_from(&only.value),
        [_] => {}
        _ => applications.insert(0, Choice::new("", "Choose one")),
    }
    let title = if found.is_empty() { "New ticket" } else { "Error: New ticket" };
    let page = TicketForm {
        shell: frame::shell(site, reader, title, Nav::Tickets).await?,
        number: None,
        version: None,
        errors: (!found.is_empty()).then(|| summary("The ticket was not filed", found)),
        answers: answers.inputs(found),
        applications,
        incidents: incidents(site, None).await?,
    };
    let status = if found.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    respond::page_with(status, &page)
}
