//! `/admin/users`: accounts, their roles and one-time links. For administrators.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod add;
mod change;
mod list;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/admin/users", get(list::show).post(add::add))
        .route("/admin/users/{id}/roles", post(change::roles))
        .route("/admin/users/{id}/reset", post(change::reset))
        .route("/admin/users/{id}/deactivate", post(change::deactivate))
}
