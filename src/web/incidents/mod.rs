//! `/incidents`: declaring and resolving.

use axum::Router;

use super::site::WebState;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
}
