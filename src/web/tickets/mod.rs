//! Tickets: the list, filing, one ticket with one of its stages opened, and what changes a ticket as a whole.

use axum::Router;
use axum::routing::{get, post};

use super::site::WebState;

mod answers;
mod change;
mod edit;
mod list;
mod new;
mod show;

pub(super) use list::lamps;

pub(super) fn routes() -> Router<WebState> {
    Router::new()
        .route("/tickets", get(list::get).post(new::post))
        .route("/tickets/new", get(new::get))
        .route("/tickets/{number}", get(show::ticket))
        .route("/tickets/{number}/stages/{stage}", get(show::stage))
        .route("/tickets/{number}/edit", get(edit::get).post(edit::post))
        .route("/tickets/{number}/abandon", post(change::abandon))
        .route("/tickets/{number}/policy", post(change::policy))
}
