//! `/enrol/{token}`: choosing a password with a one-time link.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::secret::password::PlainPassword;
use crate::service::ServiceError;
use crate::service::enrolment::Enrolment;
use crate::web::error::{self, Failure, Page};
use crate::web::extract::Path;
use crate::web::forms::OpenForm;
use crate::web::session::{Client, Visitor};
use crate::web::site::{Site, WebState};
use crate::web::view::format::Time;
use crate::web::view::forms::Input;
use crate::web::view::pages::entry::Enrol;
use crate::web::{frame, respond, session};

#[derive(Deserialize)]
pub(super) struct Chosen {
    password: String,
    again: String,
    /// For password managers; the link decides whose password it is.
    #[serde(rename = "username")]
    _username: Option<String>,
}

pub(super) async fn show(State(site): State<WebState>, visitor: Visitor, Path(token): Path<String>) -> Page {
    match site.services.enrolment_of(&token).await {
        Ok(whose) => {
            let page = form(&site, &visitor, token, whose);
            Ok(visitor.keep(&site, respond::page(&page)?))
        }
        Err(error) => useless(&site, &visitor, error),
    }
}

pub(super) async fn submit(
    State(site): State<WebState>,
    visitor: Visitor,
    client: Client,
    Path(token): Path<String>,
    OpenForm(chosen): OpenForm<Chosen>,
) -> Page {
    let whose = match site.services.enrolment_of(&token).await {
        Ok(whose) => whose,
        Err(error) => return useless(&site, &visitor, error),
    };
    let mut page = form(&site, &visitor, token, whose);
    page.shell.title = format!("Error: {}", page.shell.title);
    if chosen.password != chosen.again {
        page.again = Input::wrong("", "The two are not the same.");
        return respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let user = match site.services.enrol(&page.token, chosen.password.clone()).await {
        Ok(user) => user,
        Err(error @ (ServiceError::Gone { .. } | ServiceError::NotFound(_))) => {
            return useless(&site, &visitor, error);
        }
        Err(error) => {
            let fault = error::faults(error)?.into_iter().next();
            page.password = Input { value: String::new(), error: fault.map(|fault| fault.message) };
            return respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let password = PlainPassword::given(chosen.password);
    let signed_in = site.services.sign_in(&user.email, password, client.address, &client.agent).await?;
    let mut response = respond::see_other("/");
    session::begin(&site, &mut response, &signed_in);
    Ok(response)
}

fn form(site: &Site, visitor: &Visitor, token: String, whose: Enrolment) -> Enrol {
    Enrol {
        shell: frame::visitor_shell(site, visitor, "Set your password"),
        token,
        usable: true,
        name: whose.name,
        email: whose.email,
        expires: Some(Time::long_utc(whose.expires_at, site.services.now())),
        password: Input::default(),
        again: Input::default(),
    }
}

/// The link was used, replaced, has expired or never was: the page is the same.
fn useless(site: &Site, visitor: &Visitor, error: ServiceError) -> Result<Response, Failure> {
    let status = match error {
        ServiceError::Gone { .. } => StatusCode::GONE,
        ServiceError::NotFound(_) => StatusCode::NOT_FOUND,
        other => return Err(other.into()),
    };
    let page = Enrol {
        shell: frame::visitor_shell(site, visitor, "This link does not work any more"),
        token: String::new(),
        usable: false,
        name: String::new(),
        email: String::new(),
        expires: None,
        password: Input::default(),
        again: Input::default(),
    };
    respond::page_with(status, &page)
}
