//! Differences between two texts, line by line, byte for byte.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::time::Duration;

use similar::{Algorithm, DiffOp, TextDiff};

/// Time the search for a small difference may take; what it has not matched by then counts as changed.
pub const TIME_LIMIT: Duration = Duration::from_millis(500);

/// Lines a side may have.
pub const MAX_LINES: usize = 500_000;

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// On both sides.
    Equal,
    /// Only on the old side.
    Delete,
    /// Only on the new side.
    Insert,
}

/// One line. Only LF ends a line: a CR is part of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    pub tag: Tag,
    /// Its number on the old side, counted from 1.
    pub old_line: Option<u32>,
    pub new_line: Option<u32>,
    /// Without the LF.
    pub text: &'a str,
    /// Whether an LF ends it; only a text's last line may have none.
    pub ended: bool,
}

/// Changed lines with some equal ones around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// First line on the old side, counted from 1; with `old_lines` 0 the line before, as in a unified diff.
    pub old_start: u32,
    pub old_lines: u32,
    pub new_start: u32,
    pub new_lines: u32,
    /// The rows of the hunk, in [`LineDiff::rows`].
    pub rows: Range<usize>,
}

/// Every line of both sides, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDiff<'a> {
    pub rows: Vec<Row<'a>>,
    /// The time limit was hit: the difference is true, but larger than it need be.
    pub coarse: bool,
    pub added: u32,
    pub removed: u32,
}

/// A side has more lines than are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text of {lines} lines is too long to compare line by line (at most {MAX_LINES})")]
pub struct TooManyLines {
    pub lines: usize,
}

/// The difference between two texts.
///
/// # Errors
/// When a side has more than [`MAX_LINES`] lines.
pub fn diff<'a>(old: &'a str, new: &'a str) -> Result<LineDiff<'a>, TooManyLines> {
    let (old, new) = (lines(old)?, lines(new)?);
    let found =
        TextDiff::configure().algorithm(Algorithm::Patience).timeout(TIME_LIMIT).diff_slices(&old, &new);
    let mut rows = Vec::with_capacity(old.len().max(new.len()));
    for op in found.ops() {
        if let DiffOp::Equal { old_index, new_index, len } = *op {
            for i in 0..len {
                rows.extend(row(&old, Some(old_index + i), Some(new_index + i)));
            }
        } else {
            rows.extend(op.old_range().filter_map(|i| row(&old, Some(i), None)));
            rows.extend(op.new_range().filter_map(|i| row(&new, None, Some(i))));
        }
    }
    let count = |tag| number(rows.iter().filter(|row| row.tag == tag).count());
    Ok(LineDiff {
        added: count(Tag::Insert),
        removed: count(Tag::Delete),
        coarse: is_coarse(&rows, &old, &new),
        rows,
    })
}

fn lines(text: &str) -> Result<Vec<&str>, TooManyLines> {
    let lines = text.bytes().filter(|b| *b == b'\n').count() + 1;
    if lines > MAX_LINES {
        return Err(TooManyLines { lines });
    }
    Ok(text.split_inclusive('\n').collect())
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn row<'a>(lines: &[&'a str], old: Option<usize>, new: Option<usize>) -> Option<Row<'a>> {
    let line = lines.get(old.or(new)?)?;
    Some(Row {
        tag: match (old, new) {
            (Some(_), Some(_)) => Tag::Equal,
            (Some(_), None) => Tag::Delete,
            _ => Tag::Insert,
        },
        old_line: old.map(|i| number(i + 1)),
        new_line: new.map(|i| number(i + 1)),
        text: line.strip_suffix('\n').unwrap_or(line),
        ended: line.ends_with('\n'),
    })
}

/// The library doesn't say that its time ran out. It shows: many lines stand on both sides, almost none was matched.
fn is_coarse(rows: &[Row<'_>], old: &[&str], new: &[&str]) -> bool {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for line in old {
        *counts.entry(line).or_default() += 1;
    }
    let on_both = new.iter().filter(|line| match counts.get_mut(**line) {
        Some(n) if *n > 0 => {
            *n -= 1;
            true
        }
        _ => false,
    });
    let (on_both, matched) = (on_both.count(), rows.iter().filter(|r| r.tag == Tag::Equal).count());
    on_both > 1_000 && matched < on_both / 20
}

impl LineDiff<'_> {
    /// Whether both sides are the same, byte for byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.added == 0 && self.removed == 0
    }

    /// The changes, each with up to `context` equal lines before and after; near ones are joined.
    #[must_use]
    pub fn hunks(&self, context: usize) -> Vec<Hunk> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for (i, _) in self.rows.iter().enumerate().filter(|(_, row)| row.tag != Tag::Equal) {
            let (from, to) = (i.saturating_sub(context), i.saturating_add(context).saturating_add(1));
            let to = to.min(self.rows.len());
            match spans.last_mut() {
                Some(last) if from <= last.end => last.end = to,
                _ => spans.push(from..to),
            }
        }
        let (mut old, mut new, mut at) = (0_u32, 0_u32, 0_usize);
        let mut hunks = Vec::with_capacity(spans.len());
        for span in spans {
            let (skipped_old, skipped_new) = self.sides(at..span.start);
            (old, new) = (old + skipped_old, new + skipped_new);
            let (old_lines, new_lines) = self.sides(span.clone());
            hunks.push(Hunk {
                old_start: old + u32::from(old_lines > 0),
                old_lines,
                new_start: new + u32::from(new_lines > 0),
                new_lines,
                rows: span.clone(),
            });
            (old, new, at) = (old + old_lines, new + new_lines, span.end);
        }
        hunks
    }

    /// How many of these rows are on the old and on the new side.
    fn sides(&self, rows: Range<usize>) -> (u32, u32) {
        let rows = self.rows.get(rows).unwrap_or_default();
        let count = |tag| number(rows.iter().filter(|row| row.tag != tag).count());
        (count(Tag::Insert), count(Tag::Delete))
    }

    /// A unified diff that `patch` and `git apply` take; empty if nothing differs.
    #[must_use]
    pub fn unified(&self, old_name: &str, new_name: &str, context: usize) -> String {
        let mut out = String::new();
        if self.is_empty() {
            return out;
        }
        let _ = writeln!(out, "--- {}\n+++ {}", file_name(old_name), file_name(new_name));
        for hunk in self.hunks(context) {
            let (old, new) = (side(hunk.old_start, hunk.old_lines), side(hunk.new_start, hunk.new_lines));
            let _ = writeln!(out, "@@ -{old} +{new} @@");
            for row in self.rows.get(hunk.rows).unwrap_or_default() {
                out.push(match row.tag {
                    Tag::Equal => ' ',
                    Tag::Delete => '-',
                    Tag::Insert => '+',
                });
                out.push_str(row.text);
                out.push('\n');
                if !row.ended {
                    out.push_str("\\ No newline at end of file\n");
                }
            }
        }
        out
    }
}

fn side(start: u32, lines: u32) -> String {
    if lines == 1 { start.to_string() } else { format!("{start},{lines}") }
}

/// A name as a header line takes it: no control characters, and a tab after one with blanks, as git does.
fn file_name(name: &str) -> String {
    let mut name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if name.contains(' ') {
        name.push('\t');
    }
    name
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
