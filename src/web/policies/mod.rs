//! `/policies`: read, never changed here.

use axum::Router;

use super::site::WebState;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
}
