//! `/tickets`: the list, narrowed and paged.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::extract::State;
use serde::Deserialize;

use crate::domain::id::{TicketId, UserId};
use crate::domain::queue::{Seen, asked};
use crate::domain::ticket::{TicketKind, TicketOutcome, TicketState};
use crate::domain::user::{Actor, Role};
use crate::service::ServiceError;
use crate::service::tickets::{Filter, Line};
use crate::web::error::{Failure, Page};
use crate::web::extract::Query;
use crate::web::present::{Judged, about, gates, rail, verdict};
use crate::web::session::Reader;
use crate::web::site::{Site, WebState};
use crate::web::view::format::{Time, plural};
use crate::web::view::forms::Choice;
use crate::web::view::pages::tickets::{TicketFilter, TicketRow, TicketsPage};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::view::state::{Lamps, State as Lamp, Status};
use crate::web::{frame, paths, respond};

/// Lines of a page.
const LINES: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asking {
    q: String,
    state: String,
    application: String,
    kind: String,
    requester: String,
    cursor: Option<i64>,
}

/// The list of tickets.
pub(super) async fn get(State(site): State<WebState>, reader: Reader, Query(asking): Query<Asking>) -> Page {
    let actor = reader.actor();
    let (lines, next) = site.services.list_lines(&narrowed(&asking)?, LINES).await?;
    let open: Vec<TicketId> =
        lines.iter().filter(|line| line.state == TicketState::Open).map(|line| line.id).collect();
    let mut judged: HashMap<TicketId, Vec<Judged>> = HashMap::new();
    for dossier in site.services.dossiers(actor, &open).await? {
        judged.insert(dossier.ticket.id, Judged::all(&dossier).map_err(ServiceError::from)?);
    }
    let shell = frame::shell(&site, &reader, "Tickets", Nav::Tickets).await?;
    let now = shell.now;
    let rows: Vec<TicketRow> = lines
        .iter()
        .map(|line| row(line, judged.get(&line.id).map_or(&[][..], Vec::as_slice), actor, now))
        .collect();
    let filter = TicketFilter {
        q: asking.q,
        state: asking.state,
        application: asking.application,
        kind: asking.kind,
        requester: asking.requester,
    };
    let shown = plural(rows.len() as u64, "ticket", "tickets");
    let page = TicketsPage {
        shell,
        states: states(),
        applications: applications(&site).await?,
        kinds: kinds(),
        requesters: requesters(&site, actor, &filter.requester).await?,
        empty: empty(&filter, actor),
        shown: format!("{shown}, newest first"),
        first: asking.cursor.map(|_| address(&filter, None)),
        next: next.map(|after| address(&filter, Some(after))),
        rows,
        filter,
    };
    respond::page(&page)
}

/// The filter that the store takes.
fn narrowed(asking: &Asking) -> Result<Filter, Failure> {
    fn word<T: std::str::FromStr>(text: &str) -> Result<Option<T>, Failure> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse()
            .map(Some)
            .map_err(|_| Failure::unreadable("The address asks for something that there is not."))
    }
    Ok(Filter {
        q: asking.q.split_whitespace().take(8).map(|word| word.chars().take(100).collect()).collect(),
        state: word::<TicketState>(&asking.state)?,
        application: Some(asking.application.clone()).filter(|name| !name.is_empty()),
        kind: word::<TicketKind>(&asking.kind)?,
        requester: word::<UserId>(&asking.requester)?,
        before: asking.cursor,
    })
}

/// The address of a page of the list.
fn address(filter: &TicketFilter, after: Option<i64>) -> String {
    let mut address = "/tickets".to_owned();
    let mut mark = '?';
    let named = [
        ("q", &filter.q),
        ("state", &filter.state),
        ("application", &filter.application),
        ("kind", &filter.kind),
        ("requester", &filter.requester),
    ];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(address, "{mark}{name}={}", paths::encoded(value));
        mark = '&';
    }
    if let Some(after) = after {
        let _ = write!(address, "{mark}cursor={after}");
    }
    address
}

fn states() -> Vec<Choice> {
    vec![
        Choice::new("", "Any"),
        Choice::new("open", "Open"),
        Choice::new("completed", "Completed"),
        Choice::new("abandoned", "Abandoned"),
    ]
}

fn kinds() -> Vec<Choice> {
    vec![
        Choice::new("", "Any"),
        Choice::new("normal", "Normal"),
        Choice::new("standard", "Standard"),
        Choice::new("emergency", "Emergency"),
    ]
}

async fn applications(site: &Site) -> Result<Vec<Choice>, ServiceError> {
    let known = site.services.applications().await?.into_iter();
    let mut choices = vec![Choice::new("", "Any")];
    choices.extend(known.map(|application| Choice::new(application.name.clone(), application.name)));
    Ok(choices)
}

/// Everybody who files tickets, the reader first; and whoever is asked for now.
async fn requesters(site: &Site, reader: &Actor, asked_for: &str) -> Result<Vec<Choice>, ServiceError> {
    let mut choices = vec![Choice::new("", "Anyone")];
    if reader.has(Role::Engineer) {
        choices.push(Choice::new(reader.user.to_string(), "You"));
    }
    for known in site.services.list_users(None).await? {
        let user = known.user;
        let id = user.id.to_string();
        let listed = (user.active && user.roles.contains(&Role::Engineer)) || id == asked_for;
        if listed && user.id != reader.user {
            choices.push(Choice::new(id, user.name));
        }
    }
    Ok(choices)
}

fn empty(filter: &TicketFilter, reader: &Actor) -> Empty {
    if filter.any() {
        let what = if filter.q.is_empty() { String::new() } else { format!(" “{}”", filter.q.trim()) };
        let title = if what.is_empty() {
            "No ticket is like that.".to_owned()
        } else {
            format!("No ticket matches{what}.")
        };
        let way = Prose::from(
            "Every word has to occur in a ticket’s number, title, tags, revisions, application or people. ",
        )
        .link("Clear the filter", "/tickets")
        .text(".");
        return Empty::new("search", title, way);
    }
    let text = if reader.has(Role::Engineer) {
        Prose::new().link("File the first one", "/tickets/new").text(", or let CI do it.")
    } else {
        "Release engineers file them; they appear here.".into()
    };
    Empty::new("list-checks", "No ticket has been filed yet.", text)
}

/// A line of the list. `stages` are those of an open ticket, in the order of the pipeline.
fn row(line: &Line, stages: &[Judged], reader: &Actor, now: crate::domain::time::Timestamp) -> TicketRow {
    let current = Judged::first_unfinished(stages);
    let seen: Vec<Seen<'_>> = stages.iter().map(Judged::seen).collect();
    TicketRow {
        number: line.number.to_string(),
        title: line.title.clone(),
        kind: (line.kind != TicketKind::Normal).then(|| about::kind_tag(line.kind)),
        application: line.application.clone(),
        tag: line.release_tag.clone(),
        status: current.map_or_else(|| closed(line), |stage| placed(stage, stages, reader)),
        waits: current.map_or_else(Prose::new, |stage| verdict::waits(stages, stage, reader)),
        pips: current.map(gates::pips),
        lamps: current.map(lamps),
        window: current.map_or_else(Prose::new, |stage| rail::window_words(stage).0),
        changed: Time::short(line.updated_at, now).into(),
        mine: asked(&seen, reader).is_some(),
    }
}

/// Signatures of a stage at a glance. What was applied had them all.
pub(in crate::web) fn lamps(stage: &Judged) -> Lamps {
    let need = usize::try_from(stage.report.quorum).unwrap_or(usize::MAX);
    let applied = stage.facts.this.standing_upgrade().is_some();
    let have = if applied { need } else { stage.report.tally.approvals.len() };
    Lamps { have, need, alone: true }
}

/// "Production: waiting for signatures".
fn placed(stage: &Judged, stages: &[Judged], reader: &Actor) -> Status {
    let (now, words) = rail::placed(stage, reader);
    if stages.iter().all(Judged::finished) {
        return Status::new(Lamp::Who, "Healthy everywhere, notes to file");
    }
    Status::new(now, format!("{}: {}", stage.label(), lower(&words)))
}

/// The first letter in lower case, for the middle of a sentence.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn closed(line: &Line) -> Status {
    match (line.state, line.outcome) {
        (TicketState::Completed, Some(TicketOutcome::RolledBack)) => Status::new(Lamp::Stop, "Rolled back"),
        (TicketState::Completed, _) => Status::new(Lamp::Open, "Completed"),
        (TicketState::Abandoned, _) => Status::new(Lamp::Stale, "Abandoned"),
        (TicketState::Draft, _) => Status::new(Lamp::Idle, "Draft"),
        (TicketState::Open, _) => Status::new(Lamp::Idle, "Open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_its_filter() {
        let filter =
            TicketFilter { q: "risk & limits".into(), state: "open".into(), ..TicketFilter::default() };
        assert_eq!(address(&filter, Some(41)), "/tickets?q=risk%20%26%20limits&state=open&cursor=41");
        assert_eq!(address(&TicketFilter::default(), None), "/tickets");
    }

    #[test]
    fn an_unknown_state_is_refused_and_an_empty_one_is_any() {
        let asking = |state: &str| Asking { state: state.into(), ..Asking::default() };
        assert!(narrowed(&asking("ajar")).is_err());
        assert_eq!(narrowed(&asking("")).unwrap().state, None);
        assert_eq!(narrowed(&asking("open")).unwrap().state, Some(TicketState::Open));
    }
}
