//! Two versions of a file, compared off the async threads.

use super::artifacts::off_thread;
use super::{ServiceError, Services};
use crate::domain::artifact::ArtifactKind;
use crate::domain::digest::Digest;
use crate::domain::dossier::Dossier;
use crate::domain::id::TicketNumber;
use crate::domain::user::Actor;
use crate::sql::diff::{self, Tag};

/// Equal lines shown before and after a change.
const CONTEXT: usize = 3;

/// One side as somebody names it: a stage, and a version or the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideName {
    pub stage: String,
    pub version: Option<i64>,
}

/// One side as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub stage: String,
    pub version: i64,
    pub sha256: Digest,
}

/// One line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `equal`, `delete` or `insert`.
    pub tag: &'static str,
    pub old_line: Option<u32>,
    pub new_line: Option<u32>,
    pub text: String,
    /// Whether an LF ends it.
    pub ended: bool,
}

/// Changed lines with some equal ones around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    pub old_start: u32,
    pub old_lines: u32,
    pub new_start: u32,
    pub new_lines: u32,
    pub lines: Vec<Line>,
}

/// A comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub from: Side,
    pub to: Side,
    pub added: u32,
    pub removed: u32,
    /// True, but larger than it need be: the search ran out of time.
    pub coarse: bool,
    pub hunks: Vec<Hunk>,
    /// What `patch` takes.
    pub unified: String,
}

impl Services {
    /// Compares two versions of a kind of file, of any stages of one ticket.
    ///
    /// # Errors
    /// Not found for stages and versions that are not there; conflict `not-text` and `too-long-to-compare`.
    pub async fn diff(
        &self,
        actor: &Actor,
        number: TicketNumber,
        kind: ArtifactKind,
        from: &SideName,
        to: &SideName,
    ) -> Result<Comparison, ServiceError> {
        let dossier = self.dossier(actor, number).await?;
        let (from, to) = (side(&dossier, kind, from)?, side(&dossier, kind, to)?);
        let (old, new) = (self.bytes_of(from.sha256).await?, self.bytes_of(to.sha256).await?);
        off_thread(move || {
            let text = |side: &Side| {
                let name = format!("{} version {}", side.stage, side.version);
                ServiceError::conflict("not-text", format!("{kind} of {name} is not text: download it."))
            };
            let old = std::str::from_utf8(&old).map_err(|_| text(&from))?;
            let new = std::str::from_utf8(&new).map_err(|_| text(&to))?;
            compare(kind, from, to, old, new)
        })
        .await?
    }
}

fn side(dossier: &Dossier, kind: ArtifactKind, name: &SideName) -> Result<Side, ServiceError> {
    let record = dossier.stage(&name.stage).ok_or(ServiceError::NotFound("stage"))?;
    let found = match name.version {
        None => record.newest(kind),
        Some(version) => record.artifacts.iter().find(|a| a.kind == kind && a.version == version),
    };
    let found = found.ok_or(ServiceError::NotFound("file"))?;
    Ok(Side { stage: name.stage.clone(), version: found.version, sha256: found.sha256 })
}

fn compare(
    kind: ArtifactKind,
    from: Side,
    to: Side,
    old: &str,
    new: &str,
) -> Result<Comparison, ServiceError> {
    let found =
        diff::diff(old, new).map_err(|e| ServiceError::conflict("too-long-to-compare", e.to_string()))?;
    let hunks = found
        .hunks(CONTEXT)
        .into_iter()
        .map(|hunk| Hunk {
            old_start: hunk.old_start,
            old_lines: hunk.old_lines,
            new_start: hunk.new_start,
            new_lines: hunk.new_lines,
            lines: found
                .rows
                .get(hunk.rows)
                .unwrap_or_default()
                .iter()
                .map(|row| Line {
                    tag: match row.tag {
                        Tag::Equal => "equal",
                        Tag::Delete => "delete",
                        Tag::Insert => "insert",
                    },
                    old_line: row.old_line,
                    new_line: row.new_line,
                    text: row.text.to_owned(),
                    ended: row.ended,
                })
                .collect(),
        })
        .collect();
    let name = |side: &Side| format!("{}/{kind}/{}", side.stage, side.version);
    Ok(Comparison {
        added: found.added,
        removed: found.removed,
        coarse: found.coarse,
        unified: found.unified(&name(&from), &name(&to), CONTEXT),
        hunks,
        from,
        to,
    })
}
