//! A difference as rows of a page: folds where nothing changed, the words that changed marked, parts of bounded size.

use std::ops::Range;

use crate::service::diff::{DiffAnswer, DiffLine, Tag};
use crate::web::view::code::{Change, Code, DiffRow};
use crate::web::view::format::plural;

/// Rows that a page shows at once.
const PART_ROWS: usize = 2_000;

/// Text that a page shows at once, in bytes; a part has at least one row.
const PART_BYTES: usize = 512 * 1024;

/// A longer line is cut in a difference, in bytes; the page of its file has the whole of it.
const LONGEST_LINE: usize = 64 * 1024;

/// The longest block of changed lines that are paired: pages stay linear in what they show.
const MOST: usize = 200;

/// What a page draws next.
enum Piece {
    Line(usize),
    /// So many lines are left out.
    Fold(usize),
}

/// A part of a difference.
pub struct Part {
    pub rows: Vec<DiffRow>,
    /// Counted from 1.
    pub number: usize,
    pub parts: usize,
}

/// The rows of part `number`, counted from 1; `whole` leaves nothing out.
pub fn part(answer: &DiffAnswer, whole: bool, number: usize) -> Part {
    let pieces = pieces(answer, whole);
    let parts = split(answer, &pieces);
    let number = number.clamp(1, parts.len().max(1));
    let range = parts.get(number - 1).cloned().unwrap_or(0..0);
    Part { rows: rows(answer, pieces.get(range).unwrap_or_default()), number, parts: parts.len() }
}

/// The whole difference, if it has at most `most` rows.
pub fn small(answer: &DiffAnswer, most: usize) -> Option<Vec<DiffRow>> {
    let pieces = pieces(answer, false);
    (pieces.len() <= most && split(answer, &pieces).len() == 1).then(|| rows(answer, &pieces))
}

fn pieces(answer: &DiffAnswer, whole: bool) -> Vec<Piece> {
    if whole {
        return (0..answer.lines.len()).map(Piece::Line).collect();
    }
    let mut pieces = Vec::new();
    let mut at = 0;
    for hunk in &answer.hunks {
        if hunk.rows.start > at {
            pieces.push(Piece::Fold(hunk.rows.start - at));
        }
        pieces.extend(hunk.rows.clone().map(Piece::Line));
        at = hunk.rows.end;
    }
    if at < answer.lines.len() {
        pieces.push(Piece::Fold(answer.lines.len() - at));
    }
    pieces
}

fn split(answer: &DiffAnswer, pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        let size = match piece {
            Piece::Line(line) => {
                answer.lines.get(*line).map_or(0, |l| answer.text(l).len().min(LONGEST_LINE))
            }
            Piece::Fold(_) => 0,
        };
        if at > start && (at - start >= PART_ROWS || bytes + size > PART_BYTES) {
            parts.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    if start < pieces.len() {
        parts.push(start..pieces.len());
    }
    parts
}

fn rows(answer: &DiffAnswer, pieces: &[Piece]) -> Vec<DiffRow> {
    let mut rows = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Fold(lines) => {
                rows.push(DiffRow::Fold(plural(*lines as u64, "unchanged line", "unchanged lines")));
            }
            Piece::Line(at) => {
                let Some(line) = answer.lines.get(*at) else { continue };
                rows.push(DiffRow::Line {
                    change: match line.tag {
                        Tag::Equal => Change::Same,
                        Tag::Delete => Change::Removed,
                        Tag::Insert => Change::Added,
                    },
                    old: line.old_line,
                    new: line.new_line,
                    code: code(answer, *at, line),
                });
                if !line.ended {
                    rows.push(DiffRow::Fold("no line break at the end of the file".to_owned()));
                }
            }
        }
    }
    rows
}

/// A line with what changed in it marked, where it can be told which line it became.
fn code(answer: &DiffAnswer, at: usize, line: &DiffLine) -> Code {
    let text = answer.text(line);
    if text.len() > LONGEST_LINE {
        let end = text.floor_char_boundary(LONGEST_LINE);
        let rest = text.len() - end;
        return Code::line(&text[..end]).and(&format!(" … {rest} more bytes: see the file itself"), true);
    }
    let Some(other) = partner(answer, at).map(|other| answer.text(other)) else { return Code::line(text) };
    let (start, end) = changed(text, other);
    // Where little is common, marks would only distract.
    if start + (text.len() - end) < text.len() / 3 || start >= end {
        return Code::line(text);
    }
    Code::default().and(&text[..start], false).and(&text[start..end], true).and(&text[end..], false)
}

/// The line that this one became, or was: the one at the same place in as many removed and added lines.
fn partner(answer: &DiffAnswer, at: usize) -> Option<&DiffLine> {
    let lines = &answer.lines;
    let tag = lines.get(at)?.tag;
    if tag == Tag::Equal {
        return None;
    }
    let same = |i: &usize| lines.get(*i).is_some_and(|line| line.tag == tag);
    let first = (at.saturating_sub(MOST)..at).rev().take_while(same).last().unwrap_or(at);
    let after = (at..at + MOST).take_while(same).last().unwrap_or(at) + 1;
    let length = after - first;
    let other = if tag == Tag::Delete { Tag::Insert } else { Tag::Delete };
    let is_other = |i: usize| lines.get(i).is_some_and(|line| line.tag == other);
    let begin = if tag == Tag::Delete { after } else { first.checked_sub(length)? };
    let block = begin..begin + length;
    let exact = block.clone().all(is_other)
        && !is_other(block.end)
        && !begin.checked_sub(1).is_some_and(is_other)
        && length < MOST;
    if exact { lines.get(begin + (at - first)) } else { None }
}

/// Where two lines differ, as a stretch of the first: between their common start and their common end.
fn changed(text: &str, other: &str) -> (usize, usize) {
    let start: usize =
        text.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (rest, other_rest) = (&text[start..], &other[start..]);
    let tail: usize = rest
        .chars()
        .rev()
        .zip(other_rest.chars().rev())
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum();
    (start, text.len() - tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretch_that_changed_lies_between_what_is_common() {
        let mark = |a: &'static str, b: &str| {
            let (start, end) = changed(a, b);
            &a[start..end]
        };
        assert_eq!(mark("SET t = '30s';", "SET t = '3s';"), "0");
        assert_eq!(mark("SET t = '3s';", "SET t = '30s';"), "");
        assert_eq!(mark("aä", "aö"), "ä");
        assert_eq!(mark("aa", "aaa"), "");
        assert_eq!(mark("", "x"), "");
        assert_eq!(mark("x", "y"), "x");
    }
}
