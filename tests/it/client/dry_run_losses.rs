//! What an upgrade destroys in ways that are easily overlooked: each counted, or said to be uncounted.

use super::dry_run_scene::{Ran, Rev, Scene};

const DATA: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
    INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'c');
    CREATE TABLE other (id INTEGER PRIMARY KEY, v TEXT);
    INSERT INTO other VALUES (1, 'x'), (2, 'y'), (3, 'z'), (4, 'w');
    CREATE TABLE child (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t (id) ON DELETE CASCADE);
    INSERT INTO child VALUES (1, 1), (2, 1), (3, 3);
";

fn upgraded(upgrade: &str) -> Option<Ran> {
    let revisions = [
        Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
        Rev { id: "r2", down: "r1", upgrade, downgrade: "raise NotImplementedError('no')" },
    ];
    let scene = Scene::tiny(&revisions, DATA)?;
    let ran = scene.run(&[]);
    assert_eq!(ran.step("upgrade").0, "passed", "{ran:?}");
    Some(ran)
}

fn execute(statements: &[&str]) -> String {
    statements.iter().map(|sql| format!("op.execute(\"{sql}\")\n")).collect::<Vec<_>>().concat()
}

fn loss(table: &str, rows: u64, values: u64) -> (String, u64, u64) {
    (table.to_owned(), rows, values)
}

#[test]
fn a_table_that_is_dropped_twice_is_lost_by_the_first_time() {
    let Some(ran) = upgraded(&execute(&["DROP TABLE t", "CREATE TABLE t (id INTEGER)", "DROP TABLE t"]))
    else {
        return;
    };
    assert_eq!(ran.losses(), [loss("t", 0, 0), loss("t", 3, 5)]);
}

#[test]
fn another_table_that_takes_the_name_of_a_dropped_one_brings_nothing_back() {
    let Some(ran) = upgraded(&execute(&["DROP TABLE t", "ALTER TABLE other RENAME TO t"])) else { return };
    assert_eq!(ran.losses(), [loss("t", 3, 5)]);
    let rebuilt = [
        "CREATE TABLE tmp (id INTEGER PRIMARY KEY, v TEXT)",
        "INSERT INTO tmp SELECT id, v FROM t WHERE id < 3",
        "DROP TABLE t",
        "ALTER TABLE tmp RENAME TO t",
    ];
    let Some(ran) = upgraded(&execute(&rebuilt)) else { return };
    assert_eq!(ran.losses(), [loss("t", 1, 0), loss("t.id", 0, 1), loss("t.v", 0, 1)]);
}

#[test]
fn rows_deleted_behind_with_and_rows_replaced_are_counted() {
    let statements = [
        "WITH gone AS (SELECT id FROM t WHERE id > 1) DELETE FROM t WHERE id IN (SELECT id FROM gone)",
        "REPLACE INTO other (id, v) VALUES (1, 'n'), (2, 'n'), (9, 'n')",
        "INSERT OR REPLACE INTO other (id, v) VALUES (9, 'm'), (10, 'm')",
    ];
    let Some(ran) = upgraded(&execute(&statements)) else { return };
    assert_eq!(ran.losses(), [loss("other", 1, 0), loss("other", 2, 0), loss("t", 2, 3)]);
    assert!(ran.warnings("E44")[0].contains("other"), "{ran:?}");
}

#[test]
fn what_can_t_be_counted_any_more_is_said_and_not_passed_over() {
    let many = "for n in range(320):\n    op.execute(f'UPDATE other SET v = NULL WHERE id = {n + 100}')\n\
                op.execute('DROP TABLE t')\n";
    let Some(ran) = upgraded(many) else { return };
    assert!(ran.losses().contains(&loss("t", 0, 0)), "{:?}", ran.losses());
    assert!(ran.warnings("E44").iter().any(|text| text.contains('t')), "{ran:?}");
}

#[test]
fn rows_that_fall_with_others_are_said_to_be_explained_by_no_statement() {
    let upgrade = execute(&["DELETE FROM t WHERE id = 1"]);
    let on = format!("op.get_bind().connection.cursor().execute('PRAGMA foreign_keys = ON')\n{upgrade}");
    let Some(ran) = upgraded(&on) else { return };
    assert_eq!(ran.losses(), [loss("t", 1, 2)]);
    let unexplained: Vec<_> = ran.warnings("E44");
    assert_eq!(
        unexplained,
        [
            "2 rows of child are gone that no statement accounts for: a cascade, a trigger, or SQL past SQLAlchemy"
        ]
    );
}

#[test]
fn values_set_to_null_by_a_parameter_are_counted_like_those_set_to_null_in_the_text() {
    let bind = "bind = op.get_bind()\n";
    let one = format!(
        "{bind}bind.execute(sa.text('UPDATE other SET v = :v WHERE id < :id'), {{'v': 'n', 'id': 0}})\n\
         bind.execute(sa.text('UPDATE other SET v = :v WHERE id < :id'), {{'v': None, 'id': 3}})\n\
         other = sa.table('other', sa.column('id'), sa.column('v'))\n\
         bind.execute(other.update().where(other.c.id == 3).values(v=None))\n"
    );
    let Some(ran) = upgraded(&one) else { return };
    assert_eq!(ran.losses(), [loss("other.v", 0, 1), loss("other.v", 0, 2)]);
    assert_eq!(ran.warnings("E44"), Vec::<&str>::new());

    let many = |rows: &str| {
        upgraded(&format!("{bind}bind.execute(sa.text('UPDATE t SET v = :v WHERE id = :id'), {rows})\n"))
    };
    // What a row keeps does not hide what another one loses.
    let rows = "[{'v': 'new', 'id': 1}, {'v': None, 'id': 3}]";
    let Some(ran) = many(rows) else { return };
    assert_eq!(ran.losses(), [loss("t.v", 0, 1)]);
    // The row that was NULL is filled as another one is emptied: the difference tells of neither.
    let rows = "[{'v': 'new', 'id': 2}, {'v': None, 'id': 3}]";
    let Some(ran) = many(rows) else { return };
    assert_eq!(ran.losses(), [loss("t.v", 0, 0)]);
    assert!(
        ran.warnings("E44")[0].contains("1 destructive statement could not be counted to the end"),
        "{ran:?}"
    );
    let rows = "[{'v': 'n', 'id': 1}, {'v': 'm', 'id': 3}]";
    let Some(ran) = many(rows) else { return };
    assert_eq!(ran.losses(), []);
}
