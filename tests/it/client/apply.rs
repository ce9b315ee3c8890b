//! `apply` and `rollback` from token to outcome, on a database that Alembic really changes.

use std::io::Read as _;
use std::process::{Child, Stdio};

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::digest::Digest;
use countersign::domain::facts::Choice;
use countersign::domain::run::{RunStatus, TokenState};
use serde_json::json;

use super::console::{Ran, Staging, end_of, finish, kill, on_both_engines, python, until};
use crate::support::database::{Engine, TestDb};

impl Staging {
    pub(super) async fn log(&self) -> String {
        let run = self.last_run().await.expect("a run");
        let log = self.play.app.services.log_bytes(run.id).await.expect("a log");
        String::from_utf8(log).expect("text")
    }

    /// Applies with a shell script instead of Alembic.
    async fn apply_script(&self, more: &[&str], script: &str) -> Ran {
        let mut arguments = vec!["--release"];
        arguments.extend(more);
        finish(self.console.apply(&arguments, &["sh", "-c", script])).await
    }
}

/// An address as `SQLAlchemy` takes it: a socket's folder is no host there.
fn sqlalchemy(url: &str) -> String {
    let rest = url.split_once("://").expect("an address").1;
    let (user, rest) = rest.split_once('@').expect("a user");
    let (host, database) = rest.split('?').next().unwrap_or_default().rsplit_once('/').expect("a database");
    let host = host
        .split(':')
        .next()
        .unwrap_or_default()
        .replace("%2F", "/")
        .replace("%2D", "-")
        .replace("%2E", ".");
    format!("postgresql+psycopg://{user}@/{database}?host={host}")
}

/// Sends a signal as soon as the program has said this on standard error, and waits for its end.
async fn until_said(mut child: Child, words: &'static str, signal: &'static str) -> Ran {
    let mut stream = child.stderr.take().expect("a stream");
    let read = tokio::task::spawn_blocking(move || {
        let (mut said, mut sent, mut piece) = (Vec::new(), false, [0; 256]);
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            said.extend_from_slice(&piece[..length]);
            if !sent && String::from_utf8_lossy(&said).contains(words) {
                kill(&child, signal);
                sent = true;
            }
        }
        (child, String::from_utf8(said).expect("text"))
    });
    let (child, stderr) = read.await.expect("its end");
    Ran { stderr, ..end_of(child).await }
}

on_both_engines! {
    async fn what_was_approved_is_applied_once(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let ran = staging.console.apply_with_alembic(&["--token-file", &token, "--json"]).await.ended(0);
        let told = ran.json();
        assert_eq!(told["status"], "succeeded", "{told}");
        assert_eq!((&told["revision_before"], &told["revision_after"]), (&json!("d48b1e9c5f62"), &json!("0c7e5d1b94fa")));
        assert!(ran.stderr.contains("Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa"), "{}", ran.stderr);
        assert_eq!(staging.console.revision(), "0c7e5d1b94fa");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code), (RunStatus::Succeeded, Some(0)));
        assert_eq!((run.revision_before.as_deref(), run.revision_after.as_deref()), (Some("d48b1e9c5f62"), Some("0c7e5d1b94fa")));
        assert!(staging.log().await.contains("Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa"));
        let left: Vec<_> = std::fs::read_dir(staging.console.path("state")).expect("a folder").map(|e| e.expect("an entry").file_name()).collect();
        assert!(left.iter().all(|name| std::path::Path::new(name).extension().is_some_and(|end| end == "lock")), "{left:?}");

        // A second use of the same token is refused before and by the portal, and runs nothing.
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(3);
        ran.complaining("single-run: Already applied here.");
        assert_eq!(staging.play.facts("staging").await.this.runs.len(), 1);

        // And back again, from where the database is.
        let mut back = staging.console.apply(&["--method", "downgrade", "--release"], &["sh", "-c", "true"]);
        let arguments: Vec<String> = back.get_args().map(|a| a.to_str().expect("text").to_owned()).collect();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments[0] = "rollback";
        let ini = staging.console.path("project").join("backend/alembic.ini");
        let python = python();
        arguments.truncate(arguments.len() - 3);
        arguments.extend([python.as_str(), "-m", "alembic", "-c", ini.to_str().expect("text"), "downgrade", "d48b1e9c5f62"]);
        back = staging.console.command(&arguments);
        let ran = finish(back).await.ended(0);
        assert!(ran.stdout.contains("The rollback of CHG-1 on staging succeeded: the database is at d48b1e9c5f62."), "{}", ran.stdout);
        assert_eq!(staging.console.revision(), "d48b1e9c5f62");
    }

    async fn the_command_does_what_it_does_and_that_is_what_is_reported(engine: Engine) {
        let staging = Staging::approved(engine).await;
        // It ends well and changed nothing.
        let ran = staging.apply_script(&[], "echo pretending").await.ended(1);
        ran.complaining("is partial: the command ended with 0; of the database, it is at d48b1e9c5f62, not at 0c7e5d1b94fa");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code, run.revision_after.as_deref()), (RunStatus::Partial, Some(0), Some("d48b1e9c5f62")));
        assert_eq!(staging.log().await, "pretending\n");
    }

    async fn a_command_that_fails_leaves_its_code_and_its_words(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let ran = staging.apply_script(&["--json"], "echo out; echo err >&2; exit 7").await.ended(1);
        assert_eq!(ran.json()["error"]["code"], "run-failed");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code), (RunStatus::Failed, Some(7)));
        assert_eq!(staging.log().await, "out\nerr\n");
        // A run that ended takes the approvals with it.
        staging.apply_script(&[], "true").await.ended(3).complaining("approvals: 0 of 2 approvals.");
    }

    async fn a_command_that_does_not_exist_costs_nothing(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.console.file("text", "");
        for program in ["/no/such/program", "no-such-program", "../text"] {
            let ran = finish(staging.console.apply(&["--token-file", &token], &[program])).await.ended(2);
            ran.complaining(&format!("{program} is no program that could be run"));
            Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
        }
    }

    async fn a_command_that_can_not_be_started_ends_the_run(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let broken = staging.console.file("broken", "#!/no/such/interpreter\n");
        std::fs::set_permissions(&broken, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
        let ran = finish(staging.console.apply(&["--release"], &[&broken])).await.ended(1);
        ran.complaining("broken can’t be started");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.revision_after.as_deref()), (RunStatus::Failed, Some("d48b1e9c5f62")));
    }

    async fn it_runs_in_the_project_that_was_checked_with_its_python_first(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let decoy = staging.console.path("elsewhere");
        std::fs::create_dir(&decoy).expect("a folder");
        let mut command = staging.console.apply(&["--release", "--url-env", "TARGET"], &["sh", "-c", "pwd; command -v python; echo $TARGET; exit 1"]);
        command.current_dir(&decoy).env("TARGET", "sqlite:///other.db");
        finish(command).await.ended(1);
        let log = staging.log().await;
        let lines: Vec<&str> = log.lines().collect();
        let project = staging.console.path("project").canonicalize().expect("a path");
        let folder = std::path::Path::new(&python()).parent().expect("a folder").join("python");
        assert_eq!(lines, [project.to_str().expect("text"), folder.to_str().expect("text"), &staging.console.database_url]);
    }

    async fn what_the_command_leaves_running_is_waited_for(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let alembic = staging.console.alembic_command().join(" ");
        let script = format!("(while [ ! -e ../go ]; do sleep 0.05; done; {alembic}) & echo left; exit 0");
        let child = staging.console.apply(&["--release", "--heartbeat", "1"], &["sh", "-c", &script]).spawn().expect("the program runs");
        let run = until(async || staging.last_run().await.filter(|run| run.log_bytes > 0)).await;
        staging.play.app.clock.advance(jiff::SignedDuration::from_secs(30));
        until(async || staging.last_run().await.filter(|later| later.lease_until > run.lease_until)).await;
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Running);
        staging.console.file("go", "");
        let ran = end_of(child).await.ended(0).complaining("what it started is still running and has its output open: process ");
        assert!(ran.stderr.contains(" (sh)") && ran.stderr.matches("is still running").count() == 1, "{}", ran.stderr);
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Succeeded);
        assert!(staging.log().await.contains("Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa"));
    }

    async fn a_signal_reaches_what_the_command_left_running_wherever_that_went(engine: Engine) {
        let staging = Staging::approved(engine).await;
        // In a session of its own, where no signal to the command's group comes.
        let child = staging.console.apply(&["--release"], &["sh", "-c", "setsid sleep 600 & echo left; exit 0"]).spawn().expect("the program runs");
        until(async || staging.last_run().await.filter(|run| run.log_bytes > 0)).await;
        let said = until_said(child, "(sleep)", "-INT").await.ended(1);
        said.complaining("SIGINT: what the command left running is asked to end").complaining("is partial: the command ended with 0");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code), (RunStatus::Partial, Some(0)));
    }

    async fn a_finish_that_is_refused_tells_what_happened(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let child = staging.console.apply(&["--release", "--json"], &["sh", "-c", "echo ready; while [ ! -e ../go ]; do sleep 0.05; done; exit 7"]).spawn().expect("the program runs");
        until(async || staging.last_run().await.filter(|run| run.log_bytes > 0)).await;
        let services = &staging.play.app.services;
        let priya = staging.play.actor(&staging.play.priya).await;
        for token in services.list_api_tokens(priya.user).await.expect("her tokens") {
            services.revoke_api_token(None, token.id).await.expect("revoked");
        }
        staging.console.file("go", "");
        end_of(child).await.complaining("The command ended with 7 and the database is at d48b1e9c5f62");
    }

    async fn the_log_streams_and_signs_of_life_come_while_it_runs(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let child = staging
            .console
            .apply(&["--release", "--heartbeat", "1"], &["sh", "-c", "echo first; while [ ! -e ../go ]; do sleep 0.05; done; echo last; exit 1"])
            .spawn()
            .expect("the program runs");
        let run = until(async || staging.last_run().await.filter(|run| run.log_bytes > 0)).await;
        assert_eq!(staging.log().await, "first\n");
        let typed = std::fs::read_to_string(format!("/proc/{}/cmdline", child.id())).expect("a command line");
        assert!(typed.contains("--release") && !typed.contains("csp_") && !typed.contains("csa_"), "{typed}");
        assert_eq!(run.status, RunStatus::Running);
        staging.play.app.clock.advance(jiff::SignedDuration::from_secs(30));
        until(async || staging.last_run().await.filter(|later| later.lease_until > run.lease_until)).await;
        staging.console.file("go", "");
        end_of(child).await.ended(1);
        assert_eq!(staging.log().await, "first\nlast\n");
    }

    async fn a_log_over_the_cap_is_cut_and_kept_here(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let script = "yes 0123456789012345678901234567890123456789012345678901234567890123456789012345678 | head -n 300000; exit 1";
        let ran = staging.apply_script(&["--json"], script).await.ended(1);
        let run = staging.last_run().await.expect("a run");
        assert!(run.log_cut, "{run:?}");
        let kept = ran.stderr.split("all of it is in ").nth(1).expect("where it is").lines().next().expect("a line");
        let kept = std::fs::metadata(kept.trim_end_matches('.')).expect("a file").len();
        assert_eq!(kept, 300_000 * 80);
    }

    async fn secrets_stay_where_they_are(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let secret = std::fs::read_to_string(&token).expect("a token").trim().to_owned();
        let script = "env; for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; done; printf %s \"$LEAK\"; exit 1";
        let mut command = staging.console.apply(&["--pass-env", "OTHER"], &["sh", "-c", script]);
        command.env("COUNTERSIGN_APPLY_TOKEN", &secret).env("PGPASSWORD", "correct horse").env("OTHER", "postgresql://u:a/b?c@h/db").env("LEAK", format!("a {secret} b"));
        let ran = finish(command).await.ended(1);
        let log = staging.log().await;
        assert!(log.contains("DATABASE_URL=sqlite"), "{log}");
        assert!(log.contains("PGPASSWORD=************* ") || log.contains("PGPASSWORD=*************\n"), "{log}");
        assert!(log.ends_with(&format!("a {} b", "*".repeat(secret.len()))), "{log}");
        for secret in [&secret, &staging.console.token, "a/b?c", "correct horse"] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret}");
            assert!(!log.contains(secret));
        }
        assert!(!ran.stderr.contains(&staging.console.token) && !ran.stdout.contains(&staging.console.token));
        let mut help = staging.console.command(&["apply", "--help"]);
        help.env("COUNTERSIGN_APPLY_TOKEN", &secret).env("COUNTERSIGN_API_TOKEN_FILE", "/a/file/with/a/name");
        let help = finish(help).await.ended(0).stdout;
        assert!(help.contains("COUNTERSIGN_API_TOKEN") && !help.contains("csp_") && !help.contains("/a/file/with"), "{help}");
        assert!(!log.contains("COUNTERSIGN_API_TOKEN") && !log.contains("COUNTERSIGN_APPLY_TOKEN"), "{log}");
    }

    async fn a_signal_is_handed_on_and_told(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let script = "trap 'echo cleaning up; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
        let child = staging.console.apply(&["--release"], &["sh", "-c", script]).spawn().expect("the program runs");
        until(async || staging.last_run().await.filter(|run| run.log_bytes > 0)).await;
        kill(&child, "-TERM");
        let ran = end_of(child).await.ended(1);
        ran.complaining("SIGTERM is passed on to the command.");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code), (RunStatus::Failed, Some(9)));
        let log = staging.log().await;
        assert!(log.starts_with("ready\n") && log.ends_with("cleaning up\n"), "{log}");
    }

    async fn a_portal_that_is_away_is_exit_code_4(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let mut command = staging.console.apply(&["--token-file", &token, "--json"], &["true"]);
        command.env("COUNTERSIGN_URL", "http://127.0.0.1:1");
        let ran = finish(command).await.ended(4).complaining("http://127.0.0.1:1 does not answer");
        assert_eq!(ran.json()["error"]["code"], "unreachable");
        assert_eq!(staging.tokens().await[0].state, TokenState::Issued);
        let mut command = staging.console.apply(&["--token-file", &token], &["true"]);
        command.env("COUNTERSIGN_URL", "http://portal.example.org").stdin(Stdio::null());
        finish(command).await.ended(2).complaining("over plain HTTP everybody on the way could read the API token");
    }

    async fn a_postgresql_target_is_changed_like_any_other(engine: Engine) {
        if !Engine::Postgres.is_available() {
            return;
        }
        let target = TestDb::empty(Engine::Postgres).await;
        let staging = Staging::approved_as(engine, |mut kit| {
            kit.upgrade = include_str!("../../../src/demo/data/upgrade.postgresql.sql").to_owned();
            kit.downgrade = include_str!("../../../src/demo/data/downgrade.postgresql.sql").to_owned();
            kit
        });
        let mut staging = staging.await;
        staging.console.database_url = sqlalchemy(target.url());
        staging.console.alembic(&["upgrade", "d48b1e9c5f62"]);
        let ran = staging.console.apply_with_alembic(&["--release", "--dialect", "postgresql", "--json"]).await.ended(0);
        assert_eq!(ran.json()["revision_after"], "0c7e5d1b94fa");
        assert_eq!(staging.console.revision(), "0c7e5d1b94fa");
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Succeeded);
    }

    async fn a_render_that_can_not_be_repeated_runs_the_approved_file_or_nothing(engine: Engine) {
        let staging = Staging::approved(engine).await;
        // The same evidence with a report that declares its render unreproducible, approved anew.
        let files = staging.play.kit("staging").files().expect("a kit");
        let report = files.iter().find(|file| file.kind == ArtifactKind::DryRunReport).expect("a report");
        let mut report: serde_json::Value = serde_json::from_slice(&report.bytes).expect("JSON");
        report["subject"]["upgrade"]["reproducible"] = false.into();
        report["subject"]["upgrade"]["sqlnorm1"] = serde_json::Value::Null;
        let bytes = serde_json::to_vec(&report).expect("JSON");
        for file in files.iter().filter(|file| file.kind != ArtifactKind::DryRunReport) {
            staging.play.upload("staging", file.kind, &file.name, &file.bytes).await.expect("an upload");
        }
        staging.play.upload("staging", ArtifactKind::DryRunReport, "report.json", &bytes).await.expect("an upload");
        staging.play.accept_all("staging").await;
        staging.play.tick_all("staging").await;
        for member in [&staging.play.daniel, &staging.play.marta] {
            staging.play.vote(member, "staging", Choice::Approve).await.expect("a vote");
        }
        let token = staging.token_file().await;
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(3);
        ran.complaining("only the approved file itself may run").complaining("{approved_sql}");
        let python = python();
        let script = "import sqlite3,sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";
        let database = staging.console.path("target.db");
        let run = [python.as_str(), "-c", script, database.to_str().expect("text"), "{approved_sql}"];
        finish(staging.console.apply(&["--token-file", &token], &run)).await.ended(0);
        assert_eq!(staging.console.revision(), "0c7e5d1b94fa");
        let run = staging.last_run().await.expect("a run");
        assert!(run.status == RunStatus::Succeeded && run.sql_digest.starts_with("sha256:"), "{run:?}");
    }

    async fn a_restore_puts_the_approved_backup_back(engine: Engine) {
        let backup = b"the backup".to_vec();
        let mut staging = Staging::approved(engine).await;
        let mut files = staging.play.kit("staging").files().expect("a kit");
        let digest = Digest::of(&backup).to_string();
        for file in &mut files {
            let place: &[&str] = match file.kind {
                ArtifactKind::DryRunReport => &["subject", "snapshot", "sha256"],
                ArtifactKind::BackupManifest => &["sha256"],
                _ => continue,
            };
            let mut json: serde_json::Value = serde_json::from_slice(&file.bytes).expect("JSON");
            *place.iter().fold(&mut json, |at, name| &mut at[*name]) = digest.as_str().into();
            file.bytes = serde_json::to_vec(&json).expect("JSON");
        }
        for file in &files {
            staging.play.upload("staging", file.kind, &file.name, &file.bytes).await.expect("an upload");
        }
        staging.play.accept_all("staging").await;
        staging.play.tick_all("staging").await;
        for member in [&staging.play.daniel, &staging.play.marta] {
            staging.play.vote(member, "staging", Choice::Approve).await.expect("a vote");
        }
        std::fs::copy(staging.console.path("target.db"), staging.console.path("kept.db")).expect("a copy");
        staging.console.apply_with_alembic(&["--release"]).await.ended(0);
        staging.play.at("2025-11-18T15:00:00Z").await;
        let path = staging.console.file("backup.db", &backup);
        let wrong = staging.console.file("wrong.db", b"another");
        let project = staging.console.path("project");
        let python = python();
        let rollback = |backup: &str, more: &[&str]| {
            let mut arguments = vec!["rollback", "CHG-1", "--stage", "staging", "--method", "restore", "--backup", backup];
            arguments.extend(["--project", project.to_str().expect("text"), "--python", &python, "--release"]);
            arguments.extend(more);
            arguments.extend(["--", "cp", "../kept.db", "../target.db"]);
            staging.console.command(&arguments)
        };
        finish(rollback(&path, &[])).await.ended(2).complaining("--prior-tag-redeployed");
        let stated = ["--prior-tag-redeployed"];
        finish(rollback(&wrong, &stated)).await.ended(3).complaining("wrong.db is not the backup that was approved.");
        finish(rollback(&path, &stated)).await.ended(0);
        assert_eq!(staging.console.revision(), "d48b1e9c5f62");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.sql_digest), (RunStatus::Succeeded, format!("sha256:{digest}")));
    }
}
