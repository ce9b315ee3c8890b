//! Changing roles, making a new link, closing an account.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::list;
use crate::domain::id::UserId;
use crate::domain::user::Role;
use crate::web::error::Page;
use crate::web::extract::Path;
use crate::web::forms::{Form, Nothing};
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, respond};

#[derive(Deserialize)]
pub(super) struct Roles {
    #[serde(default)]
    role: Vec<Role>,
}

pub(super) async fn roles(
    State(site): State<WebState>,
    reader: Reader,
    Path(id): Path<UserId>,
    Form(form): Form<Roles>,
) -> Page {
    let roles = form.role.into_iter().collect();
    let user = site.services.set_roles(Some(reader.actor()), id, roles).await?;
    let said = format!("{}: {}.", user.name, frame::roles_text(user.roles.iter().copied()));
    Ok(respond::see_other_saying(&site, "/admin/users", Lamp::Open, &said))
}

/// Answers with the page itself: the link is on this one page and nowhere else.
pub(super) async fn reset(
    State(site): State<WebState>,
    reader: Reader,
    headers: HeaderMap,
    Path(id): Path<UserId>,
    _: Form<Nothing>,
) -> Page {
    let created = site.services.reset_user(Some(reader.actor()), id, None).await?;
    let mut page = list::page(&site, &reader, None).await?;
    list::with_link(&mut page, &site, &headers, &created);
    respond::page(&page)
}

pub(super) async fn deactivate(
    State(site): State<WebState>,
    reader: Reader,
    Path(id): Path<UserId>,
    _: Form<Nothing>,
) -> Page {
    let user = site.services.deactivate_user(Some(reader.actor()), id).await?;
    let said = format!("{} can’t sign in any more.", user.name);
    Ok(respond::see_other_saying(&site, "/admin/users", Lamp::Open, &said))
}
