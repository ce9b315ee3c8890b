//! `/account`: the reader's own API tokens, sessions and password.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod password;
mod sessions;
mod show;
mod tokens;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/account", get(show::show))
        .route("/account/tokens", post(tokens::make))
        .route("/account/tokens/{id}/revoke", post(tokens::revoke))
        .route("/account/password", post(password::change))
        .route("/account/sign-out-everywhere", post(sessions::end_all))
}
