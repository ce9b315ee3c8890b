//! What stands around every handler; the order is in [`router`](super::router).

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::AppState;
use crate::web::error::{OperationId, pages};
use crate::web::{Failure, WebState};

/// How long a request may take, with its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a form may add to the file that it carries.
const OVERHEAD: u64 = 1 << 20;

const POLICY: &str = "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; script-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Headers of every answer, unless the handler set a stricter one.
const ALWAYS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: browsers then send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
    ),
    (HeaderName::from_static("x-permitted-cross-domain-policies"), "none"),
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the operation its id, and tells log and metrics what came of it. The route's template is logged, not the path,
/// which may hold the secret of a one-time link.
pub(super) async fn identified(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = state.env.uuid().to_string();
    let operation = tracing::info_span!("operation", id);
    request.extensions_mut().insert(OperationId(id.as_str().into()));
    let header = HeaderValue::from_str(&id).ok();
    if let Some(header) = header.clone() {
        // Whatever a client sent under this name, the id is ours.
        request.headers_mut().insert(REQUEST_ID, header);
    }
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let mut response = next.run(request).instrument(operation.clone()).await;
    let (took, status) = (started.elapsed(), response.status());
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    operation.in_scope(|| {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(%method, route, status = status.as_u16(), micros, "answered");
    });
    state.metrics.answered(&method, route, status, took);
    if let Some(header) = header {
        response.headers_mut().insert(REQUEST_ID, header);
    }
    response
}

/// Sets the headers that keep browsers from doing anything with an answer that we didn't mean.
pub(super) async fn secured(State(site): State<WebState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if site.is_https() {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Draws failures: for people as pages, for programs as problem details.
pub(super) async fn drawn(site: State<WebState>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") {
        return pages(site, request, next).await;
    }
    let operation = request.extensions().get::<OperationId>().cloned();
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Failure>() {
        Some(failure) => {
            let operation = operation.as_ref().map_or("", |id| &id.0);
            failure.log(operation);
            problem(failure.status(), operation)
        }
        None => response,
    }
}

/// What stands around the API's handlers refused the request: RFC 9457, as the API itself says it.
fn problem(status: StatusCode, operation: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let code = title.to_ascii_lowercase().replace(' ', "-");
    let detail = match status {
        StatusCode::MISDIRECTED_REQUEST => "This is not the portal’s address.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Send it without compression.",
        StatusCode::PAYLOAD_TOO_LARGE => "It is larger than anything that is taken here.",
        StatusCode::SERVICE_UNAVAILABLE => {
            "It took too long. Look whether it happened before you do it again."
        }
        _ => "Something went wrong here, not with you.",
    };
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
        "instance": operation,
    });
    let kind = HeaderValue::from_static("application/problem+json");
    (status, [(header::CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// Turns a panic into the page of a fault. The process's panic hook has written where it was.
pub(super) async fn caught(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Failure::internal(format!("panicked: {}", text.unwrap_or_default())).into_response()
        }
    }
}

/// Lets only requests for our own host through: a page of another name that leads here is not ours.
pub(super) async fn addressed(State(site): State<WebState>, request: Request, next: Next) -> Response {
    let mut named =
        request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let ours = match (named.next(), named.next(), request.uri().authority()) {
        (Some(host), None, None) => site.is_our_host(host),
        (Some(host), None, Some(authority)) => authority.as_str() == host && site.is_our_host(host),
        _ => false,
    };
    drop(named);
    if ours {
        return next.run(request).await;
    }
    Failure::of(StatusCode::MISDIRECTED_REQUEST)
        .title("This is not the portal’s address")
        .what("Use the address that the portal was set up with; whoever runs it can tell you.")
        .into_response()
}

/// Refuses bodies that would have to be unpacked, and those that say themselves that they are too large.
pub(super) async fn bounded(State(state): State<AppState>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .title("This could not be read")
            .what("Nothing has been changed. Send it without compression.")
            .into_response();
    }
    let limits = state.services.limits();
    let most = limits.upload.max(limits.log) + OVERHEAD;
    if announced(request.headers()).is_some_and(|length| length > most) {
        return Failure::too_large(limits.upload.max(limits.log)).into_response();
    }
    next.run(request).await
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Gives up on a request that takes too long, which includes a body that trickles in.
pub(super) async fn timed(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::of(StatusCode::SERVICE_UNAVAILABLE)
            .title("This took too long")
            .what("It was given up after 30 seconds. Look whether it happened before you do it again.")
            .into_response(),
    }
}
