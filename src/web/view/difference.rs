//! A difference with what was said of it: findings in the margin, threads below their lines, folds that open.

use askama::Template;
use askama::filters::HtmlSafe;

use super::code::{Change, Code};
use super::prose::Prose;
use super::review::{NewThread, Thread};
use super::shell::Csrf;
use super::state::State;
use super::work::StageRef;

/// A line of one side.
#[derive(Clone, Debug)]
pub struct Cell {
    pub change: Change,
    /// Counted from 1.
    pub number: u32,
    pub code: Code,
    /// "moved from line 12", "cut here", "no effect".
    pub labels: Vec<String>,
    /// Leads to the form that opens a thread on this line, where the reader may.
    pub ask: Option<String>,
}

/// What a row is.
#[derive(Clone, Debug)]
pub enum Row {
    /// A line that one side has, or both: then the old number is beside it.
    Line { old: Option<u32>, new: Option<u32>, cell: Cell },
    /// A line of either side, next to each other.
    Pair { old: Option<Cell>, new: Option<Cell> },
    /// Lines that are the same and left out, with the way to see them.
    Fold { href: String, words: String, holds: Option<String>, anchor: u32 },
    /// What was said of the line above.
    Threads(Vec<Thread>),
    /// The form that opens a thread on the line above.
    Ask(NewThread),
}

/// A finding, short enough for a margin.
#[derive(Clone, Debug)]
pub struct MarginNote {
    /// The id of the finding.
    pub id: String,
    pub state: State,
    pub title: String,
    pub text: Prose,
}

/// A row with what the margin says beside it and the rows below.
#[derive(Clone, Debug)]
pub struct Entry {
    pub row: Row,
    /// Somebody is talking about this row, or it was asked for.
    pub at: bool,
    pub notes: Vec<MarginNote>,
    /// Rows that the margin's cell covers.
    pub span: usize,
}

impl Entry {
    pub const fn of(row: Row) -> Self {
        Self { row, at: false, notes: Vec::new(), span: 1 }
    }

    const fn css(&self) -> &'static str {
        match (&self.row, self.at) {
            (Row::Line { cell, .. }, true) => match cell.change {
                Change::Same => "at",
                Change::Added => "ins at",
                Change::Removed => "del at",
            },
            (Row::Line { cell, .. }, false) => cell.change.css(),
            (_, true) => "at",
            _ => "",
        }
    }
}

/// The table of a difference.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/difference.html")]
pub struct Difference {
    pub caption: String,
    pub split: bool,
    /// One side only: nothing is marked as added.
    pub single: bool,
    pub entries: Vec<Entry>,
    pub stage: StageRef,
    pub csrf: Csrf,
}

impl HtmlSafe for Difference {}

impl Difference {
    /// Columns without the margin.
    const fn columns(&self) -> usize {
        match (self.split, self.single) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 4,
        }
    }

    fn margin(&self) -> bool {
        self.entries.iter().any(|entry| !entry.notes.is_empty())
    }

    /// Gives every cell of the margin the rows down to the next one.
    pub fn set_margin(&mut self) {
        let mut rows = 0;
        for entry in self.entries.iter_mut().rev() {
            rows += 1;
            entry.span = rows;
            if !entry.notes.is_empty() {
                rows = 0;
            }
        }
    }
}
