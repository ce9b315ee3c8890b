//! `/audit`: the log, newest first, and one entry opened.

use axum::Router;
use axum::routing::get;

use super::site::WebState;

mod show;
mod words;

pub(super) fn routes() -> Router<WebState> {
    Router::new().route("/audit", get(show::show))
}
