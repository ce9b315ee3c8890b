//! SQL that gives other values each time it runs: the time, a random number.

use crate::sql::dialect::Dialect;
use crate::sql::lex::{self, Kind as Tok, Lexer, Token};
use crate::sql::split::statements;

/// Functions that give another value each time, or each moment.
const CALLED: [&str; 17] = [
    "clock_timestamp",
    "gen_random_bytes",
    "gen_random_uuid",
    "localtime",
    "localtimestamp",
    "now",
    "rand",
    "random",
    "random_normal",
    "randomblob",
    "statement_timestamp",
    "sysdate",
    "timeofday",
    "transaction_timestamp",
    "uuid",
    "uuidv4",
    "uuidv7",
];

/// The same of extensions, which number their functions.
const PREFIX: &str = "uuid_generate_v";

/// Written without brackets.
const BARE: [&str; 5] = ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// SQLite's functions that mean this moment if nothing is given.
const OF_NOTHING: [&str; 5] = ["date", "datetime", "julianday", "time", "unixepoch"];

/// Whether SQL calls for something that is another value each time. Functions that somebody made are not known.
#[must_use]
pub fn is_volatile(sql: &str, dialect: Dialect) -> bool {
    let tokens: Vec<Token> = Lexer::new(sql, dialect).filter(|t| t.kind != Tok::Comment).collect();
    let kind = |at: usize| tokens.get(at).map(|t| t.kind);
    tokens.iter().enumerate().any(|(at, token)| match token.kind {
        Tok::Word => {
            let called = kind(at + 1) == Some(Tok::Open);
            let of_nothing = called && kind(at + 2) == Some(Tok::Close);
            let word = token.of(sql).to_ascii_lowercase();
            BARE.contains(&word.as_str())
                || (called && (CALLED.contains(&word.as_str()) || word.starts_with(PREFIX)))
                || (of_nothing && OF_NOTHING.contains(&word.as_str()))
        }
        // For both SQLite's functions and PostgreSQL's types the word means this moment.
        Tok::Text => lex::name(token, sql).eq_ignore_ascii_case("now"),
        Tok::Dollar => inside(token.of(sql)).is_some_and(|body| is_volatile(body, dialect)),
        _ => false,
    })
}

/// What stands between two dollar quotes.
fn inside(text: &str) -> Option<&str> {
    let tag = text.get(..text.get(1..)?.find('$')? + 2)?;
    text.get(tag.len()..)?.strip_suffix(tag)
}

/// Where values may differ from run to run: for each statement that calls for such values, the names in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Varying(Vec<Vec<String>>);

impl Varying {
    /// Of a script, or of the text of a trigger or function.
    pub fn add(&mut self, sql: &str, dialect: Dialect) {
        for statement in statements(sql, dialect) {
            let text = statement.text();
            if is_volatile(text, dialect) {
                self.0.push(names(text, dialect));
            }
        }
    }

    /// Whether a statement that names this table and all of these columns explains that their values differ.
    #[must_use]
    pub fn explains(&self, table: &str, columns: &[&str]) -> bool {
        let table = table.rsplit('.').next().unwrap_or(table);
        let has = |names: &[String], name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        columns.iter().all(|column| self.0.iter().any(|names| has(names, table) && has(names, column)))
    }
}

fn names(sql: &str, dialect: Dialect) -> Vec<String> {
    let mut found = Vec::new();
    for token in Lexer::new(sql, dialect) {
        match token.kind {
            Tok::Word | Tok::Quoted => found.push(lex::name(&token, sql)),
            Tok::Dollar => {
                found.extend(inside(token.of(sql)).into_iter().flat_map(|body| names(body, dialect)));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_and_chance_are_told_from_what_only_looks_like_them() {
        for sql in [
            "UPDATE t SET seen = now()",
            "INSERT INTO t VALUES (CURRENT_TIMESTAMP)",
            "UPDATE t SET n = abs( random ( ) )",
            "UPDATE t SET id = lower(hex(randomblob(16)))",
            "UPDATE t SET seen = datetime('Now', '+1 day')",
            "UPDATE t SET seen = datetime()",
            "SELECT gen_random_uuid(), 1",
            "SELECT public.uuid_generate_v4()",
            "CREATE FUNCTION f() RETURNS trigger AS $f$ BEGIN NEW.seen := now(); RETURN NEW; END $f$",
        ] {
            assert!(is_volatile(sql, Dialect::PostgreSql), "{sql}");
        }
        for sql in [
            "UPDATE t SET now = 1, random = 2 -- now()",
            "UPDATE t SET a = 'now()' /* random() */",
            "UPDATE t SET seen = datetime(made, '+1 day'), \"now\" = '2026-01-01'",
            "INSERT INTO t (uuid) SELECT uuid FROM random",
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 $$",
        ] {
            assert!(!is_volatile(sql, Dialect::PostgreSql), "{sql}");
        }
    }

    #[test]
    fn only_what_is_named_beside_them_is_explained() {
        let mut varying = Varying::default();
        varying.add(
            "UPDATE Trades SET seen = now(), \"Made\" = 1; UPDATE trades SET note = 'x'; UPDATE other SET at = now()",
            Dialect::PostgreSql,
        );
        assert!(varying.explains("trades", &["seen"]) && varying.explains("trades", &["made", "seen"]));
        assert!(varying.explains("s2.trades", &["seen"]) && varying.explains("other", &["at"]));
        for (table, columns) in [("trades", "note"), ("other", "seen"), ("limits", "seen")] {
            assert!(!varying.explains(table, &[columns]), "{table}.{columns}");
        }
        let mut varying = Varying::default();
        varying.add(
            "CREATE TRIGGER x AFTER UPDATE ON a BEGIN UPDATE b SET c = datetime('now'); END",
            Dialect::Sqlite,
        );
        assert!(varying.explains("b", &["c"]));
    }
}
