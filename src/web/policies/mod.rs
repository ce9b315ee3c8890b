//! `/policies`: read, never changed here.

use axum::Router;
use axum::routing::get;

use super::site::WebState;

mod changes;
mod list;
mod show;
mod words;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/policies", get(list::show))
        .route("/policies/{application}/{environment}", get(show::show))
}
