//! `Idempotency-Key`: a POST repeated with its key acts once and is answered as before (RULES 16).

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tracing::Instrument as _;

use super::ApiState;
use super::access::Caller;
use super::input::{self, BODY_LIMIT};
use super::problem::Problem;
use crate::domain::digest::Digest;
use crate::domain::id::ApiTokenId;
use crate::service::idempotency::TakenKey;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a repetition gets instead of the answer, where that holds a secret.
#[derive(Clone, Debug)]
pub(super) struct Instead(pub Problem);

/// The key of a request, if it has one.
///
/// # Errors
/// 400 for more than one, and for what is no key.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if given.next().is_none() && (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    {
        return Ok(Some(text));
    }
    Err(Problem::bad_request(
        "bad-idempotency-key",
        "One Idempotency-Key of 1 to 200 visible ASCII characters is taken.",
    ))
}

/// Marks an answer that was given before.
pub(super) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Answers a repeated POST from what was kept. Redeeming keeps its own answer, in the transaction that opens the run.
pub(super) async fn keyed(
    State(state): State<ApiState>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.0.token());
    let (Some(owner), &Method::POST) = (caller, request.method()) else { return next.run(request).await };
    if path.as_str().ends_with("/apply-tokens/redeem") {
        return next.run(request).await;
    }
    let key = match key(request.headers()) {
        Ok(Some(key)) => key.to_owned(),
        Ok(None) => return next.run(request).await,
        Err(problem) => return problem.into_response(),
    };
    match once(state, owner, key, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(
    state: ApiState,
    owner: ApiTokenId,
    key: String,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = input::bytes(&parts.headers, body, BODY_LIMIT).await?;
    let address = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let print = Digest::of(format!("{} {address}\n{}", parts.method, Digest::of(&body)).as_bytes());
    match state.services.take_key(owner, &key, print).await? {
        TakenKey::Fresh => {}
        TakenKey::Answered { status, body } => return again(status, body),
        TakenKey::Pending => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "idempotency-in-progress",
                "A request with this Idempotency-Key is still being answered. Repeat it in a moment; if this stays so, \
                 look whether it took place before you use another key.",
            ));
        }
        TakenKey::OtherRequest => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-mismatch",
                "This Idempotency-Key was used for another request.",
            ));
        }
    }
    let request = Request::from_parts(parts, Body::from(body));
    // On its own task: a client that hangs up now must find its answer when it comes back with the key.
    let services = state.services.clone();
    let kept_key = key.clone();
    let work = async move { settle(&state, owner, &kept_key, next.run(request).await).await };
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => Ok(response),
        Err(error) => {
            let returned = services.give_key_back(owner, &key).await;
            Err(Problem::internal(format!("a handler failed: {error}; its key given back: {returned:?}")))
        }
    }
}

/// Keeps a success for repetitions, or gives the key back.
async fn settle(state: &ApiState, owner: ApiTokenId, key: &str, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let kept = if parts.status.is_success() {
        let (status, text) = match parts.extensions.get::<Instead>() {
            Some(Instead(problem)) => (problem.status, serde_json::to_string(problem).unwrap_or_default()),
            None => (parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned()),
        };
        state.services.keep_answer(owner, key, status, &text).await
    } else {
        state.services.give_key_back(owner, key).await
    };
    if let Err(error) = kept {
        // What was done is done and recorded; only a repetition would not be told.
        tracing::warn!(%error, "an answer could not be kept under its key");
    }
    Response::from_parts(parts, Body::from(body))
}

fn again(status: u16, body: String) -> Result<Response, Problem> {
    if status >= 400 {
        let problem: Problem =
            serde_json::from_str(&body).map_err(|e| Problem::internal(format!("a kept answer: {e}")))?;
        return Ok(replayed(problem.into_response()));
    }
    let status =
        StatusCode::from_u16(status).map_err(|e| Problem::internal(format!("a kept answer: {e}")))?;
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok(replayed((status, json, body).into_response()))
}
