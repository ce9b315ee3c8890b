//! `GET /admin/users`, and the page that its forms come back to.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use crate::domain::authority;
use crate::domain::time::Timestamp;
use crate::domain::user::Role;
use crate::service::ServiceError;
use crate::service::users::{Created, Listed, USERS_PER_PAGE};
use crate::web::error::Page;
use crate::web::extract::Query;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::{Time, plural};
use crate::web::view::pages::account::{AddUser, OnceLink, Tick, UserRow, UsersPage};
use crate::web::view::shell::Nav;
use crate::web::view::state::{State as Lamp, Status};
use crate::web::{frame, paths, respond};

#[derive(Deserialize)]
pub(super) struct Asked {
    /// The last address of the page before.
    after: Option<String>,
}

pub(super) async fn show(State(site): State<WebState>, reader: Reader, Query(asked): Query<Asked>) -> Page {
    respond::page(&page(&site, &reader, asked.after.as_deref()).await?)
}

/// The page as it is before anything is typed.
pub(super) async fn page(
    site: &Site,
    reader: &Reader,
    after: Option<&str>,
) -> Result<UsersPage, ServiceError> {
    authority::administers(Some(reader.actor()))?;
    let listed = site.services.list_users(after).await?;
    let active = listed.iter().filter(|line| line.user.active).count();
    let counted = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let full = i64::try_from(listed.len()).is_ok_and(|count| count == USERS_PER_PAGE);
    let next = listed.last().filter(|_| full);
    let now = site.services.now();
    Ok(UsersPage {
        shell: frame::shell(site, reader, "People", Nav::Menu).await?,
        errors: None,
        new_link: None,
        new_link_for: String::new(),
        new_link_expires: None,
        note: format!(
            "{} active, {} deactivated",
            plural(counted(active), "account", "accounts"),
            listed.len() - active
        ),
        next: next.map(|last| format!("/admin/users?after={}", paths::encoded(&last.user.email))),
        rows: listed.iter().map(|line| row(line, now)).collect(),
        add: AddUser { roles: ticks(&[Role::Engineer].into()), ..AddUser::default() },
    })
}

/// Puts a link that was just made on the page, the only place where it is ever shown.
pub(super) fn with_link(page: &mut UsersPage, site: &Site, headers: &HeaderMap, created: &Created) {
    let address = format!("{}{}", site.origin(headers), paths::enrol(created.enrolment.reveal()));
    page.new_link = Some(OnceLink(address));
    page.new_link_for.clone_from(&created.user.name);
    page.new_link_expires = Some(Time::long_utc(created.expires_at, site.services.now()));
}

pub(super) fn ticks(chosen: &BTreeSet<Role>) -> Vec<Tick> {
    let tick = |role: &Role| Tick {
        name: role.to_string(),
        text: frame::roles_text(std::iter::once(*role)),
        chosen: chosen.contains(role),
    };
    Role::ALL.iter().map(tick).collect()
}

fn row(line: &Listed, now: Timestamp) -> UserRow {
    let user = &line.user;
    UserRow {
        id: user.id.to_string(),
        name: user.name.clone(),
        email: user.email.clone(),
        roles_text: frame::roles_text(user.roles.iter().copied()),
        roles: ticks(&user.roles),
        status: match (user.active, line.enrolled) {
            (false, _) => Status::new(Lamp::Idle, "Deactivated"),
            (true, false) => Status::new(Lamp::Who, "Not enrolled yet"),
            (true, true) => Status::new(Lamp::Open, "Active"),
        },
        added: Time::short(user.created_at, now),
        active: user.active,
    }
}
