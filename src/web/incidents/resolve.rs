//! Resolving an incident.

use axum::extract::State;

use crate::domain::id::IncidentId;
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
    Path(id): Path<IncidentId>,
    _: Form<Nothing>,
) -> Page {
    let incident = site.services.resolve_incident(reader.actor(), id).await?;
    let said = format!("{} is resolved.", incident.label());
    Ok(respond::see_other_saying(&site, "/incidents", Lamp::Open, &said))
}
