//! The rules: what each looks for in one statement, and the words for it.

use super::classify::{Kind, VERSION_TABLE, Words};
use super::dialect::Dialect;
use super::lex::Kind as Tok;
use super::rules_other;
use super::split::statements;
use crate::domain::rule::{
    CASCADE, DELETE, DROP_INDEX, DROP_TABLE, DYNAMIC, INDEX_LOCKS, REPLACES_ROWS, Rule, TRUNCATE, UNIQUE,
    UNPARSED, UPDATE,
};

/// Rules that hold for a statement, each with its reason.
pub(super) type Found = Vec<(&'static Rule, String)>;

/// What the rules for single statements find in this one.
pub(super) fn of(kind: Kind, words: &Words<'_>, dialect: Dialect) -> Found {
    let mut found = Found::new();
    match kind {
        Kind::VersionUpdate => return found,
        Kind::DropTable => drop_table(words, &mut found),
        Kind::DropIndex => drop_index(words, &mut found),
        Kind::CreateIndex => create_index(words, dialect, &mut found),
        Kind::AlterTable => super::rules_alter::of(words, &mut found),
        Kind::Insert if words.is(0, &["REPLACE"]) || words.skip(1, &["OR", "REPLACE"]) > 1 => {
            let why = "A row that has the same key is deleted first, and what refers to it may go with it.";
            found.push((&REPLACES_ROWS, why.into()));
        }
        Kind::Pragma => rules_other::pragma(words, &mut found),
        Kind::Other => other(words, dialect, &mut found),
        _ => {}
    }
    unguarded(words, &mut found);
    rules_other::reaches_outside(words, &mut found);
    found
}

fn drop_index(words: &Words<'_>, found: &mut Found) {
    found.push((&DROP_INDEX, "Queries that used this index get slower.".into()));
    if last_is(words, "CASCADE") {
        found.push((&CASCADE, "What depends on the index goes with it, unnamed.".into()));
    }
}

fn create_index(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    let table = words.table().map_or_else(|| "the table".into(), |name| short(&name));
    if words.is(1, &["UNIQUE"]) {
        let why = format!("It fails if {table} holds duplicates.");
        found.push((&UNIQUE, why));
    }
    let concurrently = (1..words.tokens.len().min(6)).any(|i| words.is(i, &["CONCURRENTLY"]));
    if dialect == Dialect::PostgreSql && !concurrently {
        let why = format!("Nobody can write to {table} while the index is built.");
        found.push((&INDEX_LOCKS, why));
    }
}

/// Whether the statement ends with this keyword.
pub(super) fn last_is(words: &Words<'_>, word: &str) -> bool {
    words.tokens.len().checked_sub(1).is_some_and(|last| words.is(last, &[word]))
}

fn drop_table(words: &Words<'_>, found: &mut Found) {
    let mut at = words.skip_any(1, &["TEMPORARY", "TEMP", "FOREIGN", "TABLE", "TABLES"]);
    at = words.skip(at, &["IF", "EXISTS"]);
    let mut tables = Vec::new();
    while let Some((name, next)) = words.name(at) {
        if name != VERSION_TABLE {
            tables.push(name);
        }
        if words.kind_at(next) != Some(Tok::Comma) {
            break;
        }
        at = next + 1;
    }
    let why = match tables.as_slice() {
        [] => "A table and every row in it are lost.".to_owned(),
        [table] => format!("Table {} and every row in it are lost.", short(table)),
        [table, more @ ..] => {
            format!("{} tables and every row in them are lost: {}, …", more.len() + 1, short(table))
        }
    };
    found.push((&DROP_TABLE, why));
    if last_is(words, "CASCADE") {
        found.push((&CASCADE, "Views and foreign keys that depend on it go with it, unnamed.".into()));
    }
}

/// A name from the script, cut to what fits a sentence.
pub(super) fn short(name: &str) -> String {
    if name.chars().count() <= 80 {
        return name.to_owned();
    }
    name.chars().take(79).chain(['…']).collect()
}

fn other(words: &Words<'_>, dialect: Dialect, found: &mut Found) {
    if words.is(0, &["TRUNCATE"]) {
        let table = words.name(words.skip_any(1, &["TABLE", "ONLY"]));
        if table.as_ref().is_none_or(|(name, end)| name != VERSION_TABLE || *end < words.tokens.len()) {
            let name = table.map_or_else(|| "the table".into(), |(name, _)| short(&name));
            found.push((
                &TRUNCATE,
                format!("Every row of {name} is lost, without triggers having their say."),
            ));
        }
        if last_is(words, "CASCADE") {
            found.push((&CASCADE, "Tables that refer to it are emptied too, unnamed.".into()));
        }
    } else if words.is(0, &["EXECUTE", "PREPARE"]) {
        found.push((&DYNAMIC, "This runs a statement that is put together while it runs.".into()));
    } else if words.is(0, &["CALL"]) {
        found.push((&DYNAMIC, "This runs a procedure whose statements are not in the script.".into()));
    } else if words.is(0, &["DO"]) && dialect == Dialect::PostgreSql {
        for token in &words.tokens {
            if matches!(token.kind, Tok::Dollar | Tok::Text) {
                body(unquoted(token.of(words.sql)), dialect, found);
            }
        }
    } else if words.is(0, &["CREATE"]) && words.tokens.iter().any(|t| t.kind == Tok::Semicolon) {
        body(words.sql, dialect, found);
    } else {
        rules_other::of(words, dialect, found);
    }
}

/// What is between the quotes of a text or dollar quote.
fn unquoted(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('$') {
        let tag = rest.find('$').map_or(0, |i| i + 2);
        return text.get(tag..text.len().saturating_sub(tag)).unwrap_or_default();
    }
    let from = text.find('\'').map_or(0, |i| i + 1);
    text.get(from..text.len().saturating_sub(1)).unwrap_or_default()
}

/// The destructive statements in a body of code: each piece between semicolons is read from its first verb on.
fn body(code: &str, dialect: Dialect, found: &mut Found) {
    const VERBS: &[&str] = &["DROP", "TRUNCATE", "DELETE", "UPDATE", "ALTER", "EXECUTE", "PREPARE"];
    const BEFORE: &[&str] = &["ON", "FOR", "OF", "OR", "BEFORE", "AFTER", "NO", "KEY"];
    let whole = Words::of(code, dialect);
    for piece in whole.tokens.split(|t| t.kind == Tok::Semicolon) {
        let verb = (0..piece.len())
            .find(|&i| piece[i].is_any(code, VERBS) && (i == 0 || !piece[i - 1].is_any(code, BEFORE)));
        let Some((first, last)) = verb.map(|i| piece[i]).zip(piece.last()) else {
            continue;
        };
        let text = code.get(first.start..last.end).unwrap_or_default();
        for inner in statements(text, dialect) {
            let words = Words::of(inner.text(), dialect);
            let kind = super::classify::classify_words(&words);
            // A body within a body is not entered: what nests is not read by a script that is nested.
            if kind != Kind::Other || words.is(0, &["TRUNCATE", "EXECUTE", "PREPARE"]) {
                found.extend(of(kind, &words, dialect));
            }
        }
        if found.len() > 50 {
            return;
        }
    }
    if whole.cut {
        found.push((&UNPARSED, "This body of code is too long to be read.".into()));
    }
}

/// DELETE and UPDATE that name no rows, at the top or in a common table expression.
fn unguarded(words: &Words<'_>, found: &mut Found) {
    let wrapped = words.is(0, &["WITH", "EXPLAIN"]);
    let mut verbs = 0;
    for i in 0..words.tokens.len() {
        if !words.is(i, &["DELETE", "UPDATE"]) {
            continue;
        }
        let opens = match i.checked_sub(1) {
            None => true,
            Some(before) => match words.kind_at(before) {
                Some(Tok::Open) => true,
                Some(Tok::Close) => wrapped,
                _ => wrapped && words.is(before, &["EXPLAIN", "ANALYZE", "VERBOSE"]),
            },
        };
        if !opens || names_rows(words, i + 1) {
            continue;
        }
        // Each takes a walk to the statement's end, so their number is bounded.
        verbs += 1;
        if verbs > 64 {
            found.push((&UNPARSED, "This statement changes rows in too many places to be read.".into()));
            return;
        }
        let at = words.skip_any(i + 1, &["FROM", "ONLY", "LOW_PRIORITY", "QUICK", "IGNORE"]);
        let table = words.name(at).map_or_else(|| "the table".into(), |(name, _)| short(&name));
        if words.is(i, &["DELETE"]) {
            found.push((&DELETE, format!("Every row of {table} is deleted.")));
        } else {
            found.push((
                &UPDATE,
                format!("Every row of {table} is changed, and the old values are not kept."),
            ));
        }
    }
}

/// Whether a WHERE that is more than a truth follows at the depth of `from`.
fn names_rows(words: &Words<'_>, from: usize) -> bool {
    let mut depth = 0_usize;
    for i in from..words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) if depth == 0 => return false,
            Some(Tok::Close) => depth -= 1,
            Some(Tok::Word) if depth == 0 && words.is(i, &["WHERE"]) => {
                let text = |n: usize| words.tokens.get(i + n).map(|t| t.of(words.sql));
                let ends = |n: usize| matches!(words.kind_at(i + n), None | Some(Tok::Close));
                let truth = words.is(i + 1, &["TRUE", "1"]) && ends(2);
                let same = text(1).is_some() && text(1) == text(3) && text(2) == Some("=") && ends(4);
                return !truth && !same;
            }
            _ => {}
        }
    }
    false
}
