//! The shape of a database: tables, columns, keys, checks, indexes, triggers and views, as structure and not as text.

use std::collections::{BTreeMap, BTreeSet};

use super::report::SchemaChanges;
use super::shape_diff;
use crate::sql::classify::Words;
use crate::sql::dialect::Dialect;
use crate::sql::lex::{self, Kind as Tok};

/// Everything in a database that is not rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub tables: BTreeMap<String, Table>,
    /// Views, triggers, sequences, types, functions: `kind name` with its normal text.
    pub others: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// In the table's own order.
    pub columns: Vec<Column>,
    pub primary_key: Vec<String>,
    /// Name (empty if it has none) and columns.
    pub uniques: BTreeSet<(String, Vec<String>)>,
    /// Name and condition.
    pub checks: BTreeSet<(String, String)>,
    /// In words: `(trade_id) to trades (id)`.
    pub foreign_keys: BTreeSet<String>,
    /// By name, the rest in words.
    pub indexes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// In upper case.
    pub kind: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// Generated columns and the like, in words.
    pub extra: String,
}

impl Shape {
    /// What is different in `after`.
    #[must_use]
    pub fn changes(&self, after: &Self) -> SchemaChanges {
        shape_diff::changes(self, after)
    }

    /// The same, but for the order of columns?
    #[must_use]
    pub fn same(&self, after: &Self) -> bool {
        self.changes(after) == SchemaChanges::default()
    }

    /// Tables whose columns stand in another order, though they are the same.
    #[must_use]
    pub fn reordered(&self, after: &Self) -> Vec<String> {
        let order = |table: &Table| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        let both = self.tables.iter().filter_map(|(name, one)| Some((name, one, after.tables.get(name)?)));
        both.filter(|(_, one, other)| order(one) != order(other)).map(|(name, ..)| name.clone()).collect()
    }
}

/// A text with its blanks joined, comments left out and words in lower case: equal for what a database reads alike.
#[must_use]
pub fn normal(text: &str, dialect: Dialect) -> String {
    let words = Words::of(text, dialect);
    let mut out = String::new();
    let (mut last, mut last_end) = (Tok::Open, 0);
    for token in &words.tokens {
        // `>=` is two tokens.
        let operator = token.kind == Tok::Other && last == Tok::Other && token.start == last_end;
        let tight = operator
            || matches!(token.kind, Tok::Close | Tok::Comma | Tok::Dot | Tok::Semicolon)
            || matches!(last, Tok::Open | Tok::Dot);
        if !tight {
            out.push(' ');
        }
        match token.kind {
            Tok::Quoted => out.push_str(&plain_or_quoted(&lex::name(token, text))),
            Tok::Word => out.push_str(&token.of(text).to_lowercase()),
            _ => out.push_str(token.of(text)),
        }
        (last, last_end) = (token.kind, token.end);
    }
    out
}

/// `"trades"` and `trades` are one name.
fn plain_or_quoted(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && !name.is_empty() { name.to_owned() } else { format!("\"{name}\"") }
}

/// Keys and checks that only the text of a `CREATE TABLE` tells: SQLite has no other place for their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    pub uniques: BTreeSet<(String, Vec<String>)>,
    pub checks: BTreeSet<(String, String)>,
    /// `AUTOINCREMENT`, `STRICT`, `WITHOUT ROWID`.
    pub options: Vec<String>,
}

/// Reads SQLite's `CREATE TABLE`.
#[must_use]
pub fn declared(create: &str) -> Declared {
    let words = Words::of(create, Dialect::Sqlite);
    let mut found = Declared::default();
    let Some(open) = words.tokens.iter().position(|t| t.kind == Tok::Open) else { return found };
    let mut depth = 0_usize;
    let mut start = open + 1;
    let mut end = words.tokens.len();
    for i in open..words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => {
                depth -= 1;
                if depth == 0 {
                    element(&words, start, i, &mut found);
                    end = i + 1;
                    break;
                }
            }
            Some(Tok::Comma) if depth == 1 => {
                element(&words, start, i, &mut found);
                start = i + 1;
            }
            _ => {}
        }
    }
    if words.tokens.iter().any(|t| t.is(create, "AUTOINCREMENT")) {
        found.options.push("autoincrement".to_owned());
    }
    for i in end..words.tokens.len() {
        if words.is(i, &["STRICT"]) {
            found.options.push("strict".to_owned());
        } else if words.is(i, &["WITHOUT"]) {
            found.options.push("without rowid".to_owned());
        }
    }
    found
}

/// A column or a constraint: tokens `start..end`.
fn element(words: &Words<'_>, start: usize, end: usize, found: &mut Declared) {
    let table_level = words.is(start, &["CONSTRAINT", "UNIQUE", "CHECK", "PRIMARY", "FOREIGN"]);
    let column = words.name(start).map(|(name, _)| name).unwrap_or_default();
    let mut name = String::new();
    let mut i = if table_level { start } else { start + 1 };
    while i < end {
        if words.is(i, &["CONSTRAINT"]) {
            name = words.name(i + 1).map(|(name, _)| name).unwrap_or_default();
            i += 2;
            continue;
        }
        if words.is(i, &["UNIQUE"]) {
            let columns = match words.kind_at(i + 1) {
                Some(Tok::Open) if table_level => names(words, i + 2, close(words, i + 1)),
                _ => vec![column.clone()],
            };
            found.uniques.insert((std::mem::take(&mut name), columns));
        } else if words.is(i, &["CHECK"]) && words.kind_at(i + 1) == Some(Tok::Open) {
            let last = close(words, i + 1);
            found.checks.insert((std::mem::take(&mut name), text(words, i + 2, last)));
            i = last;
        } else if words.is(i, &["PRIMARY", "REFERENCES", "FOREIGN", "NOT", "DEFAULT", "COLLATE"]) {
            name.clear();
        }
        if words.kind_at(i) == Some(Tok::Open) {
            i = close(words, i);
        }
        i += 1;
    }
}

/// The bracket that closes the one at `open`.
fn close(words: &Words<'_>, open: usize) -> usize {
    let mut depth = 0_usize;
    for i in open..words.tokens.len() {
        match words.kind_at(i) {
            Some(Tok::Open) => depth += 1,
            Some(Tok::Close) => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    words.tokens.len()
}

fn names(words: &Words<'_>, from: usize, to: usize) -> Vec<String> {
    let tokens = words.tokens.get(from..to).unwrap_or_default();
    tokens.iter().filter(|t| t.is_name()).map(|t| lex::name(t, words.sql)).collect()
}

fn text(words: &Words<'_>, from: usize, to: usize) -> String {
    let (first, last) = (words.tokens.get(from), to.checked_sub(1).and_then(|i| words.tokens.get(i)));
    let span = first.zip(last).and_then(|(a, b)| words.sql.get(a.start..b.end));
    normal(span.unwrap_or_default(), Dialect::Sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_table_tells_its_keys_and_checks() {
        let sql = "CREATE TABLE \"t\" (\n\tid INTEGER NOT NULL, \n\tname VARCHAR(60) UNIQUE, \n\tn INT CONSTRAINT pos \
                   CHECK (n > 0 AND n IN (1, 2)), \n\tCONSTRAINT uq_t UNIQUE (a, \"B\"), CONSTRAINT ck CHECK (x >= 0), \
                   CHECK (y), PRIMARY KEY (id), CONSTRAINT fk FOREIGN KEY(a) REFERENCES u (id)) STRICT";
        let found = declared(sql);
        let uniques = [
            (String::new(), vec!["name".to_owned()]),
            ("uq_t".to_owned(), vec!["a".to_owned(), "B".to_owned()]),
        ];
        assert_eq!(found.uniques, BTreeSet::from(uniques));
        let checks = [("", "y"), ("ck", "x >= 0"), ("pos", "n > 0 and n in (1, 2)")];
        assert_eq!(found.checks, checks.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert_eq!(found.options, ["strict"]);
        assert_eq!(declared("CREATE VIRTUAL TABLE v USING fts5"), Declared::default());
    }

    #[test]
    fn the_normal_text_is_the_same_for_what_is_read_alike() {
        let one = normal("CREATE VIEW \"v\" AS\n\tSELECT a, B -- b\nFROM t", Dialect::Sqlite);
        assert_eq!(one, normal("create view v as select a,b from T", Dialect::Sqlite));
        assert_ne!(one, normal("create view v as select a, \"B\" from t", Dialect::Sqlite));
        assert_ne!(normal("x = 'A'", Dialect::Sqlite), normal("x = 'a'", Dialect::Sqlite));
    }
}
