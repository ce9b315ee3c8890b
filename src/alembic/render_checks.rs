//! What may be wrong with rendered SQL although Alembic ended well.

use crate::alembic::report::Warning;
use crate::domain::digest::Digest;
use crate::sql::classify::{Kind, VERSION_TABLE, Words, classify_words};
use crate::sql::dialect::Dialect;
use crate::sql::findings;
use crate::sql::lex::{Kind as Tok, Lexer};
use crate::sql::normalise::sqlnorm1;
use crate::sql::offline_sql::{self, Direction};
use crate::sql::split::statements;

/// `sqlset1`: the digest of the statements in sorted order, without comments. Equal for two scripts that hold the same
/// statements in another order.
#[must_use]
pub fn sqlset1(sql: &str, dialect: Dialect) -> Digest {
    let mut texts: Vec<String> =
        statements(sql, dialect).map(|s| without_comments(s.text(), dialect)).collect();
    texts.sort_unstable();
    sqlnorm1(&texts.join(";\n"))
}

fn without_comments(statement: &str, dialect: Dialect) -> String {
    let mut out = String::with_capacity(statement.len());
    let mut at = 0;
    for token in Lexer::new(statement, dialect).filter(|t| t.kind == Tok::Comment) {
        out.push_str(statement.get(at..token.start).unwrap_or_default());
        at = token.end;
    }
    out.push_str(statement.get(at..).unwrap_or_default());
    out.trim().to_owned()
}

/// The first line in which two texts differ, counted from 1.
#[must_use]
pub fn first_difference(one: &str, other: &str) -> Option<usize> {
    let mut lines = one.lines().zip(other.lines()).zip(1..);
    let differs = lines.find(|((a, b), _)| a != b).map(|(_, number)| number);
    differs.or_else(|| (one != other).then(|| one.lines().count().min(other.lines().count()) + 1))
}

/// Why a text can't be taken for SQL, in one sentence: it is empty, or something else is mixed in.
///
/// # Errors
/// The code and the sentence.
pub fn check(sql: &str, dialect: Dialect) -> Result<(), (&'static str, String)> {
    let script = offline_sql::read(sql, dialect);
    if script.statements == 0 && script.moves.is_empty() {
        return Err(("E31", "the render is empty although Alembic ended well".to_owned()));
    }
    if let Some(line) = sql.lines().position(|line| line.starts_with("FAILED: ")) {
        return Err(("E33", format!("line {} says that Alembic failed", line + 1)));
    }
    let foreign = findings::find(sql, Some(dialect)).into_iter().find(|f| f.rule == "unparsed");
    match foreign {
        Some(finding) => Err(("E33", format!("line {} is no SQL: {}", finding.line, finding.why))),
        None => Ok(()),
    }
}

/// What a reader of the SQL should know, by line.
#[must_use]
pub fn warnings(sql: &str, dialect: Dialect, direction: Direction) -> Vec<Warning> {
    let mut found = Vec::new();
    let name = direction.name();
    if let Some(line) = doubled_percent(sql, dialect) {
        found.push(Warning::new(
            "E34",
            format!(
                "{name} SQL, line {line}: percent signs are doubled; set dialect_opts={{\"paramstyle\": \"named\"}} in \
                 env.py"
            ),
        ));
    }
    let (mut reads, mut commits, mut last_line) = (Vec::new(), Vec::new(), 0);
    for statement in statements(sql, dialect) {
        let words = Words::of(statement.text(), dialect);
        match classify_words(&words) {
            Kind::Select => reads.push(statement.line),
            Kind::Transaction if words.is(0, &["COMMIT"]) => commits.push(statement.line),
            _ => {}
        }
        last_line = statement.line;
    }
    if let Some(line) = reads.first() {
        found.push(Warning::new(
            "E35",
            format!(
                "{name} SQL, line {line}: a migration reads the database, so the SQL may lack what it would do with \
                 the answer"
            ),
        ));
    }
    commits.retain(|line| *line != last_line);
    // With a transaction for each revision every revision ends in a commit; more of them is a migration's own doing.
    let revisions = offline_sql::read(sql, dialect).steps.len();
    if let Some(line) = commits.first().filter(|_| commits.len() >= revisions.max(1)) {
        found.push(Warning::new(
            "E38",
            format!("{name} SQL, line {line}: it commits in the middle (autocommit_block), so a stop leaves a part"),
        ));
    }
    found
}

/// The line of a `%%` outside dollar quotes and the arguments of `format()`.
fn doubled_percent(sql: &str, dialect: Dialect) -> Option<usize> {
    let mut depth = 0_usize;
    let mut format_at: Option<usize> = None;
    let mut last = Tok::Other;
    let mut called = false;
    for token in Lexer::new(sql, dialect) {
        let text = token.of(sql);
        match token.kind {
            Tok::Open => {
                depth += 1;
                if called && format_at.is_none() {
                    format_at = Some(depth);
                }
            }
            Tok::Close => {
                if format_at == Some(depth) {
                    format_at = None;
                }
                depth = depth.saturating_sub(1);
            }
            Tok::Text | Tok::Word | Tok::Quoted if text.contains("%%") && format_at.is_none() => {
                return Some(line_of(sql, token.start));
            }
            Tok::Other
                if text == "%"
                    && last == Tok::Other
                    && format_at.is_none()
                    && sql.get(..token.start).is_some_and(|before| before.ends_with('%')) =>
            {
                return Some(line_of(sql, token.start));
            }
            _ => {}
        }
        called = token.is(sql, "format");
        last = token.kind;
    }
    None
}

fn line_of(sql: &str, at: usize) -> usize {
    sql.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// Whether a script goes exactly through `line`, the revisions after `from`, one after the other.
///
/// # Errors
/// What is wrong, in a sentence. A version table of another name is not followed.
pub fn check_chain(
    sql: &str,
    dialect: Dialect,
    from: &str,
    line: &[String],
    table: &str,
) -> Result<(), String> {
    let Some(to) = line.last().filter(|_| table == VERSION_TABLE) else { return Ok(()) };
    let passed = offline_sql::read(sql, dialect).chain(from, to)?;
    if passed == line {
        return Ok(());
    }
    Err(format!("the script goes through {}, not through {}", passed.join(", "), line.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PG: Dialect = Dialect::PostgreSql;

    #[test]
    fn another_order_of_the_same_statements_has_the_same_set_digest() {
        let one = "-- a\nCREATE INDEX a ON t (a);\n\nCREATE INDEX b ON t (b);\n";
        let other = "CREATE INDEX b ON t (b);\nCREATE INDEX a ON t (a);\n";
        assert_eq!(sqlset1(one, PG), sqlset1(other, PG));
        assert_ne!(sqlset1(one, PG), sqlset1("CREATE INDEX a ON t (a);", PG));
        assert_eq!(first_difference(one, other), Some(1));
        assert_eq!((first_difference("a\nb", "a\nb"), first_difference("a\nb", "a")), (None, Some(2)));
    }

    #[test]
    fn set_digests_are_those_measured_on_the_corpus() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus");
        let text = std::fs::read(root.join("expectations.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for (file, dialect) in [
            ("airflow/2.10.3-to-3.3.0/upgrade", PG),
            ("mlflow/clean/upgrade", PG),
            ("mlflow/clean/upgrade", Dialect::Sqlite),
        ] {
            let mut parts = file.split('/');
            let (project, window, way) =
                (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let sql =
                std::fs::read_to_string(root.join(format!("sql/{file}.{}.sql", dialect.name()))).unwrap();
            let facts = &expected[project]["windows"][window][format!("{}_{way}", dialect.name())];
            assert_eq!(facts["sqlset1_sha256"], sqlset1(&sql, dialect).to_string(), "{file}");
        }
    }

    #[test]
    fn what_is_no_sql_is_told_from_it() {
        let code = |sql: &str| check(sql, PG).map_err(|(code, _)| code);
        assert_eq!(code("BEGIN;\n\nCOMMIT;\n"), Err("E31"));
        assert_eq!(code("ALTER TABLE a ADD b int;\nFAILED: no\n"), Err("E33"));
        assert_eq!(code("2026-01-01 INFO loading\nALTER TABLE a ADD b int;\n"), Err("E33"));
        assert_eq!(code("ALTER TABLE a ADD b int;\n"), Ok(()));
    }

    #[test]
    fn doubled_percents_reads_and_commits_are_noticed() {
        let codes = |sql: &str| {
            let found = warnings(sql, PG, Direction::Upgrade);
            found.into_iter().map(|w| w.code).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(codes("UPDATE a SET b = '{%% if %%}';"), "E34");
        assert_eq!(codes("UPDATE a SET b = 5 %% 2;"), "E34");
        assert_eq!(codes("UPDATE a SET b = format('%%', 1);"), "");
        assert_eq!(codes("DO $$ BEGIN RAISE '%%'; END $$;"), "");
        assert_eq!(codes("SELECT 1; UPDATE a SET b = 1;"), "E35");
        assert_eq!(codes("BEGIN; UPDATE a SET b = 1; COMMIT;"), "");
        assert_eq!(
            codes("BEGIN;\n-- Running upgrade a -> b\nCOMMIT;\nCREATE INDEX i ON t (a);\nBEGIN;\nCOMMIT;"),
            "E38"
        );
        let each = "BEGIN;\n-- Running upgrade a -> b\nCOMMIT;\nBEGIN;\n-- Running upgrade b -> c\nCOMMIT;";
        assert_eq!(codes(each), "");
    }
}
