//! Every page and its handlers. One area adds its own in its folder's `mod.rs`.

use axum::Router;

use super::error::Failure;
use super::site::WebState;
use super::{account, audit, completion, entry, freezes, incidents, people, policies, queue, stage, tickets};

/// All pages. What is asked for and not here is the page of a 404.
pub fn router(site: WebState) -> Router {
    Router::new()
        .merge(entry::routes())
        .merge(queue::routes())
        .merge(tickets::routes())
        .merge(account::routes())
        .merge(people::routes())
        .merge(incidents::routes())
        .merge(freezes::routes())
        .merge(policies::routes())
        .merge(audit::routes())
        .merge(stage::routes())
        .merge(completion::routes())
        .fallback(async || Failure::not_found())
        .with_state(site)
}
