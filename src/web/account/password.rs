//! Changing one's own password.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::show;
use crate::secret::password::PlainPassword;
use crate::service::ServiceError;
use crate::web::error::{self, Page};
use crate::web::forms::Form;
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::state::State as Lamp;

#[derive(Deserialize)]
pub(super) struct Change {
    current: PlainPassword,
    new: String,
    again: String,
    /// For password managers; the session decides whose password it is.
    #[serde(rename = "username")]
    _username: Option<String>,
}

pub(super) async fn change(State(site): State<WebState>, reader: Reader, Form(form): Form<Change>) -> Page {
    let wrong = if form.new == form.again {
        match site.services.change_password(reader.actor(), form.current, form.new).await {
            Ok(()) => {
                let said = "Your password is changed. Every other session has ended.";
                return Ok(respond::see_other_saying(&site, "/account", Lamp::Open, said));
            }
            Err(ServiceError::Mismatch { message, .. }) => ("current", message),
            Err(error) => {
                let fault = error::faults(error)?.into_iter().next();
                ("new", fault.map_or_else(String::new, |fault| fault.message))
            }
        }
    } else {
        ("again", "The two are not the same.".to_owned())
    };
    let (field, message) = wrong;
    let mut page = show::page(&site, &reader).await?;
    let input = match field {
        "current" => &mut page.password.current,
        "new" => &mut page.password.new,
        _ => &mut page.password.again,
    };
    *input = Input::wrong("", message.clone());
    page.shell.title = format!("Error: {}", page.shell.title);
    page.errors = Some(ErrorSummary {
        title: "Your password was not changed".to_owned(),
        faults: vec![Fault { field: field.to_owned(), text: message }],
        kept: "Passwords are never kept: type them again.".to_owned(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
