//! Around every answer: problems get their bodies, and nothing is cached or sniffed.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Names that a secret in an address could have.
const SECRET_NAMES: [&str; 6] = ["token", "access_token", "api_token", "apply_token", "api_key", "bearer"];

/// The outermost layer.
pub(super) async fn wrap(request: Request, next: Next) -> Response {
    let operation = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let response = match check(request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    finish(response, operation)
}

/// The answer where there is no route.
pub(super) async fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-route", "The API has nothing at this address.")
}

/// Addresses are logged on the way by others, so no secret may stand in one; and no name of ours holds a NUL.
fn check(uri: &Uri) -> Result<(), Problem> {
    let query = uri.query().unwrap_or_default();
    let secret = |text: &str| text.contains("csp_") || text.contains("csa_");
    let named = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        SECRET_NAMES.iter().any(|secret| name.eq_ignore_ascii_case(secret))
    };
    if secret(query) || secret(uri.path()) || query.split('&').any(named) {
        return Err(Problem::bad_request(
            "token-in-url",
            "A token does not belong in an address, where logs keep it. If it was a real one, revoke it; send API \
             tokens in the Authorization header, apply tokens in the body.",
        ));
    }
    if uri.path().contains("%00") || query.contains("%00") {
        return Err(Problem::bad_request("nul", "The address holds a NUL."));
    }
    Ok(())
}

fn finish(mut response: Response, operation: Option<String>) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => Some(problem),
        None if status.is_client_error() || status.is_server_error() => Some(bare(status)),
        None => None,
    };
    if let Some(mut problem) = problem {
        if let Some(cause) = &problem.cause {
            tracing::error!(operation, cause, "a call failed");
        }
        problem.instance = operation;
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        response = Response::from_parts(parts, body.into());
    }
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// For a failure that the framework answers by itself.
fn bare(status: StatusCode) -> Problem {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method-not-allowed",
            "This address does not take that method; the Allow header names those that it takes.",
        ),
        _ => Problem::new(status, "request-failed", "The request can't be answered."),
    }
}
