//! `/`: what waits for the reader, what is released next, what is watched, what was finished.

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use crate::domain::queue::Ask;
use crate::domain::ticket::TicketState;
use crate::domain::time::Timestamp;
use crate::domain::user::{Actor, Role};
use crate::service::ServiceError;
use crate::service::queue::QUEUE_LOOKS_AT;
use crate::service::tickets::Filter;
use crate::web::error::Page;
use crate::web::present::{capital, number_word};
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::format::Time;
use crate::web::view::pages::tickets::{QueuePage, QueueRow};
use crate::web::view::parts::Empty;
use crate::web::view::prose::Prose;
use crate::web::view::shell::Nav;
use crate::web::{frame, respond};

mod rows;

use rows::Ticket;

/// Lines of “Releasing next” and of “Finished lately”.
const NEXT: usize = 8;
const LATELY: usize = 5;

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/", get(queue))
}

/// My queue.
async fn queue(State(site): State<WebState>, reader: Reader) -> Page {
    let actor = reader.actor();
    let dossiers = site.services.open_dossiers(actor, QUEUE_LOOKS_AT).await?;
    let mut tickets = Vec::with_capacity(dossiers.len());
    for dossier in &dossiers {
        tickets.push(Ticket::new(dossier, actor).map_err(ServiceError::from)?);
    }
    let completed = Filter { state: Some(TicketState::Completed), ..Filter::default() };
    let (finished, _) = site.services.list_lines(&completed, LATELY).await?;
    let mut shell = frame::shell(&site, &reader, "Your queue", Nav::Queue).await?;
    let mut asking: Vec<&Ticket> = tickets.iter().filter(|ticket| ticket.asked.is_some()).collect();
    asking.sort_by_cached_key(|ticket| ticket.urgency());
    // The page has just counted; a badge that says otherwise would be wrong.
    shell.queue_count = asking.len();
    let now = shell.now;
    let page = QueuePage {
        title: title(asking.len()),
        lede: asking.first().map_or_else(Prose::new, |first| lede(first, now)),
        cut: (dossiers.len() == QUEUE_LOOKS_AT).then_some(QUEUE_LOOKS_AT),
        waiting: asking.iter().filter_map(|ticket| rows::waiting(ticket, actor)).collect(),
        nothing_waiting: nothing_waiting(actor),
        releasing: releasing(&tickets, actor),
        nothing_releasing: Empty::new(
            "clock",
            "No ticket is on its way to a window.",
            "Tickets appear here from the day they are filed, the earliest window first.",
        ),
        finished: rows::finished(&finished, now),
        nothing_finished: Empty::new(
            "list-checks",
            "Nothing has been finished yet.",
            "Completed tickets appear here.",
        ),
        observed: tickets.iter().flat_map(|ticket| &ticket.stages).filter_map(rows::observed).collect(),
        nothing_observed: Empty::new(
            "clock",
            "Nothing is under observation.",
            "A stage appears here once it was applied, until somebody judges it.",
        ),
        preparing: tickets
            .iter()
            .filter(|ticket| ticket.own && ticket.asked.is_none())
            .filter_map(|ticket| Some(rows::preparing(ticket.current()?, actor)))
            .collect(),
        nothing_preparing: Empty::new(
            "list-checks",
            "No other ticket of yours is open.",
            "Tickets of yours that wait for others or for time appear here.",
        ),
        shell,
    };
    respond::page(&page)
}

/// "Three tickets wait for you".
fn title(waiting: usize) -> String {
    match waiting {
        0 => "Nothing waits for you".to_owned(),
        1 => "One ticket waits for you".to_owned(),
        many => format!("{} tickets wait for you", capital(&number_word(many))),
    }
}

/// "The most urgent, CHG-42, needs your signature before Thu 14:00 UTC, in 1 d 3 h."
fn lede(first: &Ticket, now: Timestamp) -> Prose {
    let (Some(asked), Some(stage)) = (&first.asked, first.stages.first()) else { return Prose::new() };
    let number = stage.facts.ticket.number;
    let needs = match asked.ask {
        Ask::SettleRun => "needs somebody to say what a run did",
        Ask::RollBack => "needs a way back",
        Ask::Release => "can be released",
        Ask::Accept { .. } => "needs your word on its findings",
        Ask::Settle { .. } => "waits for your thread",
        Ask::Sign { .. } => "needs your signature",
        Ask::Judge => "needs a health verdict",
        Ask::Verify => "needs its smoke checks",
        Ask::Revise { .. } => "was rejected and needs new evidence",
        Ask::Attach { .. } => "needs files",
        Ask::Attest { .. } => "needs your statement",
        Ask::Complete => "needs its completion notes",
    };
    let prose = Prose::from("The most urgent, ")
        .link(number.to_string(), crate::web::paths::stage(number, &asked.stage))
        .text(format!(", {needs}"));
    match first.urgency().0 {
        at if at > now && at < Timestamp::MAX && !matches!(asked.ask, Ask::Complete) => prose
            .text(" before ")
            .time(Time::long_utc(at, now))
            .text(", ")
            .until(Time::until(at, now))
            .text("."),
        _ => prose.text("."),
    }
}

fn nothing_waiting(reader: &Actor) -> Empty {
    let text = if reader.has(Role::Board) {
        "Tickets appear here when their evidence is complete and your signature counts."
    } else if reader.has(Role::Engineer) {
        "Your tickets appear here when they lack something, and any ticket when it can be released."
    } else {
        "Tickets appear here when they need something that you can give."
    };
    Empty::new("list-checks", "Nothing waits for you.", text)
}

fn releasing(tickets: &[Ticket], reader: &Actor) -> Vec<QueueRow> {
    let mut next: Vec<(Timestamp, QueueRow)> = tickets
        .iter()
        .filter_map(|ticket| {
            let stage = ticket.current()?;
            let row = rows::releasing(stage, &ticket.stages, reader)?;
            let at = crate::domain::queue::deadline(&stage.report).unwrap_or(Timestamp::MAX);
            Some((at, row))
        })
        .collect();
    next.sort_by_key(|(at, _)| *at);
    next.into_iter().take(NEXT).map(|(_, row)| row).collect()
}
