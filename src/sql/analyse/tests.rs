use super::*;

const ALL: [Dialect; 3] = Dialect::ALL;

fn parsed(sql: &str, dialect: Dialect) -> Vec<Vec<&'static str>> {
    let keys = |reading: Reading| match reading {
        Reading::Parsed(found) => found.into_iter().map(|(rule, _)| rule.key).collect(),
        Reading::Refused => vec!["refused"],
        Reading::Kept(_) => vec!["kept"],
    };
    read(sql, dialect, true).into_iter().map(keys).collect()
}

/// A parser that runs out of stack aborts the process, and the test with it.
#[test]
fn no_chain_of_words_is_deeper_than_the_stack() {
    let heads = ["ALTER TABLE a ADD b int DEFAULT ", "CREATE VIEW v AS SELECT ", ""];
    let links = [
        "(",
        "[",
        "{",
        "NOT ",
        "- ",
        "+ ",
        "~ ",
        "CASE WHEN ",
        "CASE ",
        "SELECT ",
        "(SELECT ",
        "a.",
        "a::int",
        "::int",
        "a OR ",
        "1+",
        "1 = ",
        "a AND ",
        "a[1]",
        "[1]",
        "f(",
        "a,",
        "UNION SELECT 1 ",
        "SELECT 1 UNION ",
        "EXPLAIN ",
        "a JOIN b ON ",
        "FROM a JOIN ",
        "WITH a AS (",
        "a BETWEEN 1 AND ",
        "a IS NOT NULL ",
        "a IN (",
        "EXISTS ",
        "a LIKE ",
        "ARRAY[",
        "ROW(",
        "INTERVAL ",
        "COLLATE a ",
        "a ? ",
        "||a",
        "a -> ",
        "CREATE SCHEMA s ",
        "IF ",
        "BEGIN ",
        "a := ",
        "AT TIME ZONE ",
        "OVER (",
        "VALUES (1), ",
        "PREPARE p AS ",
        "a ^ ",
        "ANY(",
        "CAST(",
        "a AS ",
        "$1",
        "x'",
        "U&\"a\" ",
        "PRIOR ",
        "a.*",
    ];
    for dialect in ALL {
        for (head, link) in heads.iter().flat_map(|head| links.map(|link| (head, link))) {
            let _ = read(&format!("{head}{}", link.repeat(190)), dialect, true);
            // Long chains cost time, and only what takes expressions makes them deep.
            if *head == heads[0] || (head.is_empty() && dialect == Dialect::PostgreSql) {
                let _ = read(&format!("{head}{}", link.repeat(4_990)), dialect, true);
            }
        }
    }
}

#[test]
fn one_bad_statement_costs_only_itself() {
    let deep = format!("ALTER TABLE a ADD b int DEFAULT {}1{}", "(".repeat(300), ")".repeat(300));
    let long = format!("ALTER TABLE a ADD b int DEFAULT {}1", "1+".repeat(20_000));
    for dialect in ALL {
        let sql = format!("ALTER TABLE a DROP b;{deep};{long};ALTER TABLE ,,;ALTER TABLE a DROP COLUMN c;");
        let parsed = parsed(&sql, dialect);
        assert_eq!(parsed[1..4], [vec!["kept"], vec!["kept"], vec!["refused"]], "{dialect:?}");
        assert_eq!(parsed[4], ["drop-column"], "{dialect:?}");
    }
}

#[test]
fn what_is_parsed_of_a_script_is_bounded_by_its_size_alone() {
    let statement = "ALTER TABLE a DROP COLUMN b; ";
    let many = statement.repeat(MOST_STATEMENTS + 1_000);
    assert_eq!(read(&many, Dialect::Sqlite, true).len(), MOST_STATEMENTS);
    let wide = format!("INSERT INTO a VALUES ('{}');", "x".repeat(100_000)).repeat(30);
    let readings = read(&wide, Dialect::Sqlite, true).len();
    assert_eq!(readings, MOST_BYTES / (wide.len() / 30));
    let found =
        super::super::findings::find(&format!("{wide}ALTER TABLE a DROP COLUMN b;"), Some(Dialect::Sqlite));
    let brief: Vec<_> = found.iter().map(|f| f.rule).collect();
    assert_eq!(brief, ["drop-column", "keywords-only"]);
}

#[test]
fn comments_steer_no_parser() {
    let volatile = "ADD COLUMN t uuid DEFAULT gen_random_uuid()";
    for comment in [
        "/* squawk-ignore */",
        "-- squawk-ignore adding-field-with-default\n",
        "/* squawk-ignore-file */",
        "-- squawk-disable-assume-in-transaction\n",
        "/* /* */ squawk-ignore-file */",
    ] {
        let sql = format!("{comment} ALTER TABLE a {comment} {volatile} {comment};");
        assert_eq!(parsed(&sql, Dialect::PostgreSql), [["volatile-default"]], "{sql}");
    }
    assert_eq!(
        parsed(&format!("ALTER TABLE a {volatile}, ADD é text /* é */"), Dialect::PostgreSql).len(),
        1
    );
}
