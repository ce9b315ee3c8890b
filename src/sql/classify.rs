//! What a statement is, by its keywords.

use super::dialect::Dialect;
use super::lex::{self, Kind as Tok, Lexer, Token};

/// Alembic's own table. Writing the revision into it is bookkeeping, no change of data.
pub const VERSION_TABLE: &str = "alembic_version";

/// The kind of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Transaction,
    CreateTable,
    AlterTable,
    DropTable,
    CreateIndex,
    DropIndex,
    Insert,
    Update,
    Delete,
    Select,
    /// Writes Alembic's version table and nothing else.
    VersionUpdate,
    Pragma,
    Other,
}

/// A statement as the tokens that mean something, of at most [`Words::MAX`] of them.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    pub sql: &'a str,
    pub tokens: Vec<Token>,
    /// There were more tokens than are kept.
    pub cut: bool,
}

impl<'a> Words<'a> {
    /// More than any statement that is written by hand; rows of data may well be longer.
    pub const MAX: usize = 100_000;

    #[must_use]
    pub fn of(sql: &'a str, dialect: Dialect) -> Self {
        let mut lexer = Lexer::new(sql, dialect).filter(|t| t.kind != Tok::Comment);
        let tokens = lexer.by_ref().take(Self::MAX).collect();
        Self { sql, tokens, cut: lexer.next().is_some() }
    }

    /// Whether token `i` is one of these keywords.
    #[must_use]
    pub fn is(&self, i: usize, words: &[&str]) -> bool {
        self.tokens.get(i).is_some_and(|t| t.is_any(self.sql, words))
    }

    /// `i`, or what follows it when these keywords stand there one after the other.
    #[must_use]
    pub fn skip(&self, i: usize, words: &[&str]) -> usize {
        let all = words.iter().enumerate().all(|(n, word)| self.is(i + n, &[word]));
        if all { i + words.len() } else { i }
    }

    /// `i`, or what follows any run of these keywords.
    #[must_use]
    pub fn skip_any(&self, mut i: usize, words: &[&str]) -> usize {
        while self.is(i, words) {
            i += 1;
        }
        i
    }

    /// The name at `i`, of which only the last part counts in `schema.name`, and the index after it.
    #[must_use]
    pub fn name(&self, mut i: usize) -> Option<(String, usize)> {
        let mut token = self.tokens.get(i).filter(|t| t.is_name())?;
        while self.tokens.get(i + 1).is_some_and(|t| t.kind == Tok::Dot) {
            i += 2;
            token = self.tokens.get(i).filter(|t| t.is_name())?;
        }
        Some((lex::name(token, self.sql), i + 1))
    }

    /// The table that a statement about one table is about.
    #[must_use]
    pub fn table(&self) -> Option<String> {
        let guards = |at| self.skip(self.skip(at, &["IF", "EXISTS"]), &["IF", "NOT", "EXISTS"]);
        let at = if self.is(0, &["UPDATE", "TRUNCATE", "INSERT", "REPLACE", "DELETE", "RENAME"]) {
            let conflict = ["REPLACE", "IGNORE", "ROLLBACK", "ABORT", "FAIL"];
            let at = if self.is(1, &["OR"]) && self.is(2, &conflict) { 3 } else { 1 };
            self.skip_any(at, &["TABLE", "ONLY", "INTO", "FROM", "OR", "REPLACE", "IGNORE"])
        } else {
            let object =
                (1..self.tokens.len().min(8)).find(|i| self.is(*i, &["TABLE", "TABLES", "INDEX"]))?;
            if self.is(object, &["TABLE", "TABLES"]) {
                self.skip(guards(object + 1), &["ONLY"])
            } else {
                let on = (object..self.tokens.len().min(object + 16)).find(|i| self.is(*i, &["ON"]))?;
                self.skip(on + 1, &["ONLY"])
            }
        };
        self.name(at).map(|(name, _)| name)
    }

    #[must_use]
    pub fn kind_at(&self, i: usize) -> Option<Tok> {
        self.tokens.get(i).map(|t| t.kind)
    }
}

/// The kind of this statement.
#[must_use]
pub fn classify(sql: &str, dialect: Dialect) -> Kind {
    classify_words(&Words::of(sql, dialect))
}

/// The kind of a statement whose tokens are at hand.
#[must_use]
pub fn classify_words(words: &Words<'_>) -> Kind {
    let Some(first) = words.tokens.first() else {
        return Kind::Other;
    };
    let kind = match first.of(words.sql).to_ascii_uppercase().as_str() {
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "ABORT" => {
            Kind::Transaction
        }
        "CREATE" => match object(words) {
            "TABLE" => Kind::CreateTable,
            "INDEX" => Kind::CreateIndex,
            _ => Kind::Other,
        },
        "DROP" => match object(words) {
            "TABLE" => Kind::DropTable,
            "INDEX" => Kind::DropIndex,
            _ => Kind::Other,
        },
        "ALTER" if object(words) == "TABLE" => Kind::AlterTable,
        "INSERT" | "REPLACE" => Kind::Insert,
        "UPDATE" => Kind::Update,
        "DELETE" => Kind::Delete,
        "SELECT" | "VALUES" | "SHOW" => Kind::Select,
        "WITH" => with(words),
        "PRAGMA" => Kind::Pragma,
        _ => Kind::Other,
    };
    if writes_version(words, kind) {
        return Kind::VersionUpdate;
    }
    kind
}

/// Whether a CREATE, DROP or ALTER is about a table or an index.
fn object(words: &Words<'_>) -> &'static str {
    const OTHERS: &[&str] = &[
        "VIEW",
        "TRIGGER",
        "FUNCTION",
        "PROCEDURE",
        "TYPE",
        "EVENT",
        "RULE",
        "PUBLICATION",
        "SCHEMA",
        "STATISTICS",
        "POLICY",
        "PACKAGE",
        "OWNED",
    ];
    for i in 1..words.tokens.len().min(8) {
        if words.is(i, &["TABLE"]) || (words.is(0, &["DROP"]) && words.is(i, &["TABLES"])) {
            return "TABLE";
        } else if words.is(i, &["INDEX"]) {
            return "INDEX";
        } else if words.is(i, OTHERS) {
            return "";
        }
    }
    ""
}

/// A statement after its common table expressions.
fn with(words: &Words<'_>) -> Kind {
    let mut depth = 0_usize;
    for (i, token) in words.tokens.iter().enumerate() {
        match token.kind {
            Tok::Open => depth += 1,
            Tok::Close => depth = depth.saturating_sub(1),
            Tok::Word if depth == 0 => {
                if words.is(i, &["DELETE"]) {
                    return Kind::Delete;
                } else if words.is(i, &["UPDATE"]) {
                    return Kind::Update;
                } else if words.is(i, &["INSERT"]) {
                    return Kind::Insert;
                } else if words.is(i, &["SELECT"]) {
                    return Kind::Select;
                } else if words.is(i, &["REPLACE"]) && replaces(words, i) {
                    return Kind::Insert;
                }
            }
            _ => {}
        }
    }
    Kind::Other
}

/// Whether the REPLACE here is a statement, and no function or name.
fn replaces(words: &Words<'_>, at: usize) -> bool {
    let after_table = at > 0 && words.kind_at(at - 1) == Some(Tok::Close);
    after_table && !words.is(at + 1, &["AS"]) && words.tokens.get(at + 1).is_some_and(Token::is_name)
}

/// Whether the version table, and it alone, is what this statement writes.
fn writes_version(words: &Words<'_>, kind: Kind) -> bool {
    let at = match kind {
        Kind::Update => 1,
        Kind::Insert if words.is(0, &["INSERT"]) => words.skip(1, &["INTO"]),
        Kind::Delete if words.is(0, &["DELETE"]) => words.skip(1, &["FROM"]),
        Kind::CreateTable => words.skip(2, &["IF", "NOT", "EXISTS"]),
        Kind::DropTable => words.skip(2, &["IF", "EXISTS"]),
        _ => return false,
    };
    let Some((name, next)) = words.name(at) else {
        return false;
    };
    let alone = match kind {
        Kind::Update => words.is(next, &["SET"]),
        Kind::Delete => next >= words.tokens.len() || words.is(next, &["WHERE"]),
        Kind::DropTable => next >= words.tokens.len(),
        _ => true,
    };
    name == VERSION_TABLE && alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_keywords() {
        for (sql, kind) in [
            ("begin transaction", Kind::Transaction),
            ("COMMIT", Kind::Transaction),
            ("/* a */ CREATE TEMP TABLE a (b int)", Kind::CreateTable),
            ("CREATE UNIQUE INDEX CONCURRENTLY a ON b (c)", Kind::CreateIndex),
            ("CREATE MATERIALIZED VIEW v AS SELECT 1", Kind::Other),
            ("drop table a", Kind::DropTable),
            ("DROP INDEX a", Kind::DropIndex),
            ("DROP TRIGGER t ON TABLE", Kind::Other),
            ("ALTER TABLE a ADD b int", Kind::AlterTable),
            ("ALTER TYPE a ADD VALUE 'b'", Kind::Other),
            ("INSERT INTO a VALUES (1)", Kind::Insert),
            ("WITH x AS (SELECT 1) DELETE FROM a", Kind::Delete),
            ("WITH x AS (DELETE FROM a) SELECT 1", Kind::Select),
            ("PRAGMA foreign_keys = OFF", Kind::Pragma),
            ("DROP TABLES a", Kind::DropTable),
            ("WITH x AS (SELECT 1) REPLACE INTO a SELECT 1", Kind::Insert),
            ("WITH x AS (SELECT 1) SELECT replace(a, b, c) FROM x", Kind::Select),
            ("CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b", Kind::Other),
            ("CREATE PUBLICATION p FOR TABLE a", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(classify(sql, Dialect::PostgreSql), kind, "{sql}");
        }
    }

    #[test]
    fn only_a_write_to_the_version_table_alone_is_bookkeeping() {
        for sql in [
            "UPDATE alembic_version SET version_num='b' WHERE alembic_version.version_num = 'a'",
            "INSERT INTO alembic_version (version_num) VALUES ('a')",
            "DELETE FROM public.alembic_version WHERE version_num = 'a'",
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
            "DROP TABLE \"alembic_version\"",
        ] {
            assert_eq!(classify(sql, Dialect::PostgreSql), Kind::VersionUpdate, "{sql}");
        }
        for sql in [
            "UPDATE alembic_version, trades SET price = 0",
            "UPDATE trades SET alembic_version = 1",
            "DELETE FROM alembic_version USING trades",
            "DROP TABLE alembic_version, trades",
            "DROP TABLE alembic_version CASCADE",
            "UPDATE alembic_version.trades SET price = 0",
            "DELETE trades FROM trades JOIN alembic_version",
        ] {
            assert_ne!(classify(sql, Dialect::MySql), Kind::VersionUpdate, "{sql}");
        }
    }
}
