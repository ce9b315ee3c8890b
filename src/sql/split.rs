//! Statements of a script: where each begins and ends, and what the text broke off in.

use std::ops::Range;

use super::dialect::Dialect;
use super::lex::{Kind, Lexer, Token, Unterminated};

/// One statement, without the semicolon that ends it and without the comments before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    sql: &'a str,
    /// Its bytes in the script.
    pub span: Range<usize>,
    /// Its first line, counted from 1. Only LF ends a line.
    pub line: u32,
    pub last_line: u32,
    /// The script ended inside a quote or comment: this is its last statement, and may be anything.
    pub fault: Option<Unterminated>,
}

impl<'a> Statement<'a> {
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.sql.get(self.span.clone()).unwrap_or_default()
    }
}

/// The statements of `sql`, one after the other. Linear in its length; a script without any yields none.
#[must_use]
pub fn statements(sql: &str, dialect: Dialect) -> Statements<'_> {
    Statements { sql, lexer: Lexer::new(sql, dialect), dialect, counted: 0, line: 1 }
}

/// The iterator that [`statements`] gives.
pub struct Statements<'a> {
    sql: &'a str,
    lexer: Lexer<'a>,
    dialect: Dialect,
    /// Line ends before this byte are in `line`.
    counted: usize,
    line: u32,
}

impl Statements<'_> {
    #[expect(clippy::naive_bytecount, reason = "a crate for it is not worth a dependency")]
    fn line_at(&mut self, byte: usize) -> u32 {
        let passed = self.sql.as_bytes().get(self.counted..byte).unwrap_or_default();
        let ends = passed.iter().filter(|b| **b == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
        self.counted = self.counted.max(byte);
        self.line
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Statement<'a>;

    fn next(&mut self) -> Option<Statement<'a>> {
        let mut span: Option<Range<usize>> = None;
        let mut body = Body::new(self.dialect);
        let mut fault = None;
        for token in self.lexer.by_ref() {
            fault = token.unterminated;
            if token.kind == Kind::Comment && fault.is_none() {
                continue;
            }
            if token.kind == Kind::Semicolon && !body.keeps_semicolon() {
                if span.is_some() {
                    break;
                }
                continue;
            }
            body.read(&token, self.sql);
            let start = span.as_ref().map_or(token.start, |s| s.start);
            span = Some(start..token.end);
        }
        let span = span?;
        Some(Statement {
            sql: self.sql,
            line: self.line_at(span.start),
            last_line: self.line_at(span.end),
            span,
            fault,
        })
    }
}

/// Follows `BEGIN … END` in the one kind of statement that may hold semicolons outside quotes.
struct Body {
    dialect: Dialect,
    words: u32,
    stage: Stage,
    /// Open blocks of a body.
    depth: u32,
    /// The two last tokens, for `END IF` and for SQLite's `; END ;`.
    last: [Seen; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No word yet, or CREATE and modifiers.
    Head,
    /// CREATE TRIGGER, or another statement with a body, before BEGIN.
    Awaits,
    Inside,
    /// This statement has no body, or it is over.
    Plain,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Semicolon,
    Begin,
    End,
    Else,
}

impl Body {
    const fn new(dialect: Dialect) -> Self {
        Self { dialect, words: 0, stage: Stage::Head, depth: 0, last: [Seen::Else; 2] }
    }

    /// Whether a semicolon here stays in the statement.
    fn keeps_semicolon(&self) -> bool {
        match (self.stage, self.dialect) {
            // As sqlite3_complete has it: a trigger ends with `; END ;` and with nothing else.
            (Stage::Inside, Dialect::Sqlite) => self.last != [Seen::Semicolon, Seen::End],
            (Stage::Inside, _) => self.depth > 0,
            _ => false,
        }
    }

    fn read(&mut self, token: &Token, sql: &str) {
        let before = self.last[1];
        let seen = match token.kind {
            Kind::Semicolon => Seen::Semicolon,
            Kind::Word if token.is(sql, "END") => Seen::End,
            Kind::Word if token.is(sql, "BEGIN") => Seen::Begin,
            _ => Seen::Else,
        };
        match self.stage {
            Stage::Head if token.kind == Kind::Word => self.head(token, sql),
            Stage::Head if self.words == 0 || self.words > 12 => self.stage = Stage::Plain,
            Stage::Awaits => self.await_body(token, sql, before, seen),
            Stage::Inside => self.inside(token, sql, before, seen),
            Stage::Head | Stage::Plain => {}
        }
        self.last = [before, seen];
    }

    fn head(&mut self, token: &Token, sql: &str) {
        self.words += 1;
        if self.words == 1 {
            if !token.is(sql, "CREATE") {
                self.stage = Stage::Plain;
            }
            return;
        }
        let bodied: &[&str] = match self.dialect {
            Dialect::Sqlite => &["TRIGGER"],
            Dialect::PostgreSql => &["FUNCTION", "PROCEDURE"],
            Dialect::MySql => &["TRIGGER", "FUNCTION", "PROCEDURE", "EVENT"],
        };
        let plain = ["TABLE", "INDEX", "VIEW", "TYPE", "SCHEMA", "DATABASE", "SEQUENCE"];
        if token.is_any(sql, bodied) {
            self.stage = Stage::Awaits;
        } else if self.words > 12 || token.is_any(sql, &plain) {
            self.stage = Stage::Plain;
        }
    }

    fn await_body(&mut self, token: &Token, sql: &str, before: Seen, seen: Seen) {
        let begins = match self.dialect {
            // PostgreSQL 14: BEGIN ATOMIC … END. Any other body there is quoted.
            Dialect::PostgreSql => before == Seen::Begin && token.is(sql, "ATOMIC"),
            Dialect::Sqlite | Dialect::MySql => seen == Seen::Begin,
        };
        if begins {
            self.stage = Stage::Inside;
            self.depth = 1;
        }
    }

    fn inside(&mut self, token: &Token, sql: &str, before: Seen, seen: Seen) {
        if self.dialect == Dialect::Sqlite {
            return;
        }
        if before == Seen::End && token.is_any(sql, &["IF", "LOOP", "WHILE", "REPEAT"]) {
            // Those blocks have no opening that is counted, so END is given back.
            self.depth += 1;
        } else if seen == Seen::End {
            self.depth = self.depth.saturating_sub(1);
        } else if seen == Seen::Begin || (before != Seen::End && token.is(sql, "CASE")) {
            self.depth += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn texts(sql: &str, dialect: Dialect) -> Vec<&str> {
        statements(sql, dialect).map(|s| s.text()).collect()
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        for dialect in Dialect::ALL {
            let sql = "-- a;\nSELECT 'a;''b' /* ; */ , \"c;\"\"d\"; ; -- b\nSELECT 2;;";
            let found: Vec<_> = statements(sql, dialect).collect();
            assert_eq!(found.len(), 2, "{dialect:?}");
            assert_eq!(found[0].text(), "SELECT 'a;''b' /* ; */ , \"c;\"\"d\"");
            assert_eq!((found[0].line, found[0].last_line), (2, 2));
            assert_eq!((found[1].text(), found[1].line), ("SELECT 2", 3));
            assert!(found.iter().all(|s| s.fault.is_none()));
        }
    }

    #[test]
    fn each_dialect_reads_its_own_quotes() {
        use Dialect::{MySql, PostgreSql, Sqlite};
        for (sql, dialect, expected) in [
            (r"SELECT 'it\'; s'; SELECT 2", MySql, 2),
            (r"SELECT 'it\'; SELECT 2", PostgreSql, 2),
            (r"SELECT E'it\'; s'; SELECT 2", PostgreSql, 2),
            (r"SELECT e'a'';'; SELECT 2", PostgreSql, 2),
            ("SELECT $$a;b$$; SELECT $x$ $$;$ $x$", PostgreSql, 2),
            ("SELECT 1 AS $$; DROP TABLE a; SELECT 2 AS $$;", MySql, 3),
            ("SELECT $1; SELECT a$b$c; SELECT 3", PostgreSql, 3),
            // The pieces of a text that goes over lines are read as its first one is.
            ("SELECT E'x'\n'\\''; SELECT 2; --';", PostgreSql, 2),
            ("SELECT E'x' -- '\n -- '\n  '\\''; SELECT 2; --';", PostgreSql, 2),
            ("SELECT E'x' '\\'; SELECT 2; --';", PostgreSql, 2),
            ("SELECT 'x'\n'\\'; SELECT 2; --';", PostgreSql, 2),
            ("SELECT U&'x'\n'\\'; SELECT 2; --';", PostgreSql, 2),
            ("SELECT 1E'\\''; SELECT 2; --';", PostgreSql, 2),
            ("SELECT 1$$'$$; SELECT 2; SELECT 1$$'$$", PostgreSql, 3),
            // SQLite has variables as Tcl has them, and no dollar quotes.
            ("SELECT $a('); SELECT 2; SELECT $a(');", Sqlite, 3),
            ("SELECT @a('); SELECT 2; SELECT :a::b(');", Sqlite, 3),
            ("SELECT #a(/*); SELECT 2; SELECT #a(*/);", Sqlite, 3),
            ("SELECT $a(/*); SELECT 2; SELECT $a(*/);", Sqlite, 3),
            ("SELECT $(';'), :: ';'", Sqlite, 1),
            ("SELECT $a(x ';'); SELECT 2", Sqlite, 2),
            ("SELECT 1 AS \"a\\\"; SELECT $a$; SELECT 2; SELECT $a$;", Sqlite, 4),
            ("/* a /* b */ ; */ SELECT 1", PostgreSql, 1),
            ("/* a /* b */ SELECT 1; SELECT 2", Sqlite, 2),
            ("SELECT 1 # a;\n; SELECT 2", MySql, 2),
            ("SELECT 5--1; SELECT 2", MySql, 2),
            ("SELECT 5--1; SELECT 2", Sqlite, 1),
            ("SELECT `a;b`; SELECT 2", MySql, 2),
            ("SELECT [a;b]; SELECT 2", Sqlite, 2),
            ("SELECT a[1]; SELECT b[2]", PostgreSql, 2),
            ("/*!50000 DROP TABLE a; */ SELECT 1", MySql, 2),
        ] {
            assert_eq!(texts(sql, dialect).len(), expected, "{dialect:?}: {sql}");
        }
    }

    #[test]
    fn a_body_stays_in_its_statement_and_nothing_else_does() {
        use Dialect::{MySql, PostgreSql, Sqlite};
        let trigger =
            "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; UPDATE b SET c = 1; END";
        for dialect in [Sqlite, MySql] {
            assert_eq!(texts(&format!("{trigger};; DROP TABLE x;"), dialect), [trigger, "DROP TABLE x"]);
        }
        let procedure = "CREATE DEFINER=`a`@`b` PROCEDURE p() BEGIN IF 1 THEN BEGIN SELECT 1; END; END IF; \
                         CASE 1 WHEN 1 THEN SELECT 2; END CASE; END";
        assert_eq!(texts(&format!("{procedure}; SELECT 3"), MySql), [procedure, "SELECT 3"]);
        let atomic = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END";
        assert_eq!(texts(&format!("{atomic}; SELECT 3"), PostgreSql), [atomic, "SELECT 3"]);
        // A trigger on PostgreSQL has no body, a transaction is none, and a name is none.
        assert_eq!(
            texts("CREATE TRIGGER t EXECUTE FUNCTION f(); BEGIN; DROP TABLE x; END;", PostgreSql).len(),
            4
        );
        assert_eq!(texts("BEGIN; DROP TABLE x; COMMIT;", Sqlite).len(), 3);
        assert_eq!(texts("CREATE TABLE trigger (begin int); DROP TABLE x;", Sqlite).len(), 2);
        assert_eq!(texts("CREATE TABLE a (b int); CREATE TRIGGER t; SELECT 1", Sqlite).len(), 3);
    }

    #[test]
    fn what_does_not_end_is_the_last_statement_and_says_so() {
        for (sql, fault) in [
            ("SELECT 1; SELECT 'a; DROP TABLE b;", Unterminated::Text),
            ("SELECT 1; SELECT \"a; DROP TABLE b;", Unterminated::Identifier),
            ("SELECT 1; SELECT $x$ a; $$ DROP TABLE b;", Unterminated::DollarQuote),
            ("SELECT 1; /* /* */ DROP TABLE b;", Unterminated::Comment),
        ] {
            let found: Vec<_> = statements(sql, Dialect::PostgreSql).collect();
            assert_eq!(found.len(), 2, "{sql}");
            assert_eq!((found[0].fault, found[1].fault), (None, Some(fault)), "{sql}");
            assert_eq!(found[1].span.end, sql.len());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end_in_order(
            sql in r#"(--|/\*|\*/|'|''|"|`|\$\$|\$a\$|;|\\|\[|\]|#|\n|\r|é|BEGIN|END|CREATE|TRIGGER|CASE| |x){0,40}"#
        ) {
            for dialect in Dialect::ALL {
                let mut at = 0;
                for statement in statements(&sql, dialect) {
                    prop_assert!(statement.span.start >= at && statement.span.end > statement.span.start);
                    prop_assert_eq!(statement.text(), &sql[statement.span.clone()]);
                    let line = 1 + sql[..statement.span.start].matches('\n').count();
                    prop_assert_eq!(statement.line as usize, line);
                    at = statement.span.end;
                }
            }
        }

        #[test]
        fn no_text_is_too_odd(sql in "\\PC{0,80}") {
            for dialect in Dialect::ALL {
                let _ = statements(&sql, dialect).count();
                let _ = crate::sql::findings::find(&sql, Some(dialect));
            }
        }
    }

    #[test]
    fn every_statement_of_the_corpus_is_found_and_none_more() {
        use crate::sql::classify::{Kind, classify};
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus");
        let expected = std::fs::read(root.join("expectations.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let mut checked = 0;
        for (project, facts) in expected.as_object().unwrap() {
            for (window, facts) in facts["windows"].as_object().unwrap() {
                for (render, facts) in facts.as_object().unwrap() {
                    let (direction, dialect) = match render.split_once('_') {
                        Some(("sqlite", d)) => (d, Dialect::Sqlite),
                        Some(("postgresql", d)) => (d, Dialect::PostgreSql),
                        Some(("mysql", d)) => (d, Dialect::MySql),
                        _ => continue,
                    };
                    let name = dialect.name();
                    let file = root.join(format!("sql/{project}/{window}/{direction}.{name}.sql"));
                    let Ok(sql) = std::fs::read_to_string(&file) else { continue };
                    let found: Vec<_> = statements(&sql, dialect).collect();
                    assert_eq!(Some(found.len() as u64), facts["statements"].as_u64(), "{}", file.display());
                    let updates = found.iter().map(|s| classify(s.text(), dialect));
                    let updates = updates.filter(|k| matches!(k, Kind::Update | Kind::VersionUpdate));
                    // The one statement there that begins with WITH is an UPDATE.
                    let stated = |kind: &str| facts["kinds"][kind].as_u64().unwrap_or(0);
                    let stated = stated("UPDATE") + stated("WITH");
                    assert_eq!(updates.count() as u64, stated, "{}", file.display());
                    checked += 1;
                }
            }
        }
        assert!(checked >= 15, "only {checked} files were compared");
    }
}
