//! Two versions of a file, compared.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::access::Caller;
use super::input::{At, Query};
use super::problem::Problem;
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::digest::Digest;
use crate::domain::id::TicketNumber;
use crate::service::diff::{CONTEXT, DiffAnswer, Hunk, Row, SideName, Tag};

/// Lines after which an answer in JSON ends with its hunk; the rest is asked for.
const LINES: usize = 5_000;

const X_DIFF: &str = "text/x-diff";

/// What is compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// Such as `upgrade-sql`.
    #[param(value_type = String)]
    kind: ArtifactKind,
    /// Stage and version, such as `staging:1`; the newest version without one. A kind may follow: `staging:1:downgrade-sql`.
    from: String,
    /// Stage and version, such as `production:1`; the newest version without one. The stage of the path, if it is not said.
    to: Option<String>,
    /// JSON only: the first hunk wanted, as `next_hunk` names it.
    #[serde(default)]
    hunk: usize,
}

/// A comparison.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DiffBody {
    #[schema(value_type = String, example = "upgrade-sql")]
    kind: ArtifactKind,
    from: SideBody,
    to: SideBody,
    /// Lines that only the new side has.
    added: u32,
    removed: u32,
    /// True, but larger than it need be: the search ran out of time.
    coarse: bool,
    hunks: Vec<HunkBody>,
    /// The hunk to ask for next; none after the last.
    next_hunk: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SideBody {
    stage: String,
    version: i64,
    #[schema(value_type = String)]
    sha256: Digest,
}

/// Changed lines with three equal ones around them.
#[derive(Debug, Serialize, ToSchema)]
struct HunkBody {
    old_start: u32,
    old_lines: u32,
    new_start: u32,
    new_lines: u32,
    lines: Vec<LineBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct LineBody {
    /// `equal`, `delete` or `insert`.
    tag: &'static str,
    old_line: Option<u32>,
    new_line: Option<u32>,
    /// Bytes that are not UTF-8 are replaced; the unified form has them as they are.
    text: String,
    /// False for a last line that no line feed ends.
    ended: bool,
}

/// Compare two versions of a file
///
/// `Accept: application/json` asks for hunks; anything else is answered with a unified diff.
#[utoipa::path(get, path = "/tickets/{number}/stages/{stage}/diff", tag = "Artifacts",
    params(("number" = String, Path, description = "The ticket's number, such as CHG-1"),
           ("stage" = String, Path, description = "The stage's name, such as production"),
           DiffQuery),
    responses((status = 200, description = "The difference",
               content((DiffBody = "application/json"), (String = "text/x-diff")))))]
pub(super) async fn show(
    State(api): State<ApiState>,
    caller: Caller,
    At((number, stage)): At<(TicketNumber, String)>,
    Query(query): Query<DiffQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let from = side("from", &query.from)?;
    let to = match &query.to {
        Some(text) => side("to", text)?,
        None => SideName { stage, version: None, kind: None },
    };
    let found = api.services.diff(&caller.0, number, query.kind, &from, &to).await?;
    let mut response = if wants_json(&headers) {
        Json(DiffBody::of(&found, &from, &to, query.hunk)).into_response()
    } else {
        let unified = found.unified().await?;
        let text = std::str::from_utf8(&unified).is_ok();
        let media = if text { "text/x-diff; charset=utf-8" } else { X_DIFF };
        ([(header::CONTENT_TYPE, HeaderValue::from_static(media))], unified).into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn side(field: &'static str, text: &str) -> Result<SideName, Problem> {
    let wrong = || Problem::field(field, "Name a stage and a version, such as staging:1.");
    SideName::parse(text).ok_or_else(wrong)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|entry| entry.split(';').next().unwrap_or_default().trim())
        .collect();
    !accepted.contains(&X_DIFF) && accepted.contains(&"application/json")
}

impl DiffBody {
    fn of(found: &DiffAnswer, from: &SideName, to: &SideName, first: usize) -> Self {
        let all = found.body.lines.hunks(CONTEXT);
        let (mut hunks, mut lines) = (Vec::new(), 0);
        for hunk in all.iter().skip(first) {
            let size = hunk.old.len() + hunk.new.len();
            if lines > 0 && lines + size > LINES {
                break;
            }
            lines += size;
            hunks.push(HunkBody::of(found, hunk));
        }
        let next = first.saturating_add(hunks.len());
        Self {
            kind: found.new.kind,
            from: SideBody::of(from, &found.old),
            to: SideBody::of(to, &found.new),
            added: found.added(),
            removed: found.removed(),
            coarse: found.body.lines.coarse,
            hunks,
            next_hunk: (next < all.len()).then_some(next),
        }
    }
}

impl SideBody {
    fn of(name: &SideName, artifact: &Artifact) -> Self {
        Self { stage: name.stage.clone(), version: artifact.version, sha256: artifact.sha256 }
    }
}

impl HunkBody {
    fn of(found: &DiffAnswer, hunk: &Hunk) -> Self {
        let (old_lines, new_lines) = (hunk.old.end - hunk.old.start, hunk.new.end - hunk.new.start);
        Self {
            // As a unified diff has it: of a side without lines, the line before.
            old_start: hunk.old.start + u32::from(old_lines > 0),
            old_lines,
            new_start: hunk.new.start + u32::from(new_lines > 0),
            new_lines,
            lines: found.body.lines.rows(hunk).map(|row| LineBody::of(found, row)).collect(),
        }
    }
}

impl LineBody {
    fn of(found: &DiffAnswer, row: Row) -> Self {
        let body = &found.body;
        let (text, ended) = match (row.new, row.old) {
            (Some(line), _) => (body.new_line(line), body.lines.new.is_ended(line)),
            (None, Some(line)) => (body.old_line(line), body.lines.old.is_ended(line)),
            (None, None) => (&[][..], true),
        };
        Self {
            tag: match row.tag {
                Tag::Equal => "equal",
                Tag::Delete => "delete",
                Tag::Insert => "insert",
            },
            old_line: row.old.map(|line| line + 1),
            new_line: row.new.map(|line| line + 1),
            text: String::from_utf8_lossy(text).into_owned(),
            ended,
        }
    }
}
