//! The tables of statements with the findings they should have: `tests/fixtures/findings`.

use super::find;
use crate::sql::dialect::Dialect;

/// One case of a table.
struct Case {
    expected: Vec<String>,
    sql: String,
    at: usize,
}

fn cases(table: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut preceded = false;
    for (at, line) in (1..).zip(table.split_inclusive('\n')) {
        if let Some(head) = line.strip_prefix("==== ") {
            let mut expected: Vec<String> = expand(head).split_whitespace().map(str::to_owned).collect();
            let bare = expected.first().is_some_and(|word| word == "bare");
            expected.retain(|word| word != "bare" && word != "nothing");
            expected.sort();
            let sql = if preceded && !bare { "SET lock_timeout = '5s'; " } else { "" };
            cases.push(Case { expected, sql: sql.to_owned(), at });
        } else if let Some(case) = cases.last_mut() {
            case.sql.push_str(&expand(line));
        } else {
            preceded |= line.contains("SET lock_timeout before its first line");
        }
    }
    cases
}

/// `{U+202E}` and `{3 x ab}`.
fn expand(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (inside, after) = after.split_once('}').expect("a brace is closed on its line");
        if let Some(code) = inside.strip_prefix("U+") {
            text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        } else {
            let (times, what) = inside.split_once(" x ").unwrap();
            text.push_str(&what.repeat(times.parse().unwrap()));
        }
        rest = after;
    }
    text + rest
}

fn hold(table: &str, dialect: Dialect, least: usize) {
    let mut wrong = Vec::new();
    let cases = cases(table);
    assert!(cases.len() >= least, "only {} cases", cases.len());
    for case in cases {
        let mut found: Vec<_> =
            find(&case.sql, Some(dialect)).iter().map(|f| format!("{}:{}", f.rule, f.line)).collect();
        found.sort();
        if found != case.expected {
            let sql: String = case.sql.chars().take(120).collect();
            wrong.push(format!(
                "line {}: {sql:?}\n    expected {:?}\n    found    {found:?}",
                case.at, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases of {}:\n{}", wrong.len(), dialect.name(), wrong.join("\n"));
}

#[test]
fn the_table_of_postgresql_holds() {
    hold(include_str!("../../tests/fixtures/findings/postgresql.txt"), Dialect::PostgreSql, 60);
}

#[test]
fn the_table_of_sqlite_holds() {
    hold(include_str!("../../tests/fixtures/findings/sqlite.txt"), Dialect::Sqlite, 60);
}

#[test]
fn the_table_of_mysql_holds() {
    hold(include_str!("../../tests/fixtures/findings/mysql.txt"), Dialect::MySql, 60);
}

#[test]
fn code_that_statements_carry_is_read_as_postgresql_does() {
    hold(include_str!("../../tests/fixtures/findings/carried-code.postgresql.txt"), Dialect::PostgreSql, 60);
}

#[test]
fn code_that_statements_carry_is_read_as_sqlite_does() {
    hold(include_str!("../../tests/fixtures/findings/carried-code.sqlite.txt"), Dialect::Sqlite, 10);
}

#[test]
fn code_that_statements_carry_is_read_as_mysql_does() {
    hold(include_str!("../../tests/fixtures/findings/carried-code.mysql.txt"), Dialect::MySql, 25);
}
