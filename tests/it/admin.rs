//! The operator's commands, run as the operator runs them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use countersign::domain::policy::RUNBOOK;
use tempfile::TempDir;

use crate::on_both_engines;
use crate::support::client::{Anonymous, PASSWORD};
use crate::support::database::{Engine, TestDb};

/// A folder with a database, and the program in it.
struct Console {
    folder: TempDir,
    database: TestDb,
}

impl Console {
    /// The database is empty: not even migrated.
    async fn new(engine: Engine) -> Self {
        let folder = TempDir::with_prefix("countersign-test-").expect("a temporary folder");
        Self { folder, database: TestDb::empty(engine).await }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("COUNTERSIGN_DATABASE", self.database.url()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program runs")
    }

    /// What a command that works prints.
    fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The exit code and the complaint of one that doesn't.
    fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or_else(|| panic!("{arguments:?}: {stderr}")), stderr)
    }
}

on_both_engines! {
    async fn a_portal_is_set_up_served_and_ended(engine: Engine) {
        let console = Console::new(engine).await;
        assert!(console.said(&["migrate"]).starts_with("applied 0001_init"));
        assert_eq!(console.said(&["migrate"]), "the schema is up to date\n");
        let add = ["user", "add", "--email", "Root@example.org", "--name", "Root", "--role", "admin", "--role", "board"];
        let link = console.said(&add);
        let token = link.trim().strip_prefix("http://127.0.0.1:8080/enrol/").expect("a link and nothing else");
        assert_eq!(console.said(&["user", "list"]), "root@example.org\tRoot\tboard,admin\tnot enrolled yet\n");
        let (code, complaint) = console.refused(&add);
        assert!(code == 1 && complaint.contains("There is an account with this email address already."), "{complaint}");

        let mut server = console
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .env("COUNTERSIGN_LOG_FORMAT", "json")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut log = BufReader::new(server.stderr.take().expect("its log")).lines();
        let address = loop {
            let told = log.next().expect("a line that says where it listens").expect("text");
            let event: serde_json::Value = serde_json::from_str(&told).expect("JSON");
            if event["message"] == "listening" {
                break event["address"].as_str().expect("an address").to_owned();
            }
        };
        let browser = Anonymous::new(&format!("http://{address}"));
        assert_eq!(browser.get("/readyz").await.text, "ready\n");
        let path = format!("/enrol/{token}");
        let fields = [("username", ""), ("password", PASSWORD), ("again", PASSWORD)];
        assert_eq!(browser.submit(&path, &path, &fields).await.status, 303);
        assert_eq!(browser.get("/admin/users").await.status, 200);
        assert!(console.said(&["user", "list"]).ends_with("\tactive\n"), "while the portal runs");

        let killed = Command::new("kill").arg("-TERM").arg(server.id().to_string()).status().expect("kill");
        assert!(killed.success());
        let rest: Vec<String> = log.map(|line| line.expect("text")).collect();
        assert!(server.wait().expect("its end").success());
        assert!(rest.last().expect("a last line").contains("\"stopped\""), "{rest:?}");
        let secrets = [token, PASSWORD];
        assert!(rest.iter().all(|line| secrets.iter().all(|secret| !line.contains(secret))), "{rest:?}");
    }

    async fn accounts_and_tokens_come_and_go(engine: Engine) {
        let console = Console::new(engine).await;
        // The first command makes the portal.
        console.said(&["user", "add", "--email", "ada@example.org", "--name", "Ada", "--role", "engineer"]);
        let second = console.said(&["user", "reset-password", "--email", "ada@example.org", "--link-life", "2h"]);
        assert!(second.starts_with("http://127.0.0.1:8080/enrol/csi_") && second.lines().count() == 1, "{second}");
        let token = console.said(&[
            "token", "add", "--user", "ada@example.org", "--name", "ci", "--scope", "apply", "--scope", "tickets:read", "--life", "1d",
        ]);
        assert!(token.starts_with("csp_") && token.trim().len() == 54, "{token}");
        let list = console.said(&["token", "list", "--user", "ada@example.org"]);
        assert!(list.contains("\tci\ttickets:read,apply\tuntil ") && !list.contains("csp_"), "{list}");
        let id = list.split('\t').next().expect("an id").to_owned();
        assert_eq!(console.said(&["token", "revoke", &id]), "revoked\n");
        assert!(console.said(&["token", "list", "--user", "ada@example.org"]).ends_with("\trevoked\n"));
        console.said(&["user", "deactivate", "--email", "ada@example.org"]);
        assert!(console.said(&["user", "list"]).ends_with("\tdeactivated\n"));
        for (arguments, code, words) in [
            (&["user", "deactivate", "--email", "eve@example.org"][..], 1, "nobody has an account"),
            (&["user", "add", "--email", "x", "--name", "", "--role", "board"], 1, "name: "),
            (&["user", "add", "--email", "x@y", "--name", "X", "--role", "king"], 2, "is not a role"),
            (&["user", "add", "--email", "x@y", "--name", "X"], 2, "--role"),
            (&["token", "add", "--user", "ada@example.org", "--name", "x", "--scope", "all"], 2, "is not a scope"),
            (&["token", "revoke", "01a20393-faa2-7c8f-bc38-5390fe768e78"], 1, "API token"),
            (&["nonsense"], 2, "nonsense"),
        ] {
            let (got, complaint) = console.refused(arguments);
            assert!(got == code && complaint.contains(words), "{arguments:?}: {got} {complaint}");
        }
        let log = console.said(&["audit", "export"]);
        assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
        assert!(log.contains("\"type\":\"user.deactivated\"") && !log.contains("csp_") && !log.contains("ada@"), "{log}");
        let count = log.lines().count();
        let later = console.said(&["audit", "export", "--after", &(count - 1).to_string()]);
        assert_eq!(later, format!("{}\n", log.lines().last().expect("an event")));
    }

    async fn policies_are_checked_applied_and_shown(engine: Engine) {
        let console = Console::new(engine).await;
        let file = console.path().join("policy.toml");
        let file = file.to_str().expect("text");
        std::fs::write(file, RUNBOOK).expect("a file");
        assert_eq!(console.said(&["policy", "check", file]), "trading-backend: staging, production\n");
        assert!(console.said(&["policy", "apply", file]).starts_with("trading-backend version 1, sha256:"));
        assert!(console.said(&["policy", "apply", file]).contains("version 1, unchanged,"));
        assert_eq!(console.said(&["policy", "show", "trading-backend"]), RUNBOOK);
        assert!(console.said(&["policy", "show"]).starts_with("trading-backend\tversion 1\tsha256:"));
        assert_eq!(console.refused(&["policy", "show", "other"]).0, 1);

        let bad = RUNBOOK.replacen("quorum = 2", "quorum = 0\nquorun = 1", 1);
        let mut check = console.command(&["policy", "check", "-"]);
        let check = check.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = check.spawn().expect("the program runs");
        child.stdin.take().expect("its input").write_all(bad.as_bytes()).expect("to be read");
        let output = child.wait_with_output().expect("its end");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(complaint.contains("quorum") && complaint.contains("quorun"), "both faults: {complaint}");
    }

    async fn a_backup_is_a_whole_database_of_its_own(engine: Engine) {
        let console = Console::new(engine).await;
        console.said(&["user", "add", "--email", "ada@example.org", "--name", "Ada", "--role", "engineer"]);
        if engine == Engine::Postgres {
            let (code, complaint) = console.refused(&["backup", "--output", "copy.db"]);
            assert!(code == 2 && complaint.contains("pg_dump"), "{complaint}");
            return;
        }
        assert!(console.said(&["backup", "--output", "copy.db"]).contains(" bytes"));
        assert_eq!(console.refused(&["backup", "--output", "copy.db"]).0, 1, "never over another file");
        let copy = console.path().join("copy.db");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).expect("a file").permissions());
        assert_eq!(mode & 0o777, 0o600);
        let list = console.command(&["user", "list"]).env("COUNTERSIGN_DATABASE", "sqlite:copy.db").output();
        let list = String::from_utf8(list.expect("the program runs").stdout).expect("text");
        assert_eq!(list, "ada@example.org\tAda\tengineer\tnot enrolled yet\n");
    }

    async fn settings_that_cannot_be_are_all_told(engine: Engine) {
        let console = Console::new(engine).await;
        let file = console.path().join("countersign.toml");
        std::fs::write(file, "listen = '0.0.0.0:80'\nsesion_max = '1d'\nlog_format = 'xml'\n").expect("a file");
        let (code, complaint) = console.refused(&["serve", "--listen", "192.0.2.1:80"]);
        assert_eq!(code, 2, "{complaint}");
        for words in ["sesion_max", "did you mean session_max?", "log_format", "COUNTERSIGN_LISTEN"] {
            assert!(complaint.contains(words), "{words} in {complaint}");
        }
    }
}
