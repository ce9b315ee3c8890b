//! Apply tokens: released once every gate is open, shown once, redeemed once.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::access::Caller;
use super::gates::IntentBody;
use super::idempotency::{self, Instead};
use super::input::{At, Body, MaybeBody, Query, text_form};
use super::problem::Problem;
use super::runs::{self, RunBody};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::id::{ApplyTokenId, TicketNumber};
use crate::domain::run::{Direction, Method};
use crate::domain::sql_digest::SqlDigest;
use crate::domain::time::Timestamp;
use crate::service::tokens::Presented;

/// A token, and what redeeming it has to present.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleasedBody {
    #[schema(value_type = String, format = "uuid")]
    id: ApplyTokenId,
    /// The secret. It is shown here and never again.
    #[schema(example = "csa_…")]
    token: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = String)]
    direction: Direction,
    #[schema(value_type = Option<String>)]
    method: Option<Method>,
    #[schema(value_type = String, example = "sqlnorm1:sha256:…")]
    sql_digest: SqlDigest,
    #[schema(value_type = Option<String>)]
    manifest_sha256: Option<Digest>,
    /// What the database has to say of itself, where policy wants it.
    database: Option<String>,
    /// The approved file.
    artifact: ApprovedFile,
}

#[derive(Serialize, ToSchema)]
struct ApprovedFile {
    #[schema(value_type = String)]
    kind: ArtifactKind,
    version: i64,
    #[schema(value_type = String)]
    sha256: Digest,
}

/// Release an apply token
///
/// The gates are evaluated in the transaction that writes. A repetition with the same `Idempotency-Key` is answered with
/// 409 `already-released`, the expiry and the id: the secret is not kept anywhere.
#[utoipa::path(post, path = "/tickets/{number}/stages/{stage}/apply-tokens", tag = "Apply tokens",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging")),
    request_body = Option<IntentBody>,
    responses((status = 201, body = ReleasedBody)))]
pub(super) async fn release(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
    MaybeBody(intent): MaybeBody<IntentBody>,
) -> Result<Response, Problem> {
    let released = api.services.release(&caller.0, number, &stage, intent.read()?).await?;
    let mut instead = Problem::new(
        StatusCode::CONFLICT,
        "already-released",
        "The token was released in answer to an earlier request with this key. Its secret was shown once; revoke it \
         and release another one if that answer was lost.",
    );
    instead.expires_at = Some(released.expires_at);
    instead.token_id = Some(released.id);
    let body = ReleasedBody {
        id: released.id,
        token: released.secret.reveal().to_owned(),
        expires_at: released.expires_at,
        direction: released.intent.direction(),
        method: released.intent.method(),
        sql_digest: released.expected.sql_digest,
        manifest_sha256: released.expected.manifest,
        database: released.expected.database,
        artifact: ApprovedFile {
            kind: released.expected.kind,
            version: released.expected.version,
            sha256: released.expected.raw,
        },
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    response.extensions_mut().insert(Instead(instead));
    Ok(response)
}

/// Which token is to go.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevokeQuery {
    /// Only the token of this `id`, as releasing it answered. One that is used, revoked or expired already is as good as
    /// revoked: 204 too.
    #[param(value_type = Option<String>, format = "uuid")]
    id: Option<ApplyTokenId>,
}

/// Revoke an apply token
///
/// The one that is outstanding on the stage; with `id` that one and no other, so that nobody else's goes in its place.
#[utoipa::path(delete, path = "/tickets/{number}/stages/{stage}/apply-tokens", tag = "Apply tokens",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"), RevokeQuery),
    responses((status = 204, description = "It can't be redeemed any more")))]
pub(super) async fn revoke(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
    Query(query): Query<RevokeQuery>,
) -> Result<StatusCode, Problem> {
    api.services.revoke_token(&caller.0, number, &stage, query.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a client is about to run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Redemption {
    /// The secret.
    #[schema(example = "csa_…")]
    token: String,
    /// Of a fresh render: `sqlnorm1:sha256:…`; of the approved file itself, where a render can't be reproduced: `sha256:…`.
    sql_digest: String,
    /// Of the migration manifest. Needed if the approved evidence holds one.
    manifest_sha256: Option<String>,
    /// What the database says of itself, where policy wants it.
    database: Option<String>,
    /// What the client takes the token to be for. A token that was released for something else is refused untouched.
    #[serde(rename = "for")]
    purpose: Option<PurposeBody>,
}

/// What a token is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PurposeBody {
    #[schema(value_type = String, example = "CHG-1")]
    ticket: TicketNumber,
    #[schema(example = "staging")]
    stage: String,
    #[schema(value_type = String, example = "upgrade")]
    direction: Direction,
    /// Of a rollback.
    #[schema(value_type = Option<String>)]
    method: Option<Method>,
}

/// The run that was opened, and the right to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RedeemedBody {
    run: RunBody,
    /// A DSSE envelope that verifies offline with the key under `/keys/grant`.
    #[schema(value_type = Object)]
    grant: Box<RawValue>,
}

/// Redeem an apply token
///
/// Opens its one run. The same `Idempotency-Key` again is answered with the same run and grant; any other second use is
/// refused and raised as an alarm on the ticket.
#[utoipa::path(post, path = "/apply-tokens/redeem", tag = "Apply tokens",
    request_body = Redemption,
    responses((status = 200, body = RedeemedBody)))]
pub(super) async fn redeem(
    State(api): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body<Redemption>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    let manifest = body.manifest_sha256.as_deref();
    let presented = Presented {
        sql_digest: text_form("sql_digest", &body.sql_digest)?,
        manifest: manifest.map(|text| text_form("manifest_sha256", text)).transpose()?,
        database: body.database,
    };
    if let Some(wanted) = &body.purpose {
        check_purpose(&api, &body.token, wanted).await?;
    }
    let redeemed = api.services.redeem(&caller.0, &body.token, presented, key).await?;
    let grant = RawValue::from_string(redeemed.grant).map_err(|e| Problem::internal(e.to_string()))?;
    let run = runs::load(&api, &caller, redeemed.run).await?;
    let response = Json(RedeemedBody { run, grant }).into_response();
    Ok(if redeemed.replayed { idempotency::replayed(response) } else { response })
}

/// The token tells nobody what it is for, so a client that mixed two of them up is told here.
async fn check_purpose(api: &ApiState, secret: &str, wanted: &PurposeBody) -> Result<(), Problem> {
    // What the portal does not know is refused where it is redeemed.
    let Some(token) = api.services.token_purpose(secret).await? else { return Ok(()) };
    let same = (token.ticket, token.direction, token.method)
        == (wanted.ticket, wanted.direction, wanted.method)
        && token.stage == wanted.stage;
    if same {
        return Ok(());
    }
    let detail = format!(
        "The apply token was released for the {} of {} on {}, not for this. The token is untouched.",
        token.direction, token.ticket, token.stage
    );
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "other-purpose", detail))
}
