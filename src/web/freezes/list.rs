//! `GET /freezes`, and the page that its form comes back to.

use std::collections::BTreeSet;

use axum::extract::State;

use crate::domain::authority;
use crate::domain::time::Timestamp;
use crate::service::ServiceError;
use crate::service::incidents::FreezeRow as Freeze;
use crate::web::error::Page;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::Time;
use crate::web::view::forms::Choice;
use crate::web::view::pages::incidents::{DeclareFreeze, FreezeRow, FreezesPage};
use crate::web::view::parts::{Empty, LogRow, Mark, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::view::state::{State as Lamp, Status};
use crate::web::{frame, respond};

pub(super) async fn show(State(site): State<WebState>, reader: Reader) -> Page {
    respond::page(&page(&site, &reader).await?)
}

/// The page as it is before anything is typed.
pub(super) async fn page(site: &Site, reader: &Reader) -> Result<FreezesPage, ServiceError> {
    let now = site.services.now();
    let may = authority::declares_freezes(reader.actor()).is_ok();
    let (mut current, past): (Vec<_>, Vec<_>) =
        site.services.list_freezes().await?.into_iter().partition(|freeze| freeze.ends_at > now);
    current.sort_by_key(|freeze| freeze.starts_at);
    let known = site.services.applications().await?;
    let environments: BTreeSet<String> = known.iter().flat_map(|app| app.environments.clone()).collect();
    let choices = |names: Vec<String>| {
        let named = names.into_iter().map(|name| Choice::new(name.clone(), name));
        std::iter::once(Choice::new("", "All")).chain(named).collect()
    };
    Ok(FreezesPage {
        shell: frame::shell(site, reader, "Freezes", Nav::Incidents).await?,
        errors: None,
        current: current.into_iter().map(|freeze| row(freeze, now, may)).collect(),
        nothing_current: Empty::new(
            "snowflake",
            "No freeze is on or to come.",
            "Windows and soak decide alone.",
        ),
        past: Timeline { rows: past.iter().map(|freeze| past_row(freeze, now)).collect() },
        nothing_past: Empty::new("snowflake", "None is over.", "Freezes stay here when they end."),
        declare: may.then(DeclareFreeze::default),
        applications: choices(known.into_iter().map(|app| app.name).collect()),
        environments: choices(environments.into_iter().collect()),
    })
}

fn scope(freeze: &Freeze) -> String {
    let application = freeze.application.as_deref().unwrap_or("All applications");
    let environment = freeze.environment.as_deref().unwrap_or("all environments");
    format!("{application}, {environment}")
}

fn row(freeze: Freeze, now: Timestamp, may_end: bool) -> FreezeRow {
    let begun = freeze.starts_at <= now;
    FreezeRow {
        id: freeze.id.to_string(),
        starts: Time::long(freeze.starts_at, now),
        ends: Time::long(freeze.ends_at, now),
        scope: scope(&freeze),
        status: if begun {
            Status::new(Lamp::Stop, "on")
        } else {
            Status::new(Lamp::Idle, Prose::from("begins ").until(Time::until(freeze.starts_at, now)))
        },
        reason: freeze.reason,
        by: freeze.declared_by_name,
        begun,
        may_end,
    }
}

fn past_row(freeze: &Freeze, now: Timestamp) -> LogRow {
    let ended = freeze.ended_by_name.as_ref().map(|name| format!(" Ended early by {name}."));
    LogRow {
        time: Time::short(freeze.ends_at, now),
        mark: Mark::Icon("snowflake"),
        text: Prose::new().strong(scope(freeze)).text(format!(
            ": {}.{}",
            freeze.reason.trim_end_matches('.'),
            ended.unwrap_or_default()
        )),
        aside: freeze.declared_by_name.clone().into(),
        digest: None,
    }
}
