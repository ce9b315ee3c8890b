//! `/freezes`: declaring and ending.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod declare;
mod end;
mod list;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/freezes", get(list::show).post(declare::submit))
        .route("/freezes/{id}/end", post(end::submit))
}
