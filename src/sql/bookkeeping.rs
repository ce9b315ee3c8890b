//! Alembic's own statements about its version table, word for word: anything else in their place is read like any other.

use super::classify::{VERSION_TABLE, Words};
use super::lex::Kind as Tok;

const COLUMN: &str = "version_num";

/// Whether this is what Alembic writes into, or does with, its version table: one plain text for each revision, no
/// expression, no comment that a database runs.
pub(super) fn is_alembics_own(words: &Words<'_>) -> bool {
    if words.cut || words.sql.contains("/*!") || words.sql.contains("/*M!") {
        return false;
    }
    let end = if words.is(0, &["UPDATE"]) {
        table(words, 1).and_then(|at| said(words, at, &["SET"])).and_then(|at| equals(words, at)).and_then(
            |at| match said(words, at, &["WHERE"]) {
                Some(at) => equals(words, at),
                None => Some(at),
            },
        )
    } else if words.is(0, &["DELETE"]) {
        said(words, 1, &["FROM"])
            .and_then(|at| table(words, at))
            .and_then(|at| said(words, at, &["WHERE"]))
            .and_then(|at| equals(words, at))
    } else if words.is(0, &["INSERT"]) {
        said(words, 1, &["INTO"]).and_then(|at| table(words, at)).and_then(|at| inserted(words, at))
    } else if words.is(0, &["DROP"]) {
        said(words, 1, &["TABLE"]).and_then(|at| table(words, words.skip(at, &["IF", "EXISTS"])))
    } else if words.is(0, &["CREATE"]) {
        said(words, 1, &["TABLE"])
            .and_then(|at| table(words, words.skip(at, &["IF", "NOT", "EXISTS"])))
            .filter(|at| definition(words, *at))
            .map(|_| words.tokens.len())
    } else {
        None
    };
    end == Some(words.tokens.len())
}

/// What follows these keywords at `at`.
fn said(words: &Words<'_>, at: usize, keywords: &[&str]) -> Option<usize> {
    Some(words.skip(at, keywords)).filter(|next| *next > at)
}

fn kinds(words: &Words<'_>, at: usize, kind: Tok) -> Option<usize> {
    (words.kind_at(at) == Some(kind)).then_some(at + 1)
}

fn table(words: &Words<'_>, at: usize) -> Option<usize> {
    words.name(at).filter(|(name, _)| name == VERSION_TABLE).map(|(_, end)| end)
}

fn column(words: &Words<'_>, at: usize) -> Option<usize> {
    words.name(at).filter(|(name, _)| name == COLUMN).map(|(_, end)| end)
}

/// A revision in quotes that every database reads alike.
fn revision(words: &Words<'_>, at: usize) -> Option<usize> {
    let text = words.tokens.get(at).filter(|token| token.kind == Tok::Text)?.of(words.sql);
    let inside = text.strip_prefix('\'')?.strip_suffix('\'')?;
    (!inside.contains(['\'', '\\'])).then_some(at + 1)
}

fn equals(words: &Words<'_>, at: usize) -> Option<usize> {
    let at = column(words, at)?;
    let sign = words.tokens.get(at)?.of(words.sql);
    revision(words, at + 1).filter(|_| sign == "=")
}

fn inserted(words: &Words<'_>, at: usize) -> Option<usize> {
    let at = column(words, kinds(words, at, Tok::Open)?)?;
    let at = said(words, kinds(words, at, Tok::Close)?, &["VALUES"])?;
    let at = kinds(words, revision(words, kinds(words, at, Tok::Open)?)?, Tok::Close)?;
    match said(words, at, &["RETURNING"]) {
        Some(at) => column(words, at),
        None => Some(at),
    }
}

/// One column of text and its key: nothing that could run anything.
fn definition(words: &Words<'_>, at: usize) -> bool {
    const KNOWN: &[&str] =
        &["VERSION_NUM", "VARCHAR", "NOT", "NULL", "CONSTRAINT", "ALEMBIC_VERSION_PKC", "PRIMARY", "KEY"];
    let number = |i: usize| {
        words.tokens.get(i).is_some_and(|t| t.of(words.sql).bytes().all(|byte| byte.is_ascii_digit()))
    };
    words.kind_at(at) == Some(Tok::Open)
        && (at..words.tokens.len()).all(|i| match words.kind_at(i) {
            Some(Tok::Open | Tok::Close | Tok::Comma) => true,
            Some(Tok::Word) => words.is(i, KNOWN) || number(i),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dialect::Dialect;

    #[test]
    fn only_alembics_own_words_are_bookkeeping() {
        let own = |sql: &str| is_alembics_own(&Words::of(sql, Dialect::PostgreSql));
        for sql in [
            "UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a'",
            "UPDATE audit.alembic_version SET version_num='b' WHERE audit.alembic_version.version_num = 'a'",
            "INSERT INTO alembic_version (version_num) VALUES ('a')",
            "INSERT INTO alembic_version (version_num) VALUES ('a') RETURNING alembic_version.version_num",
            "DELETE FROM alembic_version WHERE alembic_version.version_num = 'a'",
            "CREATE TABLE alembic_version (\n version_num VARCHAR(32) NOT NULL, \n CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)",
            "DROP TABLE alembic_version",
        ] {
            assert!(own(sql), "{sql}");
        }
        for sql in [
            "UPDATE alembic_version SET version_num='b' WHERE lo_export(78,'/x') = 1",
            "UPDATE alembic_version SET version_num=f('b')",
            "UPDATE alembic_version SET version_num='b' WHERE version_num = 'a' OR true",
            "UPDATE alembic_version SET version_num='b', x = 'c'",
            "UPDATE alembic_version SET version_num=(SELECT 'b')",
            "UPDATE alembic_version SET version_num='b' FROM trades",
            "UPDATE alembic_version SET version_num=E'b\\''",
            "INSERT INTO alembic_version SELECT lo_export(78,'/x')",
            "INSERT INTO alembic_version (version_num) VALUES (f('a'))",
            "INSERT INTO alembic_version (version_num) VALUES ('a') RETURNING f(version_num)",
            "DELETE FROM alembic_version WHERE f(version_num) = 'a'",
            "DELETE FROM alembic_version",
            "CREATE TABLE alembic_version AS SELECT lo_export(78,'/x')",
            "CREATE TABLE alembic_version (version_num VARCHAR(32) DEFAULT f())",
            "DROP TABLE alembic_version, trades",
            "DROP TABLE alembic_version /*! , trades */",
            "UPDATE trades SET version_num='b'",
        ] {
            assert!(!own(sql), "{sql}");
        }
    }
}
