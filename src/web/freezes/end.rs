//! Ending a freeze, also one that has not begun.

use axum::extract::State;

use crate::domain::id::FreezeId;
use crate::web::error::Page;
use crate::web::extract::Path;
use crate::web::forms::{Form, Nothing};
use crate::web::respond;
use crate::web::session::Reader;
use crate::web::site::WebState;
use crate::web::view::state::State as Lamp;

pub(super) async fn submit(
    State(site): State<WebState>,
    reader: Reader,
    Path(id): Path<FreezeId>,
    _: Form<Nothing>,
) -> Page {
    site.services.end_freeze(reader.actor(), id).await?;
    Ok(respond::see_other_saying(&site, "/freezes", Lamp::Open, "The freeze is over."))
}
