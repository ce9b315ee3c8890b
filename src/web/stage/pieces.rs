//! What of a difference is drawn, and what is folded away.

use super::compare::{Wanted, paired};
use crate::service::diff::{CONTEXT, Compared, Stretch};

/// So few lines are shown rather than folded.
const TOO_FEW: u32 = 2;

/// What a page draws next; lines are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Same {
        old: u32,
        new: u32,
    },
    Gone {
        change: usize,
        old: u32,
    },
    Come {
        change: usize,
        new: u32,
    },
    /// Lines of a change side by side.
    Pair {
        change: usize,
        old: Option<u32>,
        new: Option<u32>,
    },
    /// So many lines are left out.
    Fold {
        old: u32,
        new: u32,
        lines: u32,
    },
}

impl Piece {
    /// Whether a line is here, or folded away here; `true` for a line of the old side, and its number counted from 1.
    pub fn holds(&self, (is_old, line): (bool, u32)) -> bool {
        let wanted = line.wrapping_sub(1);
        match *self {
            Self::Same { old, new } => wanted == if is_old { old } else { new },
            Self::Gone { old, .. } => is_old && old == wanted,
            Self::Come { new, .. } => !is_old && new == wanted,
            Self::Pair { old, new, .. } => (if is_old { old } else { new }) == Some(wanted),
            Self::Fold { old, new, lines } => {
                let first = if is_old { old } else { new };
                (first..first + lines).contains(&wanted)
            }
        }
    }
}

/// Everything there is to draw, in order.
pub fn pieces(body: &Compared, wanted: &Wanted) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let changes = &body.lines.changes;
    let (first, last) = (changes.first(), changes.last());
    for stretch in body.lines.stretches() {
        match stretch {
            Stretch::Same { old, new, lines } => {
                let lead = first.is_some_and(|change| change.new.end <= new);
                let trail = last.is_some_and(|change| change.new.start >= new + lines);
                same(&mut pieces, wanted, (old, new, lines), (lead, trail));
            }
            Stretch::Changed(at) => changed(&mut pieces, body, at, wanted.split),
        }
    }
    pieces
}

fn same(
    pieces: &mut Vec<Piece>,
    wanted: &Wanted,
    (old, new, lines): (u32, u32, u32),
    (lead, trail): (bool, bool),
) {
    let mut visible = vec![];
    if wanted.whole {
        visible.push(0..lines);
    } else {
        if lead {
            visible.push(0..CONTEXT.min(lines));
        }
        let said = wanted.keep.range(new + 1..=new + lines).map(|(line, _)| line - 1 - new);
        let said_old = wanted.keep_old.range(old + 1..=old + lines).map(|(line, _)| line - 1 - old);
        let asked = wanted
            .line
            .map(|(is_old, line)| line.wrapping_sub(1).wrapping_sub(if is_old { old } else { new }));
        let mut all: Vec<u32> = said.chain(said_old).chain(asked.filter(|at| *at < lines)).collect();
        all.sort_unstable();
        visible.extend(all.into_iter().map(|at| at.saturating_sub(1)..(at + 2).min(lines)));
        if trail {
            visible.push(lines.saturating_sub(CONTEXT)..lines);
        }
    }
    let mut at = 0;
    let draw = |pieces: &mut Vec<Piece>, range: std::ops::Range<u32>| {
        pieces.extend(range.map(|i| Piece::Same { old: old + i, new: new + i }));
    };
    for range in visible.into_iter().chain(std::iter::once(lines..lines)) {
        if range.start > at {
            let hidden = range.start - at;
            if hidden <= TOO_FEW || wanted.open.contains(&(new + at + 1)) {
                draw(pieces, at..range.start);
            } else {
                pieces.push(Piece::Fold { old: old + at, new: new + at, lines: hidden });
            }
        }
        draw(pieces, range.start.max(at)..range.end.max(at));
        at = at.max(range.end);
    }
}

fn changed(pieces: &mut Vec<Piece>, body: &Compared, change: usize, split: bool) {
    let Some(whole) = body.lines.changes.get(change) else { return };
    if !split {
        pieces.extend(whole.old.clone().map(|old| Piece::Gone { change, old }));
        pieces.extend(whole.new.clone().map(|new| Piece::Come { change, new }));
        return;
    }
    let (mut old, mut new) = (whole.old.start, whole.new.start);
    for (to_old, to_new) in paired(body, change).into_iter().chain([(whole.old.end, whole.new.end)]) {
        // Lines without a partner stand beside each other for as long as there are any.
        for i in 0..(to_old - old).max(to_new - new) {
            let (a, b) = (Some(old + i).filter(|at| *at < to_old), Some(new + i).filter(|at| *at < to_new));
            pieces.push(Piece::Pair { change, old: a, new: b });
        }
        if to_old < whole.old.end && to_new < whole.new.end {
            pieces.push(Piece::Pair { change, old: Some(to_old), new: Some(to_new) });
        }
        (old, new) = (to_old + 1, to_new + 1);
    }
}
