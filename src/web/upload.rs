//! Forms with a file. The file is read into memory, up to the portal's limit; only a few at once, so that memory is bounded.

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use super::csrf;
use super::error::Failure;
use super::fields::Pairs;
use super::forms::{is_kind, prove};
use super::session::session_of;
use super::site::WebState;

/// The most bytes that a field beside the file may have.
const MOST_FIELD_BYTES: usize = 64 << 10;

/// The most fields beside the file.
const MOST_FIELDS: usize = 32;

/// What boundaries, names and the fields beside the file may add to a request.
const OVERHEAD: u64 = 256 << 10;

/// A form of a signed-in person with one file, in a field named `file`. The token comes before it: nothing is read of a
/// file that a stranger's page sends.
#[derive(Debug)]
pub struct Upload<T> {
    /// The other fields.
    pub form: T,
    pub filename: String,
    pub bytes: Bytes,
    /// Keeps the place among the uploads that are held in memory.
    _place: OwnedSemaphorePermit,
}

impl<T: DeserializeOwned> FromRequest<WebState> for Upload<T> {
    type Rejection = Failure;

    async fn from_request(mut request: Request, site: &WebState) -> Result<Self, Failure> {
        let limit = site.services.limits().upload;
        if csrf::is_foreign(site, request.headers()) {
            return Err(Failure::foreign());
        }
        if !is_kind(request.headers(), "multipart/form-data") {
            return Err(Failure::of(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .title("This form could not be read")
                .what("Nothing has been stored. It was not sent as our pages send files."));
        }
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit + OVERHEAD) {
            return Err(Failure::too_large(limit));
        }
        let (mut parts, body) = request.into_parts();
        let session = session_of(&mut parts, site).await?.ok_or_else(Failure::signed_out)?;
        request = Request::from_parts(parts, body);
        let place =
            site.uploads.clone().acquire_owned().await.map_err(|e| Failure::internal(e.to_string()))?;
        DefaultBodyLimit::max(usize::try_from(limit + OVERHEAD).unwrap_or(usize::MAX)).apply(&mut request);
        let multipart = Multipart::from_request(request, site).await.map_err(|_| broken())?;
        let read = parts_of(multipart, limit, |given| csrf::matches(given, session.csrf.reveal())).await?;
        let (filename, bytes) = read.file.ok_or_else(|| {
            Failure::of(StatusCode::UNPROCESSABLE_ENTITY)
                .title("No file was chosen")
                .what("Nothing has been stored. Go back, choose a file and send it again.")
        })?;
        Ok(Self { form: read.fields.fit()?, filename, bytes, _place: place })
    }
}

struct Parts {
    fields: Pairs,
    file: Option<(String, Bytes)>,
}

async fn parts_of(
    mut multipart: Multipart,
    limit: u64,
    is_ours: impl Fn(&str) -> bool,
) -> Result<Parts, Failure> {
    let mut parts = Parts { fields: Pairs::default(), file: None };
    let mut proved = false;
    let mut count = 0;
    while let Some(field) = multipart.next_field().await.map_err(|error| failed(&error, limit))? {
        count += 1;
        if count > MOST_FIELDS {
            return Err(Failure::of(StatusCode::PAYLOAD_TOO_LARGE)
                .what("Nothing has been stored. The form has more fields than any of ours."));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name != "file" {
            let value = whole(field, MOST_FIELD_BYTES, limit).await?;
            let value = String::from_utf8(value.into()).map_err(|_| super::fields::Unreadable::NotUtf8)?;
            parts.fields.push(name, &value)?;
            if !proved {
                // The first field of our pages' forms.
                prove(&mut parts.fields, &is_ours)?;
                proved = true;
            }
            continue;
        }
        if !proved || parts.file.is_some() {
            return Err(Failure::foreign());
        }
        let filename = field.file_name().unwrap_or_default().to_owned();
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let bytes = whole(field, most, limit).await?;
        // A browser sends a nameless empty file where none was chosen.
        if !(filename.is_empty() && bytes.is_empty()) {
            parts.file = Some((filename, bytes));
        }
    }
    Ok(parts)
}

async fn whole(mut field: Field<'_>, most: usize, limit: u64) -> Result<Bytes, Failure> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| failed(&error, limit))? {
        if bytes.len() + chunk.len() > most {
            return Err(Failure::too_large(u64::try_from(most).unwrap_or(limit)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn failed(error: &MultipartError, limit: u64) -> Failure {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE { Failure::too_large(limit) } else { broken() }
}

fn broken() -> Failure {
    Failure::unreadable(
        "Nothing has been stored. The form broke off, or was not sent as our pages send files.",
    )
}
