//! Projects and snapshots for dry runs, and the command itself.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

pub const FROM: &str = "d48b1e9c5f62";
pub const TO: &str = "0c7e5d1b94fa";

/// The Python that has Alembic; none where these tests can't run.
pub fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os("TEST_PYTHON") {
        return Some(python.into());
    }
    let required = ["CI", "TEST_REQUIRE_ALL"].into_iter().find(|name| std::env::var_os(name).is_some());
    if let Some(name) = required {
        panic!("TEST_PYTHON names no Python with Alembic, and {name} forbids skipping: run tests/run");
    }
    eprintln!("SKIPPED: TEST_PYTHON names no Python with Alembic. tests/run makes one.");
    None
}

/// A folder with a project, a snapshot, a place for output and one for temporary files.
pub struct Scene {
    folder: TempDir,
    python: PathBuf,
}

/// How a dry run ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub json: Value,
    pub stderr: String,
}

impl Ran {
    /// The step's status and why.
    pub fn step(&self, name: &str) -> (&str, &str) {
        let steps = self.json["report"]["subject"]["steps"].as_array();
        let step = steps.and_then(|steps| steps.iter().find(|s| s["name"] == name));
        let step = step.unwrap_or_else(|| panic!("no step {name}: {self:?}"));
        (step["status"].as_str().unwrap_or_default(), step["why"].as_str().unwrap_or_default())
    }

    pub fn subject(&self) -> &Value {
        &self.json["report"]["subject"]
    }

    /// The texts of the warnings of a code.
    pub fn warnings(&self, code: &str) -> Vec<&str> {
        let all = self.subject()["checks"]["warnings"].as_array();
        let of_code = all.into_iter().flatten().filter(|w| w["code"] == code);
        of_code.filter_map(|w| w["text"].as_str()).collect()
    }

    /// `table.column` (or `table`) with rows and values lost, sorted.
    pub fn losses(&self) -> Vec<(String, u64, u64)> {
        let list = self.subject()["destructive"].as_array();
        let mut found: Vec<_> = list
            .into_iter()
            .flatten()
            .map(|loss| {
                let table = loss["table"].as_str().unwrap_or_default();
                let what = loss["column"].as_str().map_or(table.to_owned(), |c| format!("{table}.{c}"));
                let number = |name: &str| loss[name].as_u64().unwrap_or(u64::MAX);
                (what, number("rows_lost"), number("non_null_values_lost"))
            })
            .collect();
        found.sort();
        found
    }
}

/// A revision of a project that a test writes.
pub struct Rev<'a> {
    pub id: &'a str,
    pub down: &'a str,
    pub upgrade: &'a str,
    pub downgrade: &'a str,
}

/// What every project of a test has for env.py; `{extra}` is put before it configures.
const ENV: &str = r#"
import os
from alembic import context
from sqlalchemy import create_engine, pool
{extra}
url = os.environ["DATABASE_URL"]

def run(**where):
    context.configure(transaction_per_migration=True, **where)
    with context.begin_transaction():
        context.run_migrations()

if context.is_offline_mode():
    run(url=url, literal_binds=True{offline})
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        run(connection=connection)
"#;

impl Scene {
    fn new() -> Option<Self> {
        let python = python()?;
        let folder = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        for name in ["tmp", "snapshots"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        Some(Self { folder, python })
    }

    /// The sample project with its snapshot.
    pub fn sample() -> Option<Self> {
        let scene = Self::new()?;
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sample-project");
        copy_folder(&fixture, &scene.project());
        let made = Command::new(&scene.python)
            .arg(scene.project().join("tools/make_snapshot.py"))
            .arg(scene.snapshot())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("Python runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(scene)
    }

    /// A project of these revisions, and a snapshot at the first of them made by `sql`.
    pub fn tiny(revisions: &[Rev<'_>], sql: &str) -> Option<Self> {
        Self::tiny_with(revisions, sql, "", ", dialect_opts={\"paramstyle\": \"named\"}")
    }

    /// The same with something of its own in env.py, and other options for the offline part.
    pub fn tiny_with(revisions: &[Rev<'_>], sql: &str, extra: &str, offline: &str) -> Option<Self> {
        let scene = Self::new()?;
        let versions = scene.project().join("migrations/versions");
        fs::create_dir_all(&versions).expect("folders");
        scene.write("alembic.ini", "[alembic]\nscript_location = %(here)s/migrations\n");
        scene.write("migrations/env.py", &ENV.replace("{extra}", extra).replace("{offline}", offline));
        for Rev { id, down, upgrade, downgrade } in revisions {
            let mut text = format!(
                "\"\"\"revision {id}\"\"\"\nfrom alembic import context, op\nimport sqlalchemy as sa\n\n"
            );
            let down: Vec<_> =
                down.split(',').filter(|d| !d.is_empty()).map(|d| format!("\"{d}\"")).collect();
            let down = match down.as_slice() {
                [] => "None".to_owned(),
                [one] => one.clone(),
                several => format!("({})", several.join(", ")),
            };
            let _ = write!(
                text,
                "revision = \"{id}\"\ndown_revision = {down}\n\n\ndef upgrade():\n{}\n",
                indented(upgrade)
            );
            if !downgrade.is_empty() {
                let _ = write!(text, "\n\ndef downgrade():\n{}\n", indented(downgrade));
            }
            scene.write(&format!("migrations/versions/{id}.py"), &text);
        }
        let first = revisions.first().map_or("", |r| r.id);
        let database = scene.open();
        database
            .execute_batch(&format!(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
                 INSERT INTO alembic_version VALUES ('{first}'); {sql}"
            ))
            .expect("a snapshot");
        Some(scene)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.project().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }

    pub fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    pub fn snapshot(&self) -> PathBuf {
        self.folder.path().join("snapshots/trades.db")
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.out().join(name)).expect("a file of evidence")
    }

    /// The snapshot, for a test that looks at it or makes it.
    pub fn open(&self) -> Connection {
        Connection::open(self.snapshot()).expect("the snapshot")
    }

    pub fn number(&self, sql: &str) -> u64 {
        let number: i64 = self.open().query_row(sql, [], |row| row.get(0)).expect("a number");
        number.unsigned_abs()
    }

    /// What is left in the place for temporary files.
    pub fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.temporary()).expect("the folder");
        entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }

    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The command with everything but its own arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["dry-run", "--json"]).current_dir(self.folder.path());
        command.env_remove("DATABASE_URL").env_remove("VIRTUAL_ENV").env("TMPDIR", self.temporary());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The command for this project and snapshot.
    pub fn usual(&self) -> Command {
        let mut command = self.command();
        command.arg("--python").arg(&self.python).arg("--project").arg(self.project());
        command.arg("--snapshot").arg(self.snapshot()).arg("--out").arg(self.out());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ended(&self.usual().args(arguments).output().expect("the program runs"))
    }

    pub fn python(&self) -> &Path {
        &self.python
    }
}

/// Names, bytes and times of everything in a folder.
pub fn marks(folder: &Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("the folder")
        .flatten()
        .map(|entry| {
            let modified = entry.metadata().and_then(|data| data.modified()).expect("a time");
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("bytes"),
                modified,
            )
        })
        .collect();
    found.sort();
    found
}

pub fn ended(output: &Output) -> Ran {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Ran { code: output.status.code().unwrap_or(-1), json, stderr }
}

fn indented(code: &str) -> String {
    code.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the fixture").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(path, target).expect("a file");
        }
    }
}
