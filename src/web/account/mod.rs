//! The reader's own account: API tokens, sessions, password.

use axum::Router;

use super::site::WebState;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
}
