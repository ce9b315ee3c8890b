//! Forms: read strictly, and only if one of our own pages sent them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::csrf;
use super::error::Failure;
use super::fields::{Misfit, Pairs, Unreadable};
use super::session::{Crumb, session_of};
use super::site::{Site, WebState};

/// The most bytes that a form without files may have.
pub const MOST_BYTES: u64 = 1 << 20;

/// A form of a signed-in person. Its fields have to be exactly those of `T` (see [`Pairs::fit`]).
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

/// A form that can be sent before signing in: tied to the visitor's cookie, or to the session where there is one.
#[derive(Clone, Copy, Debug)]
pub struct OpenForm<T>(pub T);

/// A form that is only a button.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub struct Nothing {}

impl<T: DeserializeOwned> FromRequest<WebState> for Form<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, site: &WebState) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let session = session_of(&mut parts, site).await?.ok_or_else(Failure::signed_out)?;
        let mut pairs = read(site, &parts.headers, body).await?;
        prove(&mut pairs, |given| csrf::matches(given, session.csrf.reveal()))?;
        Ok(Self(pairs.fit()?))
    }
}

impl<T: DeserializeOwned> FromRequest<WebState> for OpenForm<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, site: &WebState) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let session = session_of(&mut parts, site).await?;
        let mut pairs = read(site, &parts.headers, body).await?;
        let visitor = Crumb::Visitor.of(site, &parts.headers);
        prove(&mut pairs, |given| {
            session.is_some_and(|session| csrf::matches(given, session.csrf.reveal()))
                || visitor.is_some_and(|cookie| csrf::matches(given, &csrf::visitor_token(site, &cookie)))
        })?;
        Ok(Self(pairs.fit()?))
    }
}

async fn read(site: &Site, headers: &HeaderMap, body: axum::body::Body) -> Result<Pairs, Failure> {
    if csrf::is_foreign(site, headers) {
        return Err(Failure::foreign());
    }
    if !is_kind(headers, "application/x-www-form-urlencoded") {
        return Err(Failure::of(axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .title("This form could not be read")
            .what("Nothing has been changed. It was not sent as our pages send their forms."));
    }
    let bytes = limited(headers, body, MOST_BYTES).await?;
    Ok(Pairs::parse(&bytes)?)
}

/// Takes the token out, which is no field of the form.
pub(super) fn prove(pairs: &mut Pairs, is_ours: impl FnOnce(&str) -> bool) -> Result<(), Failure> {
    match pairs.take(csrf::FIELD).as_slice() {
        [given] if is_ours(given) => Ok(()),
        _ => Err(Failure::foreign()),
    }
}

pub(super) fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().is_some_and(|said| said.trim().eq_ignore_ascii_case(kind))
}

/// The whole body, if it has at most `limit` bytes; a longer one is refused unread where its length is announced.
async fn limited(headers: &HeaderMap, body: axum::body::Body, limit: u64) -> Result<Bytes, Failure> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Failure::too_large(limit));
    }
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    match Limited::new(body, most).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Failure::too_large(limit)),
        Err(_) => Err(Failure::unreadable("Nothing has been changed. It broke off before its end.")),
    }
}

impl From<Unreadable> for Failure {
    fn from(why: Unreadable) -> Self {
        Self::unreadable(format!("Nothing has been changed. {why}"))
    }
}

impl From<Misfit> for Failure {
    fn from(why: Misfit) -> Self {
        Self::unprocessable(format!("Nothing has been changed. {why}"))
    }
}
