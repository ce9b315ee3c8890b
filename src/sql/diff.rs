//! Differences between two texts, line by line, byte for byte.
//!
//! Lines are numbered from 0 in here. Only LF ends a line: a CR is part of its text. What is compared are bytes, so a file
//! that is no text has a difference too.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

#[path = "diff_unified.rs"]
mod unified;

/// Time the search for a small difference may take; what it has not matched by then counts as changed.
pub const TIME_LIMIT: Duration = Duration::from_millis(500);

/// Lines a side may have.
pub const MAX_LINES: usize = 1_000_000;

/// How far a change is moved to where a reader would cut, in lines.
const FARTHEST_SLIDE: u32 = 200;

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// On both sides.
    Equal,
    /// Only on the old side.
    Delete,
    /// Only on the new side.
    Insert,
}

/// A side has more lines than are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text of {lines} lines is too long to compare line by line (at most {MAX_LINES})")]
pub struct TooManyLines {
    pub lines: usize,
}

/// Where the lines of a text begin. An empty text has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// The first byte of each line, and the length of the text.
    starts: Vec<u32>,
    /// Whether an LF ends the last line.
    ended: bool,
}

impl Lines {
    /// Finds the lines.
    ///
    /// # Errors
    /// When there are more than [`MAX_LINES`], or 4 GiB.
    pub fn of(text: &[u8]) -> Result<Self, TooManyLines> {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let mut starts = vec![0];
        for end in ends {
            if starts.len() > MAX_LINES + 1 {
                break;
            }
            starts.push(number(end));
        }
        let ended = text.last() == Some(&b'\n');
        if !text.is_empty() && !ended {
            starts.push(number(text.len()));
        }
        if starts.len() > MAX_LINES + 1 || u32::try_from(text.len()).is_err() {
            let lines = text.split(|byte| *byte == b'\n').count() - usize::from(ended);
            return Err(TooManyLines { lines });
        }
        Ok(Self { starts, ended })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        number(self.starts.len().saturating_sub(1))
    }

    /// The bytes of a line, its LF included; none for a line that is not there.
    #[must_use]
    pub fn whole(&self, line: u32) -> Range<usize> {
        let at = |line: usize| self.starts.get(line).map(|start| *start as usize);
        let line = line as usize;
        at(line).zip(at(line + 1)).map_or(0..0, |(start, end)| start..end)
    }

    /// Whether an LF ends the line; only a text's last line may have none.
    #[must_use]
    pub fn is_ended(&self, line: u32) -> bool {
        self.ended || line + 1 < self.count()
    }

    /// The bytes of a line without its LF.
    #[must_use]
    pub fn span(&self, line: u32) -> Range<usize> {
        let whole = self.whole(line);
        let end = whole.end - usize::from(!whole.is_empty() && self.is_ended(line));
        whole.start..end
    }

    /// The line that a byte is on.
    #[must_use]
    pub fn line_of(&self, byte: usize) -> u32 {
        let after = self.starts.partition_point(|start| *start as usize <= byte);
        number(after.saturating_sub(1)).min(self.count().saturating_sub(1))
    }

    /// Bytes that this takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.starts.len() * size_of::<u32>()
    }
}

/// Lines of the old side that gave way to lines of the new one; one of both may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub old: Range<u32>,
    pub new: Range<u32>,
}

/// What follows what, from the first line to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// As many lines, the same on both sides.
    Same { old: u32, new: u32, lines: u32 },
    /// The change with this index.
    Changed(usize),
}

/// One line of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub tag: Tag,
    pub old: Option<u32>,
    pub new: Option<u32>,
}

/// Changed lines with some equal ones around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    pub old: Range<u32>,
    pub new: Range<u32>,
    /// Which changes.
    pub changes: Range<usize>,
}

/// Every line of both sides, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineDiff {
    pub old: Lines,
    pub new: Lines,
    /// In order; between two of them is at least one line that is the same.
    pub changes: Vec<Change>,
    /// The time limit was hit: the difference is true, but may be larger than it need be.
    pub coarse: bool,
}

/// The difference between two texts. `limit` is for the search; the rest is linear.
///
/// # Errors
/// When a side has more than [`MAX_LINES`] lines.
pub fn diff(old: &[u8], new: &[u8], limit: Duration) -> Result<LineDiff, TooManyLines> {
    let (old_lines, new_lines) = (Lines::of(old)?, Lines::of(new)?);
    let (old_ids, new_ids) = name(old, &old_lines, new, &new_lines);
    let deadline = Instant::now() + limit;
    let matches = matching(&old_ids, &new_ids, deadline);
    let coarse = Instant::now() > deadline;
    let mut changes = changes(&matches, &old_ids, &new_ids);
    for at in 0..changes.len() {
        let before =
            at.checked_sub(1).and_then(|at| changes.get(at)).map_or((0, 0), |c| (c.old.end, c.new.end));
        let after = changes
            .get(at + 1)
            .map_or((number(old_ids.len()), number(new_ids.len())), |c| (c.old.start, c.new.start));
        let Some(change) = changes.get_mut(at) else { break };
        // A line that is the same must stay on either side, or two changes would touch.
        let room = (change.new.start - before.1, after.1 - change.new.end);
        let (first, last) = (at == 0, after == (number(old_ids.len()), number(new_ids.len())));
        let room = (room.0.saturating_sub(u32::from(!first)), room.1.saturating_sub(u32::from(!last)));
        if change.old.is_empty() {
            slide(&mut change.new, &mut change.old, &new_ids, room, |l| {
                cut_after(new.get(new_lines.span(l)))
            });
        } else if change.new.is_empty() {
            slide(&mut change.old, &mut change.new, &old_ids, room, |l| {
                cut_after(old.get(old_lines.span(l)))
            });
        }
    }
    Ok(LineDiff { old: old_lines, new: new_lines, changes, coarse })
}

/// Numbers instead of lines: the same number, the same bytes.
fn name(old: &[u8], old_lines: &Lines, new: &[u8], new_lines: &Lines) -> (Vec<u32>, Vec<u32>) {
    let mut known: HashMap<&[u8], u32> = HashMap::with_capacity(old_lines.starts.len());
    let mut of = |text, lines| name_side(text, lines, &mut known);
    (of(old, old_lines), of(new, new_lines))
}

fn name_side<'a>(text: &'a [u8], lines: &Lines, known: &mut HashMap<&'a [u8], u32>) -> Vec<u32> {
    let id = |line| {
        let next = number(known.len());
        *known.entry(text.get(lines.whole(line)).unwrap_or_default()).or_insert(next)
    };
    (0..lines.count()).map(id).collect()
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Pairs of lines that are the same, rising on both sides. Lines that one side lacks can't be in a pair, so the search is
/// made without them: two files that have nothing in common cost nothing, whatever their length.
fn matching(old: &[u32], new: &[u32], deadline: Instant) -> Vec<(u32, u32)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let kinds = old.iter().chain(new).max().map_or(0, |most| *most as usize + 1);
    let (mut in_old, mut in_new) = (vec![false; kinds], vec![false; kinds]);
    let (old_part, new_part) = (head..old.len() - tail, head..new.len() - tail);
    for (ids, range, seen) in [(old, &old_part, &mut in_old), (new, &new_part, &mut in_new)] {
        for id in ids.get(range.clone()).unwrap_or_default() {
            if let Some(seen) = seen.get_mut(*id as usize) {
                *seen = true;
            }
        }
    }
    let keep = |ids: &[u32], range: Range<usize>, there: &[bool]| -> (Vec<u32>, Vec<u32>) {
        range
            .filter_map(|at| Some((number(at), *ids.get(at)?)))
            .filter(|(_, id)| there.get(*id as usize) == Some(&true))
            .unzip()
    };
    let (old_at, old_kept) = keep(old, old_part, &in_new);
    let (new_at, new_kept) = keep(new, new_part, &in_old);
    let mut pairs: Vec<(u32, u32)> = (0..head).map(|at| (number(at), number(at))).collect();
    for op in capture_diff_slices_deadline(Algorithm::Patience, &old_kept, &new_kept, Some(deadline)) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            let both =
                (0..len).filter_map(|i| Some((*old_at.get(old_index + i)?, *new_at.get(new_index + i)?)));
            pairs.extend(both);
        }
    }
    let tail = (0..tail).rev().map(|back| (number(old.len() - 1 - back), number(new.len() - 1 - back)));
    pairs.extend(tail);
    pairs
}

fn changes(pairs: &[(u32, u32)], old: &[u32], new: &[u32]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut old_at, mut new_at) = (0, 0);
    let end = (number(old.len()), number(new.len()));
    for (old, new) in pairs.iter().copied().chain([end]) {
        if old > old_at || new > new_at {
            changes.push(Change { old: old_at..old, new: new_at..new });
        }
        (old_at, new_at) = (old + 1, new + 1);
    }
    changes
}

/// How good a place after this line is to begin something new: after nothing, an empty line, or the end of a statement.
fn cut_after(line: Option<&[u8]>) -> u8 {
    let line = line.unwrap_or_default().trim_ascii_end();
    match line.last() {
        None => 3,
        Some(b';') => 2,
        Some(_) => 0,
    }
}

/// Lines that only one side has may often be counted from another line on: `a b` after `b` is `b a` before it. Of all
/// such places the one is taken where a reader would cut, the last of several that are as good.
fn slide(
    lines: &mut Range<u32>,
    other: &mut Range<u32>,
    ids: &[u32],
    (up, down): (u32, u32),
    cut_after: impl Fn(u32) -> u8,
) {
    let same = |a: u32, b: u32| ids.get(a as usize).is_some_and(|id| ids.get(b as usize) == Some(id));
    let (mut start, mut end, mut left) = (lines.start, lines.end, up.min(FARTHEST_SLIDE));
    while left > 0 && start > 0 && same(start - 1, end - 1) {
        (start, end, left) = (start - 1, end - 1, left - 1);
    }
    let lowest = lines.start + down.min(FARTHEST_SLIDE);
    let mut best = (0, lines.start);
    let mut seen = false;
    loop {
        let weight = if start == 0 { 3 } else { cut_after(start - 1) };
        if !seen || weight >= best.0 {
            best = (weight, start);
            seen = true;
        }
        if start >= lowest || !same(start, end) {
            break;
        }
        (start, end) = (start + 1, end + 1);
    }
    let length = lines.end - lines.start;
    let at = (other.start + best.1) - lines.start;
    *lines = best.1..best.1 + length;
    *other = at..at;
}

impl LineDiff {
    /// Whether both sides are the same, byte for byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Lines that only the new side has.
    #[must_use]
    pub fn added(&self) -> u32 {
        self.changes.iter().map(|change| change.new.end - change.new.start).sum()
    }

    /// Lines that only the old side has.
    #[must_use]
    pub fn removed(&self) -> u32 {
        self.changes.iter().map(|change| change.old.end - change.old.start).sum()
    }

    /// The whole difference, in order.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        let end = Change { old: self.old.count()..0, new: self.new.count()..0 };
        let all = self.changes.iter().cloned().map(Some).chain([None]);
        let (mut old, mut new) = (0, 0);
        all.enumerate().flat_map(move |(at, change)| {
            let last = change.is_none();
            let change = change.unwrap_or_else(|| end.clone());
            let same = Stretch::Same { old, new, lines: change.new.start - new };
            (old, new) = (change.old.end, change.new.end);
            let same = Some(same).filter(|s| !matches!(s, Stretch::Same { lines: 0, .. }));
            same.into_iter().chain((!last).then_some(Stretch::Changed(at)))
        })
    }

    /// Where a line of the old side is on the new one, if it is there still.
    #[must_use]
    pub fn follow(&self, line: u32) -> Option<u32> {
        if line >= self.old.count() {
            return None;
        }
        let after = self.changes.partition_point(|change| change.old.start <= line);
        match after.checked_sub(1).and_then(|at| self.changes.get(at)) {
            None => Some(line),
            Some(change) if line < change.old.end => None,
            Some(change) => Some(change.new.end + (line - change.old.end)),
        }
    }

    /// The changes, each with up to `context` equal lines before and after; near ones are joined.
    #[must_use]
    pub fn hunks(&self, context: u32) -> Vec<Hunk> {
        let mut hunks: Vec<Hunk> = Vec::new();
        for (at, change) in self.changes.iter().enumerate() {
            let lead = context.min(change.old.start).min(change.new.start);
            let rest = (self.old.count() - change.old.end).min(self.new.count() - change.new.end);
            let trail = context.min(rest);
            let (old, new) = (
                change.old.start - lead..change.old.end + trail,
                change.new.start - lead..change.new.end + trail,
            );
            match hunks.last_mut() {
                Some(last) if old.start <= last.old.end && new.start <= last.new.end => {
                    (last.old.end, last.new.end) = (old.end, new.end);
                    last.changes.end = at + 1;
                }
                _ => hunks.push(Hunk { old, new, changes: at..at + 1 }),
            }
        }
        hunks
    }

    /// The lines of a hunk.
    pub fn rows<'a>(&'a self, hunk: &Hunk) -> impl Iterator<Item = Row> + 'a {
        let end = Change { old: hunk.old.end..hunk.old.end, new: hunk.new.end..hunk.new.end };
        let changes = self.changes.get(hunk.changes.clone()).unwrap_or_default();
        let (mut old, mut new) = (hunk.old.start, hunk.new.start);
        changes.iter().cloned().chain([end]).flat_map(move |change| {
            let same = (old..change.old.start).zip(new..change.new.start).map(|(old, new)| Row {
                tag: Tag::Equal,
                old: Some(old),
                new: Some(new),
            });
            (old, new) = (change.old.end, change.new.end);
            let gone = change.old.map(|old| Row { tag: Tag::Delete, old: Some(old), new: None });
            let come = change.new.map(|new| Row { tag: Tag::Insert, old: None, new: Some(new) });
            same.chain(gone).chain(come)
        })
    }

    /// Bytes that this takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.old.weight() + self.new.weight() + self.changes.len() * size_of::<Change>()
    }
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
