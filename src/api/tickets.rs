//! Filing, listing and showing tickets.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::input::{At, Body, Query};
use super::problem::Problem;
use super::ticket::{self, TicketBody};
use super::{ApiState, PREFIX, cursor, incidents};
use crate::domain::id::{TicketNumber, UserId};
use crate::domain::run::{Health, RunStatus};
use crate::domain::ticket::{Emergency, TicketContent, TicketKind, TicketOutcome, TicketState};
use crate::domain::time::Timestamp;
use crate::service::tickets::{Filter, StageLine, TicketLine};

/// A change to be promoted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTicket {
    #[schema(example = "trading-backend")]
    application: String,
    title: String,
    /// `normal`, `standard` or `emergency`.
    #[schema(value_type = String, example = "normal")]
    kind: TicketKind,
    #[serde(default)]
    description: String,
    release_tag: String,
    /// The tag that a rollback redeploys.
    prior_release_tag: String,
    /// The full revision that the database is at.
    from_revision: String,
    /// The full revision that the change leads to; never `head`.
    to_revision: String,
    /// E-mail addresses or names of people who wrote the change; they can't approve it.
    #[serde(default)]
    authors: Vec<String>,
    /// Why an emergency can't wait.
    emergency_reason: Option<String>,
    /// The incident that an emergency ends, as `INC-1` or by its id.
    emergency_incident: Option<String>,
    #[serde(default)]
    external_links: Vec<String>,
}

/// File a ticket
#[utoipa::path(post, path = "/tickets", tag = "Tickets",
    request_body = NewTicket,
    responses((status = 201, body = TicketBody, headers(("Location" = String)))))]
pub(super) async fn file(
    State(api): State<ApiState>,
    caller: Caller,
    Body(new): Body<NewTicket>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<TicketBody>), Problem> {
    let incident = match &new.emergency_incident {
        Some(reference) => Some(
            incidents::find(&api, reference)
                .await?
                .ok_or_else(|| Problem::field("emergency_incident", "There is no such incident."))?,
        ),
        None => None,
    };
    let emergency = match (new.emergency_reason, incident) {
        (None, None) => None,
        (reason, incident) => Some(Emergency { reason: reason.unwrap_or_default(), incident }),
    };
    let content = TicketContent {
        title: new.title,
        description: new.description,
        kind: new.kind,
        release_tag: new.release_tag,
        prior_release_tag: new.prior_release_tag,
        from_revision: new.from_revision,
        to_revision: new.to_revision,
        authors: new.authors,
        emergency,
        external_links: new.external_links,
    };
    let number = api.services.file_ticket(&caller.0, &new.application, content).await?;
    let body = ticket::load(&api, &caller, number).await?;
    let address = [(header::LOCATION, format!("{PREFIX}/tickets/{number}"))];
    Ok((StatusCode::CREATED, address, Json(body)))
}

/// Show a ticket
#[utoipa::path(get, path = "/tickets/{number}", tag = "Tickets",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1")),
    responses((status = 200, body = TicketBody)))]
pub(super) async fn show(
    State(api): State<ApiState>,
    caller: Caller,
    At(number): At<TicketNumber>,
) -> Result<Json<TicketBody>, Problem> {
    ticket::load(&api, &caller, number).await.map(Json)
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Words that all have to occur in number, title, tags, revisions, application or names.
    #[serde(default)]
    q: String,
    /// `draft`, `open`, `completed` or `abandoned`.
    #[param(value_type = Option<String>)]
    state: Option<TicketState>,
    application: Option<String>,
    /// `normal`, `standard` or `emergency`.
    #[param(value_type = Option<String>)]
    kind: Option<TicketKind>,
    /// E-mail address or id.
    requester: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 100; 50 if it is not said.
    limit: Option<usize>,
}

/// A page of tickets, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TicketPage {
    items: Vec<TicketSummary>,
    /// Where the next page begins; none after the last.
    next_cursor: Option<String>,
}

/// A ticket in a list.
#[derive(Debug, Serialize, ToSchema)]
struct TicketSummary {
    #[schema(value_type = String, example = "CHG-1")]
    number: TicketNumber,
    title: String,
    #[schema(value_type = String)]
    kind: TicketKind,
    #[schema(value_type = String)]
    state: TicketState,
    #[schema(value_type = Option<String>)]
    outcome: Option<TicketOutcome>,
    application: String,
    release_tag: String,
    from_revision: String,
    to_revision: String,
    requester: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    stages: Vec<StageSummary>,
}

/// A stage in a list, as far as runs tell.
#[derive(Debug, Serialize, ToSchema)]
struct StageSummary {
    name: String,
    /// The last upgrade's status, if there was one.
    #[schema(value_type = Option<String>, example = "succeeded")]
    run_status: Option<RunStatus>,
    rolled_back: bool,
    #[schema(value_type = Option<String>, example = "healthy")]
    health: Option<Health>,
    /// Of an outstanding apply token.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_expires_at: Option<Timestamp>,
}

impl StageSummary {
    fn of(line: StageLine, now: Timestamp) -> Self {
        let lapsed = line.lease_until.is_some_and(|until| now >= until);
        Self {
            name: line.name,
            run_status: match line.status {
                Some(RunStatus::Running) if lapsed => Some(RunStatus::Unknown),
                status => status,
            },
            rolled_back: line.rolled_back > 0,
            health: line.health,
            token_expires_at: line.token_until.filter(|until| now < *until),
        }
    }
}

impl TicketSummary {
    fn of(line: TicketLine, now: Timestamp) -> Self {
        let TicketLine { ticket, stages } = line;
        Self {
            number: ticket.number,
            title: ticket.title,
            kind: ticket.kind,
            state: ticket.state,
            outcome: ticket.outcome,
            application: ticket.application,
            release_tag: ticket.release_tag,
            from_revision: ticket.from_revision,
            to_revision: ticket.to_revision,
            requester: ticket.requester,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
            stages: stages.into_iter().map(|s| StageSummary::of(s, now)).collect(),
        }
    }
}

/// List tickets
#[utoipa::path(get, path = "/tickets", tag = "Tickets",
    params(ListQuery),
    responses((status = 200, body = TicketPage)))]
pub(super) async fn list(
    State(api): State<ApiState>,
    _: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<TicketPage>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let before = cursor::read(query.cursor.as_deref())?;
    let q: Vec<String> = query.q.split_whitespace().map(str::to_owned).collect();
    if query.q.chars().count() > 200 || q.len() > 10 {
        return Err(Problem::bad_request("bad-query", "q: at most 10 words of 200 characters in all."));
    }
    let requester = match &query.requester {
        None => None,
        Some(text) => match requester(&api, text).await? {
            Some(user) => Some(user),
            None => return Ok(Json(TicketPage { items: Vec::new(), next_cursor: None })),
        },
    };
    let filter =
        Filter { q, state: query.state, application: query.application, kind: query.kind, requester, before };
    let page = api.services.list_tickets(&filter, limit).await?;
    let now = api.services.now();
    Ok(Json(TicketPage {
        items: page.lines.into_iter().map(|line| TicketSummary::of(line, now)).collect(),
        next_cursor: page.next.map(cursor::write),
    }))
}

async fn requester(api: &ApiState, text: &str) -> Result<Option<UserId>, Problem> {
    match text.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(api.services.find_user(text).await?.map(|user| user.id)),
    }
}
