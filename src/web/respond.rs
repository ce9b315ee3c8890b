//! Answers: a page, a way on, a file.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;

use super::csrf;
use super::error::{Failure, Page};
use super::session::Crumb;
use super::site::Site;
use super::view::shell::Flash;
use super::view::state::State;
use crate::domain::percent;

/// What an attachment is told to a browser as: nothing that it could run.
const SANDBOX: &str = "sandbox; default-src 'none'";

/// A page, 200.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn page(template: &impl Template) -> Page {
    page_with(StatusCode::OK, template)
}

/// A page with another status, such as a form that comes back with faults (422).
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn page_with(status: StatusCode, template: &impl Template) -> Page {
    html(status, template).map_err(|error| Failure::internal(format!("a template failed: {error}")))
}

pub(super) fn html(status: StatusCode, template: &impl Template) -> Result<Response, askama::Error> {
    let body = template.render()?;
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    Ok((status, [(header::CONTENT_TYPE, kind)], body).into_response())
}

/// A line of plain text.
pub fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], text.into()).into_response()
}

/// Leads on to another page of ours after a form (303).
pub fn see_other(path: &str) -> Response {
    let place = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
}

/// Leads on, and has the next page say something at its top.
pub fn see_other_saying(site: &Site, path: &str, state: State, text: &str) -> Response {
    let mut response = see_other(path);
    let said = URL_SAFE_NO_PAD.encode(format!("{}\n{text}", state.css()));
    // Signed, so that nobody can put words into our mouth by planting a cookie.
    let value = format!("{said}.{}", csrf::visitor_token(site, &said));
    Crumb::Flash.set(site, &mut response, value, Some(SignedDuration::from_mins(2)));
    response
}

/// What the last form has to say, if a cookie of ours says so.
pub(super) fn flash_of(site: &Site, headers: &HeaderMap) -> Option<Flash> {
    let cookie = Crumb::Flash.of(site, headers)?;
    let (said, signature) = cookie.split_once('.')?;
    if !csrf::matches(signature, &csrf::visitor_token(site, said)) {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
    let (state, text) = text.split_once('\n')?;
    let states = [State::Open, State::Who, State::Time, State::Stop, State::Idle, State::Stale];
    let state = states.into_iter().find(|known| known.css() == state)?;
    Some(Flash { state, text: text.into() })
}

/// A file to be saved, never shown: whatever it holds, the browser runs nothing of it.
///
/// `kind` is one of ours, such as `text/plain; charset=utf-8`; it is not taken from an upload.
pub fn attachment(filename: &str, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    let named = HeaderValue::from_str(&disposition(filename));
    headers.insert(
        header::CONTENT_DISPOSITION,
        named.unwrap_or_else(|_| HeaderValue::from_static("attachment")),
    );
    response
}

/// RFC 6266: a plain name for old readers, the whole one escaped. No quote or control character gets through.
fn disposition(filename: &str) -> String {
    let keeps = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain: String = filename.chars().map(|c| if keeps(c) { c } else { '_' }).collect();
    let whole = percent::encoded(filename, b"-._~");
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_add_to_the_header() {
        assert_eq!(
            disposition("a\";\r\nx: ü/.sql"),
            "attachment; filename=\"a____x____.sql\"; filename*=UTF-8''a%22%3B%0D%0Ax%3A%20%C3%BC%2F.sql"
        );
        let response = attachment("<x>.html", "text/plain; charset=utf-8", "x");
        assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], SANDBOX);
    }
}
