use super::*;
use crate::sql::findings::find;

fn compared(up: &str, down: &str, side: Side) -> Vec<(&'static str, u32)> {
    let own = find(if side == Side::Upgrade { up } else { down }, None);
    let found = compare(up, down, side, own);
    found.into_iter().map(|f| (f.rule, f.line)).collect()
}

#[test]
fn a_downgrade_that_undoes_everything_has_only_notes() {
    let up = "ALTER TABLE a ADD COLUMN b int;\nCREATE TABLE c (d int);\nCREATE INDEX i ON c (d);";
    let down = "DROP INDEX i;\nDROP TABLE c;\nALTER TABLE a DROP COLUMN b;";
    let expected = [("drop-index", 1), ("takes-back", 2), ("takes-back", 3)];
    assert_eq!(compared(up, down, Side::Downgrade), expected);
    assert_eq!(compared(up, down, Side::Upgrade), []);
    let renamed = ("ALTER TABLE a RENAME TO b;", "ALTER TABLE b RENAME TO a;");
    assert_eq!(compared(renamed.0, renamed.1, Side::Upgrade), [("rename", 1)]);
}

#[test]
fn what_is_left_out_is_said_on_either_side() {
    let up =
        "SELECT 1;\nALTER TABLE a ADD COLUMN b int;\nALTER TABLE a DROP COLUMN e;\nCREATE TABLE c (d int);";
    let undone = "downgrade-does-not-undo";
    assert_eq!(compared(up, "SELECT 1;", Side::Downgrade), [(undone, 1), (undone, 1), (undone, 1)]);
    assert_eq!(compared(up, "DROP TABLE c;", Side::Upgrade), [(undone, 2), ("drop-column", 3), (undone, 3)]);
}

#[test]
fn a_drop_beyond_the_upgrade_keeps_its_weight() {
    let up = "ALTER TABLE a ADD COLUMN b int;";
    let down = "ALTER TABLE a DROP COLUMN b; DROP TABLE trades;";
    let found = compare(up, down, Side::Downgrade, find(down, None));
    let brief: Vec<_> = found.iter().map(|f| f.rule).collect();
    assert_eq!(brief, ["takes-back", "drop-table"], "they share a line, and each is told by itself");
    assert_eq!(compared(up, down, Side::Upgrade), [("downgrade-goes-further", 1)]);
    assert_eq!(
        compared("ALTER TABLE a DROP COLUMN b;", "ALTER TABLE a ADD COLUMN b int;", Side::Downgrade),
        []
    );
}

#[test]
fn the_rendered_pairs_of_the_sample_and_the_corpus() {
    let (up, down) = (include_str!("../demo/data/upgrade.sql"), include_str!("../demo/data/downgrade.sql"));
    let found = compare(up, down, Side::Downgrade, find(down, None));
    let brief: Vec<_> = found.iter().map(|f| f.rule).collect();
    assert_eq!(brief, ["takes-back", "drop-index", "drop-index", "table-rebuild", "takes-back"]);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/sql/mlflow");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    for dialect in ["sqlite", "postgresql", "mysql"] {
        let up = read(&format!("clean/upgrade.{dialect}.sql"));
        let down = read(&format!("clean/downgrade.{dialect}.sql"));
        let found = compare(&up, &down, Side::Downgrade, find(&down, None));
        assert!(found.iter().all(|f| f.severity == crate::domain::artifact::Severity::Note), "{found:?}");
    }
    let up = read("silent-downgrade/upgrade.postgresql.sql");
    let down = read("silent-downgrade/downgrade.postgresql.sql");
    let found = compare(&up, &down, Side::Downgrade, find(&down, None));
    assert_eq!(found.iter().filter(|f| f.rule == "downgrade-does-not-undo").count(), 3, "{found:?}");
}

#[test]
fn only_what_the_upgrade_really_adds_is_taken_back() {
    for (up, down) in [
        ("ALTER TABLE trades RENAME TO deals;", "DROP TABLE deals; CREATE TABLE trades (id int);"),
        ("ALTER TABLE trades RENAME TO deals;", "DROP TABLE deals;"),
        ("ALTER TABLE a RENAME COLUMN price TO rate;", "ALTER TABLE a DROP COLUMN rate;"),
        ("ALTER TABLE a CHANGE price rate int;", "ALTER TABLE a DROP COLUMN rate;"),
        ("CREATE TABLE n (id int); RENAME TABLE n TO m, trades TO n;", "DROP TABLE n;"),
        ("CREATE TABLE IF NOT EXISTS trades (id int);", "DROP TABLE trades;"),
        ("ALTER TABLE a ADD COLUMN IF NOT EXISTS price int;", "ALTER TABLE a DROP COLUMN price;"),
        ("CREATE TEMP TABLE trades (id int);", "DROP TABLE trades;"),
        ("CREATE TEMP TABLE a (id int); ALTER TABLE a ADD COLUMN b int;", "ALTER TABLE a DROP COLUMN b;"),
        ("CREATE TABLE scratch.trades (id int);", "DROP TABLE public.trades;"),
        ("CREATE TABLE scratch.trades (id int);", "DROP TABLE trades;"),
        ("SET search_path TO scratch; CREATE TABLE trades (id int);", "DROP TABLE trades;"),
        ("CREATE OR REPLACE TABLE trades (id int);", "DROP TABLE trades;"),
        ("CREATE PUBLICATION p FOR TABLE trades;", "DROP TABLE trades;"),
        ("CREATE TABLE n (id int);", "DROP TABLE n; DO $$ BEGIN DROP TABLE trades; END $$;"),
        ("CREATE TABLE n (id int);", "DROP TABLE n; DROP TABLE trades; CREATE TABLE trades (id int);"),
        ("CREATE TABLE n (id int);", "DROP TABLE n, trades;"),
        ("CREATE TABLE n (id int);", "DROP TABLE n /*! , trades */;"),
        ("CREATE TABLE n (id int); ALTER TABLE n ATTACH PARTITION trades DEFAULT;", "DROP TABLE n;"),
        ("ALTER TABLE a ADD COLUMN b int;", "ALTER TABLE a DROP COLUMN b, DROP COLUMN c;"),
        ("CREATE TABLE n (id int); DROP TABLE n; ALTER TABLE trades RENAME TO n;", "DROP TABLE n;"),
        (
            "CREATE TABLE n (id int); CREATE TABLE _alembic_tmp_n (id int); DROP TABLE _alembic_tmp_n; \
             ALTER TABLE trades RENAME TO _alembic_tmp_n; DROP TABLE n; ALTER TABLE _alembic_tmp_n RENAME TO n;",
            "DROP TABLE n;",
        ),
        (
            "CREATE TABLE n (id int); DO $$ BEGIN ALTER TABLE n RENAME TO m; ALTER TABLE trades RENAME TO n; END $$;",
            "DROP TABLE n;",
        ),
        (r"SELECT '\'; CREATE TABLE trades (id int); -- ';", "DROP TABLE trades;"),
        ("DROP TABLE trades; CREATE TABLE trades (id int);", "DROP TABLE trades;"),
    ] {
        let found = compare(up, down, Side::Downgrade, find(down, None));
        let drops = found.iter().filter(|f| matches!(f.rule, "drop-table" | "drop-column")).count();
        assert!(drops > 0, "{up} | {down}: {found:?}");
        // What stands beside it on the line may well be taken back, the table of the business not.
        let light = found.iter().filter(|f| f.rule == "takes-back" && f.statement.contains("trades"));
        assert_eq!(light.count(), 0, "{up} | {down}: {found:?}");
        let further = compared(up, down, Side::Upgrade);
        let body = down.contains("DO $$") || down.contains("/*!");
        assert_eq!(
            further.iter().any(|f| f.0 == "downgrade-goes-further"),
            !body,
            "{up} | {down}: {further:?}"
        );
    }
}

#[test]
fn names_are_followed_through_renames() {
    for (up, down) in [
        ("ALTER TABLE a ADD b int; ALTER TABLE a RENAME b TO c;", "ALTER TABLE a DROP c;"),
        (
            "ALTER TABLE a ADD b int; ALTER TABLE a RENAME b TO c;",
            "ALTER TABLE a RENAME c TO b; ALTER TABLE a DROP b;",
        ),
        (
            "ALTER TABLE a ADD b int; ALTER TABLE a RENAME TO z;",
            "ALTER TABLE z RENAME TO a; ALTER TABLE a DROP b;",
        ),
        ("ALTER TABLE a RENAME TO z; CREATE TABLE a (b int);", "DROP TABLE a; ALTER TABLE z RENAME TO a;"),
        ("CREATE TABLE public.a (b int);", "DROP TABLE a;"),
        ("CREATE TABLE s.a (b int);", "DROP TABLE S.a;"),
        ("SET search_path TO s; CREATE TABLE a (b int);", "SET search_path TO s; DROP TABLE a;"),
        ("CREATE TABLE a (b int); DROP TABLE a; CREATE TABLE a (b int);", "DROP TABLE a;"),
    ] {
        let (up, down) = (format!("SET lock_timeout = 1;\n{up}"), format!("SET lock_timeout = 1;\n{down}"));
        let dialect = Some(Dialect::PostgreSql);
        let found = compare(&up, &down, Side::Downgrade, find(&down, dialect));
        let heavy: Vec<_> =
            found.iter().map(|f| f.rule).filter(|r| !matches!(*r, "takes-back" | "rename")).collect();
        assert!(heavy.is_empty() && found.iter().any(|f| f.rule == "takes-back"), "{up} | {down}: {found:?}");
    }
    // Two tables that change places: the column is dropped from the one that had it before.
    let up = "ALTER TABLE a RENAME TO b; ALTER TABLE c RENAME TO a; ALTER TABLE a ADD x int;";
    let down = "ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE a DROP x;";
    let found = compare(up, down, Side::Downgrade, find(down, None));
    assert!(found.iter().any(|f| f.rule == "drop-column"), "{found:?}");
    // A rename is undone by the rename back and by nothing else.
    let undone = |down| compared("ALTER TABLE a RENAME TO b;", down, Side::Upgrade);
    assert_eq!(undone("ALTER TABLE b RENAME TO a;"), [("rename", 1)]);
    assert!(undone("SELECT 1;").contains(&("downgrade-does-not-undo", 1)));
    assert!(undone("ALTER TABLE b RENAME TO c;").contains(&("downgrade-does-not-undo", 1)));
}
