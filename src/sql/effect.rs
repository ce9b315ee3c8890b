//! Whether a change of a script changes what a database runs: only white space and comments do not.
//!
//! Saying "no effect" wrongly would hide a change, so whatever is in doubt has one: another reading of the script by any
//! dialect that could be meant, an operator written closer together, a comment that a database obeys.

use super::dialect::Dialect;
use super::diff::{Change, Lines};
use super::lex::{Kind, Lexer};
use super::split::statements;

/// A token that a database looks at.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    start: usize,
    end: usize,
    kind: Kind,
    text: &'a str,
    /// Nothing stands between it and the one before.
    joined: bool,
    /// A line ends between it and the one before.
    broken: bool,
}

/// For each change, whether it has no effect.
#[must_use]
pub fn without_effect(old: (&str, &Lines), new: (&str, &Lines), changes: &[Change]) -> Vec<bool> {
    let reads = |sql: &str, dialect| statements(sql, dialect).all(|statement| statement.fault.is_none());
    let mut quiet = vec![true; changes.len()];
    let mut read = false;
    for dialect in Dialect::ALL {
        if reads(old.0, dialect) && reads(new.0, dialect) {
            read = true;
            judge(&words(old.0, dialect), &words(new.0, dialect), (old.1, new.1), changes, &mut quiet);
        }
    }
    if read { quiet } else { vec![false; changes.len()] }
}

fn words(sql: &str, dialect: Dialect) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    for token in Lexer::new(sql, dialect) {
        let text = token.of(sql);
        // Hints to a planner are comments only in form.
        if token.kind == Kind::Comment && !text.starts_with("/*+") && !text.starts_with("--+") {
            continue;
        }
        let before = found.last().map_or(0, |word| word.end);
        found.push(Word {
            start: token.start,
            end: token.end,
            kind: token.kind,
            text,
            joined: !found.is_empty() && before == token.start,
            broken: sql.get(before..token.start).is_none_or(|gap| gap.contains('\n')),
        });
    }
    found
}

fn judge(
    old: &[Word<'_>],
    new: &[Word<'_>],
    (old_lines, new_lines): (&Lines, &Lines),
    changes: &[Change],
    quiet: &mut [bool],
) {
    // Commands to psql or mysql end with their line: there a line break is more than white space.
    if old.iter().chain(new).any(|word| word.kind == Kind::Backslash) {
        quiet.fill(false);
        return;
    }
    for (change, quiet) in changes.iter().zip(quiet) {
        if *quiet {
            let (before, after) = (part(old, old_lines, &change.old), part(new, new_lines, &change.new));
            *quiet = alike(before, after);
        }
    }
}

/// The words that touch these lines, and the one after them.
fn part<'a, 'b>(words: &'a [Word<'b>], lines: &Lines, range: &std::ops::Range<u32>) -> &'a [Word<'b>] {
    let bytes = if range.is_empty() {
        let at =
            lines.whole(range.start).start.max(range.start.checked_sub(1).map_or(0, |l| lines.whole(l).end));
        at..at
    } else {
        lines.whole(range.start).start..lines.whole(range.end - 1).end
    };
    let first = words.partition_point(|word| word.end <= bytes.start);
    let last = words.partition_point(|word| word.start < bytes.end).max(first);
    words.get(first..(last + 1).min(words.len())).unwrap_or_default()
}

/// Whether a database reads both the same.
fn alike(old: &[Word<'_>], new: &[Word<'_>]) -> bool {
    let free = |kind: Kind| matches!(kind, Kind::Semicolon | Kind::Comma);
    old.len() == new.len()
        && old.iter().zip(new).enumerate().all(|(at, (a, b))| {
            let before = at.checked_sub(1).and_then(|at| old.get(at)).map(|word| word.kind);
            // Two texts with a line break between them are one text on PostgreSQL.
            let texts = a.kind == Kind::Text && (before.is_none() || before == Some(Kind::Text));
            a.kind == b.kind
                && a.text == b.text
                && (a.joined == b.joined || free(a.kind) || before.is_some_and(free))
                && (a.broken == b.broken || !texts)
        })
}

#[cfg(test)]
mod tests {
    use super::super::diff::{TIME_LIMIT, diff};
    use super::*;

    fn quiet(old: &str, new: &str) -> Vec<bool> {
        let found = diff(old.as_bytes(), new.as_bytes(), TIME_LIMIT).unwrap();
        without_effect((old, &found.old), (new, &found.new), &found.changes)
    }

    #[test]
    fn white_space_and_comments_have_no_effect() {
        for (old, new) in [
            ("SELECT 1;\n", "SELECT 1;\n\n"),
            ("SELECT 1;\n", "-- why\nSELECT 1;\n"),
            ("SELECT 1; -- a\n", "SELECT 1; -- b\n"),
            ("SELECT a,b FROM c;\n", "SELECT a, b\n  FROM c;\n"),
            ("SELECT 1 /* a */ FROM b;\n", "SELECT 1 FROM b;\n"),
            ("SELECT 1;\r\nSELECT 2;\r\n", "SELECT 1;\nSELECT 2;\n"),
            ("SELECT 1;", "SELECT 1;\n"),
        ] {
            assert!(quiet(old, new).iter().all(|quiet| *quiet), "{old:?} {new:?}");
        }
    }

    #[test]
    fn everything_else_has_one() {
        for (old, new) in [
            ("SELECT 1;\n", "SELECT 2;\n"),
            ("SELECT 'a b';\n", "SELECT 'a  b';\n"),
            ("SELECT 'a\n b';\n", "SELECT 'a\n  b';\n"),
            ("SELECT $$ -- a\n$$;\n", "SELECT $$ -- b\n$$;\n"),
            ("SELECT a <= b;\n", "SELECT a < = b;\n"),
            ("SELECT E'a';\n", "SELECT E 'a';\n"),
            ("SELECT 1 FROM a;\n", "SELECT 1 -- FROM a;\n;\n"),
            ("SELECT 1; -- a\nDROP TABLE b;\n", "SELECT 1; -- a DROP TABLE b;\n"),
            ("SELECT 'a'\n'b';\n", "SELECT 'a' 'b';\n"),
            ("SELECT /*+ a */ 1;\n", "SELECT /*+ b */ 1;\n"),
            ("/*!50000 DROP TABLE a */;\n", "/*!50000 DROP TABLE b */;\n"),
            ("SELECT 1 # a\n;\n", "SELECT 1 # b\n;\n"),
            ("\\c a\nSELECT 1;\n", "\\c a SELECT 1;\n"),
            ("SELECT 'a;\n", "SELECT 'a; \n"),
            ("SELECT a - -1;\n", "SELECT a --1;\n"),
        ] {
            assert!(!quiet(old, new).iter().all(|quiet| *quiet), "{old:?} {new:?}");
        }
    }
}
