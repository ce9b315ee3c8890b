//! The frame around a page, filled for its reader.

use super::session::{Reader, Visitor};
use super::site::Site;
use super::view::shell::{Nav, Shell, ShellUser, StripItem};
use crate::domain::user::Role;
use crate::service::ServiceError;

/// The frame of a signed-in person's page.
///
/// # Errors
/// Those of the store.
pub async fn shell(
    site: &Site,
    reader: &Reader,
    title: impl Into<String>,
    nav: Nav,
) -> Result<Shell, ServiceError> {
    let actor = reader.actor();
    Ok(Shell {
        title: title.into(),
        nav,
        user: Some(ShellUser {
            name: actor.name.clone(),
            roles_text: roles_text(actor.roles.iter().copied()),
            admin: actor.has(Role::Admin),
            may_file: actor.has(Role::Engineer),
        }),
        queue_count: 0,
        csrf: reader.csrf(),
        theme: reader.theme,
        strip: Vec::<StripItem>::new(),
        flash: reader.flash.clone(),
        now: site.services.now(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The frame of a page before signing in.
pub fn visitor_shell(site: &Site, visitor: &Visitor, title: impl Into<String>) -> Shell {
    Shell {
        title: title.into(),
        nav: Nav::Menu,
        user: None,
        queue_count: 0,
        csrf: visitor.csrf.clone(),
        theme: visitor.theme,
        strip: Vec::new(),
        flash: visitor.flash.clone(),
        now: site.services.now(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// "Release engineer, administrator".
pub fn roles_text(roles: impl Iterator<Item = Role>) -> String {
    let names: Vec<&str> = roles.map(role_name).collect();
    let text = names.join(", ");
    let mut letters = text.chars();
    letters.next().map_or_else(|| "No role".to_owned(), |first| first.to_uppercase().chain(letters).collect())
}

/// What people call a role.
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Engineer => "release engineer",
        Role::Board => "change board",
        Role::Auditor => "auditor",
        Role::Admin => "administrator",
    }
}
