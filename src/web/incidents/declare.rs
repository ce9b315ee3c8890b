//! Declaring an incident.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::list;
use crate::web::error::{self, Page};
use crate::web::forms::Form;
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::state::State as Lamp;

#[derive(Deserialize)]
pub(super) struct New {
    #[serde(default)]
    application: String,
    title: String,
}

pub(super) async fn submit(State(site): State<WebState>, reader: Reader, Form(form): Form<New>) -> Page {
    let declared = site.services.declare_incident(reader.actor(), &form.application, &form.title).await;
    let faults = match declared {
        Ok(incident) => {
            let said = format!("{} is open: gates of {} are closed.", incident.label(), incident.application);
            return Ok(respond::see_other_saying(&site, "/incidents", Lamp::Stop, &said));
        }
        Err(error) => error::faults(error)?,
    };
    let mut page = list::page(&site, &reader, None).await?;
    if let Some(declare) = &mut page.declare {
        declare.application = Input::of(form.application);
        declare.title = Input::of(form.title);
        for fault in &faults {
            let input =
                if fault.field == "application" { &mut declare.application } else { &mut declare.title };
            input.error = Some(fault.message.clone());
        }
    }
    page.shell.title = format!("Error: {}", page.shell.title);
    page.errors = Some(ErrorSummary {
        title: "The incident was not declared".to_owned(),
        faults: faults
            .into_iter()
            .map(|fault| Fault { field: fault.field.to_owned(), text: fault.message })
            .collect(),
        kept: "Everything else is kept as you typed it.".to_owned(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
