//! `GET /incidents`, and the page that its form comes back to.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use serde::Deserialize;

use crate::domain::authority;
use crate::domain::id::TicketNumber;
use crate::domain::time::Timestamp;
use crate::service::ServiceError;
use crate::service::incidents::{INCIDENTS_PER_PAGE, IncidentRow as Incident};
use crate::web::error::Page;
use crate::web::extract::Query;
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::{Time, plural};
use crate::web::view::forms::Choice;
use crate::web::view::pages::incidents::{DeclareIncident, IncidentRow, IncidentsPage};
use crate::web::view::parts::{Empty, LogRow, Mark, Timeline};
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::view::state::State as Lamp;
use crate::web::{frame, paths, respond};

/// Resolved incidents on one page.
const PER_PAGE: i64 = 50;

/// Tickets of one application that are named as held up.
const NAMED: usize = 6;

#[derive(Deserialize)]
pub(super) struct Asked {
    cursor: Option<i64>,
}

pub(super) async fn show(State(site): State<WebState>, reader: Reader, Query(asked): Query<Asked>) -> Page {
    respond::page(&page(&site, &reader, asked.cursor).await?)
}

/// The page as it is before anything is typed.
pub(super) async fn page(
    site: &Site,
    reader: &Reader,
    cursor: Option<i64>,
) -> Result<IncidentsPage, ServiceError> {
    let now = site.services.now();
    let open = site.services.list_incidents(true, None, INCIDENTS_PER_PAGE).await?.incidents;
    let all = site.services.list_incidents(false, cursor, PER_PAGE).await?;
    let held_up = held_up(site, &open).await?;
    let may = authority::declares_incidents(reader.actor()).is_ok();
    let applications = site.services.applications().await?;
    let count = u64::try_from(open.len()).unwrap_or(u64::MAX);
    let rows = open.iter().map(|incident| IncidentRow {
        id: incident.id.to_string(),
        name: incident.label(),
        application: incident.application.clone(),
        title: incident.title.clone(),
        blocks: held_up.get(&incident.application).cloned().unwrap_or_default(),
        opened: Prose::from(format!("{}, ", incident.opened_by_name))
            .time(Time::long(incident.opened_at, now)),
        may_resolve: may,
    });
    Ok(IncidentsPage {
        open: rows.collect(),
        shell: frame::shell(site, reader, "Incidents", Nav::Incidents).await?,
        errors: None,
        open_note: plural(count, "incident", "incidents"),
        nothing_open: Empty::new(
            "list-checks",
            "No incident is open.",
            "An open one closes gates until it is resolved.",
        ),
        resolved: Timeline {
            rows: all.incidents.iter().filter_map(|incident| resolved(incident, now)).collect(),
        },
        nothing_resolved: Empty::new(
            "list-checks",
            "None was resolved yet.",
            "Resolved incidents stay here.",
        ),
        next: all.next.map(|next| format!("/incidents?cursor={next}")),
        declare: may.then(DeclareIncident::default),
        applications: applications.into_iter().map(|app| Choice::new(app.name.clone(), app.name)).collect(),
    })
}

/// The open tickets of each application that has an open incident, in words.
async fn held_up(site: &Site, open: &[Incident]) -> Result<BTreeMap<String, Prose>, ServiceError> {
    let applications: BTreeSet<&str> = open.iter().map(|incident| incident.application.as_str()).collect();
    let tickets = site.services.newest_open(&applications, NAMED + 1).await?;
    let words = |numbers: Vec<TicketNumber>| {
        if numbers.is_empty() {
            return "No ticket is open here.".into();
        }
        let mut prose = Prose::from("Holds up ");
        for (at, number) in numbers.iter().take(NAMED).enumerate() {
            if at > 0 {
                prose = prose.text(", ");
            }
            prose = prose.link(number.to_string(), paths::ticket(*number));
        }
        prose.text(if numbers.len() > NAMED { " and more." } else { "." })
    };
    Ok(tickets.into_iter().map(|(application, numbers)| (application, words(numbers))).collect())
}

fn resolved(incident: &Incident, now: Timestamp) -> Option<LogRow> {
    let at = incident.resolved_at?;
    let by = incident.resolved_by_name.clone().unwrap_or_default();
    Some(LogRow {
        time: Time::short(at, now),
        mark: Mark::Status(Lamp::Open, "Resolved"),
        text: Prose::new()
            .strong(incident.label())
            .text(format!(", {}: {}. Open since ", incident.application, incident.title))
            .time(Time::long(incident.opened_at, now)),
        aside: by.into(),
        digest: None,
    })
}
