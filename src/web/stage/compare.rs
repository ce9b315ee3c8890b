//! A difference as rows of a page: folds where nothing changed, the words that changed marked, parts of bounded size.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::pieces::{Piece, pieces};
use crate::service::diff::shown::{LONGEST_LINE, LONGEST_MARKUP, extent};
use crate::service::diff::{CONTEXT, Compared, words};
use crate::web::view::code::{Change, Code, DiffRow, Marks};
use crate::web::view::difference::{Cell, Entry, Row};
use crate::web::view::format::{bytes, plural};

/// What the rows of a part may take of a page, in bytes: with the rest, a page stays well below 400 KB.
const PART_BYTES: usize = 240 * 1024;

/// What a row takes besides its text and links, in bytes.
const ROW: usize = 420;

/// Longer lines are not compared word by word, in bytes.
const LONGEST_COMPARED: usize = 16 * 1024;

/// More lines than this on a side of a change are paired by their places.
const MOST_PAIRED: u32 = 40;

/// How a difference is to be shown.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Nothing is folded away.
    pub whole: bool,
    pub split: bool,
    /// Folds that are open, by the new line that each begins with, counted from 1.
    pub open: BTreeSet<u32>,
    /// Lines of the new side that are never folded away, counted from 1, with the room that what is said of them takes.
    pub keep: BTreeMap<u32, usize>,
    /// The same, of the old side.
    pub keep_old: BTreeMap<u32, usize>,
    /// Counted from 1.
    pub part: usize,
    /// A line that has to be in the part: whether of the old side, and its number.
    pub line: Option<(bool, u32)>,
    /// What an address begins with, up to its last parameters; such as `?kind=upgrade-sql&`.
    pub query: String,
    /// Whether lines lead to the form that asks about them.
    pub ask_old: bool,
    pub ask_new: bool,
}

/// A part of a difference.
#[derive(Debug)]
pub struct Part {
    pub entries: Vec<Entry>,
    /// Counted from 1.
    pub number: usize,
    pub parts: usize,
    /// Lines that hold characters that can't be seen.
    pub hidden: u64,
    /// Lines that are cut.
    pub cut: u64,
}

/// The rows of a part.
pub fn part(body: &Arc<Compared>, wanted: &Wanted) -> Part {
    let mut drawing = Drawing::new(body, wanted);
    let pieces = pieces(body, wanted);
    let parts = drawing.split(&pieces);
    let asked = wanted.line.and_then(|line| pieces.iter().position(|piece| piece.holds(line)));
    let number = match asked {
        Some(at) => parts.iter().position(|part| part.contains(&at)).map_or(1, |part| part + 1),
        None => wanted.part.clamp(1, parts.len().max(1)),
    };
    let range = parts.get(number - 1).cloned().unwrap_or(0..0);
    let entries: Vec<Entry> =
        pieces.get(range).unwrap_or_default().iter().map(|piece| drawing.entry(piece, number)).collect();
    Part { entries, number, parts: parts.len(), hidden: drawing.hidden, cut: drawing.cut }
}

/// The whole difference, if it has at most `most` rows.
pub fn small(body: &Arc<Compared>, most: usize) -> Option<Vec<DiffRow>> {
    let wanted = Wanted::default();
    let mut drawing = Drawing::new(body, &wanted);
    let pieces = pieces(body, &wanted);
    if pieces.len() > most || drawing.split(&pieces).len() > 1 {
        return None;
    }
    let rows = pieces.iter().filter_map(|piece| match drawing.entry(piece, 1).row {
        Row::Line { old, new, cell } => {
            Some(DiffRow::Line { change: cell.change, old, new, code: cell.code })
        }
        Row::Fold { words, holds, .. } => {
            Some(DiffRow::Fold(holds.map_or_else(|| words.clone(), |holds| format!("{words}: {holds}"))))
        }
        Row::Pair { .. } | Row::Threads(_) | Row::Ask(_) => None,
    });
    Some(rows.collect())
}

struct Drawing<'a> {
    body: &'a Compared,
    wanted: &'a Wanted,
    crlf: bool,
    /// The change whose lines were paired last, with what became of each of its old lines.
    paired: Option<(usize, Vec<(u32, u32)>)>,
    moved_from: HashMap<u32, u32>,
    moved_to: HashMap<u32, u32>,
    hidden: u64,
    cut: u64,
}

impl<'a> Drawing<'a> {
    fn new(body: &'a Compared, wanted: &'a Wanted) -> Self {
        let moves = body.script.as_ref().map(|script| script.moves.as_slice()).unwrap_or_default();
        Self {
            body,
            wanted,
            crlf: body.all_crlf(),
            paired: None,
            moved_from: moves.iter().map(|one| (one.new_line, one.old_line)).collect(),
            moved_to: moves.iter().map(|one| (one.old_line, one.new_line)).collect(),
            hidden: 0,
            cut: 0,
        }
    }

    /// Parts that fit a page each, whatever the lines hold.
    fn split(&self, pieces: &[Piece]) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let (mut start, mut taken) = (0, 0);
        for (at, piece) in pieces.iter().enumerate() {
            let size = self.size(piece);
            if at > start && taken + size > PART_BYTES {
                parts.push(start..at);
                (start, taken) = (at, 0);
            }
            taken += size;
        }
        if start < pieces.len() {
            parts.push(start..pieces.len());
        }
        parts
    }

    /// The most that a row takes.
    fn size(&self, piece: &Piece) -> usize {
        let row = ROW + 2 * self.wanted.query.len();
        let text = |line: &[u8]| room(extent(line).1);
        let said = |map: &BTreeMap<u32, usize>, line: u32| map.get(&(line + 1)).copied().unwrap_or(0);
        let old = |line: u32| text(self.body.old_line(line)) + said(&self.wanted.keep_old, line);
        let new = |line: u32| text(self.body.new_line(line)) + said(&self.wanted.keep, line);
        match *piece {
            Piece::Same { old: at, new: line } if self.wanted.split => {
                row + row + new(line) + text(self.body.old_line(at)) + said(&self.wanted.keep_old, at)
            }
            Piece::Same { old: at, new: line } => row + new(line) + said(&self.wanted.keep_old, at),
            Piece::Gone { old: at, .. } => row + old(at),
            Piece::Come { new: at, .. } => row + new(at),
            Piece::Pair { old: a, new: b, .. } => row + row + a.map_or(0, old) + b.map_or(0, new),
            Piece::Fold { .. } => row + 12 * self.wanted.open.len(),
        }
    }

    fn entry(&mut self, piece: &Piece, part: usize) -> Entry {
        let row = match *piece {
            Piece::Same { old, new } if self.wanted.split => Row::Pair {
                old: Some(self.cell(Change::Same, Err(old), None)),
                new: Some(self.cell(Change::Same, Ok(new), None)),
            },
            Piece::Same { old, new } => {
                let cell = self.cell(Change::Same, Ok(new), None);
                Row::Line { old: Some(old + 1), new: Some(new + 1), cell }
            }
            Piece::Gone { change, old } => {
                let partner = self.partner(change, Err(old));
                let cell = self.cell(
                    Change::Removed,
                    Err(old),
                    partner.map(|new| (change, new)).or(Some((change, u32::MAX))),
                );
                Row::Line { old: Some(old + 1), new: None, cell }
            }
            Piece::Come { change, new } => {
                let partner = self.partner(change, Ok(new));
                let cell = self.cell(Change::Added, Ok(new), Some((change, partner.unwrap_or(u32::MAX))));
                Row::Line { old: None, new: Some(new + 1), cell }
            }
            Piece::Pair { change, old, new } => Row::Pair {
                old: old.map(|old| {
                    let partner = self.partner(change, Err(old)).unwrap_or(u32::MAX);
                    self.cell(Change::Removed, Err(old), Some((change, partner)))
                }),
                new: new.map(|new| {
                    let partner = self.partner(change, Ok(new)).unwrap_or(u32::MAX);
                    self.cell(Change::Added, Ok(new), Some((change, partner)))
                }),
            },
            Piece::Fold { new, lines, .. } => self.fold(new, lines, part),
        };
        Entry::of(row)
    }

    fn fold(&self, new: u32, lines: u32, part: usize) -> Row {
        let open: Vec<String> = self.wanted.open.iter().map(ToString::to_string).collect();
        let comma = if open.is_empty() { "" } else { "," };
        let part = if part > 1 { format!("part={part}&") } else { String::new() };
        let script = self.body.script.as_ref();
        Row::Fold {
            href: format!(
                "{}{part}open={}{comma}{}#R{}",
                self.wanted.query,
                open.join(","),
                new + 1,
                new + 1
            ),
            words: plural(lines.into(), "unchanged line", "unchanged lines"),
            holds: script.and_then(|script| script.outline.summary(new..new + lines)),
            anchor: new + 1,
        }
    }

    /// The line that a line of a change became (of a new line: was).
    fn partner(&mut self, change: usize, line: Result<u32, u32>) -> Option<u32> {
        let whole = self.body.lines.changes.get(change)?;
        let (old_lines, new_lines) = (whole.old.end - whole.old.start, whole.new.end - whole.new.start);
        if old_lines.max(new_lines) > MOST_PAIRED {
            return match line {
                Err(old) => {
                    Some(whole.new.start + (old - whole.old.start)).filter(|new| *new < whole.new.end)
                }
                Ok(new) => Some(whole.old.start + (new - whole.new.start)).filter(|old| *old < whole.old.end),
            };
        }
        if self.paired.as_ref().is_none_or(|(known, _)| *known != change) {
            self.paired = Some((change, paired(self.body, change)));
        }
        let (_, pairs) = self.paired.as_ref()?;
        match line {
            Err(old) => pairs.iter().find(|pair| pair.0 == old).map(|pair| pair.1),
            Ok(new) => pairs.iter().find(|pair| pair.1 == new).map(|pair| pair.0),
        }
    }

    /// A line as it is shown: `Ok` of the new side, `Err` of the old one.
    fn cell(&mut self, change: Change, line: Result<u32, u32>, within: Option<(usize, u32)>) -> Cell {
        let body = self.body;
        let (text, lines, number) = match line {
            Ok(new) => (body.new_line(new), &body.lines.new, new),
            Err(old) => (body.old_line(old), &body.lines.old, old),
        };
        let (mut text, whole_length) = (text, text.len());
        if self.crlf {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        let (extent, markup) = extent(text);
        let cut = extent < text.len();
        text = text.get(..extent).unwrap_or(text);
        let other = within.filter(|(_, other)| *other != u32::MAX).map(|(_, other)| match line {
            Ok(_) => body.old_line(other),
            Err(_) => body.new_line(other),
        });
        let code = self.code(change, line, text, markup, other);
        let mut labels = self.labels(line, within.map(|(change, _)| change));
        if cut {
            self.cut += 1;
            let size = bytes(whole_length as u64);
            labels.push(format!("cut here: the line is {size} long. Download the file to read all of it."));
        }
        if !lines.is_ended(number) && (change != Change::Same) {
            labels.push("no line feed at the end".to_owned());
        }
        self.hidden += u64::from(code.has_hidden());
        let may_ask = if line.is_ok() { self.wanted.ask_new } else { self.wanted.ask_old };
        let side = if line.is_ok() { "R" } else { "L" };
        let ask = may_ask.then(|| format!("{}line={side}{}#ask", self.wanted.query, number + 1));
        Cell { change, number: number + 1, code, labels, ask }
    }

    fn code(
        &self,
        change: Change,
        line: Result<u32, u32>,
        text: &[u8],
        markup: usize,
        other: Option<&[u8]>,
    ) -> Code {
        let script = self.body.script.as_ref();
        let readable = std::str::from_utf8(text).ok();
        let colours = script.map(|script| match line {
            Ok(new) => (&script.new_colours, self.body.lines.new.span(new)),
            Err(old) => (&script.old_colours, self.body.lines.old.span(old)),
        });
        let inks = colours
            .zip(readable)
            .map(|((colours, span), text)| colours.line(text, span.start..span.start + text.len()));
        let changed = other
            .and_then(|other| std::str::from_utf8(other).ok())
            .zip(readable)
            .filter(|(other, text)| other.len().max(text.len()) <= LONGEST_COMPARED)
            .and_then(|(other, text)| match change {
                Change::Removed => words::changed(text, other.trim_end_matches('\r')).map(|found| found.old),
                _ => words::changed(other.trim_end_matches('\r'), text).map(|found| found.new),
            });
        let element = change.element();
        let marks = Marks {
            inks: inks.as_deref().unwrap_or_default(),
            changed: changed.as_deref().unwrap_or_default(),
            element,
        };
        let code = Code::marked(text, marks);
        // Colours cost room: a line of nothing but signs and words goes without.
        if code.size() <= room(markup) { code } else { Code::marked(text, Marks::default()) }
    }

    fn labels(&self, line: Result<u32, u32>, change: Option<usize>) -> Vec<String> {
        let mut labels = Vec::new();
        let Some(change) = change else { return labels };
        match line {
            Ok(new) => {
                labels.extend(self.moved_from.get(&new).map(|old| format!("moved from line {}", old + 1)));
            }
            Err(old) => {
                labels.extend(self.moved_to.get(&old).map(|new| format!("moved to line {}", new + 1)));
            }
        }
        let whole = self.body.lines.changes.get(change);
        let first = whole.is_some_and(|whole| match line {
            Ok(new) => whole.new.start == new,
            Err(old) => whole.old.start == old,
        });
        let quiet = self.body.script.as_ref().and_then(|script| script.quiet.get(change));
        if first && quiet == Some(&true) {
            labels.push("no effect: only white space or comments".to_owned());
        }
        labels
    }
}

/// Room for a line's text with its colours.
const fn room(markup: usize) -> usize {
    if markup > LONGEST_LINE { markup } else { 3 * markup + 160 }
}

fn readable(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// What became what in a change.
pub fn paired(body: &Compared, change: usize) -> Vec<(u32, u32)> {
    let Some(whole) = body.lines.changes.get(change) else { return Vec::new() };
    let (old_lines, new_lines) = (whole.old.end - whole.old.start, whole.new.end - whole.new.start);
    if old_lines.max(new_lines) > MOST_PAIRED {
        return whole.old.clone().zip(whole.new.clone()).collect();
    }
    let old: Vec<&str> = whole.old.clone().map(|line| readable(body.old_line(line))).collect();
    let new: Vec<&str> = whole.new.clone().map(|line| readable(body.new_line(line))).collect();
    let at = |(i, j): (usize, usize)| {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        (whole.old.start.saturating_add(number(i)), whole.new.start.saturating_add(number(j)))
    };
    words::pairs(&old, &new).into_iter().map(at).collect()
}

const _: () = assert!(LONGEST_MARKUP + 64 * 1024 < PART_BYTES && CONTEXT > 0);

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
