//! Files of a stage: listed, uploaded, downloaded.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::access::Caller;
use super::input::{self, At, Query};
use super::problem::Problem;
use super::stage::ArtifactBody;
use crate::domain::artifact::{self, ArtifactKind};
use crate::domain::digest::Digest;
use crate::domain::id::TicketNumber;
use crate::domain::percent;
use crate::domain::sql_digest::SqlDigest;
use crate::service::artifacts::Upload;

/// Every version of every file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactList {
    items: Vec<ListedArtifact>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ListedArtifact {
    #[serde(flatten)]
    artifact: ArtifactBody,
    /// Whether this version stands.
    current: bool,
}

/// List the files of a stage
#[utoipa::path(get, path = "/tickets/{number}/stages/{stage}/artifacts", tag = "Artifacts",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging")),
    responses((status = 200, body = ArtifactList)))]
pub(super) async fn list(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
) -> Result<Json<ArtifactList>, Problem> {
    let dossier = api.services.dossier(&caller.0, number).await?;
    let record = dossier.stage(&stage).ok_or_else(|| Problem::not_found("stage"))?;
    let current = artifact::current(&record.artifacts);
    let mut artifacts: Vec<_> = record.artifacts.iter().collect();
    artifacts.sort_by_key(|a| (a.kind, a.version));
    let items = artifacts
        .into_iter()
        .map(|a| ListedArtifact {
            artifact: ArtifactBody::of(a),
            current: current.iter().any(|c| c.id == a.id),
        })
        .collect();
    Ok(Json(ArtifactList { items }))
}

/// What the file is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// The kind, if it is not said.
    filename: Option<String>,
}

/// What an upload came to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UploadedBody {
    #[schema(value_type = String, example = "upgrade-sql")]
    kind: ArtifactKind,
    version: i64,
    /// Of the bytes.
    #[schema(value_type = String)]
    sha256: Digest,
    /// Of SQL: how a run presents it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "sqlnorm1:sha256:…")]
    sql_digest: Option<SqlDigest>,
    bytes: i64,
}

/// Upload a file
///
/// The raw bytes are the body. Bytes equal to the newest version change nothing and are answered with 200.
#[utoipa::path(put, path = "/tickets/{number}/stages/{stage}/artifacts/{kind}", tag = "Artifacts",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"),
           ("kind" = String, Path, description = "The kind of file, such as upgrade-sql"),
           UploadQuery),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 201, body = UploadedBody, description = "A new version"),
              (status = 200, body = UploadedBody, description = "The newest version has these bytes already")))]
pub(super) async fn upload(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage, kind)): At<(TicketNumber, String, ArtifactKind)>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<(StatusCode, Json<UploadedBody>), Problem> {
    let (parts, body) = request.into_parts();
    if input::media_type(&parts.headers).is_some_and(|t| t.starts_with("multipart/")) {
        return Err(input::unsupported("not-raw", "The body has to be the file itself, not a form."));
    }
    let bytes = input::bytes(&parts.headers, body, api.services.limits().upload).await?;
    let filename = query.filename.unwrap_or_else(|| kind.to_string());
    let upload = Upload { kind, filename, bytes };
    let uploaded = api.services.upload(&caller.0, number, &stage, upload).await?;
    let status = if uploaded.created { StatusCode::CREATED } else { StatusCode::OK };
    let body = UploadedBody {
        kind: uploaded.kind,
        version: uploaded.version,
        sha256: uploaded.sha256,
        sql_digest: uploaded.sql_digest,
        bytes: uploaded.bytes,
    };
    Ok((status, Json(body)))
}

/// Which version is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadQuery {
    /// The newest, if it is not said.
    version: Option<i64>,
}

/// Download a file
///
/// The bytes as they were uploaded, always as an attachment. `ETag` holds their SHA-256.
#[utoipa::path(get, path = "/tickets/{number}/stages/{stage}/artifacts/{kind}", tag = "Artifacts",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as staging"),
           ("kind" = String, Path, description = "The kind of file, such as upgrade-sql"),
           DownloadQuery),
    responses((status = 200, content_type = "application/octet-stream", description = "The bytes")))]
pub(super) async fn download(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage, kind)): At<(TicketNumber, String, ArtifactKind)>,
    Query(query): Query<DownloadQuery>,
) -> Result<Response, Problem> {
    let (artifact, bytes) = api.services.artifact(&caller.0, number, &stage, kind, query.version).await?;
    // Never a type that a browser runs, whatever the file says of itself.
    let text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'));
    let media = if text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    let header_of = |text: String| {
        HeaderValue::try_from(text).map_err(|e| Problem::internal(format!("a header of a download: {e}")))
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media)),
        (header::CONTENT_DISPOSITION, header_of(disposition(&artifact.filename))?),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (header::ETAG, header_of(format!("\"{}\"", artifact.sha256))?),
    ];
    Ok((headers, bytes).into_response())
}

/// `attachment` with the name in both of its forms (RFC 6266, RFC 8187).
fn disposition(filename: &str) -> String {
    let plain: String = filename
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    let encoded = percent::encoded(filename, b"!#$&+-.^_`|~");
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_can_not_break_out_of_its_header() {
        assert_eq!(
            disposition("upgrade.sql"),
            "attachment; filename=\"upgrade.sql\"; filename*=UTF-8''upgrade.sql"
        );
        assert_eq!(
            disposition("a\"; x=\"b\\%41é.sql"),
            "attachment; filename=\"a_;_x=_b__41_.sql\"; filename*=UTF-8''a%22%3B%20x%3D%22b%5C%2541%C3%A9.sql"
        );
        assert!(HeaderValue::try_from(disposition("x\r\ny: z\u{7f}")).is_ok());
    }
}
