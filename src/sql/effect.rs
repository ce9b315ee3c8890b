//! Whether a change of a script changes what a database runs: only white space and comments do not.
//!
//! Saying "no effect" wrongly would hide a change, so whatever is in doubt has one: another reading of the script by any
//! dialect that could be meant, an operator written closer together, a comment that a database obeys.

use std::ops::Range;

use super::dialect::Dialect;
use super::diff::{Change, Lines};
use super::lex::{Kind, Lexer};

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

/// Larger scripts are read as the dialect alone that they say they are in, in bytes.
const READ_BY_ALL: usize = 256 * 1024;

/// With more words than this in what changed nothing is said, so that memory stays bounded.
const MOST_WORDS: usize = 400_000;

/// For each change, whether it has no effect. `likely` is the dialect that both seem to be in.
///
/// Every dialect has to agree, and one that can't read a script agrees to nothing, unless the scripts say which they are in
/// and nothing in them is a trap for readers.
#[must_use]
pub fn without_effect(
    old: (&str, &Lines),
    new: (&str, &Lines),
    changes: &[Change],
    likely: Dialect,
) -> Vec<bool> {
    let mut quiet = vec![true; changes.len()];
    let (mut read, mut readable) = (false, true);
    let small = old.0.len().max(new.0.len()) <= READ_BY_ALL;
    let certain = || [old.0, new.0].iter().all(|sql| likely.is_certain(sql) && !escapes_a_quote(sql));
    if !small && !certain() {
        return vec![false; changes.len()];
    }
    for dialect in Dialect::ALL.into_iter().filter(|dialect| small || *dialect == likely) {
        if changes.is_empty() {
            break;
        }
        let before = words(old, dialect, changes.iter().map(|change| &change.old));
        let after = words(new, dialect, changes.iter().map(|change| &change.new));
        if let Some((before, after)) = before.zip(after) {
            read |= dialect == likely;
            judge(&before, &after, (old.1, new.1), changes, &mut quiet);
        } else {
            readable = false;
        }
    }
    let sound = read && quiet.contains(&true) && (readable || certain());
    if sound && !steered(old.0) && !steered(new.0) { quiet } else { vec![false; changes.len()] }
}

/// Whether a backslash stands before a quote: one of the dialects takes it for an escape, the others don't.
pub(super) fn escapes_a_quote(sql: &str) -> bool {
    sql.contains("\\'") || sql.contains("\\\"") || sql.contains("\\`")
}

/// Whether a script says itself how its quotes are read, or holds comments that only some servers run.
fn steered(sql: &str) -> bool {
    let lower = sql.to_ascii_lowercase();
    let marks = ["standard_conforming_strings", "backslash_quote", "sql_mode", "set_config", "/*!", "/*m!"];
    marks.iter().any(|mark| lower.contains(mark))
}

/// The words that touch what changed, and the one after each; none if the script ends within a quote or a comment, or
/// there are too many.
fn words<'a>(
    (sql, lines): (&'a str, &Lines),
    dialect: Dialect,
    changed: impl Iterator<Item = &'a Range<u32>>,
) -> Option<Vec<Word<'a>>> {
    let mut changed = changed.map(|range| bytes(lines, range)).peekable();
    let mut found: Vec<Word<'a>> = Vec::new();
    let (mut before, mut first, mut commands) = (0, true, false);
    for token in Lexer::new(sql, dialect) {
        if token.unterminated.is_some() {
            return None;
        }
        let text = token.of(sql);
        // Hints to a planner are comments only in form.
        if token.kind == Kind::Comment && !text.starts_with("/*+") && !text.starts_with("--+") {
            continue;
        }
        commands |= token.kind == Kind::Backslash;
        let mut wanted = false;
        while let Some(range) = changed.peek().filter(|range| token.end > range.start) {
            wanted = true;
            // This is the one after.
            if token.start < range.end {
                break;
            }
            changed.next();
        }
        if wanted {
            found.push(Word {
                start: token.start,
                end: token.end,
                kind: token.kind,
                text,
                joined: !first && before == token.start,
                broken: sql.get(before..token.start).is_none_or(|gap| gap.contains('\n')),
            });
        }
        (before, first) = (token.end, false);
    }
    // Commands to psql or mysql end with their line: there a line break is more than white space.
    (!commands && found.len() <= MOST_WORDS).then_some(found)
}

/// The bytes of a change; of one without lines, the place between two.
fn bytes(lines: &Lines, range: &Range<u32>) -> Range<usize> {
    if range.is_empty() {
        let end = range.start.checked_sub(1).map_or(0, |line| lines.whole(line).end);
        return end..end;
    }
    lines.whole(range.start).start..lines.whole(range.end - 1).end
}

fn judge(
    old: &[Word<'_>],
    new: &[Word<'_>],
    (old_lines, new_lines): (&Lines, &Lines),
    changes: &[Change],
    quiet: &mut [bool],
) {
    for (change, quiet) in changes.iter().zip(quiet) {
        if *quiet {
            let (before, after) = (part(old, old_lines, &change.old), part(new, new_lines, &change.new));
            *quiet = alike(before, after);
        }
    }
}

/// The words that touch these lines, and the one after them.
fn part<'a, 'b>(words: &'a [Word<'b>], lines: &Lines, range: &Range<u32>) -> &'a [Word<'b>] {
    let bytes = bytes(lines, range);
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
        without_effect((old, &found.old), (new, &found.new), &found.changes, Dialect::likely(new))
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
            (
                "PRAGMA foreign_keys = ON;\nSELECT $a(/*); SELECT $a(*/);\n",
                "PRAGMA foreign_keys = ON;\nSELECT $a(/*); DROP TABLE trades; SELECT $a(*/);\n",
            ),
            (
                "SET lock_timeout = 1;\nSELECT 1 AS \"a\\\";\nSELECT E'x'\n'\\' /* ', 1; SELECT ' */'; -- '\n",
                "SET lock_timeout = 1;\nSELECT 1 AS \"a\\\";\nSELECT E'x'\n'\\' /* ', 1; DROP TABLE trades; SELECT ' */'; -- '\n",
            ),
            // One that can't be read by every database it may be for, one that says how it is read.
            ("SELECT 'a\\';\n", "SELECT 'a\\'; -- b\n"),
            ("SET sql_mode = '';\nSELECT 1; -- a\n", "SET sql_mode = '';\nSELECT 1; -- b\n"),
        ] {
            assert!(!quiet(old, new).iter().all(|quiet| *quiet), "{old:?} {new:?}");
        }
    }

    #[test]
    fn of_large_scripts_it_is_said_only_if_they_say_what_they_are_for() {
        let rows = "INSERT INTO trades VALUES (1, 'x');\n".repeat(8_000);
        let script = |head: &str, tail: &str| format!("{head}{rows}UPDATE trades SET note = {tail}\n");
        let (old, new) = (r"E'it\'s -- old' WHERE id = 1;", r"E'it\'s -- old' WHERE id > 0;");
        assert!(quiet(&script("", "1; -- a"), &script("", "1; -- b")) == [false]);
        let head = "PRAGMA foreign_keys = ON;\n";
        assert!(quiet(&script(head, "1; -- a"), &script(head, "1; -- b")) == [true]);
        for head in ["", head, "SET lock_timeout = '5s';\n"] {
            assert!(quiet(&script(head, old), &script(head, new)) == [false], "{head}");
        }
    }
}
