//! `/admin/users`: accounts, roles and one-time links.

use axum::Router;

use super::site::WebState;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
}
