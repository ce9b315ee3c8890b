//! `/audit`: the log, newest first, and one entry opened.

use axum::Router;

use super::site::WebState;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
}
