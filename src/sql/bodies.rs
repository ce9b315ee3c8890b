//! Code that a statement carries: bodies of functions, triggers, events and rules, what is prepared or explained, and
//! what stands in quotes. Each statement in it is read by the same rules as one of the script.

use std::collections::HashSet;

use super::classify::{Words, classify_words};
use super::dialect::Dialect;
use super::guard;
use super::lex::{self, Kind as Tok};
use super::quoted;
use super::rules::{self, Found};
use super::rules_other;
use super::verbs;
use crate::domain::rule::{CHECKS_OFF, DYNAMIC, NOT_UNDERSTOOD, UNPARSED};

/// Code within code is read to this depth.
const MOST_DEPTH: usize = 3;

/// Statements that may begin in one piece of a body, each of which is read to the piece's end.
const MOST_STARTS: usize = 64;

/// Verbs that begin a statement wherever they are the first of a piece.
const STRONG: &[&str] =
    &["DROP", "TRUNCATE", "DELETE", "UPDATE", "ALTER", "EXECUTE", "MERGE", "INSERT", "CREATE"];

/// Words after which those are no verbs.
const BEFORE: &[&str] =
    &["ON", "FOR", "OF", "OR", "BEFORE", "AFTER", "NO", "KEY", "TRIGGER", "FUNCTION", "PROCEDURE", "EVENT"];

/// Words that a statement follows.
const BEGINS: &[&str] =
    &["THEN", "ELSE", "LOOP", "BEGIN", "DO", "ALSO", "INSTEAD", "ATOMIC", "REPEAT", "ROW"];

/// Reads statements and the code in them, and keeps what is found.
pub(super) struct Code {
    pub(super) dialect: Dialect,
    pub(super) found: Found,
    depth: usize,
    /// Tokens of carried code that may yet be read.
    left: usize,
    /// Something was read more than once, since statements in a body overlap.
    overlaps: bool,
}

impl Code {
    /// For a statement of this many bytes.
    pub(super) const fn new(dialect: Dialect, bytes: usize) -> Self {
        // A token has some five bytes, and a statement of honest code is within three or four others.
        let left = 1_000 + bytes.saturating_mul(2);
        Self { dialect, found: Found::new(), depth: 0, left, overlaps: false }
    }

    pub(super) fn found(mut self) -> Found {
        if self.overlaps {
            let mut known = HashSet::new();
            self.found.retain(|(rule, why)| known.insert((rule.key, why.clone())));
        }
        self.found
    }

    /// Reads the code in this statement. Whether the statement is one that carries code and does nothing beside it.
    pub(super) fn carried(&mut self, words: &Words<'_>) -> bool {
        let postgres = self.dialect == Dialect::PostgreSql;
        let head = words.tokens.len().min(9);
        if words.is(0, &["DO"]) && postgres {
            let text = (1..words.tokens.len()).find(|i| {
                matches!(words.kind_at(*i), Some(Tok::Text | Tok::Dollar)) && !words.is(i - 1, &["LANGUAGE"])
            });
            self.quoted(words, text);
        } else if words.is(0, &["EXPLAIN", "ANALYZE", "ANALYSE", "DESCRIBE", "DESC"]) {
            const RUNS: &[&str] =
                &["DELETE", "UPDATE", "INSERT", "REPLACE", "MERGE", "WITH", "CREATE", "EXECUTE", "SELECT"];
            if let Some(at) = at_depth(words, RUNS) {
                self.part(words, at);
            }
            return false;
        } else if words.is(0, &["PREPARE", "EXECUTE"]) {
            self.prepared(words);
        } else if words.is(0, &["CREATE", "ALTER"]) && (1..head).any(|i| words.is(i, &["RULE"])) && postgres {
            self.rule(words);
        } else if words.is(0, &["CREATE"]) && postgres {
            if !(1..head).any(|i| words.is(i, &["FUNCTION", "PROCEDURE"])) {
                return false;
            }
            let body = at_depth(words, &["AS"]).map(|at| at + 1);
            self.quoted(words, body);
            if let Some(at) = at_depth(words, &["ATOMIC", "RETURN"]) {
                self.body(words, at + 1);
            }
            return false;
        } else if words.is(0, &["CREATE", "ALTER"])
            && (words.tokens.iter().any(|t| t.kind == Tok::Semicolon)
                || (1..head).any(|i| words.is(i, &["TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "PACKAGE"])))
        {
            self.body(words, 1);
            return false;
        } else {
            return false;
        }
        true
    }

    fn prepared(&mut self, words: &Words<'_>) {
        let text = (1..words.tokens.len().min(6)).find(|i| {
            words.kind_at(*i) == Some(Tok::Text)
                || (words.kind_at(*i) == Some(Tok::Dollar) && words.is(0, &["EXECUTE"]))
        });
        let alone = |text: usize| {
            let end = quoted::at(words, text, self.dialect).map_or(text + 1, |(_, end)| end);
            end >= words.tokens.len() || words.is(end, &["INTO", "USING", "LOOP"])
        };
        let whole = text.filter(|text| {
            let named = words.is(text - 1, &["EXECUTE", "IMMEDIATE", "FROM"]);
            named && alone(*text)
        });
        if let Some(at) = at_depth(words, &["AS"]).filter(|_| words.is(0, &["PREPARE"])) {
            self.part(words, at + 1);
        } else if whole.is_some() {
            self.quoted(words, whole);
        }
        self.found.push((&DYNAMIC, "This runs a statement that is put together while it runs.".into()));
    }

    /// PostgreSQL's rewrite rules: `DO ALSO` is like a trigger, `DO INSTEAD` turns statements into others.
    fn rule(&mut self, words: &Words<'_>) {
        let Some(at) = (1..words.tokens.len()).find(|i| words.is(*i, &["DO"])) else { return };
        if words.is(at + 1, &["INSTEAD"]) {
            let why = "From here on, what is written to this table does something else than it says.";
            self.found.push((&CHECKS_OFF, why.into()));
        }
        self.body(words, at + 1);
    }

    /// Code in quotes at `at`.
    fn quoted(&mut self, words: &Words<'_>, at: Option<usize>) {
        self.language(words);
        let Some((text, _)) = at.and_then(|at| quoted::at(words, at, self.dialect)) else { return };
        if !self.afford(text.text.len() / 4) {
            return;
        }
        if text.coded {
            let why = "Letters of this code are written as numbers: it is not what it looks like.";
            self.found.push((&NOT_UNDERSTOOD, why.into()));
        }
        self.deeper(|code| {
            let words = Words::of(&text.text, code.dialect);
            code.body(&words, 0);
        });
    }

    /// Code in a language that is not read here.
    fn language(&mut self, words: &Words<'_>) {
        let mut depth = 0_usize;
        for (i, token) in words.tokens.iter().enumerate() {
            match token.kind {
                Tok::Open => depth += 1,
                Tok::Close => depth = depth.saturating_sub(1),
                Tok::Word if depth == 0 && token.is(words.sql, "LANGUAGE") => {
                    let Some(name) = words.tokens.get(i + 1).map(|t| lex::name(t, words.sql)) else {
                        continue;
                    };
                    if !["sql", "plpgsql"].contains(&name.to_ascii_lowercase().as_str()) {
                        let why = format!(
                            "No rule reads the language {}: what this does is not known.",
                            rules::short(&name)
                        );
                        self.found.push((&NOT_UNDERSTOOD, why));
                    }
                }
                _ => {}
            }
        }
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self)) {
        if self.depth >= MOST_DEPTH {
            self.found
                .push((&UNPARSED, "Code within code within code: it nests too deeply to be read.".into()));
            return;
        }
        self.depth += 1;
        read(self);
        self.depth -= 1;
    }

    /// Whether this many tokens more may be read.
    fn afford(&mut self, tokens: usize) -> bool {
        let left = self.left.checked_sub(tokens);
        self.left = left.unwrap_or_default();
        if left.is_none() {
            let why = "The code in this statement is too long, or repeats itself too often, to be read.";
            self.found.push((&UNPARSED, why.into()));
        }
        left.is_some()
    }

    /// The statement that begins at this token.
    fn part(&mut self, words: &Words<'_>, from: usize) {
        self.deeper(|code| code.one(words, from, words.tokens.len()));
    }

    fn one(&mut self, words: &Words<'_>, from: usize, to: usize) {
        let Some(tokens) = words.tokens.get(from..to) else { return };
        if !self.afford(tokens.len()) {
            return;
        }
        self.overlaps = true;
        let inner = Words { sql: words.sql, tokens: tokens.to_vec(), cut: false };
        rules::statement(classify_words(&inner), &inner, self);
    }

    /// The statements in a body of code.
    fn body(&mut self, words: &Words<'_>, from: usize) {
        if words.cut {
            self.found.push((&UNPARSED, "This body of code is too long to be read.".into()));
        }
        if from == 0 {
            // What functions are called is told from the whole, whatever statement they are in.
            rules_other::reaches_outside(words, &mut self.found);
        }
        let mut start = from;
        for end in from..=words.tokens.len() {
            if end == words.tokens.len() || words.kind_at(end) == Some(Tok::Semicolon) {
                self.piece(words, start, end);
                start = end + 1;
            }
        }
    }

    /// What is between two semicolons. A statement may begin after THEN and the like; where it ends is not told, so each is
    /// read to the end.
    fn piece(&mut self, words: &Words<'_>, from: usize, to: usize) {
        let (mut waits, mut starts) = (true, 0);
        let mut fresh = true;
        for i in from..to {
            if waits && begins(words, i, fresh, to) {
                waits = false;
                starts += 1;
                if starts > MOST_STARTS {
                    let why = "Too many statements are within one another in this code to be read.";
                    self.found.push((&UNPARSED, why.into()));
                    return;
                }
                self.one(words, i, to);
            }
            let label = i > from && mark(words, i, ">") && mark(words, i - 1, ">");
            fresh = words.is(i, BEGINS) || label;
            waits |= fresh;
        }
    }
}

/// Whether a statement begins at this token; `fresh` where one has to.
fn begins(words: &Words<'_>, i: usize, fresh: bool, end: usize) -> bool {
    let strong = words.is(i, STRONG) && (fresh || !words.is(i - 1, BEFORE));
    // What DECLARE is for follows it.
    let weak = fresh && words.is(i, verbs::VERBS) && !words.is(i, &["DECLARE", "BEGIN", "END"]);
    if !(strong || weak) || guard::is_arm(words, i) || (i > 0 && words.kind_at(i - 1) == Some(Tok::Dot)) {
        return false;
    }
    if words.is(i, &["EXECUTE"]) && words.is(i + 1, &["FUNCTION", "PROCEDURE"]) {
        return false;
    }
    // A name that is a verb: `prepare := 1`, `THEN load ELSE`, `insert(a, b)`.
    let name = match words.kind_at(i + 1) {
        Some(Tok::Other) => {
            ["=", ":", "<", ">", "!", "+", "-", "*", "/", "|"].iter().any(|m| mark(words, i + 1, m))
        }
        Some(Tok::Dot | Tok::Comma | Tok::Close) => true,
        Some(Tok::Open) => words.is(i, &["INSERT", "REPLACE", "TRUNCATE"]),
        _ if words.is(i + 1, &["OR"]) => {
            !words.is(i + 2, &["REPLACE", "IGNORE", "ROLLBACK", "ABORT", "FAIL"])
        }
        _ => words.is(i + 1, &["ELSE", "END", "WHEN", "THEN", "AND", "IS", "IN"]),
    };
    !name && i + 1 < end
}

fn mark(words: &Words<'_>, i: usize, mark: &str) -> bool {
    words.tokens.get(i).is_some_and(|t| t.kind == Tok::Other && t.of(words.sql) == mark)
}

/// The first of these keywords after the first token and outside of brackets.
fn at_depth(words: &Words<'_>, wanted: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    (1..words.tokens.len()).find(|&i| {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && words.is(i, wanted)
    })
}

#[cfg(test)]
mod tests {
    use crate::sql::dialect::Dialect;
    use crate::sql::findings::find;

    #[test]
    fn code_that_repeats_or_nests_without_end_is_said_to_be_unread() {
        let create = "THEN CREATE FUNCTION ".repeat(60);
        let cases = [
            format!("DO $$ BEGIN {}$$", "THEN DROP TABLE a ".repeat(5_000)),
            format!("DO $$ {}$$", "THEN DO $a$ THEN DO $b$ THEN DO $c$ DO '' $c$ $b$ $a$ ".repeat(500)),
            format!("DO $$ {create}AS $a$ {create}AS $b$ {}$b$ $a$ $$", "DROP TABLE a;".repeat(2_000)),
            "PREPARE p AS ".repeat(5_000),
            format!("MERGE INTO a USING b ON true {}", "WHEN MATCHED THEN DELETE ".repeat(5_000)),
            format!("DELETE FROM a WHERE {}", "(1=1 OR ".repeat(10_000)),
        ];
        // What is read again and again costs a bounded number of readings: unbounded ones would not end.
        for (i, sql) in cases.iter().enumerate() {
            let found = find(sql, Some(Dialect::PostgreSql));
            let said = ["unparsed", "too-many-findings", "delete-without-where"];
            assert!(found.iter().any(|f| said.contains(&f.rule)), "{i}: {found:?}");
        }
    }
}
