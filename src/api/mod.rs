//! The JSON API under `/api/v1`: takes a request apart, calls a service, shows the answer.
//!
//! May use: service, domain, secret. May not enter: the database, a rule, a cookie (only bearer API tokens are known
//! here), a page. Who may call what is one table (`access`); what the API says of itself is generated from the
//! handlers.

mod access;
mod apply_tokens;
mod artifacts;
mod audit;
mod checklist;
mod closing;
mod cursor;
mod diff;
mod document;
mod envelope;
mod freezes;
mod gates;
mod idempotency;
mod incidents;
mod input;
mod problem;
mod runs;
mod stage;
mod ticket;
mod tickets;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::Services;

pub use access::{ACCESS, Access};

/// Where the application has to nest the router.
pub const PREFIX: &str = "/api/v1";

/// What handlers work with. Cloning shares it.
#[derive(Clone)]
pub struct ApiState {
    pub services: Services,
}

/// The router, to be nested under [`PREFIX`]. It answers everything below: unknown paths and methods with problem
/// details too. The application sets `x-request-id` before; it names the operation in problems and in the log.
pub fn router(state: ApiState) -> Router {
    let (router, _) = parts();
    let router = router
        .route_layer(from_fn_with_state(state.clone(), idempotency::keyed))
        .route_layer(from_fn_with_state(state.clone(), access::guard))
        .route("/", any(envelope::unknown))
        .fallback(envelope::unknown);
    envelope::around(router).with_state(state)
}

/// The description that `/openapi.json` serves.
pub fn openapi() -> OpenApi {
    let (_, mut openapi) = parts();
    document::complete(&mut openapi);
    openapi
}

fn parts() -> (Router<ApiState>, OpenApi) {
    OpenApiRouter::with_openapi(document::start())
        .routes(routes!(tickets::list, tickets::file))
        .routes(routes!(tickets::show))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::download, artifacts::upload))
        .routes(routes!(diff::show))
        .routes(routes!(gates::show))
        .routes(routes!(checklist::attest))
        .routes(routes!(apply_tokens::release, apply_tokens::revoke))
        .routes(routes!(apply_tokens::redeem))
        .routes(routes!(runs::redeemed))
        .routes(routes!(runs::show))
        .routes(routes!(runs::log))
        .routes(routes!(runs::heartbeat))
        .routes(routes!(runs::finish))
        .routes(routes!(closing::observe))
        .routes(routes!(closing::complete))
        .routes(routes!(incidents::list, incidents::declare))
        .routes(routes!(incidents::resolve))
        .routes(routes!(freezes::list, freezes::declare))
        .routes(routes!(audit::list))
        .routes(routes!(document::grant_key))
        .routes(routes!(document::show))
        .split_for_parts()
}
