//! Codes for an env.py that does something else than it is asked: nothing, too much, or elsewhere.

use std::fs;

use super::dry_run_scene::{Rev, Scene};

const DATA: &str =
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO people VALUES (1, 'a');";
const ADD: [Rev<'static>; 2] = [
    Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
    Rev {
        id: "r2",
        down: "r1",
        upgrade: "op.add_column('people', sa.Column('age', sa.Integer()))",
        downgrade: "op.drop_column('people', 'age')",
    },
];

const OFFLINE: &str = "context.configure(url=url, literal_binds=True)\nwith context.begin_transaction():\n    context.run_migrations()";
const ONLINE: &str = "with create_engine(url).connect() as connection:\n    context.configure(connection=connection)\n    \
                      with context.begin_transaction():\n        context.run_migrations()";

/// The usual project with another env.py.
fn with_env(offline: &str, online: &str) -> Option<Scene> {
    let scene = Scene::tiny(&ADD, DATA)?;
    let indented = |text: &str| text.replace('\n', "\n    ");
    scene.write(
        "migrations/env.py",
        &format!(
            "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine\n\
             url = os.environ[\"DATABASE_URL\"]\nif context.is_offline_mode():\n    {}\nelse:\n    {}\n",
            indented(offline),
            indented(online)
        ),
    );
    Some(scene)
}

#[test]
fn an_env_py_as_it_should_be_passes() {
    let Some(scene) = with_env(OFFLINE, ONLINE) else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.subject()["checks"]["warnings"], serde_json::json!([]));
}

#[test]
fn several_bases_before_the_range_are_noticed() {
    let rev = |id, down| Rev { id, down, upgrade: "pass", downgrade: "pass" };
    let revisions = [rev("r1", "x1,y1"), rev("r2", "r1"), rev("x1", ""), rev("y1", "")];
    let Some(scene) = Scene::tiny(&revisions, DATA) else { return };
    let ran = scene.run(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.warnings("E12"), ["the history has 2 bases, so it is not one line"]);
    assert_eq!(ran.warnings("E11").len(), 1);
}

#[test]
fn an_empty_render_is_not_taken_for_sql() {
    let Some(scene) = with_env("pass", ONLINE) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("render-upgrade").0), (0, "not-possible"), "{ran:?}");
    for step in ["render-upgrade", "render-downgrade"] {
        assert!(ran.step(step).1.starts_with("E31: "), "{ran:?}");
    }
    assert!(ran.step("render-upgrade").1.contains("render is empty although Alembic ended well"), "{ran:?}");
    // What was executed stands in for it.
    assert!(scene.file("upgrade.sql").contains("ALTER TABLE people ADD COLUMN age INTEGER;"));
    assert!(scene.file("downgrade.sql").starts_with("-- not possible: E31"));
}

#[test]
fn a_copy_that_is_not_upgraded_though_alembic_ended_well_is_found_out() {
    let forgets = format!(
        "{ONLINE}\n    connection.exec_driver_sql('DELETE FROM alembic_version')\n    connection.commit()"
    );
    let strays = format!("{ONLINE}\nopen(os.path.join(os.path.dirname(url[10:]), 'other.db'), 'w').close()");
    for (online, says) in [
        ("pass", "the copy is not at r2: it is at r1"),
        (forgets.as_str(), "the copy is not at r2: it is at no revision"),
        (strays.as_str(), "another file appeared beside it (other.db)"),
    ] {
        let Some(scene) = with_env(OFFLINE, online) else { return };
        let ran = scene.run(&[]);
        assert_eq!((ran.code, ran.step("upgrade").0), (1, "failed"), "{ran:?}");
        let why = ran.step("upgrade").1;
        assert!(why.starts_with("E41: ") && why.contains(says), "{says}: {why}");
        assert!(ran.stderr.contains("--url-env"), "what to do is said: {}", ran.stderr);
    }
}

#[test]
fn an_env_py_that_turns_elsewhere_is_stopped_before_anything_runs_there() {
    let Some(live) = Scene::tiny(&ADD, DATA) else { return };
    let path = live.snapshot();
    let before = fs::read(&path).expect("bytes");
    let migrates = "connection = create_engine('sqlite://').connect()\n\
                    context.configure(connection=connection)\ncontext.run_migrations()";
    let other =
        ONLINE.replace("create_engine(url)", &format!("create_engine('sqlite:///{}')", path.display()));
    let server =
        ONLINE.replace("create_engine(url)", "create_engine('postgresql://nobody@127.0.0.1:1/live')");
    for (online, says) in [
        (migrates, "it migrates another database"),
        (&other, "it connects to another database"),
        (&server, "it connects to a database of postgresql"),
    ] {
        let Some(scene) = with_env(OFFLINE, online) else { return };
        let ran = scene.run(&[]);
        assert_eq!((ran.code, ran.json["error"]["code"].as_str()), (1, Some("E41")), "{online}: {ran:?}");
        assert!(ran.json["error"]["message"].as_str().unwrap_or_default().contains(says), "{says}: {ran:?}");
        assert_eq!(fs::read(&path).expect("bytes"), before, "{online}");
        assert!(!scene.out().exists(), "there is no evidence");
    }
}

#[test]
fn a_downgrade_that_ends_elsewhere_is_found_out() {
    let stays = format!(
        "{ONLINE}\n    if context.config.cmd_opts.cmd[0].__name__ == 'downgrade':\n        \
         connection.exec_driver_sql(\"UPDATE alembic_version SET version_num = 'r2'\")\n        connection.commit()"
    );
    let Some(scene) = with_env(OFFLINE, &stays) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("downgrade").0), (1, "failed"), "{ran:?}");
    assert_eq!(ran.step("downgrade").1, "E52: after the downgrade the copy is at r2, not at r1");
    assert!(ran.stderr.contains("must end at the revision that it began from"), "{}", ran.stderr);
}

#[test]
fn what_connects_while_sql_is_rendered_offline_is_stopped() {
    let Some(live) = Scene::tiny(&ADD, DATA) else { return };
    let path = live.snapshot();
    let before = fs::read(&path).expect("bytes");
    let deletes = format!(
        "with create_engine('sqlite:///{}').connect() as other:\n    \
         other.exec_driver_sql('DELETE FROM people')\n    other.commit()",
        path.display()
    );
    let by_env = with_env(&format!("{deletes}\n{OFFLINE}"), ONLINE);
    let in_migration = format!(
        "if context.is_offline_mode():\n    {}",
        format!("from sqlalchemy import create_engine\n{deletes}").replace('\n', "\n    ")
    );
    let revisions = [
        Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
        Rev { id: "r2", down: "r1", upgrade: &in_migration, downgrade: "op.execute('SELECT 1')" },
    ];
    for (scene, says) in [
        (
            by_env,
            "E30: env.py connects to a database of sqlite even for offline SQL [migrations/env.py, line ",
        ),
        (
            Scene::tiny(&revisions, DATA),
            "E30: revision r2 connects to a database of sqlite even for offline SQL",
        ),
    ] {
        let Some(scene) = scene else { return };
        let ran = scene.run(&[]);
        assert_eq!(ran.step("render-upgrade").0, "not-possible", "{ran:?}");
        let why = ran.step("render-upgrade").1;
        assert!(why.starts_with(says) && why.contains("stopped before anything ran there"), "{why}");
        assert_eq!(fs::read(&path).expect("bytes"), before);
    }
    // A database in memory is nobody's.
    let memory = format!("create_engine('sqlite://').connect().close()\n{OFFLINE}");
    let Some(scene) = with_env(&memory, ONLINE) else { return };
    let ran = scene.run(&[]);
    assert_eq!((ran.code, ran.step("render-upgrade").0), (0, "passed"), "{ran:?}");
}
