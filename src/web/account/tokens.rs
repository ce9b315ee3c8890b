//! Making and revoking one's own API tokens.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::SignedDuration;
use serde::Deserialize;

use super::show;
use crate::domain::id::ApiTokenId;
use crate::domain::user::Scope;
use crate::service::api_tokens::NewApiToken;
use crate::web::error::{self, Page};
use crate::web::extract::Path;
use crate::web::forms::{Form, Nothing};
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::forms::{ErrorSummary, Fault, Input};
use crate::web::view::pages::token::Shown;
use crate::web::view::state::State as Lamp;

#[derive(Deserialize)]
pub(super) struct New {
    name: String,
    /// 0 for a token that lives until it is revoked.
    days: u16,
    #[serde(default)]
    scope: Vec<Scope>,
}

/// Answers with the page itself and not by leading to it: the token is on this one page and nowhere else.
pub(super) async fn make(State(site): State<WebState>, reader: Reader, Form(form): Form<New>) -> Page {
    let life = (form.days > 0).then(|| SignedDuration::from_hours(24 * i64::from(form.days)));
    let expires_at = life.map(|life| site.services.now() + life);
    let new =
        NewApiToken { name: form.name.clone(), scopes: form.scope.iter().copied().collect(), expires_at };
    let made = site.services.create_api_token(reader.actor(), new).await;
    let mut page = show::page(&site, &reader).await?;
    let faults = match made {
        Ok((_, token)) => {
            page.new_token = Some(Shown(token.reveal().to_owned()));
            page.new_token_name = form.name;
            return respond::page(&page);
        }
        Err(error) => error::faults(error)?,
    };
    page.make.name = Input::of(form.name);
    page.make.days = Input::of(form.days.to_string());
    page.scopes = show::scopes(&form.scope);
    let mut listed = Vec::new();
    for fault in faults {
        let field = match fault.field {
            "name" => {
                page.make.name.error = Some(fault.message.clone());
                "token-name"
            }
            "scopes" => {
                page.make.scopes_error = Some(fault.message.clone());
                "token-scopes"
            }
            _ => {
                page.make.days.error = Some(fault.message.clone());
                "token-days"
            }
        };
        listed.push(Fault { field: field.to_owned(), text: fault.message });
    }
    page.shell.title = format!("Error: {}", page.shell.title);
    page.errors = Some(ErrorSummary {
        title: "The token was not made".to_owned(),
        faults: listed,
        kept: "Everything else is kept as you typed it.".to_owned(),
    });
    respond::page_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

pub(super) async fn revoke(
    State(site): State<WebState>,
    reader: Reader,
    Path(id): Path<ApiTokenId>,
    _: Form<Nothing>,
) -> Page {
    site.services.revoke_api_token(Some(reader.actor()), id).await?;
    Ok(respond::see_other_saying(&site, "/account", Lamp::Open, "The token is revoked."))
}
