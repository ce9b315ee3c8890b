//! The difference between two files of a ticket, line by line, found off the async threads and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::artifacts::off_thread;
use super::{ServiceError, Services};
use crate::domain::artifact::{Artifact, ArtifactKind};
use crate::domain::digest::Digest;
use crate::domain::id::TicketNumber;
use crate::domain::user::Actor;
use crate::sql::colour::Colours;
use crate::sql::dialect::Dialect;
use crate::sql::diff::{self, LineDiff};
use crate::sql::effect;
use crate::sql::moved::{self, Move};
use crate::sql::outline::Outline;

pub use crate::sql::colour::Ink;
pub use crate::sql::diff::{Change, Hunk, Row, Stretch, Tag};
pub use crate::sql::{shown, words};

/// The largest side that is compared, in bytes (RULES 24).
pub const MOST_BYTES: usize = 10 * 1024 * 1024;

/// Equal lines around a change, in hunks and in the unified form.
pub const CONTEXT: u32 = 3;

/// A statement that moved is followed for so many lines.
const MOST_MOVED: u32 = 500;

/// Differences that are searched for at once; others wait.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What finished differences may hold of memory, in bytes.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// One side as somebody names it: a stage, a version or the newest, and a kind if it is not the one that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideName {
    pub stage: String,
    pub version: Option<i64>,
    pub kind: Option<ArtifactKind>,
}

impl SideName {
    /// This version of a stage's file.
    pub fn of(stage: &str, version: i64) -> Self {
        Self { stage: stage.to_owned(), version: Some(version), kind: None }
    }

    /// Reads `staging`, `staging:1`, `staging:1:downgrade-sql`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let stage = parts.next().filter(|stage| !stage.is_empty())?.to_owned();
        let version = parts.next().map(str::parse).transpose().ok()?;
        let kind = parts.next().map(str::parse).transpose().ok()?;
        parts.next().is_none().then_some(Self { stage, version, kind })
    }
}

/// What is known of two scripts besides their lines.
#[derive(Debug)]
pub struct Script {
    pub old_colours: Colours,
    pub new_colours: Colours,
    /// The statements of the new side.
    pub outline: Outline,
    /// For each change, whether only white space and comments changed.
    pub quiet: Vec<bool>,
    pub moves: Vec<Move>,
}

/// Two texts and their difference.
#[derive(Debug)]
pub struct Compared {
    old_text: Bytes,
    new_text: Bytes,
    pub lines: LineDiff,
    /// Of SQL that is text.
    pub script: Option<Script>,
}

impl Compared {
    /// The text of a line, without its LF.
    pub fn old_line(&self, line: u32) -> &[u8] {
        self.old_text.get(self.lines.old.span(line)).unwrap_or_default()
    }

    /// The text of a line, without its LF.
    pub fn new_line(&self, line: u32) -> &[u8] {
        self.new_text.get(self.lines.new.span(line)).unwrap_or_default()
    }

    /// Where a line of the old side is on the new one, if it is there still: in its place, or in a statement that moved.
    pub fn follow(&self, line: u32) -> Option<u32> {
        self.lines.follow(line).or_else(|| {
            let moves = self.script.as_ref()?.moves.iter().filter(|one| one.old_line <= line);
            let one = moves.max_by_key(|one| one.old_line)?;
            // The statement is the same; what follows it need not be.
            let far = line - one.old_line;
            let there = one.new_line + far;
            let same = far <= MOST_MOVED
                && (0..=far).all(|i| self.old_line(one.old_line + i) == self.new_line(one.new_line + i));
            (same && there < self.lines.new.count()).then_some(there)
        })
    }

    /// Whether every line of both sides ends with CR LF: then the CR is no news anywhere.
    pub fn all_crlf(&self) -> bool {
        let all = |text: &[u8]| {
            text.ends_with(b"\n")
                && text.split_inclusive(|byte| *byte == b'\n').all(|line| line.ends_with(b"\r\n"))
        };
        all(&self.old_text) && all(&self.new_text)
    }

    fn weight(&self) -> usize {
        let script = self.script.as_ref().map_or(0, |script| {
            script.old_colours.weight()
                + script.new_colours.weight()
                + script.outline.weight()
                + script.quiet.len()
                + script.moves.len() * size_of::<Move>()
        });
        self.old_text.len() + self.new_text.len() + self.lines.weight() + script + 256
    }
}

/// The difference between two files.
#[derive(Clone, Debug)]
pub struct DiffAnswer {
    pub old: Artifact,
    pub new: Artifact,
    /// What the sides are called beside their file names: "staging v1".
    pub labels: [String; 2],
    pub body: Arc<Compared>,
}

impl DiffAnswer {
    /// Whether both files are the same, byte for byte.
    pub fn same(&self) -> bool {
        self.old.sha256 == self.new.sha256
    }

    pub fn added(&self) -> u32 {
        self.body.lines.added()
    }

    pub fn removed(&self) -> u32 {
        self.body.lines.removed()
    }

    /// What `patch` and `git apply` take to make the new file out of the old one; empty if nothing differs.
    ///
    /// # Errors
    /// Internal when the work could not be done.
    pub async fn unified(&self) -> Result<Vec<u8>, ServiceError> {
        let body = Arc::clone(&self.body);
        // One name on both sides: programs that apply a difference rename nothing.
        let name = self.old.filename.clone();
        let [old, new] = self.labels.clone();
        aside(move || {
            let (a, b) = (format!("a/{name}"), format!("b/{name}"));
            body.lines.unified((&body.old_text, &a, &old), (&body.new_text, &b, &new), CONTEXT)
        })
        .await
    }
}

/// Differences that were asked for lately, by the digests of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptDifferences(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    by_digests: HashMap<(Digest, Digest, bool), (u64, Arc<Compared>)>,
    bytes: usize,
    /// Rises with every use: the smallest is the one that was not used for longest.
    clock: u64,
}

impl KeptDifferences {
    fn get(&self, key: (Digest, Digest, bool)) -> Option<Arc<Compared>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let clock = kept.clock;
        let (used, found) = kept.by_digests.get_mut(&key)?;
        *used = clock;
        Some(Arc::clone(found))
    }

    fn put(&self, key: (Digest, Digest, bool), value: &Arc<Compared>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let clock = kept.clock;
        if let Some((_, before)) = kept.by_digests.insert(key, (clock, Arc::clone(value))) {
            kept.bytes -= before.weight();
        }
        kept.bytes += value.weight();
        while kept.bytes > KEPT_BYTES {
            let oldest = kept.by_digests.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key);
            let Some((_, gone)) = oldest.and_then(|key| kept.by_digests.remove(&key)) else { break };
            kept.bytes -= gone.weight();
        }
    }
}

/// Work on a difference, where it holds up no request.
///
/// # Errors
/// Internal when the work could not be done.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ServiceError> {
    off_thread(work).await
}

impl Services {
    /// Compares two versions of a kind of file, each named by its stage and version.
    ///
    /// # Errors
    /// Not found for a file that isn't there; conflict for files that are too large or too long.
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
            let kind = side.kind.unwrap_or(kind);
            let found = match side.version {
                None => record.newest(kind),
                Some(version) => record.artifacts.iter().find(|a| a.kind == kind && a.version == version),
            };
            found.cloned().ok_or(ServiceError::NotFound("file"))
        };
        let (old, new) = (find(from)?, find(to)?);
        let label = |side: &SideName, file: &Artifact| format!("{} v{}", side.stage, file.version);
        let labels = [label(from, &old), label(to, &new)];
        let body = self.compared(&old, &new).await?;
        Ok(DiffAnswer { old, new, labels, body })
    }

    /// The difference between two files, from the shelf if it is there.
    ///
    /// # Errors
    /// Conflict for files that are too large or too long to compare.
    pub async fn compared(&self, old: &Artifact, new: &Artifact) -> Result<Arc<Compared>, ServiceError> {
        for side in [old, new] {
            if usize::try_from(side.bytes).unwrap_or(usize::MAX) > MOST_BYTES {
                return Err(ServiceError::conflict(
                    "too-large-to-compare",
                    "A file this large is not compared line by line. Download both and compare them.",
                ));
            }
        }
        let sql = old.kind.is_sql() && new.kind.is_sql();
        let key = (old.sha256, new.sha256, sql);
        if let Some(known) = self.kept_differences.get(key) {
            return Ok(known);
        }
        let text = |side: &Artifact| Box::pin(self.bytes_of(side.sha256));
        let (old_text, new_text) = tokio::try_join!(text(old), text(new))?;
        let turn = AT_ONCE.acquire().await.map_err(|e| ServiceError::Internal(e.to_string()))?;
        let found = off_thread(move || compare(old_text, new_text, sql)).await?;
        drop(turn);
        let found = Arc::new(found?);
        self.kept_differences.put(key, &found);
        Ok(found)
    }
}

/// The difference between two texts; `sql` for scripts.
pub(crate) fn compare(old_text: Bytes, new_text: Bytes, sql: bool) -> Result<Compared, ServiceError> {
    let texts = std::str::from_utf8(&old_text).ok().zip(std::str::from_utf8(&new_text).ok());
    let (lines, dialect) = (OnceLock::new(), OnceLock::new());
    // Whatever needs nothing of the rest is done beside it, so that a large file is on its page sooner.
    let script = std::thread::scope(|scope| {
        let (lines, dialect) = (&lines, &dialect);
        let read = texts.filter(|_| sql).map(|(old, new)| {
            let read = scope.spawn(move || {
                let dialect = *dialect.get_or_init(|| Dialect::likely(new));
                (Colours::of(old, dialect), Colours::of(new, dialect), Outline::of(new, dialect))
            });
            (old, new, read)
        });
        let lines = lines.get_or_init(|| diff::diff(&old_text, &new_text, diff::TIME_LIMIT));
        let ((old, new, read), lines) = read.zip(lines.as_ref().ok())?;
        let dialect = *dialect.get_or_init(|| Dialect::likely(new));
        let moves = scope.spawn(move || moved::moved(old, new, dialect, &lines.changes));
        let quiet = effect::without_effect((old, &lines.old), (new, &lines.new), &lines.changes, dialect);
        let (old_colours, new_colours, outline) = joined(read);
        Some(Script { old_colours, new_colours, outline, quiet, moves: joined(moves) })
    });
    let lines =
        lines.into_inner().ok_or_else(|| ServiceError::Internal("nothing was compared".to_owned()))?;
    let lines = lines
        .map_err(|e| ServiceError::conflict("too-long-to-compare", format!("This is {e}. Download both.")))?;
    Ok(Compared { old_text, new_text, lines, script })
}

fn joined<T>(work: std::thread::ScopedJoinHandle<'_, T>) -> T {
    work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(old: &str, new: &str) -> Arc<Compared> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Arc::new(compare(bytes(old), bytes(new), true).unwrap())
    }

    #[test]
    fn a_side_is_a_stage_a_version_and_a_kind() {
        let side = SideName::parse("pre-prod:12").unwrap();
        assert_eq!(side, SideName::of("pre-prod", 12));
        assert_eq!(SideName::parse("staging").unwrap().version, None);
        let side = SideName::parse("staging:2:downgrade-sql").unwrap();
        assert_eq!(side.kind, Some(ArtifactKind::DowngradeSql));
        for wrong in ["", ":1", "staging:", "staging:x", "staging:1.5", "staging:1:x", "staging:1:other:x"] {
            assert_eq!(SideName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn line_ends_that_are_all_alike_are_no_news() {
        assert!(compared("a\r\nb\r\n", "a\r\n").all_crlf());
        for (old, new) in [("a\r\n", "a\n"), ("a\r\nb", "a\r\n"), ("a\r\n", "a\rb\nc\r\n"), ("a\n", "a\n")] {
            assert!(!compared(old, new).all_crlf(), "{old:?} {new:?}");
        }
    }

    #[test]
    fn the_shelf_keeps_what_was_used_last_and_no_more_than_it_holds() {
        let shelf = KeptDifferences::default();
        let key = |n: usize| (Digest::of(&n.to_le_bytes()), Digest::of(b""), true);
        let large = "xxxxxx\n".repeat(300_000);
        let value = compared(&large, "");
        let fit = KEPT_BYTES / value.weight();
        for n in 0..fit {
            shelf.put(key(n), &value);
        }
        assert!(shelf.get(key(0)).is_some());
        shelf.put(key(fit), &value);
        assert!(shelf.get(key(0)).is_some() && shelf.get(key(1)).is_none() && shelf.get(key(fit)).is_some());
        let kept = shelf.0.lock().unwrap();
        assert!(kept.bytes <= KEPT_BYTES);
        assert_eq!(kept.bytes, kept.by_digests.len() * value.weight());
    }
}
