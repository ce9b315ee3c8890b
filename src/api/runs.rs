//! Runs: their log, heartbeat and end.

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::access::Caller;
use super::input::{self, At, BODY_LIMIT, Body, Query};
use super::problem::Problem;
use crate::domain::digest::Digest;
use crate::domain::facts::Facts;
use crate::domain::id::{RunId, TicketNumber};
use crate::domain::run::{Direction, Method, Outcome, Run, RunStatus, RunVerdict};
use crate::domain::time::Timestamp;
use crate::service::runs::Finish;

/// One execution of a stage's SQL.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunBody {
    #[schema(value_type = String, format = "uuid")]
    id: RunId,
    #[schema(value_type = String, example = "CHG-1")]
    ticket: TicketNumber,
    stage: String,
    #[schema(value_type = String, example = "upgrade")]
    direction: Direction,
    /// Of a rollback.
    #[schema(value_type = Option<String>, example = "downgrade")]
    method: Option<Method>,
    /// The run that a rollback undoes.
    #[schema(value_type = Option<String>, format = "uuid")]
    undoes: Option<RunId>,
    /// `running`, `succeeded`, `failed`, `partial` or `unknown`: the last when it was silent for longer than its lease.
    #[schema(value_type = String, example = "running")]
    status: RunStatus,
    sql_digest: String,
    #[schema(value_type = String)]
    evidence_digest: Digest,
    redeemed_by: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// A heartbeat is due before this.
    #[schema(value_type = String, format = DateTime)]
    lease_until: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    exit_code: Option<i64>,
    revision_before: Option<String>,
    revision_after: Option<String>,
    /// A person's word on a run that stopped reporting.
    #[schema(value_type = Option<String>, example = "applied")]
    verdict: Option<RunVerdict>,
    log_bytes: i64,
    log_cut: bool,
    /// It ended after its window did.
    overran: bool,
}

impl RunBody {
    pub fn of(run: &Run, facts: &Facts) -> Self {
        Self {
            id: run.id,
            ticket: run.ticket,
            stage: facts.this.stage.name.clone(),
            direction: run.direction,
            method: run.method,
            undoes: run.undoes,
            status: run.status_at(facts.now),
            sql_digest: run.sql_digest.clone(),
            evidence_digest: run.evidence,
            redeemed_by: run.redeemed_by_name.clone(),
            started_at: run.started_at,
            lease_until: run.lease_until,
            finished_at: run.finished_at,
            exit_code: run.exit_code,
            revision_before: run.revision_before.clone(),
            revision_after: run.revision_after.clone(),
            verdict: run.verdict.as_ref().map(|v| v.verdict),
            log_bytes: run.log_bytes,
            log_cut: run.log_cut,
            overran: run.overran,
        }
    }
}

/// The run as it is recorded now.
pub(super) async fn load(api: &ApiState, caller: &Caller, id: RunId) -> Result<RunBody, Problem> {
    let (run, facts) = api.services.run(&caller.0, id).await?;
    Ok(RunBody::of(&run, &facts))
}

/// Show a run
#[utoipa::path(get, path = "/runs/{id}", tag = "Runs",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, body = RunBody)))]
pub(super) async fn show(
    State(api): State<ApiState>,
    caller: Caller,
    At(id): At<RunId>,
) -> Result<Json<RunBody>, Problem> {
    load(&api, &caller, id).await.map(Json)
}

/// Show the run that a redemption opened
///
/// For a client that never got the answer to its redemption: `key` is the `Idempotency-Key` that it sent,
/// with this or another API token of the same person. 404 means that nothing was redeemed with it.
#[utoipa::path(get, path = "/tickets/{number}/stages/{stage}/redemptions/{key}", tag = "Runs",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"),
           ("key" = String, Path, description = "The redemption's Idempotency-Key")),
    responses((status = 200, body = RunBody)))]
pub(super) async fn redeemed(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage, key)): At<(TicketNumber, String, String)>,
) -> Result<Json<RunBody>, Problem> {
    let id = api.services.redeemed_run(&caller.0, number, &stage, &key).await?;
    load(&api, &caller, id).await.map(Json)
}

/// Where a piece of a log belongs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// How many bytes come before this piece.
    offset: i64,
}

/// The run, and how far its log has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogBody {
    #[serde(flatten)]
    run: RunBody,
    /// The offset at which the next bytes belong.
    next: i64,
    /// The log went over its cap and is kept up to it; the run goes on.
    cut: bool,
}

/// Append to a run's log
///
/// Bytes that are there already are not kept twice, so a piece can be sent again. At most 1 MiB in one piece.
#[utoipa::path(post, path = "/runs/{id}/log", tag = "Runs",
    params(("id" = String, Path, description = "The run's id"), LogQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, body = LogBody)))]
pub(super) async fn log(
    State(api): State<ApiState>,
    caller: Caller,
    At(id): At<RunId>,
    Query(query): Query<LogQuery>,
    request: Request,
) -> Result<Json<LogBody>, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = input::bytes(&parts.headers, body, BODY_LIMIT).await?;
    let log = api.services.append_log(&caller.0, id, query.offset, &bytes).await?;
    let run = load(&api, &caller, id).await?;
    Ok(Json(LogBody { run, next: log.next, cut: log.cut }))
}

/// Say that a run is still going
///
/// Due every 10 seconds. Silence for longer than the lease makes the run `unknown`, which a person has to settle.
#[utoipa::path(post, path = "/runs/{id}/heartbeat", tag = "Runs",
    params(("id" = String, Path, description = "The run's id")),
    responses((status = 200, body = RunBody)))]
pub(super) async fn heartbeat(
    State(api): State<ApiState>,
    caller: Caller,
    At(id): At<RunId>,
) -> Result<Json<RunBody>, Problem> {
    api.services.heartbeat(&caller.0, id).await?;
    load(&api, &caller, id).await.map(Json)
}

/// How a run ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FinishBody {
    /// `succeeded`, `failed` or `partial`. The server makes `partial` of what the revisions don't bear out.
    #[schema(value_type = String, example = "succeeded")]
    outcome: Outcome,
    exit_code: Option<i64>,
    revision_before: Option<String>,
    revision_after: Option<String>,
    /// For a restore: the backup is back.
    #[serde(default)]
    backup_restored: bool,
    /// For a restore: the prior tag runs again.
    #[serde(default)]
    prior_tag_redeployed: bool,
}

/// End a run
///
/// The same end twice is one end. An end after the lease has lapsed is kept as evidence; a person decides.
#[utoipa::path(post, path = "/runs/{id}/finish", tag = "Runs",
    params(("id" = String, Path, description = "The run's id")),
    request_body = FinishBody,
    responses((status = 200, body = RunBody)))]
pub(super) async fn finish(
    State(api): State<ApiState>,
    caller: Caller,
    At(id): At<RunId>,
    Body(body): Body<FinishBody>,
) -> Result<Json<RunBody>, Problem> {
    let finish = Finish {
        outcome: body.outcome,
        exit_code: body.exit_code,
        revision_before: body.revision_before,
        revision_after: body.revision_after,
        backup_restored: body.backup_restored,
        prior_tag_redeployed: body.prior_tag_redeployed,
    };
    api.services.finish(&caller.0, id, finish).await?;
    load(&api, &caller, id).await.map(Json)
}
