//! Ending all of one's own sessions, this one too.

use axum::extract::State;

use crate::web::error::Page;
use crate::web::forms::{Form, Nothing};
use crate::web::respond;
use crate::web::session::{Crumb, Reader};
use crate::web::site::WebState;
use crate::web::view::state::State as Lamp;

pub(super) async fn end_all(State(site): State<WebState>, reader: Reader, _: Form<Nothing>) -> Page {
    site.services.sign_out_everywhere(reader.actor(), reader.actor().user).await?;
    let said = "You are signed out everywhere.";
    let mut response = respond::see_other_saying(&site, "/sign-in", Lamp::Open, said);
    Crumb::Session.clear(&site, &mut response);
    Ok(response)
}
