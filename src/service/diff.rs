//! The difference between two files of a ticket, line by line, found off the async threads.

use std::ops::Range;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::artifacts::off_thread;
use super::{ServiceError, Services};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::id::TicketNumber;
use crate::domain::user::Actor;
use crate::sql::diff::{self, LineDiff};

pub use crate::sql::diff::{Hunk, Tag};

/// The largest side that is compared, in bytes (RULES 24).
pub const MOST_BYTES: usize = 10 * 1024 * 1024;

/// Equal lines around a change, in hunks and in the unified form.
pub const CONTEXT: usize = 3;

/// Differences that are searched for at once; others wait.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// One side as somebody names it: a stage, and a version or the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideName {
    pub stage: String,
    pub version: Option<i64>,
}

impl SideName {
    /// This version of a stage's file.
    pub fn of(stage: &str, version: i64) -> Self {
        Self { stage: stage.to_owned(), version: Some(version) }
    }
}

/// One line of one side or of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffLine {
    pub tag: Tag,
    /// Its number on the old side, counted from 1.
    pub old_line: Option<u32>,
    pub new_line: Option<u32>,
    /// Where its text is: in the old file if it was removed, else in the new one. Without the LF.
    text: Range<usize>,
    /// Whether an LF ends it.
    pub ended: bool,
}

/// The difference between two files.
#[derive(Clone, Debug)]
pub struct DiffAnswer {
    pub old: Artifact,
    pub new: Artifact,
    /// Every line of both sides, in order.
    pub lines: Vec<DiffLine>,
    /// The changes with [`CONTEXT`] equal lines around them; `rows` counts in `lines`.
    pub hunks: Vec<Hunk>,
    /// The difference is true, but larger than it need be: the search for a smaller one was cut short.
    pub coarse: bool,
    pub added: u32,
    pub removed: u32,
    /// What `patch` and `git apply` take; empty if nothing differs.
    pub unified: String,
    old_text: Bytes,
    new_text: Bytes,
}

impl DiffAnswer {
    /// Whether both files are the same, byte for byte.
    pub fn same(&self) -> bool {
        self.old.sha256 == self.new.sha256
    }

    /// The text of a line of this answer, without its LF.
    pub fn text(&self, line: &DiffLine) -> &str {
        let whole = if line.tag == Tag::Delete { &self.old_text } else { &self.new_text };
        whole.get(line.text.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Services {
    /// Compares two versions of a kind of file, each named by its stage and version.
    ///
    /// # Errors
    /// Not found for a file that isn't there; conflict for files that are too large, too long or not text.
    pub async fn diff(
        &self,
        actor: &Actor,
        number: TicketNumber,
        kind: ArtifactKind,
        from: &SideName,
        to: &SideName,
    ) -> Result<DiffAnswer, ServiceError> {
        let dossier = self.dossier(actor, number).await?;
        let find = |side: &SideName| {
            let record = dossier.stage(&side.stage).ok_or(ServiceError::NotFound("stage"))?;
            let found = match side.version {
                None => record.newest(kind),
                Some(version) => record.artifacts.iter().find(|a| a.kind == kind && a.version == version),
            };
            found.cloned().ok_or(ServiceError::NotFound("file"))
        };
        let (old, new) = (find(from)?, find(to)?);
        let names = [(from.stage.clone(), old.version), (to.stage.clone(), new.version)];
        self.diff_of(old, new, names).await
    }

    /// Compares two files; the names go into the unified form.
    pub(crate) async fn diff_of(
        &self,
        old: Artifact,
        new: Artifact,
        names: [(String, i64); 2],
    ) -> Result<DiffAnswer, ServiceError> {
        for side in [&old, &new] {
            if usize::try_from(side.bytes).unwrap_or(usize::MAX) > MOST_BYTES {
                return Err(ServiceError::conflict(
                    "too-large-to-compare",
                    "A file this large is not compared line by line. Download both and compare them.",
                ));
            }
        }
        let (old_text, new_text) = (self.bytes_of(old.sha256).await?, self.bytes_of(new.sha256).await?);
        let turn = AT_ONCE.acquire().await.map_err(|e| ServiceError::Internal(e.to_string()))?;
        let answer = off_thread(move || compare(old, new, old_text, new_text, &names)).await?;
        drop(turn);
        answer
    }
}

fn compare(
    old: Artifact,
    new: Artifact,
    old_text: Bytes,
    new_text: Bytes,
    names: &[(String, i64); 2],
) -> Result<DiffAnswer, ServiceError> {
    let text = |bytes: &Bytes| std::str::from_utf8(bytes).map(str::to_owned).ok();
    let (Some(a), Some(b)) = (text(&old_text), text(&new_text)) else {
        return Err(ServiceError::conflict(
            "not-text",
            "A file that is not text can't be compared by lines.",
        ));
    };
    let found = diff::diff(&a, &b)
        .map_err(|e| ServiceError::conflict("too-long-to-compare", format!("This is {e}. Download both.")))?;
    let name = |artifact: &Artifact, (stage, version): &(String, i64)| {
        format!("{stage}/v{version}/{}", artifact.filename)
    };
    Ok(DiffAnswer {
        unified: found.unified(&name(&old, &names[0]), &name(&new, &names[1]), CONTEXT),
        hunks: found.hunks(CONTEXT),
        coarse: found.coarse,
        added: found.added,
        removed: found.removed,
        lines: owned(&found),
        old,
        new,
        old_text,
        new_text,
    })
}

/// The same lines, told by where they are instead of borrowed.
fn owned(found: &LineDiff<'_>) -> Vec<DiffLine> {
    let (mut old_at, mut new_at) = (0, 0);
    let mut lines = Vec::with_capacity(found.rows.len());
    for row in &found.rows {
        let length = row.text.len() + usize::from(row.ended);
        let start = if row.tag == Tag::Delete { old_at } else { new_at };
        old_at += if row.tag == Tag::Insert { 0 } else { length };
        new_at += if row.tag == Tag::Delete { 0 } else { length };
        lines.push(DiffLine {
            tag: row.tag,
            old_line: row.old_line,
            new_line: row.new_line,
            text: start..start + row.text.len(),
            ended: row.ended,
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::ArtifactFacts;
    use crate::domain::digest::Digest;
    use crate::domain::id::{ArtifactId, StageId, UserId};
    use crate::domain::time::Timestamp;

    fn artifact(text: &str) -> Artifact {
        Artifact {
            id: ArtifactId(uuid::Uuid::nil()),
            stage: StageId(uuid::Uuid::nil()),
            kind: ArtifactKind::UpgradeSql,
            version: 1,
            filename: "upgrade.sql".into(),
            sha256: Digest::of(text.as_bytes()),
            bytes: i64::try_from(text.len()).unwrap(),
            facts: ArtifactFacts::Opaque,
            uploaded_by: UserId(uuid::Uuid::nil()),
            uploaded_by_name: String::new(),
            uploaded_via: None,
            uploaded_at: Timestamp::default(),
            generation: 1,
            run: None,
        }
    }

    fn answer(old: &str, new: &str) -> DiffAnswer {
        let names = [("staging".to_owned(), 1), ("production".to_owned(), 2)];
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        compare(artifact(old), artifact(new), bytes(old), bytes(new), &names).unwrap()
    }

    /// One side put together again from the lines of the answer.
    fn side(answer: &DiffAnswer, other: Tag) -> String {
        let lines = answer.lines.iter().filter(|line| line.tag != other);
        let pieces: Vec<&str> =
            lines.flat_map(|line| [answer.text(line), if line.ended { "\n" } else { "" }]).collect();
        pieces.concat()
    }

    #[test]
    fn both_sides_can_be_put_together_again() {
        for (old, new) in [
            ("a\nb\nc\n", "a\nB\nc\nd"),
            ("ä\r\nб\n", "ä\nб\r\n"),
            ("x", "y"),
            ("same\n", "same\n"),
            ("a\na\na\n", "\n\na\n"),
        ] {
            let answer = answer(old, new);
            assert_eq!(side(&answer, Tag::Insert), old);
            assert_eq!(side(&answer, Tag::Delete), new);
            assert_eq!(answer.same(), old == new);
            assert_eq!(answer.unified.is_empty(), old == new);
        }
    }

    #[test]
    fn the_unified_form_names_stage_and_version() {
        let answer = answer("a\n", "b\n");
        assert!(
            answer
                .unified
                .starts_with("--- staging/v1/upgrade.sql\n+++ production/v2/upgrade.sql\n@@ -1 +1 @@\n"),
            "{}",
            answer.unified
        );
        assert_eq!((answer.added, answer.removed), (1, 1));
    }

    #[test]
    fn what_is_not_text_is_refused_with_a_sentence() {
        let names = [("a".to_owned(), 1), ("b".to_owned(), 1)];
        let refused = compare(artifact(""), artifact(""), Bytes::from_static(b"\xff"), Bytes::new(), &names)
            .unwrap_err();
        assert!(matches!(refused, ServiceError::Conflict { code: "not-text", .. }), "{refused}");
    }
}
