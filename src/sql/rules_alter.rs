//! The rules for the actions of an ALTER TABLE.

use super::classify::{VERSION_TABLE, Words};
use super::lex::{Kind as Tok, Token};
use super::rules::{DROP_COLUMN, DROP_INDEX, NOT_NULL, RENAME, Rule, TRUNCATE, TYPE_CHANGE, short};

type Found = Vec<(&'static Rule, String)>;

/// What the actions of this ALTER TABLE may do.
pub(super) fn of(words: &Words<'_>, found: &mut Found) {
    let mut at = words.skip_any(1, &["IGNORE", "FOREIGN", "TABLE"]);
    at = words.skip(at, &["IF", "EXISTS"]);
    at = words.skip(at, &["ONLY"]);
    let Some((table, at)) = words.name(at) else {
        return;
    };
    if table == VERSION_TABLE {
        return;
    }
    let table = short(&table);
    let mut depth = 0_usize;
    let mut start = at;
    for i in at..=words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => depth = depth.saturating_sub(1),
            Some(Tok::Comma) | None if depth == 0 || i == words.tokens.len() => {
                let tokens = words.tokens.get(start..i).unwrap_or_default().to_vec();
                action(&table, &part(words, tokens), found);
                start = i + 1;
            }
            _ => {}
        }
        if found.len() > 50 {
            return;
        }
    }
}

fn part<'a>(words: &Words<'a>, tokens: Vec<Token>) -> Words<'a> {
    Words { sql: words.sql, tokens, cut: false }
}

fn action(table: &str, words: &Words<'_>, found: &mut Found) {
    if words.is(0, &["DROP", "TRUNCATE"]) && words.is(1, &["PARTITION"]) {
        found.push((&TRUNCATE, format!("Every row of this partition of {table} is lost.")));
    } else if words.is(0, &["DROP"]) {
        drop(table, words, found);
    } else if words.is(0, &["ADD"]) {
        add(table, words, found);
    } else if words.is(0, &["RENAME"]) && !words.is(1, &["CONSTRAINT", "INDEX", "KEY"]) {
        let what = if words.is(1, &["TO", "AS"]) { "table" } else { "column" };
        found.push((
            &RENAME,
            format!("A {what} gets another name: code that uses the old one of {table} fails."),
        ));
    } else if words.is(0, &["MODIFY", "CHANGE"]) {
        let column = column(words, 1);
        found.push((
            &TYPE_CHANGE,
            format!("Column {table}.{column} is defined anew: the table is rewritten."),
        ));
    } else if words.is(0, &["ALTER"]) && !words.is(1, &["CONSTRAINT", "INDEX"]) {
        alter_column(table, words, found);
    }
}

fn column(words: &Words<'_>, at: usize) -> String {
    let at = words.skip(at, &["COLUMN"]);
    let at = words.skip(words.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
    words.name(at).map_or_else(|| "?".into(), |(name, _)| short(&name))
}

fn drop(table: &str, words: &Words<'_>, found: &mut Found) {
    if words.is(1, &["INDEX", "KEY"]) {
        found.push((&DROP_INDEX, format!("Queries on {table} that used this index get slower.")));
    } else if !words.is(1, &["CONSTRAINT", "FOREIGN", "PRIMARY", "CHECK"]) {
        let column = column(words, 1);
        found.push((&DROP_COLUMN, format!("The values of {table}.{column} are lost in every row.")));
    }
}

fn add(table: &str, words: &Words<'_>, found: &mut Found) {
    const KEYS: &[&str] = &[
        "CONSTRAINT",
        "PRIMARY",
        "FOREIGN",
        "UNIQUE",
        "CHECK",
        "INDEX",
        "KEY",
        "FULLTEXT",
        "SPATIAL",
        "EXCLUDE",
        "PARTITION",
    ];
    const FILLS: &[&str] = &["DEFAULT", "GENERATED", "AUTO_INCREMENT", "SERIAL", "BIGSERIAL", "IDENTITY"];
    let has = |list: &[&str]| (0..words.tokens.len()).any(|i| words.is(i, list));
    if !words.is(1, KEYS) && not_null(words) && !has(FILLS) {
        let column = column(words, 1);
        let why = format!(
            "Column {table}.{column} may not be empty and has no default: it fails on a table with rows."
        );
        found.push((&NOT_NULL, why));
    }
}

fn not_null(words: &Words<'_>) -> bool {
    (0..words.tokens.len()).any(|i| words.skip(i, &["NOT", "NULL"]) > i)
}

fn alter_column(table: &str, words: &Words<'_>, found: &mut Found) {
    let at = words.skip(1, &["COLUMN"]);
    let Some((name, next)) = words.name(at) else {
        return;
    };
    let column = short(&name);
    if words.is(next, &["TYPE"]) || words.skip(next, &["SET", "DATA", "TYPE"]) > next {
        found.push((
            &TYPE_CHANGE,
            format!("Every value of {table}.{column} is converted, and the table is rewritten."),
        ));
    } else if words.skip(next, &["SET", "NOT", "NULL"]) > next {
        found.push((
            &NOT_NULL,
            format!("Column {table}.{column} may not be empty any more: it fails if a row has none."),
        ));
    }
}
