//! The sample project on PostgreSQL: a dump, a scratch database, and nothing left of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::dry_run_scene::{FROM, Ran, Rev, Scene, ended};
use crate::support::database::Engine;

/// PostgreSQL's own programs.
pub fn program(name: &str) -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = folders.map(|entry| entry.path().join("bin").join(name)).filter(|path| path.is_file()).max();
    found.unwrap_or_else(|| name.into())
}

/// The test server with a role of the test's own, so that nobody else's scratch databases count.
pub struct Server {
    /// As tests are given it.
    url: String,
    /// The role, and a database.
    pub name: String,
}

impl Server {
    /// None where there is no server.
    pub fn new(name: &str) -> Option<Self> {
        if !Engine::Postgres.is_available() {
            return None;
        }
        let url = std::env::var("TEST_PG_URL").expect("a server");
        let server = Self { url, name: format!("{name}_{}", std::process::id()) };
        server.psql("postgres", &format!("CREATE ROLE {0} SUPERUSER LOGIN PASSWORD 'own'", server.name));
        server.psql("postgres", &format!("CREATE DATABASE {}", server.name));
        Some(server)
    }

    fn with_database(&self, name: &str) -> String {
        let (before, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (before, _) = before.rsplit_once('/').expect("a database");
        format!("{}/{name}?{query}", before.replacen("postgres://", "postgresql://", 1))
    }

    /// What a dry run is given.
    fn scratch_url(&self) -> String {
        let url = self.with_database("postgres");
        let (_, place) = url.split_once('@').expect("a user");
        format!("postgresql://{}:own@{place}", self.name)
    }

    pub fn psql(&self, database: &str, sql: &str) -> String {
        let url = self.with_database(database);
        let ran = Command::new(program("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
            .output();
        let ran = ran.expect("psql runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// The scratch databases of this test that are there.
    pub fn scratch(&self) -> Vec<String> {
        let like = format!(
            "SELECT datname FROM pg_database WHERE datname ~ '^countersign_[0-9a-f]{{12}}$' \
             AND pg_get_userbyid(datdba) = '{}'",
            self.name
        );
        self.psql("postgres", &like).lines().map(str::to_owned).collect()
    }

    pub fn dump(&self, arguments: &[&str], to: &Path) {
        let url = self.with_database(&self.name);
        let dumped =
            Command::new(program("pg_dump")).args(arguments).args(["-d", &url, "-f"]).arg(to).output();
        let dumped = dumped.expect("pg_dump runs");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for name in self.scratch().iter().chain([&self.name]) {
            self.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
        self.psql("postgres", &format!("DROP ROLE {}", self.name));
    }
}

pub fn command(scene: &Scene, server: &Server, dump: &Path, arguments: &[&str]) -> Command {
    let mut command = scene.command();
    command.arg("--python").arg(scene.python()).arg("--project").arg(scene.project());
    command.arg("--snapshot").arg(dump).arg("--out").arg(scene.out()).args(arguments);
    command.env("COUNTERSIGN_SCRATCH_URL", server.scratch_url());
    command
}

pub fn dry_run(scene: &Scene, server: &Server, dump: &Path, arguments: &[&str]) -> Ran {
    ended(&command(scene, server, dump, arguments).output().expect("the program runs"))
}

#[test]
fn a_dump_is_rehearsed_in_a_scratch_database_that_is_gone_afterwards() {
    let Some(server) = Server::new("dry_run") else { return };
    let Some(scene) = Scene::sample() else { return };
    let upgraded = Command::new(scene.python())
        .args(["-m", "alembic", "-c", "backend/alembic.ini", "upgrade", FROM])
        .current_dir(scene.project())
        .env("DATABASE_URL", server.with_database(&server.name))
        .output()
        .expect("Alembic runs");
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    server.psql(
        &server.name,
        "INSERT INTO trades SELECT n, 'X' || n, CASE WHEN n % 3 > 0 THEN 'OLD-' || n END, 'ACC', 'spy', 'BUY', n, 2, now()
             FROM generate_series(1, 300) n;
         INSERT INTO risk_limits VALUES (1, 'ACC', 'a', NULL), (2, 'ACC', 'b', '5')",
    );
    let values = server.psql(&server.name, "SELECT count(legacy_ref) FROM trades");
    for format in ["custom", "plain"] {
        let dump = scene.project().join(format);
        server.dump(&["--format", format], &dump);
        let ran = dry_run(&scene, &server, &dump, &["--verify-sql"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for step in ["upgrade", "downgrade", "upgrade-again", "verify-sql"] {
            assert_eq!(ran.step(step).0, "passed", "{step}: {ran:?}");
        }
        assert_eq!(ran.losses(), [("trades.legacy_ref".to_owned(), 0, values.parse().expect("a number"))]);
        let subject = ran.subject();
        assert_eq!(subject["dialect"], "postgresql");
        assert_eq!(
            (&subject["downgrade_restores"]["schema"], &subject["downgrade_restores"]["data"]),
            (&true.into(), &false.into())
        );
        assert!(ran.step("compare").1.contains("risk_limits.threshold (1 value where NULL was)"), "{ran:?}");
        assert_eq!(scene.file("upgrade.sql"), include_str!("../../../src/demo/data/upgrade.postgresql.sql"));
    }
    // The rows of the third revision refuse: named, and the scratch database is dropped all the same.
    server.psql(&server.name, "INSERT INTO trades SELECT 1000, 'X7', NULL, 'ACC', 'spy', 'BUY', 1, 2, now()");
    let dump = scene.project().join("duplicates");
    server.dump(&["-Fc"], &dump);
    let ran = dry_run(&scene, &server, &dump, &["-c", "backend/alembic-bad-unique.ini"]);
    assert_eq!(ran.code, 1);
    let why = ran.step("upgrade").1;
    assert!(why.contains("1 duplicated value of trades (external_id): rows with id 7 and 1000"), "{why}");
    assert!(!why.contains("X7"), "{why}");
    std::fs::write(&dump, "-- PostgreSQL database dump\nSELECT nonsense;\n").expect("a file");
    let ran = dry_run(&scene, &server, &dump, &[]);
    assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &Value::from("E22")), "{ran:?}");
    // A dump that would replace the database that it came from.
    let rows = server.psql(&server.name, "SELECT count(*) FROM trades");
    server.dump(&["--create", "--clean"], &dump);
    let ran = dry_run(&scene, &server, &dump, &[]);
    assert_eq!((ran.code, &ran.json["error"]["code"]), (1, &Value::from("E22")), "{ran:?}");
    assert!(ran.stderr.contains("DROP DATABASE"), "{ran:?}");
    assert_eq!(server.psql(&server.name, "SELECT count(*) FROM trades"), rows);
    assert!(server.scratch().is_empty());
}

/// Whether a count fails or not is nothing to the migration: PostgreSQL ends a transaction with its first error.
#[test]
fn counting_harms_no_transaction_and_schemas_are_told_apart() {
    let Some(server) = Server::new("dry_run_losses") else { return };
    let upgrade = "op.execute('DROP TABLE IF EXISTS nothing')\n\
                   op.execute('DELETE FROM v')\n\
                   op.execute('DROP TABLE t')\n\
                   op.execute('DROP TABLE s2.t')\n\
                   op.execute(\"WITH moved AS (DELETE FROM queue RETURNING id) INSERT INTO done SELECT id FROM moved\")\n\
                   if not context.is_offline_mode():\n    \
                   op.get_bind().execute(sa.text('UPDATE tags SET names = :n'), {'n': ['a\"b', None, 'c']})\n    \
                   op.get_bind().execute(sa.text(\"SELECT setval('numbers', 41)\"))\n\
                   op.execute('SELECT 1')";
    let revisions = [
        Rev { id: "r1", down: "", upgrade: "pass", downgrade: "pass" },
        Rev { id: "r2", down: "r1", upgrade, downgrade: "raise NotImplementedError('no')" },
    ];
    let offline = ", dialect_opts={\"paramstyle\": \"named\"}";
    let extra = "if context.is_offline_mode():\n    raise RuntimeError('no offline SQL here')";
    let Some(scene) = Scene::tiny_with(&revisions, "", extra, offline) else { return };
    server.psql(
        &server.name,
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('r1');
         CREATE SCHEMA s2; CREATE TABLE t (id int); CREATE TABLE s2.t (id int); CREATE TABLE base (id int);
         INSERT INTO t VALUES (1), (2); INSERT INTO s2.t VALUES (1), (2), (3); INSERT INTO base VALUES (1);
         CREATE VIEW v AS SELECT id, 1 / (id - 1) AS broken FROM base;
         CREATE RULE r AS ON DELETE TO v DO INSTEAD NOTHING;
         CREATE TABLE queue (id int); INSERT INTO queue VALUES (1), (2); CREATE TABLE done (id int);
         CREATE TABLE tags (id int, names text[]); INSERT INTO tags VALUES (1, '{x}'); CREATE SEQUENCE numbers",
    );
    let dump = scene.project().join("dump");
    server.dump(&["-Fc"], &dump);
    let ran = dry_run(&scene, &server, &dump, &[]);
    assert_eq!((ran.code, ran.step("upgrade").0), (0, "passed"), "{ran:?}");
    let loss = |table: &str, rows, values| (table.to_owned(), rows, values);
    assert_eq!(ran.losses(), [loss("queue", 2, 2), loss("s2.t", 3, 3), loss("t", 2, 2), loss("v", 0, 0)]);
    assert!(ran.warnings("E44")[0].contains(": v"), "{ran:?}");
    // Captured, and the same when it is run as a file.
    assert_eq!(ran.step("verify-sql").0, "passed", "{ran:?}");
    let sql = scene.file("upgrade.sql");
    assert!(sql.contains(r#"'{"a\"b",NULL,"c"}'"#) && sql.contains("setval('numbers', 41)"), "{sql}");
    assert!(!sql.contains("SAVEPOINT") && !sql.contains("SELECT 1;"), "{sql}");
    assert!(server.scratch().is_empty());
}
