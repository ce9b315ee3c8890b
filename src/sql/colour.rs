//! What the words of a script are, for their colours on a page.

use std::ops::Range;

use super::dialect::Dialect;
use super::lex::{Kind, Lexer};

/// What a stretch of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ink {
    Keyword,
    Type,
    Text,
    Number,
    Comment,
}

/// What has to be known of a script to tell the colours of any of its lines: the texts and comments that go over more than
/// one line. Everything else begins anew with each line.
#[derive(Clone, Debug)]
pub struct Colours {
    dialect: Dialect,
    long: Vec<(Range<u32>, Ink)>,
}

impl Colours {
    /// Reads a script once.
    #[must_use]
    pub fn of(sql: &str, dialect: Dialect) -> Self {
        let long = Lexer::new(sql, dialect).filter_map(|token| {
            let ink = long_ink(token.kind)?;
            let text = token.of(sql);
            let range = u32::try_from(token.start).ok()?..u32::try_from(token.end).ok()?;
            text.contains('\n').then_some((range, ink))
        });
        Self { dialect, long: long.collect() }
    }

    /// The coloured stretches of one line, or of its beginning: where `shown` is in the script, and its text.
    #[must_use]
    pub fn line(&self, text: &str, shown: Range<usize>) -> Vec<(Range<usize>, Ink)> {
        let mut found = Vec::new();
        let mut from = 0;
        let after = self.long.partition_point(|(range, _)| (range.start as usize) < shown.start);
        let before = after.checked_sub(1).and_then(|at| self.long.get(at));
        if let Some((range, ink)) = before.filter(|(range, _)| range.end as usize > shown.start) {
            from = (range.end as usize).min(shown.end) - shown.start;
            found.push((0..from, *ink));
        }
        let Some(rest) = text.get(from..) else { return found };
        let mut dotted = false;
        for token in Lexer::new(rest, self.dialect) {
            let ink = match token.kind {
                Kind::Word if dotted => None,
                Kind::Word => word(token.of(rest)),
                kind => long_ink(kind),
            };
            dotted = token.kind == Kind::Dot;
            if let Some(ink) = ink {
                found.push((from + token.start..from + token.end, ink));
            }
        }
        found
    }

    /// Bytes that this takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.long.len() * size_of::<(Range<u32>, Ink)>()
    }
}

/// The colour of what may go over several lines.
const fn long_ink(kind: Kind) -> Option<Ink> {
    match kind {
        Kind::Text | Kind::Dollar => Some(Ink::Text),
        Kind::Comment => Some(Ink::Comment),
        _ => None,
    }
}

fn word(word: &str) -> Option<Ink> {
    if word.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return Some(Ink::Number);
    }
    // The longest word of the lists has 17 letters.
    if word.len() > 17 {
        return None;
    }
    let upper = word.to_ascii_uppercase();
    if KEYWORDS.binary_search(&upper.as_str()).is_ok() {
        Some(Ink::Keyword)
    } else if TYPES.binary_search(&upper.as_str()).is_ok() {
        Some(Ink::Type)
    } else {
        None
    }
}

/// Words that make a statement of any of the three databases what it is. In order.
const KEYWORDS: &[&str] = &[
    "ABORT",
    "ACTION",
    "ADD",
    "AFTER",
    "ALL",
    "ALTER",
    "ALWAYS",
    "ANALYZE",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "ATOMIC",
    "ATTACH",
    "AUTOINCREMENT",
    "AUTO_INCREMENT",
    "BEFORE",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CALL",
    "CASCADE",
    "CASE",
    "CAST",
    "CHANGE",
    "CHARACTER",
    "CHECK",
    "CLUSTER",
    "COLLATE",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONCURRENTLY",
    "CONFLICT",
    "CONSTRAINT",
    "CONVERT",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "DATABASE",
    "DECLARE",
    "DEFAULT",
    "DEFERRABLE",
    "DEFERRED",
    "DEFINER",
    "DELETE",
    "DELIMITER",
    "DESC",
    "DETACH",
    "DISABLE",
    "DISTINCT",
    "DO",
    "DROP",
    "EACH",
    "ELSE",
    "ELSIF",
    "ENABLE",
    "END",
    "ENGINE",
    "EXCEPT",
    "EXCEPTION",
    "EXCLUDE",
    "EXCLUSIVE",
    "EXECUTE",
    "EXISTS",
    "EXIT",
    "EXPLAIN",
    "EXTENSION",
    "FALSE",
    "FIRST",
    "FOR",
    "FORCE",
    "FOREIGN",
    "FROM",
    "FULL",
    "FUNCTION",
    "GENERATED",
    "GRANT",
    "GROUP",
    "HAVING",
    "IDENTITY",
    "IF",
    "ILIKE",
    "IMMEDIATE",
    "IN",
    "INCLUDE",
    "INDEX",
    "INHERITS",
    "INITIALLY",
    "INNER",
    "INSERT",
    "INSTEAD",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LANGUAGE",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCAL",
    "LOCK",
    "LOOP",
    "MATCH",
    "MATERIALIZED",
    "MERGE",
    "MODIFY",
    "NATURAL",
    "NO",
    "NOT",
    "NOTHING",
    "NOWAIT",
    "NULL",
    "NULLS",
    "OF",
    "OFFSET",
    "ON",
    "ONLY",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "OWNER",
    "PARTITION",
    "PERFORM",
    "PLPGSQL",
    "PRAGMA",
    "PRIMARY",
    "PRIVILEGES",
    "PROCEDURE",
    "RAISE",
    "RECURSIVE",
    "REFERENCES",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPLACE",
    "RESET",
    "RESTRICT",
    "RETURN",
    "RETURNING",
    "RETURNS",
    "REVOKE",
    "RIGHT",
    "ROLLBACK",
    "ROW",
    "ROWID",
    "ROWS",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SEQUENCE",
    "SESSION",
    "SET",
    "SHARE",
    "SHOW",
    "STORAGE",
    "STORED",
    "STRICT",
    "TABLE",
    "TABLESPACE",
    "TEMP",
    "TEMPORARY",
    "THEN",
    "TO",
    "TRANSACTION",
    "TRIGGER",
    "TRUE",
    "TRUNCATE",
    "TYPE",
    "UNION",
    "UNIQUE",
    "UNLOGGED",
    "UPDATE",
    "USE",
    "USING",
    "VACUUM",
    "VALID",
    "VALIDATE",
    "VALUES",
    "VIEW",
    "VIRTUAL",
    "WHEN",
    "WHERE",
    "WHILE",
    "WINDOW",
    "WITH",
    "WITHOUT",
    "WORK",
];

/// Names of types. In order.
const TYPES: &[&str] = &[
    "ARRAY",
    "BIGINT",
    "BIGSERIAL",
    "BINARY",
    "BIT",
    "BLOB",
    "BOOL",
    "BOOLEAN",
    "BYTEA",
    "CHAR",
    "CIDR",
    "CLOB",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "DOUBLE",
    "ENUM",
    "FLOAT",
    "INET",
    "INT",
    "INT2",
    "INT4",
    "INT8",
    "INTEGER",
    "INTERVAL",
    "JSON",
    "JSONB",
    "LONGBLOB",
    "LONGTEXT",
    "MEDIUMBLOB",
    "MEDIUMINT",
    "MEDIUMTEXT",
    "MONEY",
    "NCHAR",
    "NUMERIC",
    "NVARCHAR",
    "OID",
    "PRECISION",
    "REAL",
    "REGCLASS",
    "SERIAL",
    "SMALLINT",
    "SMALLSERIAL",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TIMETZ",
    "TINYBLOB",
    "TINYINT",
    "TINYTEXT",
    "TSVECTOR",
    "UNSIGNED",
    "UUID",
    "VARBINARY",
    "VARCHAR",
    "VARYING",
    "XML",
    "YEAR",
    "ZONE",
];

#[cfg(test)]
mod tests {
    use super::super::diff::Lines;
    use super::*;

    /// The colours of every line, as `keyword` → `K`, `type` → `Y`, `text` → `S`, `number` → `N`, `comment` → `C`.
    fn painted(sql: &str, dialect: Dialect) -> Vec<String> {
        let colours = Colours::of(sql, dialect);
        let lines = Lines::of(sql.as_bytes()).unwrap();
        (0..lines.count())
            .map(|line| {
                let shown = lines.span(line);
                let text = &sql[shown.clone()];
                let mut out: Vec<char> = text.chars().map(|_| '.').collect();
                for (range, ink) in colours.line(text, shown) {
                    let sign = match ink {
                        Ink::Keyword => 'K',
                        Ink::Type => 'Y',
                        Ink::Text => 'S',
                        Ink::Number => 'N',
                        Ink::Comment => 'C',
                    };
                    out[range].fill(sign);
                }
                out.into_iter().collect()
            })
            .collect()
    }

    #[test]
    fn the_lists_are_in_order() {
        assert!(KEYWORDS.is_sorted() && TYPES.is_sorted());
        assert!(KEYWORDS.iter().chain(TYPES).all(|word| word.len() <= 17));
        assert!(TYPES.iter().all(|word| KEYWORDS.binary_search(word).is_err()));
    }

    #[test]
    fn words_texts_numbers_and_comments_have_their_colours() {
        for dialect in Dialect::ALL {
            assert_eq!(
                painted("ALTER TABLE a ADD b BIGINT DEFAULT 10; -- c", dialect),
                ["KKKKK.KKKKK...KKK...YYYYYY.KKKKKKK.NN..CCCC"],
                "{dialect:?}"
            );
            assert_eq!(painted("set x.table = 'it''s'", dialect), ["KKK...........SSSSSSS"]);
        }
    }

    #[test]
    fn a_text_over_lines_keeps_its_colour_and_gives_it_back() {
        let sql = "SELECT 'a\nDROP\nb' AS x /* y\nz */ FROM t";
        assert_eq!(painted(sql, Dialect::Sqlite), ["KKKKKK.SS", "SSSS", "SS.KK...CCCC", "CCCC.KKKK.."]);
        let body = "DO $$\nBEGIN\nEND $$; SELECT 1";
        assert_eq!(painted(body, Dialect::PostgreSql), ["KK.SS", "SSSSS", "SSSSSS..KKKKKK.N"]);
        assert_eq!(painted("SELECT 1 # DROP\nFROM t", Dialect::MySql), ["KKKKKK.N.CCCCCC", "KKKK.."]);
    }
}
