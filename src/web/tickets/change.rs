//! Giving a ticket up, and moving it to the newest policy.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::domain::dossier::Dossier;
use crate::domain::id::TicketNumber;
use crate::web::error::{Failure, Page, faults};
use crate::web::extract::Path;
use crate::web::forms::Form;
use crate::web::present::timeline;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::forms::Input;
use crate::web::view::pages::error::{Again, KeptField, RefusedPage};
use crate::web::view::shell::Nav;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond};

use super::show::{Typed, page};

#[derive(Debug, Deserialize)]
pub(super) struct Abandon {
    version: i64,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct MovePolicy {
    version: i64,
}

/// Gives the change up, with a reason.
pub(super) async fn abandon(
    State(site): State<WebState>,
    reader: Reader,
    Path(number): Path<TicketNumber>,
    Form(form): Form<Abandon>,
) -> Page {
    let dossier = site.services.dossier(reader.actor(), number).await?;
    if dossier.ticket.version != form.version {
        let again = Again {
            action: format!("{}/abandon", paths::ticket(number)),
            hidden: vec![("version".into(), dossier.ticket.version.to_string())],
            fields: vec![KeptField {
                name: "reason".into(),
                label: "Why it is abandoned".into(),
                input: Input::of(form.reason),
            }],
            button: format!("Abandon {number}"),
        };
        return changed(&site, &reader, &dossier, form.version, "The ticket was not abandoned", again).await;
    }
    let done = site.services.abandon_ticket(reader.actor(), number, &form.reason).await;
    let there = paths::ticket(number);
    match done.map_err(faults) {
        Ok(()) => {
            Ok(respond::see_other_saying(&site, &there, Lamp::Stale, &format!("{number} is abandoned.")))
        }
        Err(Ok(found)) => {
            let fault = found.into_iter().next().map(|fault| fault.message).unwrap_or_default();
            let typed = Typed { reason: Some(Input::wrong(form.reason, fault)) };
            page(&site, &reader, number, None, typed).await
        }
        Err(Err(failure)) => Err(failure),
    }
}

/// Moves the ticket to the newest policy of its application.
pub(super) async fn policy(
    State(site): State<WebState>,
    reader: Reader,
    Path(number): Path<TicketNumber>,
    Form(form): Form<MovePolicy>,
) -> Page {
    let dossier = site.services.dossier(reader.actor(), number).await?;
    if dossier.ticket.version != form.version {
        let again = Again {
            action: format!("{}/policy", paths::ticket(number)),
            hidden: vec![("version".into(), dossier.ticket.version.to_string())],
            fields: Vec::new(),
            button: "Move to the newest policy".into(),
        };
        return changed(&site, &reader, &dossier, form.version, "The policy was not changed", again).await;
    }
    let version = site.services.move_policy(reader.actor(), number).await?;
    let said = format!("{number} is on version {version} of the policy. Earlier approvals are stale.");
    Ok(respond::see_other_saying(&site, &paths::ticket(number), Lamp::Open, &said))
}

/// 409: says what happened to the ticket since the reader opened its page, and offers the form again.
async fn changed(
    site: &Site,
    reader: &Reader,
    dossier: &Dossier,
    seen: i64,
    title: &str,
    again: Again,
) -> Page {
    let number = dossier.ticket.number;
    let changes = since(site, dossier, seen).await?.into_iter().map(Into::into).collect();
    let page = RefusedPage {
        shell: frame::shell(site, reader, title, Nav::Tickets).await?,
        title: title.to_owned(),
        what: format!("{number} changed after you opened its page. Nothing was recorded.").into(),
        changes,
        blockers: Vec::new(),
        again: Some(again),
        back: paths::ticket(number),
    };
    respond::page_with(StatusCode::CONFLICT, &page)
}

/// What was done to a ticket since it had version `seen`, newest first. Every act raises the version by one.
pub(super) async fn since(site: &Site, dossier: &Dossier, seen: i64) -> Result<Vec<String>, Failure> {
    let acts = dossier.ticket.version.saturating_sub(seen).clamp(1, 10);
    let entries = site.services.ticket_events(dossier.ticket.id, acts).await?;
    Ok(entries.iter().map(|entry| timeline::line(entry, dossier.now)).collect())
}
