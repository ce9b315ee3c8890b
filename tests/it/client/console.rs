//! The program as an engineer or a pipeline runs it: against a portal that answers, on a project and a database of its own.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use countersign::demo::kit::Kit;
use countersign::domain::facts::{Choice, Intent};
use countersign::domain::run::{ApplyToken, Run, TokenState};
use countersign::domain::user::Scope;
use countersign::service::api_tokens::NewApiToken;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::TestApp;
use crate::support::client::Person;
use crate::support::database::Engine;
use crate::support::play::{Play, content};

/// When staging may be changed.
pub const WINDOW: &str = "2025-11-18T14:30:00Z";

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let code = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or_default());
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts that it ended like this.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Asserts that it complained of this.
    #[track_caller]
    pub fn complaining(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "“{words}” is not in {}", self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A machine with the program, a project and a database on it.
pub struct Console {
    pub folder: TempDir,
    pub base: String,
    /// The API token.
    pub token: String,
    pub database_url: String,
}

impl Console {
    pub async fn new(app: &TestApp, owner: &Person, scopes: &[Scope]) -> Self {
        let new = NewApiToken {
            name: "console".to_owned(),
            scopes: scopes.iter().copied().collect(),
            expires_at: None,
        };
        let token = app.services.create_api_token_for(&owner.email, new).await.expect("a token").1;
        let folder = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        let database_url = format!("sqlite:///{}", folder.path().join("target.db").display());
        Self { folder, base: app.base.clone(), token: token.reveal().to_owned(), database_url }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with this in it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path.to_str().expect("text").to_owned()
    }

    /// Puts the sample project here, and its database where staging is before the change.
    pub fn with_project(self) -> Self {
        copy(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sample-project").as_path(),
            &self.path("project"),
        );
        self.alembic(&["upgrade", "d48b1e9c5f62"]);
        self
    }

    /// Alembic as somebody types it.
    pub fn alembic(&self, arguments: &[&str]) {
        let mut command = Command::new(python());
        command.args(["-m", "alembic", "-c", "backend/alembic.ini"]).args(arguments);
        let output = command
            .current_dir(self.path("project"))
            .env("DATABASE_URL", &self.database_url)
            .output()
            .expect("alembic runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The revision that the database is at.
    pub fn revision(&self) -> String {
        let output = Command::new(python())
            .args(["-m", "alembic", "-c", "backend/alembic.ini", "current"])
            .current_dir(self.path("project"))
            .env("DATABASE_URL", &self.database_url)
            .output()
            .expect("alembic runs");
        let text = String::from_utf8(output.stdout).expect("text");
        text.split_whitespace().next().unwrap_or_default().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command
            .env("PATH", std::env::var_os("PATH").expect("a path"))
            .env("COUNTERSIGN_URL", &self.base)
            .env("COUNTERSIGN_API_TOKEN", &self.token)
            .env("COUNTERSIGN_STATE_DIR", self.path("state"))
            .env("DATABASE_URL", &self.database_url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end, while the portal goes on answering.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments)).await
    }

    /// `countersign apply CHG-1 --stage staging` on the project here, with more arguments and a command.
    pub fn apply(&self, more: &[&str], run: &[&str]) -> Command {
        let mut arguments = vec!["apply", "CHG-1", "--stage", "staging", "--project"];
        let project = self.path("project");
        let python = python();
        arguments.extend([project.to_str().expect("text"), "--python", &python]);
        arguments.extend(more);
        if !run.is_empty() {
            arguments.push("--");
            arguments.extend(run);
        }
        self.command(&arguments)
    }

    /// What applies the change: Alembic in the project.
    pub fn alembic_command(&self) -> Vec<String> {
        let ini = self.path("project").join("backend/alembic.ini");
        [&python(), "-m", "alembic", "-c", ini.to_str().expect("text"), "upgrade", "head"]
            .map(str::to_owned)
            .to_vec()
    }

    pub async fn apply_with_alembic(&self, more: &[&str]) -> Ran {
        let command = self.alembic_command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        finish(self.apply(more, &command)).await
    }
}

/// Runs a command to its end on a thread of its own.
pub async fn finish(mut command: Command) -> Ran {
    tokio::task::spawn_blocking(move || Ran::of(command.output().expect("the program runs")))
        .await
        .expect("its end")
}

/// Waits for a program that was started.
pub async fn end_of(child: Child) -> Ran {
    tokio::task::spawn_blocking(move || Ran::of(child.wait_with_output().expect("its end")))
        .await
        .expect("its end")
}

/// Asks until it holds.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came true");
}

pub fn kill(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// The Python that has Alembic, for a test that is skipped where there is none.
pub fn python() -> String {
    let python = super::dry_run_scene::python().expect("a Python with Alembic");
    python.into_os_string().into_string().expect("text")
}

/// As `crate::on_both_engines`, for tests with a project: they are skipped where no Python has Alembic.
macro_rules! with_alembic_on_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident($engine:ident: Engine) $body:block)+) => {
        $crate::on_both_engines! {$(
            $(#[$attribute])*
            async fn $name($engine: Engine) {
                if $crate::client::dry_run_scene::python().is_some() $body
            }
        )+}
    };
}
pub(super) use with_alembic_on_both_engines as on_both_engines;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (name, kind) = (entry.file_name(), entry.file_type().expect("a kind"));
        if kind.is_dir() && name != "__pycache__" {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}

/// The sample's change on staging: approved, in its window, with an engineer's machine beside it.
pub struct Staging {
    pub play: Play,
    pub console: Console,
}

impl Staging {
    pub async fn approved(engine: Engine) -> Self {
        Self::approved_as(engine, |kit| kit).await
    }

    /// The same with other evidence.
    pub async fn approved_as(engine: Engine, change: impl FnOnce(Kit) -> Kit) -> Self {
        let mut play = Play::with(engine, content(), &[]).await;
        play.attach("staging", &change(play.kit("staging"))).await;
        play.accept_all("staging").await;
        play.tick_all("staging").await;
        play.vote(&play.daniel, "staging", Choice::Approve).await.expect("Daniel's vote");
        play.vote(&play.marta, "staging", Choice::Approve).await.expect("Marta's vote");
        play.at(WINDOW).await;
        let console = Console::new(&play.app, &play.priya, Scope::ALL).await.with_project();
        Self { play, console }
    }

    /// Releases a token as Priya and puts it into a file.
    pub async fn token_file(&self) -> String {
        let priya = self.play.actor(&self.play.priya).await;
        let released =
            self.play.app.services.release(&priya, self.play.ticket, "staging", Intent::Upgrade).await;
        self.console.file("apply.token", format!("{}\n", released.expect("a token").secret.reveal()))
    }

    pub async fn tokens(&self) -> Vec<ApplyToken> {
        self.play.facts("staging").await.this.tokens
    }

    /// The last run of the stage, if there was one.
    pub async fn last_run(&self) -> Option<Run> {
        self.play.facts("staging").await.this.runs.into_iter().max_by_key(|run| run.act)
    }

    /// Asserts that the token that was handed over could still be redeemed, and that nothing ran.
    #[track_caller]
    pub fn assert_untouched(tokens: &[ApplyToken], run: Option<&Run>) {
        let states: Vec<TokenState> = tokens.iter().map(|token| token.state).collect();
        assert_eq!(states, [TokenState::Issued]);
        assert!(run.is_none(), "{run:?}");
    }
}
