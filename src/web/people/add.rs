//! Adding a person.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::list;
use crate::domain::ticket::FieldFault;
use crate::domain::user::Role;
use crate::service::ServiceError;
use crate::service::users::NewUser;
use crate::web::error::{self, Page};
use crate::web::forms::Form;
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::forms::{ErrorSummary, Fault, Input};

#[derive(Deserialize)]
pub(super) struct New {
    name: String,
    email: String,
    #[serde(default)]
    role: Vec<Role>,
}

/// Answers with the page itself and not by leading to it: the link is on this one page and nowhere else.
pub(super) async fn add(
    State(site): State<WebState>,
    reader: Reader,
    headers: HeaderMap,
    Form(form): Form<New>,
) -> Page {
    let new = NewUser {
        email: form.email.clone(),
        name: form.name.clone(),
        roles: form.role.iter().copied().collect(),
        person: None,
    };
    let added = site.services.add_user(Some(reader.actor()), new, None).await;
    let mut page = list::page(&site, &reader, None).await?;
    let faults = match added {
        Ok(created) => {
            list::with_link(&mut page, &site, &headers, &created);
            return respond::page(&page);
        }
        Err(ServiceError::Conflict { code: "email-taken", message }) => {
            vec![FieldFault { field: "email", message }]
        }
        Err(error) => error::faults(error)?,
    };
    page.add.name = Input::of(form.name);
    page.add.email = Input::of(form.email);
    page.add.roles = list::ticks(&form.role.into_iter().collect());
    for fault in &faults {
        match fault.field {
            "name" => page.add.name.error = Some(fault.message.clone()),
            "email" => page.add.email.error = Some(fault.message.clone()),
            _ => {}
        }
    }
    page.shell.title = format!("Error: {}", page.shell.title);
    page.errors = Some(ErrorSummary {
        title: "Nobody was added".to_owned(),
        faults: faults
            .into_iter()
            .map(|fault| Fault { field: fault.field.to_owned(), text: fault.message })
            .collect(),
        kept: "Everything else is kept as you typed it.".to_owned(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
