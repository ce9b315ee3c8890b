//! `/incidents`: declaring and resolving.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod declare;
mod list;
mod resolve;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/incidents", get(list::show).post(declare::submit))
        .route("/incidents/{id}/resolve", post(resolve::submit))
}
