//! `POST /theme`: light, dark, or as the system has it. A matter of this browser, so a cookie keeps it.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::web::forms::OpenForm;
use crate::web::session::Crumb;
use crate::web::site::WebState;
use crate::web::view::shell::Theme;
use crate::web::{paths, respond};

#[derive(Deserialize)]
pub(super) struct Choice {
    theme: String,
}

pub(super) async fn submit(
    State(site): State<WebState>,
    headers: HeaderMap,
    OpenForm(choice): OpenForm<Choice>,
) -> Response {
    let referer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let mut response = respond::see_other(paths::back(referer));
    match Theme::named(&choice.theme) {
        Theme::System => Crumb::Theme.clear(&site, &mut response),
        chosen => {
            let year = SignedDuration::from_hours(365 * 24);
            Crumb::Theme.set(&site, &mut response, chosen.name().to_owned(), Some(year));
        }
    }
    response
}
