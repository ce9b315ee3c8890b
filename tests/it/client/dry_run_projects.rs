//! Small projects with one peculiarity each: what a dry run finds out about it.

use super::dry_run_scene::{Rev, Scene};

const FIRST: Rev<'static> = Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" };

fn second<'a>(upgrade: &'a str, downgrade: &'a str) -> [Rev<'a>; 2] {
    [FIRST, Rev { id: "r2", down: "r1", upgrade, downgrade }]
}

const DATA: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, email TEXT, seen TEXT);
    INSERT INTO people VALUES (1, 'a', 'x', NULL), (2, 'b', NULL, 'now'), (3, NULL, 'z', NULL), (4, 'd', 'q', 'then');
    CREATE TABLE notes (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people (id), text TEXT);
    INSERT INTO notes VALUES (1, 1, 'one'), (2, 2, NULL), (3, 4, 'three');
    CREATE TABLE old (id INTEGER PRIMARY KEY, v TEXT);
    INSERT INTO old VALUES (1, 'p'), (2, NULL);
    CREATE TRIGGER stamp AFTER UPDATE ON people BEGIN UPDATE notes SET text = text; END;
";

#[test]
fn what_every_destructive_statement_loses_is_counted() {
    let upgrade = "op.execute('DELETE FROM notes WHERE id > 1')\n\
                   op.execute('UPDATE people SET email = NULL WHERE id <= 3')\n\
                   op.drop_table('old')\n\
                   with op.batch_alter_table('people', recreate='always') as batch:\n    batch.drop_column('seen')\n";
    let Some(scene) = Scene::tiny(&second(upgrade, "raise NotImplementedError('no')"), DATA) else { return };
    let gone = scene.number("SELECT count(*) FROM notes WHERE id > 1");
    let in_them = scene.number("SELECT count(id) + count(person) + count(text) FROM notes WHERE id > 1");
    let emails = scene.number("SELECT count(email) FROM people WHERE id <= 3");
    let old = scene.number("SELECT count(*) FROM old");
    let in_old = scene.number("SELECT count(id) + count(v) FROM old");
    let seen = scene.number("SELECT count(seen) FROM people");
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.losses(),
        [
            ("notes".to_owned(), gone, in_them),
            ("old".to_owned(), old, in_old),
            ("people.email".to_owned(), 0, emails),
            ("people.seen".to_owned(), 0, seen),
        ]
    );
    let sql = scene.file("upgrade.sql");
    let lines: Vec<_> = ran.subject()["destructive"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|loss| {
            let line = usize::try_from(loss["line"].as_u64().unwrap_or_default()).unwrap_or_default();
            sql.lines().nth(line - 1).unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(
        lines,
        [
            "DELETE FROM notes WHERE id > 1;",
            "UPDATE people SET email = NULL WHERE id <= 3;",
            "DROP TABLE old;",
            "DROP TABLE people;"
        ]
    );
    // The rebuild of a table takes its trigger along, and the rows that fell are said.
    let warnings = ran.warnings("E42").join("; ");
    for part in ["loses trigger stamp on people", "notes has 1 row after", "table old is gone, with 2 rows"] {
        assert!(warnings.contains(part), "{part}: {warnings}");
    }
    assert!(ran.step("render-upgrade").1.contains("batch mode has to read table people"), "{ran:?}");
}

#[test]
fn a_rebuild_that_loses_nothing_and_a_table_that_only_changes_its_name_are_no_loss() {
    let upgrade = "op.rename_table('notes', 'remarks')\n\
                   with op.batch_alter_table('old', recreate='always') as batch:\n    \
                   batch.alter_column('v', nullable=True, type_=sa.String(40))\n";
    let downgrade = "op.rename_table('remarks', 'notes')";
    let Some(scene) = Scene::tiny(&second(upgrade, downgrade), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.losses(), []);
    assert_eq!(ran.warnings("E42"), Vec::<&str>::new());
    assert_eq!(ran.warnings("E51"), ["after the downgrade the schema differs in old"]);
}

#[test]
fn a_downgrade_that_does_nothing_or_too_little_is_found_out() {
    let add = "op.add_column('people', sa.Column('age', sa.Integer()))";
    let Some(silent) = Scene::tiny(&second(add, "pass"), DATA) else { return };
    let ran = silent.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.warnings("E54").len(), 1);
    assert_eq!(ran.subject()["downgrade_restores"]["schema"], false);
    assert_eq!(ran.step("upgrade-again").0, "not-possible");

    let Some(lossy) =
        Scene::tiny(&second(add, "op.drop_column('people', 'age')\nop.execute('DELETE FROM notes')"), DATA)
    else {
        return;
    };
    let ran = lossy.run(&[]);
    assert_eq!(ran.step("compare").1, "schema as before; what does not come back: 3 rows fewer in notes");
    let restores = &ran.subject()["downgrade_restores"];
    assert_eq!((&restores["schema"], &restores["data"]), (&true.into(), &false.into()));

    let Some(broken) = Scene::tiny(&second(add, "op.drop_column('people', 'nothing')"), DATA) else { return };
    let ran = broken.run(&[]);
    assert_eq!((ran.code, ran.step("downgrade").0), (1, "failed"), "{ran:?}");
    assert!(ran.step("downgrade").1.starts_with("E50: the downgrade of revision r2 failed"));
    assert!(ran.stderr.contains("--no-downgrade"));
    let ran = broken.run(&["--no-downgrade", "restore the backup instead"]);
    assert_eq!((ran.code, ran.step("downgrade").0), (0, "not-possible"), "{ran:?}");
    assert_eq!(broken.file("downgrade.sql"), "-- not possible: restore the backup instead\n");
}

#[test]
fn sql_that_is_not_what_the_upgrade_does_is_found_out() {
    let upgrade = "if context.is_offline_mode():\n    op.execute(\"UPDATE people SET name = 'other'\")\n\
                   else:\n    op.execute(\"UPDATE people SET name = 'this'\")";
    let Some(scene) = Scene::tiny(&second(upgrade, "pass"), DATA) else { return };
    // The two differ in nothing but a value, so only applying them tells.
    assert_eq!(scene.run(&[]).code, 0);
    let ran = scene.run(&["--verify-sql"]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (1, "failed"), "{ran:?}");
    assert!(ran.step("verify-sql").1.contains("E43") && ran.step("verify-sql").1.contains("people.name"));

    let upgrade = "op.add_column('people', sa.Column('age', sa.Integer()))\n\
                   if not context.is_offline_mode():\n    op.execute('UPDATE people SET age = 3')";
    let Some(scene) = Scene::tiny(&second(upgrade, "op.drop_column('people', 'age')"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (1, "failed"), "{ran:?}");
    assert_eq!(ran.subject()["checks"]["statements"]["only_executed"][0], "update people set age = ?");
    assert!(ran.stderr.contains("--no-render"));
    // With the reason on record, what was executed stands in for it.
    let ran = scene.run(&["--no-render", "Offline, r2 leaves the ages empty."]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (0, "passed"), "{ran:?}");
    assert_eq!(ran.step("render-upgrade"), ("not-possible", "E30: Offline, r2 leaves the ages empty."));
    assert_eq!(ran.subject()["upgrade"]["captured_online"], true);
    assert!(scene.file("upgrade.sql").contains("UPDATE people SET age = 3;"));
    assert_eq!(scene.run(&["--no-render", "short"]).code, 2);
}

#[test]
fn sql_that_was_captured_is_run_on_a_second_copy() {
    // No offline render, so what was executed stands in for it.
    let online = "rows = op.get_bind().execute(sa.text('SELECT id FROM people')).fetchall()\n";
    let faithful = format!(
        "{online}for row in rows:\n    op.execute(f\"UPDATE people SET name = 'n{{row[0]}}' WHERE id = {{row[0]}}\")"
    );
    let Some(scene) = Scene::tiny(&second(&faithful, "pass"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (0, "passed"), "{ran:?}");
    assert_eq!(ran.subject()["upgrade"]["captured_online"], true);
    // What goes past SQLAlchemy is in no file.
    let hidden = format!(
        "{online}op.execute('PRAGMA user_version = 7')\nop.execute(\"UPDATE people SET seen = 'x'\")\n\
         op.get_bind().connection.cursor().execute('DELETE FROM notes')"
    );
    let Some(scene) = Scene::tiny(&second(&hidden, "pass"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (1, "failed"), "{ran:?}");
    assert!(
        ran.step("verify-sql").1.contains("E43") && ran.step("verify-sql").1.contains("notes"),
        "{ran:?}"
    );
    assert!(scene.file("upgrade.sql").contains("PRAGMA user_version = 7;"));
}

#[test]
fn values_of_chance_are_no_fault_of_sql_that_was_captured() {
    let online = "op.get_bind().execute(sa.text('SELECT id FROM people')).fetchall()\n";
    let update = "op.execute('UPDATE people SET name = lower(hex(randomblob(8)))')\n";
    let Some(scene) = Scene::tiny(&second(&format!("{online}{update}"), "pass"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (0, "passed"), "{ran:?}");
    assert!(
        ran.warnings("E43")[0].starts_with("the values of people.name are not those of the upgrade"),
        "{ran:?}"
    );

    // By a default, too; other values and other numbers of them are what they always were.
    let table = "CREATE TABLE tokens (id INTEGER PRIMARY KEY, t TEXT DEFAULT (hex(randomblob(8))));";
    let data = format!("{DATA} {table}");
    let insert = format!("{online}op.execute('INSERT INTO tokens DEFAULT VALUES')\n");
    let Some(scene) = Scene::tiny(&second(&insert, "pass"), &data) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("verify-sql").0), (0, "passed"), "{ran:?}");
    assert!(ran.warnings("E43")[0].contains("tokens.t"), "{ran:?}");
    for hidden in
        ["UPDATE people SET email = 'other' WHERE id = 1", "UPDATE people SET name = NULL WHERE id = 1"]
    {
        let upgrade = format!("{online}{update}op.get_bind().connection.cursor().execute(\"{hidden}\")");
        let Some(scene) = Scene::tiny(&second(&upgrade, "pass"), DATA) else { return };
        let ran = scene.run(&[]);
        assert_eq!((ran.code, ran.step("verify-sql").0), (1, "failed"), "{hidden}: {ran:?}");
        assert_eq!(ran.warnings("E43"), Vec::<&str>::new());
    }
}

#[test]
fn renders_that_differ_and_percents_that_double_are_found_out() {
    let upgrade = "import random\n\
                   for n in random.sample(range(10**9), 3):\n    op.execute(f'UPDATE people SET seen = {n} WHERE id = 9')";
    let Some(scene) = Scene::tiny(&second(upgrade, "pass"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.warnings("E36")[0].contains("other statements"), "{ran:?}");
    let upgrade = &ran.subject()["upgrade"];
    assert_eq!((&upgrade["reproducible"], &upgrade["sqlnorm1"]), (&false.into(), &serde_json::Value::Null));

    let order =
        "for n in {'aa', 'bb', 'cc', 'dd', 'ee', 'ff'}:\n    op.create_index('ix_' + n, 'people', ['name'])";
    let Some(scene) = Scene::tiny(&second(order, "pass"), DATA) else { return };
    assert!(scene.run(&[]).warnings("E36")[0].contains("same statements, other order"));

    let percent = "op.execute(\"UPDATE people SET name = '100%'\")";
    let Some(scene) = Scene::tiny_with(&second(percent, "pass"), DATA, "", "") else { return };
    let ran = scene.run(&["--dialect", "postgresql"]);
    assert_eq!(ran.subject()["dialect"], "postgresql");
    assert!(ran.warnings("E34")[0].contains("paramstyle"), "{ran:?}");
}

#[test]
fn what_env_py_prints_never_gets_into_the_sql_and_a_url_that_is_not_used_is_found_out() {
    let add =
        second("op.add_column('people', sa.Column('age', sa.Integer()))", "op.drop_column('people', 'age')");
    let noisy = "print('2026-01-01 12:00 loading settings')\nprint('FAILED, but not really')";
    let Some(scene) = Scene::tiny_with(&add, DATA, noisy, "") else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!scene.file("upgrade.sql").contains("loading"));

    let elsewhere = "os.environ['DATABASE_URL'] = 'sqlite://'";
    let Some(scene) = Scene::tiny_with(&add, DATA, elsewhere, "") else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &"E41".into()), "{ran:?}");

    // Another database, by its URL or behind SQLAlchemy's back: it is left as it was.
    let scene = Scene::tiny(&add, DATA);
    let Some(live) = scene else { return };
    let path = live.snapshot();
    let before = std::fs::read(&path).expect("bytes");
    let by_url = format!("os.environ['DATABASE_URL'] = 'sqlite:///{}'", path.display());
    let by_hand = format!(
        "import sqlite3\nreal_engine = create_engine\n\
         def create_engine(url, **kw):\n    return real_engine('sqlite://', creator=lambda: sqlite3.connect('{}'), **kw)",
        path.display()
    );
    let beside = format!("create_engine('sqlite:///{}').connect()", path.display());
    for extra in [by_url, by_hand, format!("if not context.is_offline_mode():\n    {beside}")] {
        let Some(scene) = Scene::tiny_with(&add, DATA, &extra, "") else { return };
        let ran = scene.run(&[]);
        assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &"E41".into()), "{extra}: {ran:?}");
        assert_eq!(std::fs::read(&path).expect("bytes"), before, "{extra}");
    }

    // A file that appears while rendering may be anybody's: it is named and left.
    let writes = "if context.is_offline_mode():\n    open('mine.sql', 'a').write('SELECT 1;')";
    let Some(scene) = Scene::tiny_with(&add, DATA, writes, "") else { return };
    let ran = scene.run(&[]);
    assert!(ran.step("render-upgrade").1.contains("E32: while rendering, mine.sql appeared"), "{ran:?}");
    assert!(scene.project().join("mine.sql").exists());

    let connects = "if context.is_offline_mode():\n    create_engine(os.environ['DATABASE_URL']).connect()";
    let Some(scene) = Scene::tiny_with(&add, DATA, connects, "") else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("render-upgrade").0), (0, "not-possible"), "{ran:?}");
    assert!(ran.step("render-upgrade").1.contains("env.py connects"), "{ran:?}");
}

#[test]
fn an_upgrade_that_the_rows_refuse_is_told_with_the_rows() {
    let upgrade =
        "with op.batch_alter_table('people') as batch:\n    batch.alter_column('email', nullable=False)";
    let Some(scene) = Scene::tiny(&second(upgrade, "pass"), DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 1);
    let why = ran.step("upgrade").1;
    assert!(why.contains("1 row of people without email: id 2"), "{why}");
    assert!(why.contains("table _alembic_tmp_people exists"), "{why}");
}
