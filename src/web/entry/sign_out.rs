//! `POST /sign-out`.

use axum::extract::State;
use axum::http::HeaderValue;

use crate::web::error::Page;
use crate::web::forms::{Form, Nothing};
use crate::web::respond;
use crate::web::session::{Crumb, Reader};
use crate::web::site::WebState;
use crate::web::view::state::State as Lamp;

pub(super) async fn submit(State(site): State<WebState>, reader: Reader, _: Form<Nothing>) -> Page {
    site.services.sign_out(reader.actor()).await?;
    let mut response = respond::see_other_saying(&site, "/sign-in", Lamp::Open, "You are signed out.");
    Crumb::Session.clear(&site, &mut response);
    // What the browser kept of our pages is nobody's to look at any more.
    let kept = HeaderValue::from_static("\"cache\", \"storage\"");
    response.headers_mut().insert("clear-site-data", kept);
    Ok(response)
}
