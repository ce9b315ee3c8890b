use super::*;

fn keys(sql: &str, dialect: Option<Dialect>) -> Vec<&'static str> {
    find(sql, dialect).into_iter().map(|f| f.rule).filter(|rule| *rule != "missing-lock-timeout").collect()
}

const PG: Option<Dialect> = Some(Dialect::PostgreSql);

#[test]
fn each_rule_finds_its_statement_and_leaves_the_like_alone() {
    let cases: &[(&str, &[&str])] = &[
        ("DROP TABLE IF EXISTS a", &["drop-table"]),
        ("DROP TABLE alembic_version, trades", &["drop-table"]),
        ("DROP TABLE alembic_version", &[]),
        ("DROP VIEW a", &["drop-object"]),
        ("DROP SCHEMA a CASCADE", &["drop-schema"]),
        ("ALTER TABLE a DROP COLUMN b", &["drop-column"]),
        ("ALTER TABLE ONLY s.a DROP b, ADD c int, DROP COLUMN IF EXISTS d", &["drop-column", "drop-column"]),
        ("ALTER TABLE a DROP CONSTRAINT b", &["drop-constraint"]),
        ("ALTER TABLE a ALTER COLUMN b DROP NOT NULL", &["drop-constraint"]),
        ("ALTER TABLE a ALTER b DROP DEFAULT", &[]),
        ("ALTER TABLE a ADD CONSTRAINT c CHECK (d IS NOT NULL)", &["constraint-added"]),
        ("ALTER TABLE a ADD COLUMN b int NOT NULL", &["not-null-added"]),
        ("ALTER TABLE a ADD COLUMN b int DEFAULT '3' NOT NULL", &[]),
        ("ALTER TABLE a ADD b numeric(20, 4)", &[]),
        ("ALTER TABLE a ALTER COLUMN b SET NOT NULL", &["not-null-added"]),
        ("ALTER TABLE a ALTER COLUMN b TYPE int USING b::int", &["type-change", "narrowing-type"]),
        ("ALTER TABLE a ALTER b SET DATA TYPE int", &["type-change"]),
        ("ALTER TABLE a RENAME TO b", &["rename"]),
        ("ALTER TABLE a RENAME b TO c", &["rename"]),
        ("ALTER TABLE a RENAME CONSTRAINT b TO c", &[]),
        ("TRUNCATE TABLE a", &["truncate"]),
        ("DROP INDEX a", &["drop-index"]),
        ("DELETE FROM a", &["delete-without-where"]),
        ("DELETE FROM a WHERE b = 1", &[]),
        ("DELETE FROM a WHERE TRUE", &["delete-without-where"]),
        ("DELETE FROM a WHERE 1 = 1", &["delete-without-where"]),
        ("DELETE FROM a WHERE 1 = 2 OR b", &[]),
        ("DELETE FROM a USING (SELECT 1 WHERE x) q", &["delete-without-where"]),
        ("DELETE FROM a /* WHERE b = 1 */", &["delete-without-where"]),
        (
            "WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x WHERE y",
            &["delete-without-where"],
        ),
        ("WITH x AS (SELECT 1) UPDATE a SET b = 1", &["update-without-where"]),
        ("UPDATE a SET b = 'WHERE'", &["update-without-where"]),
        ("UPDATE a SET b = (SELECT 1 WHERE x) WHERE c", &[]),
        ("UPDATE alembic_version SET version_num = 'a'", &[]),
        ("INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET c = 1", &[]),
        ("CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE ON UPDATE CASCADE)", &[]),
        ("SELECT 1 FOR UPDATE", &[]),
        (
            "DO $$ BEGIN IF true THEN DROP TABLE a; END IF; UPDATE b SET c = 1; END $$",
            &["drop-table", "update-without-where"],
        ),
        ("DO $$ BEGIN EXECUTE 'DROP TABLE ' || x; END $$", &["dynamic-sql"]),
        (
            "CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM a; END $$ LANGUAGE plpgsql",
            &["delete-without-where"],
        ),
        ("SELECT 'x", &["unparsed"]),
        ("[2026-01-01 00:00:00] INFO - Running", &["unparsed"]),
        ("FAILED: Multiple head revisions are present", &["unparsed"]),
        ("\\! rm -rf x", &["unparsed"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(keys(sql, PG), *expected, "{sql}");
    }
}

#[test]
fn dialects_have_their_own_destruction() {
    let mysql = Some(Dialect::MySql);
    assert_eq!(keys("ALTER TABLE a MODIFY b BIGINT NOT NULL", mysql), ["type-change"]);
    assert_eq!(keys("ALTER TABLE a CHANGE b c INT", mysql), ["rename", "type-change"]);
    assert_eq!(
        keys("ALTER TABLE a DROP INDEX b, DROP FOREIGN KEY c", mysql),
        ["drop-index", "drop-constraint"]
    );
    assert_eq!(keys("ALTER TABLE a DROP PARTITION p", mysql), ["truncate"]);
    assert_eq!(keys("RENAME TABLE a TO b", mysql), ["rename"]);
    assert_eq!(keys("SELECT 1 /*!50000 ; DROP TABLE a */;", mysql), ["executable-comment", "drop-table"]);
    assert_eq!(keys("DELIMITER //", mysql), ["unparsed"]);
    // MySQL takes BEGIN for a name here, so that what follows is not the procedure's body.
    assert_eq!(keys("CREATE PROCEDURE begin() SELECT 1; DROP TABLE a;", mysql), ["drop-table"]);
    let trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = 1 WHERE d; SELECT 2; END;";
    assert!(keys(trigger, Some(Dialect::Sqlite)).is_empty());
}

#[test]
fn without_a_dialect_no_reading_hides_a_statement() {
    // For PostgreSQL and SQLite 'a\' is a whole text; for MySQL it goes on.
    assert_eq!(keys(r"INSERT INTO a VALUES ('\'); DROP TABLE b; -- ');", None), ["drop-table"]);
    assert_eq!(keys(r"INSERT INTO a VALUES ('\'' || '; DROP TABLE b; --');", None), ["drop-table"]);
    assert_eq!(keys("SELECT 1 AS $$; DROP TABLE a; SELECT 2 AS $$;", None), ["drop-table"]);
    assert_eq!(keys("SELECT 1 /*! ; DROP TABLE a */;", None), ["executable-comment", "drop-table"]);
    // Nor does a finding that is seen hide another on its line.
    assert_eq!(
        keys("DROP TABLE a; SELECT 1 /*! ; DROP TABLE b */;", None),
        ["executable-comment", "drop-table", "drop-table"]
    );
}

#[test]
fn a_rebuild_is_one_warning_and_a_false_one_still_blocks() {
    let copy = "INSERT INTO _alembic_tmp_a (x) SELECT a.x FROM a;";
    let script = |copy: &str, rename: &str| {
        format!("CREATE TABLE _alembic_tmp_a (\n x int\n);\n{copy}\nDROP TABLE a;\n{rename};")
    };
    let rename = "ALTER TABLE _alembic_tmp_a RENAME TO a";
    let found = find(&script(copy, rename), None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].rule, found[0].severity), ("table-rebuild", Severity::Warn));
    assert_eq!((found[0].line, found[0].last_line), (1, 6));
    for (copy, rename) in [
        ("", rename),
        ("INSERT INTO _alembic_tmp_a (x) SELECT a.x FROM a LIMIT 1;", rename),
        ("INSERT INTO _alembic_tmp_a (x) SELECT a.x FROM a WHERE x > 1;", rename),
        ("INSERT INTO _alembic_tmp_a (x) SELECT DISTINCT a.x FROM a;", rename),
        ("INSERT INTO _alembic_tmp_a (x) SELECT b.x FROM b;", rename),
        ("INSERT INTO _alembic_tmp_a (x) VALUES (1);", rename),
        (copy, "SELECT 1"),
        (copy, "ALTER TABLE _alembic_tmp_a RENAME TO b"),
    ] {
        assert!(keys(&script(copy, rename), None).contains(&"drop-table"), "{copy} {rename}");
    }
}

#[test]
fn transactions_are_one_finding_unless_they_frame_the_script() {
    let sqlite = Some(Dialect::Sqlite);
    assert!(keys("BEGIN; SELECT 1; COMMIT;", sqlite).is_empty());
    assert!(keys("SELECT 1;", sqlite).is_empty());
    assert_eq!(keys("BEGIN; SELECT 1; COMMIT; BEGIN; SELECT 2; COMMIT;", sqlite), ["transaction-control"]);
    assert_eq!(keys("BEGIN; SELECT 1; ROLLBACK;", sqlite), ["transaction-control"]);
    assert_eq!(keys("SAVEPOINT a; SELECT 1;", sqlite), ["transaction-control"]);
}

#[test]
fn hidden_characters_are_found_once_a_line_and_named() {
    let found = find("SELECT 1; -- \u{202E}\u{2066}\nSELECT\r2;\nSELECT 3;\r\n", None);
    assert_eq!(
        found.iter().map(|f| (f.rule, f.line)).collect::<Vec<_>>(),
        [("hidden-text", 1), ("hidden-text", 2)]
    );
    assert!(found[0].why.ends_with("U+202E, U+2066."), "{}", found[0].why);
    assert!(found[1].why.ends_with("U+000D."), "{}", found[1].why);
}

#[test]
fn the_list_is_bounded_and_says_so() {
    let found = find(&"DROP TABLE a;\n".repeat(3_000), None);
    assert_eq!(found.len(), MAX + 1);
    assert_eq!(found[MAX].rule, "too-many-findings");
    let long = find(&format!("DROP TABLE {};", "x".repeat(5_000)), None);
    assert_eq!(long[0].statement.chars().count(), 300);
    assert!(long[0].why.len() < 400);
}

#[test]
fn large_and_nested_scripts_take_linear_time() {
    let cases = [
        "(".repeat(2_000_000),
        "SELECT 1;".repeat(200_000),
        "(DELETE ".repeat(50_000),
        "$a".repeat(500_000),
        "DO $$ DO $x$ ".repeat(50_000),
        "CREATE TRIGGER t BEGIN ".repeat(50_000),
        "/*".repeat(500_000),
        "ALTER TABLE a DROP b,".repeat(50_000),
    ];
    // Quadratic work on the first would be 10^12 steps: the test would not end.
    for sql in cases {
        for dialect in Dialect::ALL {
            let _ = find(&sql, Some(dialect));
        }
    }
}

#[test]
fn the_sample_projects_sql_has_what_people_would_point_at() {
    let up = find(include_str!("../demo/data/upgrade.sql"), None);
    let brief: Vec<_> = up.iter().map(|f| (f.rule, f.severity, f.line, f.last_line)).collect();
    let rebuild = ("table-rebuild", Severity::Warn, 13, 28);
    let cast = ("narrowing-type", Severity::Warn, 23, 24);
    assert_eq!(brief, [rebuild, cast, ("drop-column", Severity::Block, 34, 34)]);
    assert_eq!(up[2].why, "The values of trades.legacy_ref are lost in every row.");
    assert_eq!(
        keys(include_str!("../demo/data/downgrade.sql"), None),
        ["drop-column", "drop-index", "drop-index", "table-rebuild", "drop-column"]
    );
    assert_eq!(
        keys(include_str!("../demo/data/upgrade.postgresql.sql"), PG),
        [
            "transaction-per-revision",
            "type-change",
            "narrowing-type",
            "not-null-added",
            "unique-added",
            "constraint-added",
            "drop-column",
            "index-not-concurrent",
            "index-not-concurrent",
        ]
    );
}

/// Counted by other means: words at the beginning of statements in the rendered files.
#[test]
fn the_corpus_has_as_many_findings_as_statements_that_ask_for_them() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql");
    let count = |file: &str, dialect, rule: &str| {
        let sql = std::fs::read_to_string(root.join(file)).unwrap();
        find(&sql, dialect).iter().filter(|f| f.rule == rule).count()
    };
    let mysql = Some(Dialect::MySql);
    assert_eq!(count("mlflow/clean/downgrade.sqlite.sql", None, "drop-table"), 8);
    assert_eq!(count("mlflow/clean/downgrade.postgresql.sql", PG, "drop-table"), 8);
    assert_eq!(count("mlflow/server-only/downgrade.mysql.sql", mysql, "drop-table"), 15);
    assert_eq!(count("mlflow/server-only/downgrade.mysql.sql", mysql, "drop-index"), 21);
    for (file, dialect) in [
        ("mlflow/clean/upgrade.sqlite.sql", None),
        ("mlflow/clean/upgrade.postgresql.sql", None),
        ("mlflow/clean/upgrade.mysql.sql", None),
        ("mlflow/server-only/upgrade.postgresql.sql", None),
        ("taskflow/rename-table/upgrade.mysql.sql", mysql),
        ("airflow/3.2.0-to-3.3.0/upgrade.postgresql.sql", PG),
    ] {
        assert_eq!(count(file, dialect, "unparsed"), 0, "{file}");
        assert_eq!(count(file, dialect, "drop-table"), 0, "{file}");
    }
}

/// Rendered from the sample project: three revisions of tables and a filled column, and one of indexes and a default.
#[test]
fn the_sample_projects_harmless_migrations_have_no_finding() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/findings/harmless");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    for dialect in ["sqlite", "mysql"] {
        for file in ["tables-and-column", "indexes-and-default"] {
            let found = find(&read(&format!("{file}.{dialect}.sql")), None);
            assert!(found.is_empty(), "{file}, {dialect}: {found:?}");
        }
    }
    for file in ["tables-and-column", "indexes-and-default"] {
        let found = find(&read(&format!("{file}.postgresql.sql")), None);
        let heavy: Vec<_> = found.iter().filter(|f| f.severity > Severity::Note).map(|f| f.rule).collect();
        // On PostgreSQL nobody writes to a table while its index is built: harmless elsewhere, not there.
        let expected: &[&str] = if file == "tables-and-column" { &[] } else { &["index-not-concurrent"; 2] };
        assert_eq!(heavy, expected, "{file}: {found:?}");
    }
}

#[test]
fn what_only_another_database_runs_does_not_drown_in_what_it_warns_of() {
    let warned = "/*!50000 ALTER TABLE a MODIFY b INT NOT NULL */;\n".repeat(MAX + 1);
    let found = find(&format!("{warned}/*!50000 DROP TABLE trades */;\nSELECT 1;\n"), None);
    assert!(
        found
            .iter()
            .any(|finding| finding.rule == "too-many-findings" && finding.severity == Severity::Block)
    );
}

/// Each of these was a table dropped without a word: the database and the portal disagreed on where a quote ends.
#[test]
fn no_quote_hides_a_statement_from_the_database_that_is_named() {
    for sql in [
        "PRAGMA foreign_keys = ON; SELECT $a('); DROP TABLE trades; SELECT $a(');",
        "PRAGMA foreign_keys = ON; SELECT @a('); DROP TABLE trades; SELECT @a(');",
        "PRAGMA foreign_keys = ON; SELECT :a('); DROP TABLE trades; SELECT :a(');",
        "PRAGMA foreign_keys = ON; SELECT 1 AS \"a\\\"; SELECT $a$; DROP TABLE trades; SELECT $a$;",
        "SET lock_timeout = '5s'; SELECT 1 AS \"a\\\", E'x'\n'\\''; DROP TABLE trades; --';",
    ] {
        assert!(keys(sql, None).contains(&"drop-table"), "{sql}: {:?}", keys(sql, None));
    }
    for sql in [
        "SET lock_timeout = '5s'; SET standard_conforming_strings = off;\nSELECT 1 # '1', '\\''; DROP TABLE trades; --';",
        "SET FOREIGN_KEY_CHECKS = 1; SET sql_mode='NO_BACKSLASH_ESCAPES'; SELECT 1--1, '\\'; DROP TABLE trades; -- ';",
        "SET FOREIGN_KEY_CHECKS = 1; SELECT 1--1, /*!99999 ' */ 2; DROP TABLE trades; SELECT 2 /*!99999 ' */;",
        "SELECT 1; DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); END $$;",
    ] {
        assert!(keys(sql, None).contains(&"reads-differently"), "{sql}: {:?}", keys(sql, None));
    }
}

#[test]
fn a_reading_that_breaks_off_is_not_passed_over() {
    // Nobody knows whose script this is.
    assert_eq!(keys(r"INSERT INTO a VALUES ('C:\');", None), ["reads-differently"]);
    // PostgreSQL's, which reads it to its end.
    assert_eq!(keys(r"SET lock_timeout = '5s'; COMMENT ON TABLE q IS 'C:\';", None), ["other-reading"]);
    for sql in [
        "-- C:\\temp\\'\nINSERT INTO a VALUES ('it''s', 'C:\\dir\\file');",
        "SET lock_timeout = '5s'; INSERT INTO a VALUES (E'it\\'s');",
        "INSERT INTO a VALUES ('{\"a\": \"it''s \\\"b\\\"\"}'); -- don't",
        "SELECT a[1], '[', 5 % 2 FROM b; /* don't */",
    ] {
        assert_eq!(keys(sql, None), [""; 0], "{sql}");
    }
}

#[test]
fn a_list_of_actions_that_is_cut_says_so() {
    let many = |action: &str| (0..60).map(|n| format!("{action}{n}")).collect::<Vec<_>>().join(", ");
    for dialect in [Dialect::PostgreSql, Dialect::MySql] {
        let drops = many("DROP CONSTRAINT c");
        let found = keys(&format!("ALTER TABLE trades {drops}, DROP COLUMN price;"), Some(dialect));
        let said = ["too-many-findings", "drop-column"];
        assert!(said.iter().any(|key| found.contains(key)), "{dialect:?}: {found:?}");
    }
    // More than are listed on one line do not hide the lines that follow.
    let found = find(&format!("{}\n/*! DROP */", "/*! a */".repeat(MAX + 9)), None);
    assert!(found.iter().any(|f| f.rule == "executable-comment" && f.line == 2));
}
