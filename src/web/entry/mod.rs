//! Coming and going: signing in and out, the one-time link, and the theme.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod enrol;
mod sign_in;
mod sign_out;
mod theme;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-out", post(sign_out::submit))
        .route("/theme", post(theme::submit))
        .route("/enrol/{token}", get(enrol::show).post(enrol::submit))
}
