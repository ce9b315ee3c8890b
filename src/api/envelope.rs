//! Around every answer: problems get their bodies, and nothing is cached or sniffed.

use std::any::Any;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::problem::Problem;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Names that a secret in an address could have.
const SECRET_NAMES: [&str; 6] = ["token", "access_token", "api_token", "apply_token", "api_key", "bearer"];

/// Puts the envelope around a router: outermost, so that it also sees what is answered without a handler.
pub(super) fn around<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router.layer(CatchPanicLayer::custom(panicked)).layer(from_fn(wrap))
}

/// A fault of the portal is answered like any other.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the payload over")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    Problem::internal(format!("a handler panicked: {}", text.unwrap_or("it did not say why"))).into_response()
}

async fn wrap(request: Request, next: Next) -> Response {
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(router: Router, path: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::builder().uri(path).header("x-request-id", "op-7");
        let response = around(router).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_words() {
        let router = Router::new().route("/", get(async || -> StatusCode { panic!("the secret word") }));
        let (status, body) = answer(router, "/").await;
        assert_eq!((status, &body["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &"internal".into()));
        assert_eq!(body["instance"], "op-7");
        assert!(!body.to_string().contains("secret word"), "{body}");
    }

    #[tokio::test]
    async fn what_the_framework_refuses_is_a_problem_too() {
        let router = Router::new().route("/", get(async || StatusCode::SERVICE_UNAVAILABLE));
        let (status, body) = answer(router, "/").await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &503.into()));
    }
}
