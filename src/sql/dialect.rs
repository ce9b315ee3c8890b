//! Which database's rules a text is read by.

use serde::{Deserialize, Serialize};

use super::lex::{Kind as Tok, Lexer, Token};

/// The family of SQL a script is written in. It decides what a quote, a comment and a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    Sqlite,
    PostgreSql,
    MySql,
}

impl Dialect {
    /// Every dialect, in the order in which they are tried on a text of unknown origin.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::PostgreSql, Self::MySql];

    /// The dialect that a script is probably written in: the one that its words speak for, among those that read it
    /// without an unclosed quote or comment. `Sqlite` if nothing speaks for any.
    #[must_use]
    pub fn likely(sql: &str) -> Self {
        Self::guess(sql).0
    }

    /// [`likely`](Self::likely), and whether anything in the text speaks for it.
    #[must_use]
    pub fn guess(sql: &str) -> (Self, bool) {
        let hints = hints(sql);
        let mut order = Self::ALL;
        order.sort_by_key(|dialect| std::cmp::Reverse(hints[*dialect as usize]));
        let best = order
            .into_iter()
            .find(|dialect| super::split::statements(sql, *dialect).all(|s| s.fault.is_none()))
            .unwrap_or(order[0]);
        (best, hints[best as usize] > 0)
    }

    /// Whether anything in the text speaks for this dialect.
    #[must_use]
    pub fn is_certain(self, sql: &str) -> bool {
        hints(sql)[self as usize] > 0
    }

    /// The name in sentences.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }

    /// The name in reports: `sqlite`, `postgresql`, `mysql`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
        }
    }
}

/// Tokens of a script that are asked: its dialect shows early.
const ASKED: usize = 20_000;

/// How many words speak for each dialect, in the order of [`Dialect::ALL`].
fn hints(sql: &str) -> [u32; 3] {
    const SQLITE: &[&str] = &["PRAGMA", "AUTOINCREMENT", "ROWID", "GLOB"];
    const POSTGRES: &[&str] = &[
        "SERIAL",
        "BIGSERIAL",
        "JSONB",
        "BYTEA",
        "CONCURRENTLY",
        "TIMESTAMPTZ",
        "ILIKE",
        "LOCK_TIMEOUT",
        "SEARCH_PATH",
        "PLPGSQL",
        "EXTENSION",
        "NEXTVAL",
        "TSVECTOR",
    ];
    const MYSQL: &[&str] = &[
        "AUTO_INCREMENT",
        "ENGINE",
        "LONGTEXT",
        "MEDIUMTEXT",
        "TINYINT",
        "UNSIGNED",
        "MODIFY",
        "CHARSET",
        "DELIMITER",
        "FOREIGN_KEY_CHECKS",
        "LONGBLOB",
    ];
    let tokens: Vec<Token> =
        Lexer::new(sql, Dialect::PostgreSql).filter(|t| t.kind != Tok::Comment).take(ASKED).collect();
    let text = |i: usize| tokens.get(i).map_or("", |t: &Token| t.of(sql));
    let is = |i: usize, words: &[&str]| tokens.get(i).is_some_and(|t| t.is_any(sql, words));
    let mut found = [0_u32; 3];
    for (i, token) in tokens.iter().enumerate() {
        let casts = text(i) == ":" && text(i + 1) == ":";
        let column = is(i, &["ALTER"]) && is(i + 1, &["COLUMN"]) && is(i + 3, &["TYPE", "SET", "DROP"]);
        let zone = is(i, &["WITH", "WITHOUT"]) && is(i + 1, &["TIME"]) && is(i + 2, &["ZONE"]);
        let type_or_comment = is(i, &["CREATE", "ALTER", "DROP"]) && is(i + 1, &["TYPE", "DOMAIN"])
            || is(i, &["COMMENT"]) && is(i + 1, &["ON"])
            || is(i, &["NOT"]) && is(i + 1, &["VALID"]);
        let begins = i == 0 && is(0, &["BEGIN"]) && text(1) == ";";
        let sqlite = token.is_any(sql, SQLITE)
            || token.kind == Tok::Word && text(i).starts_with("_alembic_tmp_")
            || is(i, &["INSERT", "UPDATE"]) && is(i + 1, &["OR"]);
        let mysql = token.is_any(sql, MYSQL)
            || text(i) == "`"
            || is(i, &["DROP"]) && is(i + 1, &["INDEX"]) && is(i + 3, &["ON"])
            || is(i, &["DROP"]) && is(i + 1, &["FOREIGN"])
            || is(i, &["CHANGE"]) && i > 2;
        let postgres = token.kind == Tok::Dollar
            || token.is_any(sql, POSTGRES)
            || casts
            || column
            || zone
            || type_or_comment
            || begins;
        found[0] += u32::from(sqlite);
        found[1] += u32::from(postgres);
        found[2] += u32::from(mysql);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rendered_files_of_the_corpus_are_told_apart() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql");
        let mut files = 0;
        for project in std::fs::read_dir(root).unwrap() {
            for window in std::fs::read_dir(project.unwrap().path()).unwrap() {
                for file in std::fs::read_dir(window.unwrap().path()).unwrap() {
                    let path = file.unwrap().path();
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    let sql = std::fs::read_to_string(&path).unwrap();
                    let (guess, sure) = Dialect::guess(&sql);
                    let right = name.contains(guess.name());
                    assert!(right || !sure, "{}: taken for {}", path.display(), guess.name());
                    assert!(right || !name.contains("postgresql"), "{}: not recognised", path.display());
                    files += 1;
                }
            }
        }
        assert!(files > 15);
    }

    #[test]
    fn a_quote_that_does_not_end_outweighs_words() {
        assert_eq!(Dialect::guess("SELECT 1"), (Dialect::Sqlite, false));
        assert_eq!(Dialect::guess("PRAGMA foreign_keys = ON; SELECT 1"), (Dialect::Sqlite, true));
        assert_eq!(Dialect::guess(r"SELECT 'it\'s', 1::int"), (Dialect::MySql, false));
    }
}
