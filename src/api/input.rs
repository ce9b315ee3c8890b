//! Taking requests apart: bodies, queries, paths. Whatever is not exactly what was described is refused with its place.

use std::fmt::Display;

use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// The most that a POST may carry, in bytes: a JSON document or a piece of a log.
pub(super) const BODY_LIMIT: u64 = 1 << 20;

/// The whole body, which has to be given as it is: compressed bodies would hide their size.
///
/// # Errors
/// 413 over the limit, 415 when it is encoded, 400 when it breaks off.
pub(super) async fn bytes(headers: &HeaderMap, body: HttpBody, limit: u64) -> Result<Bytes, Problem> {
    let encoded = headers.get_all(header::CONTENT_ENCODING).iter().any(|v| v.as_bytes() != b"identity");
    if encoded {
        return Err(unsupported("encoded-body", "Send the body as it is, without a Content-Encoding."));
    }
    let too_large = || {
        let detail = format!("The body is larger than {limit} bytes.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    };
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut gathered = BytesMut::new();
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Problem::bad_request("broken-body", "The body broke off."))?;
        if (gathered.len() + piece.len()) as u64 > limit {
            return Err(too_large());
        }
        gathered.extend_from_slice(&piece);
    }
    Ok(gathered.freeze())
}

pub(super) fn unsupported(code: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
}

/// What kind of body the request says it has, without parameters and in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A JSON document.
#[derive(Debug)]
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if media_type(&parts.headers).as_deref() != Some("application/json") {
            return Err(unsupported("not-json", "The body has to be Content-Type: application/json."));
        }
        parse(&bytes(&parts.headers, body, BODY_LIMIT).await?).map(Self)
    }
}

/// A JSON document, or nothing at all.
#[derive(Debug)]
pub(super) struct MaybeBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(&parts.headers, body, BODY_LIMIT).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if media_type(&parts.headers).as_deref() != Some("application/json") {
            return Err(unsupported("not-json", "The body has to be Content-Type: application/json."));
        }
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to() + 1;
        Problem::bad_request("bad-json", format!("The body is not UTF-8: byte {at} can't be read."))
    })?;
    if holds_nul(text) {
        return Err(Problem::bad_request("nul", "A text in the body holds a NUL."));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if !error.is_data() {
            return Problem::bad_request("bad-json", format!("The body is not JSON: {error}."));
        }
        let problem = Problem::bad_request("bad-field", format!("The body does not fit: {error}."));
        // A path of "." is the document itself: the message names the field then, if there is one.
        if field == "." { problem } else { problem.at(field, error.to_string()) }
    })?;
    reader.end().map_err(|error| {
        Problem::bad_request("bad-json", format!("The body is not one JSON document: {error}."))
    })?;
    Ok(value)
}

/// Whether a JSON text spells a NUL: a backslash that is itself no escaped one, then `u0000`.
fn holds_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default();
        before.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0
    })
}

/// The query, in which nothing unknown may stand.
#[derive(Debug)]
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or_default();
        serde_urlencoded::from_str(text)
            .map(Self)
            .map_err(|error| Problem::bad_request("bad-query", format!("The query does not fit: {error}.")))
    }
}

/// Parts of the path. What can't be one names nothing, so it is answered like what isn't there.
#[derive(Debug)]
pub(super) struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Sync + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_client_error() => {
                let why = rejection.body_text();
                let detail = format!("There is nothing at this address: {why}.");
                Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail))
            }
            Err(rejection) => Err(Problem::internal(format!("{}", rejection.into_response().status()))),
        }
    }
}

/// Reads a value that has a text form, for the field that holds it.
pub(super) fn text_form<T: std::str::FromStr<Err: Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::field(field, format!("{error}.")))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        n: i64,
    }

    fn refused(text: &[u8]) -> Problem {
        parse::<Sample>(text).unwrap_err()
    }

    #[test]
    fn what_fits_is_read() {
        let sample = parse::<Sample>(br#"{"name": "a\\u0000b", "inner": [{"n": 1}]}"#).unwrap();
        assert_eq!(sample, Sample { name: "a\\u0000b".to_owned(), inner: vec![Inner { n: 1 }] });
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        for (text, code, words) in [
            (&b""[..], "bad-json", "line 1 column 0"),
            (b"{\"name\": \"x\"", "bad-json", "EOF"),
            (b"{\"name\": \"x\"} {}", "bad-json", "one JSON document"),
            (b"{\"name\": \"\xff\"}", "bad-json", "byte 11"),
            (b"{\"name\": \"\0\"}", "bad-json", "control character"),
            (br#"{"name": "\u0000"}"#, "nul", "NUL"),
            (br#"{"name": "\\\u0000"}"#, "nul", "NUL"),
            (br#"{"name": "\ud800"}"#, "bad-json", "hex escape"),
            (br#"{"name": "x", "nmae": 1}"#, "bad-field", "unknown field `nmae`"),
            (br#"{"name": "x", "name": "y"}"#, "bad-field", "duplicate field `name`"),
            (br"{}", "bad-field", "missing field `name`"),
            (br#"{"name": 7}"#, "bad-field", "expected a string at line 1 column 10"),
            (br#"{"name": "x", "inner": [{"n": 1}, {"n": "2"}]}"#, "bad-field", "line 1 column"),
            (br"[]", "bad-field", "invalid"),
        ] {
            let problem = refused(text);
            assert_eq!(problem.code, code, "{}", problem.detail);
            assert!(problem.detail.contains(words), "{}", problem.detail);
        }
    }

    #[test]
    fn the_field_is_named_however_deep() {
        let problem = refused(br#"{"name": "x", "inner": [{"n": 1}, {"n": "2"}]}"#);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["errors"][0]["field"], "inner[1].n", "{json}");
    }

    #[test]
    fn deep_nesting_ends_in_an_answer() {
        assert_eq!(refused("[".repeat(100_000).as_bytes()).code, "bad-field");
        let deep = format!("{{\"name\": \"x\", \"other\": {}", "[".repeat(100_000));
        assert!(refused(deep.as_bytes()).code.starts_with("bad-"));
    }
}
