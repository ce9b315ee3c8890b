//! Statements that are on both sides, word for word, in another place.

use std::collections::HashMap;
use std::ops::Range;

use super::dialect::Dialect;
use super::diff::Change;
use super::split::statements;

/// The shortest statement that is worth saying so of, in bytes: `COMMIT` is everywhere.
const SHORTEST: usize = 12;

/// A statement that moved; lines counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub old_line: u32,
    pub new_line: u32,
}

/// The statements that lie wholly in removed lines, and word for word in added ones. One that is there more than once
/// could be either, so none of them is named.
#[must_use]
pub fn moved(old: &str, new: &str, dialect: Dialect, changes: &[Change]) -> Vec<Move> {
    if changes.iter().all(|change| change.old.is_empty())
        || changes.iter().all(|change| change.new.is_empty())
    {
        return Vec::new();
    }
    let gone = inside(old, dialect, changes.iter().map(|change| change.old.clone()));
    let come = inside(new, dialect, changes.iter().map(|change| change.new.clone()));
    let mut moves: Vec<Move> = gone
        .into_iter()
        .filter_map(|(text, old_line)| Some(Move { old_line: old_line?, new_line: (*come.get(text)?)? }))
        .collect();
    moves.sort_by_key(|one| one.new_line);
    moves
}

/// The statements inside these ranges of lines with the line each begins on; none for one that is there twice.
fn inside(
    sql: &str,
    dialect: Dialect,
    ranges: impl Iterator<Item = Range<u32>>,
) -> HashMap<&str, Option<u32>> {
    let mut found: HashMap<&str, Option<u32>> = HashMap::new();
    let mut ranges = ranges.filter(|range| !range.is_empty()).peekable();
    for statement in statements(sql, dialect) {
        let (first, last) = (statement.line.saturating_sub(1), statement.last_line.saturating_sub(1));
        while ranges.peek().is_some_and(|range| range.end <= first) {
            ranges.next();
        }
        let Some(range) = ranges.peek() else { break };
        let text = &sql[statement.span.clone()];
        if range.start <= first && last < range.end && text.len() >= SHORTEST && statement.fault.is_none() {
            found.entry(text).and_modify(|line| *line = None).or_insert(Some(first));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::diff::{TIME_LIMIT, diff};
    use super::*;

    fn moves(old: &str, new: &str) -> Vec<(u32, u32)> {
        let found = diff(old.as_bytes(), new.as_bytes(), TIME_LIMIT).unwrap();
        let moves = moved(old, new, Dialect::Sqlite, &found.changes);
        moves.into_iter().map(|one| (one.old_line, one.new_line)).collect()
    }

    #[test]
    fn a_statement_that_moved_is_found_by_its_words() {
        let (a, b, c) =
            ("CREATE TABLE a (x int);\n", "CREATE TABLE b\n  (x int);\n", "CREATE TABLE c (x int);\n");
        assert_eq!(moves(&[a, b, c].concat(), &[c, a, b].concat()), [(3, 0)]);
        assert_eq!(moves(&[a, b, c].concat(), &[a, c, b].concat()).len(), 1);
        assert_eq!(moves(&[a, b].concat(), &[a, b].concat()), []);
        // Changed on the way, there twice, or too short to tell.
        assert_eq!(moves(&[a, b, c].concat(), &["CREATE TABLE c (y int);\n", a, b].concat()), []);
        assert_eq!(moves(&[a, b, c, c].concat(), &[c, c, a, b].concat()), []);
        assert_eq!(moves("COMMIT;\nSELECT 1;\nSELECT 2;\n", "SELECT 1;\nSELECT 2;\nCOMMIT;\n"), []);
    }
}
