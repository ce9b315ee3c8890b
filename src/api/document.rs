//! What the API says of itself, and the key that grants verify with: the same for everybody.

use std::sync::OnceLock;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::access::{self, Access};
use super::problem::{BlockerBody, Details, FieldProblem, Problem};
use super::{ApiState, PREFIX};

/// The name of the one way to sign in.
const BEARER: &str = "bearer";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Database change tickets: what the change board approved, byte for byte, is the only thing that \
                       can be applied.\n\nEvery failure is a problem document (RFC 9457) with a stable `code`. Every \
                       POST takes an `Idempotency-Key`. No API token can vote."
    ),
    tags(
        (name = "Tickets", description = "Changes to be promoted"),
        (name = "Stages", description = "A ticket's passage through one environment"),
        (name = "Artifacts", description = "Immutable, versioned files of a stage"),
        (name = "Apply tokens", description = "Single-use secrets that authorise one run"),
        (name = "Runs", description = "Executions, reported by whoever redeemed the token"),
        (name = "Incidents and freezes", description = "What closes gates for a whole application"),
        (name = "Audit", description = "The append-only record of every change of state"),
        (name = "About", description = "The same for everybody, without a token"),
    ),
    components(schemas(Details, FieldProblem, BlockerBody)),
)]
struct Start;

/// The description before the handlers are in it.
pub(super) fn start() -> utoipa::openapi::OpenApi {
    Start::openapi()
}

/// Adds what holds for every operation: who may call it, and how failures look.
pub(super) fn complete(openapi: &mut utoipa::openapi::OpenApi) {
    openapi.servers = Some(vec![utoipa::openapi::Server::new(PREFIX)]);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("csp_…")
        .description(Some("An API token, with the scopes that each operation names"))
        .build();
    openapi
        .components
        .get_or_insert_default()
        .security_schemes
        .insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(scheme)));
    for (path, item) in &mut openapi.paths.paths {
        for (method, operation) in [
            ("GET", item.get.as_mut()),
            ("PUT", item.put.as_mut()),
            ("POST", item.post.as_mut()),
            ("DELETE", item.delete.as_mut()),
        ] {
            if let Some(operation) = operation {
                secure(operation, access::of(method, path));
            }
        }
    }
}

fn secure(operation: &mut Operation, access: Option<Access>) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("The request failed or was refused")
        .content("application/problem+json", problem)
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
    operation.security = Some(match access {
        // Any one of the scopes will do, so each is a requirement of its own.
        Some(Access::AnyOf(scopes)) => {
            scopes.iter().map(|scope| SecurityRequirement::new(BEARER, [scope.as_str()])).collect()
        }
        Some(Access::Public) | None => vec![SecurityRequirement::default()],
    });
}

/// Describe the API
#[utoipa::path(get, path = "/openapi.json", tag = "About",
    responses((status = 200, content_type = "application/json", description = "This description")))]
pub(super) async fn show() -> Result<Response, Problem> {
    // Made once: anybody may ask for it, and it is always the same.
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = if let Some(text) = TEXT.get() {
        text.clone()
    } else {
        let json = super::openapi().to_json().map_err(|e| Problem::internal(e.to_string()))?;
        TEXT.get_or_init(|| json.into()).clone()
    };
    let media = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, media)], text).into_response())
}

/// Show the key that grants verify with
#[utoipa::path(get, path = "/keys/grant", tag = "About",
    responses((status = 200, content_type = "application/x-pem-file", body = String,
               description = "The Ed25519 public key, as PEM")))]
pub(super) async fn grant_key(State(state): State<ApiState>) -> Response {
    let media = HeaderValue::from_static("application/x-pem-file");
    ([(header::CONTENT_TYPE, media)], state.services.grant_public_key()).into_response()
}
