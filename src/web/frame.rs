//! The frame around a page, filled for its reader.

use super::session::{Reader, Visitor};
use super::site::Site;
use super::view::format::Time;
use super::view::prose::Prose;
use super::view::shell::{Nav, Shell, ShellUser, StripItem};
use super::view::state::State;
use crate::domain::time::Timestamp;
use crate::domain::user::Role;
use crate::service::ServiceError;
use crate::service::notices::Notices;

/// The frame of a signed-in person's page. Asks the database once while nothing happens.
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
    let around = site.services.surroundings(actor).await?;
    let now = site.services.now();
    Ok(Shell {
        title: title.into(),
        nav,
        user: Some(ShellUser {
            name: actor.name.clone(),
            roles_text: roles_text(actor.roles.iter().copied()),
            admin: actor.has(Role::Admin),
            may_file: actor.has(Role::Engineer),
        }),
        queue_count: around.queue_count,
        csrf: reader.csrf(),
        theme: reader.theme,
        strip: strip(&around.notices, now),
        flash: reader.flash.clone(),
        now,
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

/// What everybody should know: incidents, and a freeze that is on or within a fortnight.
fn strip(notices: &Notices, now: Timestamp) -> Vec<StripItem> {
    let mut items: Vec<StripItem> = notices
        .incidents
        .iter()
        .map(|incident| {
            let text = Prose::new().link(incident.label(), "/incidents");
            let text = text.text(format!(" is open for {}: {}", incident.application, incident.title));
            StripItem::new(State::Stop, text)
        })
        .collect();
    if notices.more {
        items.push(StripItem::new(State::Stop, Prose::from("and ").link("more incidents", "/incidents")));
    }
    if let Some(freeze) = &notices.freeze {
        let of = |name: &Option<String>, all: &str| name.clone().unwrap_or_else(|| all.to_owned());
        let scope = format!(
            "{}, {}",
            of(&freeze.application, "all applications"),
            of(&freeze.environment, "all environments")
        );
        let (state, text, until) = if freeze.starts_at <= now {
            (State::Stop, format!(" of {scope}, until "), freeze.ends_at)
        } else {
            (State::Time, format!(" of {scope} from "), freeze.starts_at)
        };
        let text = Prose::new().link("Freeze", "/freezes").text(text).time(Time::long_utc(until, now));
        items.push(StripItem::new(state, text));
    }
    if notices.incidents.is_empty() {
        items.push(StripItem::new(State::Open, "No incident is open"));
    }
    items
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
