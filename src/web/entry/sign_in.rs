//! `/sign-in`.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use crate::secret::password::PlainPassword;
use crate::service::ServiceError;
use crate::web::error::{Failure, Page};
use crate::web::extract::Query;
use crate::web::forms::OpenForm;
use crate::web::session::{Client, Visitor};
use crate::web::site::{Site, WebState};
use crate::web::view::forms::Input;
use crate::web::view::pages::entry::SignIn;
use crate::web::view::parts::Note;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond, session};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    email: String,
    password: PlainPassword,
    #[serde(default)]
    next: String,
}

pub(super) async fn show(State(site): State<WebState>, visitor: Visitor, Query(asked): Query<Asked>) -> Page {
    let next = paths::ours(&asked.next);
    let mut form = blank(&site, &visitor, "", next);
    form.notice = if let Some(flash) = visitor.flash.clone() {
        form.shell.flash = None;
        Some(Note::new(flash.state, flash.text))
    } else if next == "/" {
        None
    } else {
        Some(Note::new(Lamp::Who, "Sign in to go on to the page you asked for."))
    };
    Ok(visitor.keep(&site, respond::page(&form)?))
}

pub(super) async fn submit(
    State(site): State<WebState>,
    visitor: Visitor,
    client: Client,
    OpenForm(form): OpenForm<Credentials>,
) -> Page {
    let tried = site.services.sign_in(&form.email, form.password, client.address, &client.agent).await;
    let error = match tried {
        Ok(signed_in) => {
            let mut response = respond::see_other(paths::ours(&form.next));
            session::begin(&site, &mut response, &signed_in);
            return Ok(response);
        }
        Err(error) => error,
    };
    let (status, words, wait) = match error {
        ServiceError::Unauthenticated { message, .. } => (StatusCode::UNAUTHORIZED, message, None),
        ServiceError::Throttled { seconds } => {
            let minutes = crate::web::view::format::plural(seconds.div_ceil(60), "minute", "minutes");
            let words = format!("Too many tries. Wait {minutes}, then try again.");
            (StatusCode::TOO_MANY_REQUESTS, words, Some(seconds))
        }
        other => return Err(Failure::from(other)),
    };
    let mut page = blank(&site, &visitor, &form.email, paths::ours(&form.next));
    "Error: Sign in".clone_into(&mut page.shell.title);
    page.error = Some(words);
    let mut response = respond::page_with(status, &page)?;
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(visitor.keep(&site, response))
}

fn blank(site: &Site, visitor: &Visitor, email: &str, next: &str) -> SignIn {
    SignIn {
        shell: frame::visitor_shell(site, visitor, "Sign in"),
        email: Input::of(email),
        password: Input::default(),
        error: None,
        notice: None,
        next: next.to_owned(),
    }
}
