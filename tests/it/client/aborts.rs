//! Whatever is not as it was approved is found before the token is redeemed: exit code 3, one sentence, token unused.

use countersign::domain::artifact::ArtifactKind;
use countersign::domain::run::{RunStatus, TokenState};
use serde_json::{Value, json};

use super::between::Between;
use super::console::{Staging, end_of, finish, kill, on_both_engines, python, until};
use crate::support::client::ApiClient;

const SCRIPT: &str = "backend/alembic/versions/2025_11_03_f50d9e7b3a26_drop_legacy_ref.py";

impl Staging {
    /// Adds a line to a file of the project.
    fn touch(&self, path: &str) {
        let path = self.console.path("project").join(path);
        let text = std::fs::read_to_string(&path).expect("a file");
        std::fs::write(&path, format!("{text}\n# one more line\n")).expect("a file");
    }

    /// What the portal says that a run presents.
    async fn presented(&self) -> Value {
        let api = ApiClient::new(&self.console.base, &self.console.token);
        let gates = api.get("/tickets/CHG-1/stages/staging/gates").await.json();
        let presents = &gates["presents"];
        json!({"sql_digest": presents["sql_digest"], "manifest_sha256": presents["manifest_sha256"]})
    }

    /// Applies with a token that was handed over, and asserts that it was refused for this and left unused.
    async fn refused(&self, token: &str, more: &[&str], code: &str, words: &str) {
        let mut arguments = vec!["--token-file", token, "--json"];
        arguments.extend(more);
        let ran = self.console.apply_with_alembic(&arguments).await.ended(3).complaining(words);
        let error = &ran.json()["error"];
        assert_eq!((&error["code"], &error["exit"]), (&json!(code), &json!(3)), "{error}");
        Self::assert_untouched(&self.tokens().await, self.last_run().await.as_ref());
        assert_eq!(self.console.revision(), "d48b1e9c5f62");
    }
}

on_both_engines! {
    async fn a_script_that_changed_is_named(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.touch(SCRIPT);
        let words = format!("changed after they were approved: {SCRIPT} differs.");
        staging.refused(&token, &[], "scripts-changed", &words).await;
    }

    async fn env_py_that_changed_is_named(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.touch("backend/alembic/env.py");
        staging.refused(&token, &[], "scripts-changed", "backend/alembic/env.py differs").await;
    }

    async fn an_env_py_that_nobody_approved_never_meets_the_database(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let env = staging.console.path("project/backend/alembic/env.py");
        let mark = staging.console.path("ran");
        let text = std::fs::read_to_string(&env).expect("a file");
        let hook = format!("import os\nif os.environ.get('DATABASE_URL', '').endswith('target.db'): open({mark:?}, 'w').close()\n");
        std::fs::write(&env, format!("{hook}{text}")).expect("a file");
        // The hook works: where somebody runs it, it leaves its mark.
        staging.console.alembic(&["current"]);
        std::fs::remove_file(&mark).expect("a mark");
        let command = staging.console.alembic_command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        finish(staging.console.apply(&["--token-file", &token], &command)).await.ended(3);
        assert!(!mark.exists(), "it was run against the database");
        // One that raises, and a script that does, are refused as well: what was approved could be read.
        std::fs::write(&env, "raise RuntimeError('no')\n").expect("a file");
        finish(staging.console.apply(&["--token-file", &token], &command)).await.ended(3).complaining("backend/alembic/env.py differs");
        std::fs::write(&env, text).expect("a file");
        std::fs::write(staging.console.path("project").join(SCRIPT), "raise RuntimeError('no')\n").expect("a file");
        finish(staging.console.apply(&["--token-file", &token], &command)).await.ended(3).complaining("RuntimeError");
        Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
    }

    async fn a_script_that_is_replaced_after_it_was_checked_does_not_run(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        // The project's Python changes a script when it is asked where the database is: after the first look at them.
        let script = staging.console.path("project").join(SCRIPT);
        let wrapper = format!(
            "#!/bin/sh\ncase \"$*\" in *current*) echo '# replaced' >> '{}';; esac\nexec {} \"$@\"\n",
            script.display(),
            python(),
        );
        let wrapper = staging.console.file("python", wrapper);
        std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
        let arguments = ["apply", "CHG-1", "--stage", "staging", "--project", "project", "--python", &wrapper, "--token-file", &token, "--", "true"];
        let ran = staging.console.run(&arguments).await.ended(3);
        ran.complaining(&format!("changed after they were approved: {SCRIPT} differs."));
        Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
    }

    async fn an_env_py_that_asks_another_database_is_refused(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let other = staging.console.path("other.db");
        std::fs::copy(staging.console.path("target.db"), &other).expect("a copy");
        // The sample's env.py takes -x url before DATABASE_URL, as others take what alembic.ini says.
        let x = format!("url=sqlite:///{}", other.display());
        staging.refused(&token, &["-x", &x], "E20", "env.py does not use DATABASE_URL").await;
    }

    async fn a_head_that_moved_is_named(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let script = "revision = 'aaaa00000001'\ndown_revision = '0c7e5d1b94fa'\ndef upgrade(): pass\ndef downgrade(): pass\n";
        let path = staging.console.path("project").join("backend/alembic/versions/later.py");
        std::fs::write(path, script).expect("a file");
        staging.refused(&token, &[], "head-moved", "is aaaa00000001, and 0c7e5d1b94fa was approved.").await;
    }

    async fn a_database_elsewhere_is_not_touched(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.console.alembic(&["downgrade", "b27e41f6c8d3"]);
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(3);
        ran.complaining("The database is at b27e41f6c8d3, and what was approved starts from d48b1e9c5f62.");
        Staging::assert_untouched(&staging.tokens().await, None);
        assert_eq!(staging.console.revision(), "b27e41f6c8d3");
    }

    async fn other_sql_is_not_applied(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.refused(&token, &["--dialect", "postgresql"], "sql-differs", "render other SQL than the Upgrade SQL").await;
    }

    async fn the_wrong_stage_opens_nothing(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let command = staging.console.alembic_command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let apply = staging.console.apply(&["--token-file", &token], &command);
        let other: Vec<&str> = apply
            .get_args()
            .map(|a| a.to_str().expect("text"))
            .map(|a| if a == "staging" { "production" } else { a })
            .collect();
        finish(staging.console.command(&other)).await.ended(3).complaining("previous-stage: Nothing has been applied to staging yet.");
        Staging::assert_untouched(&staging.tokens().await, None);

        // Were production ready, the portal itself would tell the token from one of production, or of a rollback.
        let secret = std::fs::read_to_string(&token).expect("a token");
        let expected = staging.presented().await;
        let api = ApiClient::new(&staging.console.base, &staging.console.token);
        for purpose in [
            json!({"ticket": "CHG-1", "stage": "production", "direction": "upgrade", "method": null}),
            json!({"ticket": "CHG-2", "stage": "staging", "direction": "upgrade", "method": null}),
            json!({"ticket": "CHG-1", "stage": "staging", "direction": "rollback", "method": "downgrade"}),
        ] {
            let mut body = expected.clone();
            body["token"] = secret.trim().into();
            body["for"] = purpose;
            let answer = api.post("/apply-tokens/redeem", &body).await;
            assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("other-purpose")), "{}", answer.text);
            Staging::assert_untouched(&staging.tokens().await, None);
        }
        let mut body = expected;
        body["token"] = secret.trim().into();
        body["for"] = json!({"ticket": "CHG-1", "stage": "staging", "direction": "upgrade", "method": null});
        assert_eq!(api.post("/apply-tokens/redeem", &body).await.status, 200);
    }

    async fn gates_that_shut_since_are_listed(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let priya = staging.play.actor(&staging.play.priya).await;
        staging.play.app.services.declare_incident(&priya, "trading-backend", "Fills are late").await.expect("an incident");
        staging.refused(&token, &[], "gates-closed", "incidents: INC-1 is open: Fills are late. (cleared by whoever runs the incident)").await;
    }

    async fn new_evidence_ends_the_token(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.play.upload("staging", ArtifactKind::Other, "note.txt", b"one more thing").await.expect("an upload");
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(3);
        ran.complaining("approvals: 0 of 2 approvals.");
        assert!(staging.last_run().await.is_none());
    }

    async fn a_no_after_a_lost_answer_forgets_nothing(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let between = Between::losing_then_refusing(&staging.console.base, "/apply-tokens/redeem", "needs-role");
        let through = |mut command: std::process::Command| {
            command.env("COUNTERSIGN_URL", &between.base);
            finish(command)
        };
        let apply = staging.console.apply(&["--token-file", &token], &["sh", "-c", "echo started > ../started"]);
        let ran = through(apply).await.ended(1).complaining("Not today.");
        ran.complaining("Whether the token was redeemed is not known here; the command was not started.").complaining("--resume");
        assert!(staging.remembers() && !staging.console.path("started").exists());
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Running);
        // It is known to be open, so the next one does not begin.
        through(staging.console.apply(&["--release"], &["true"])).await.ended(3).complaining("was cut off here");
        let ran = through(staging.console.apply(&["--resume"], &[])).await.ended(1);
        ran.complaining("before the command was started").complaining("ended failed");
        assert!(!staging.remembers());
    }

    async fn a_no_that_opened_nothing_is_forgotten(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let refusing = Between::refusing(&staging.console.base, "/apply-tokens/redeem", "needs-role");
        let mut command = staging.console.apply(&["--token-file", &token], &["true"]);
        command.env("COUNTERSIGN_URL", &refusing.base);
        finish(command).await.ended(1).complaining("Not today.");
        assert!(!staging.remembers());
        Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
    }

    async fn a_release_whose_answer_is_lost_is_taken_back_and_made_anew(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let losing = Between::losing(&staging.console.base, "/staging/apply-tokens");
        let command = staging.console.alembic_command();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut command = staging.console.apply(&["--release"], &command);
        command.env("COUNTERSIGN_URL", &losing.base);
        finish(command).await.ended(0);
        assert_eq!(staging.states().await, [TokenState::Revoked, TokenState::Used]);
    }

    async fn a_signal_during_the_checks_ends_it_with_nothing_done(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        // A Python that takes for ever, and says so.
        let asked = staging.console.path("asked");
        let wrapper = staging.console.file("python", format!("#!/bin/sh\necho $$ > '{}'\nexec sleep 600\n", asked.display()));
        std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("a mode");
        for (signal, name) in [("-INT", "SIGINT"), ("-TERM", "SIGTERM")] {
            let arguments = ["apply", "CHG-1", "--stage", "staging", "--project", "project", "--python", &wrapper, "--token-file", &token, "--json", "--", "true"];
            let child = staging.console.command(&arguments).spawn().expect("the program runs");
            let python = until(async || std::fs::read_to_string(&asked).ok().filter(|pid| pid.ends_with('\n'))).await;
            kill(&child, signal);
            let ran = end_of(child).await.ended(1);
            let error = ran.json()["error"].clone();
            assert_eq!(error["code"], "interrupted", "{error}");
            assert_eq!(error["message"], format!("Ended by {name}: nothing was redeemed, and nothing ran."));
            assert!(!std::path::Path::new(&format!("/proc/{}", python.trim())).exists(), "its Python goes on");
            std::fs::remove_file(&asked).expect("a file");
            Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
            assert!(!staging.remembers());
        }
    }

    async fn a_signal_before_the_redemption_takes_the_released_token_back(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let holding = Between::holding(&staging.console.base, "/staging/apply-tokens");
        let mut command = staging.console.apply(&["--release"], &["sh", "-c", "echo started > ../started"]);
        let child = command.env("COUNTERSIGN_URL", &holding.base).spawn().expect("the program runs");
        until(async || holding.asked().then_some(())).await;
        assert_eq!(staging.states().await, [TokenState::Issued]);
        kill(&child, "-TERM");
        holding.let_go();
        end_of(child).await.ended(1).complaining("Ended by SIGTERM: nothing was redeemed, and nothing ran.");
        assert_eq!(staging.states().await, [TokenState::Revoked]);
        assert!(staging.last_run().await.is_none() && !staging.remembers() && !staging.console.path("started").exists());
    }

    async fn a_second_signal_does_not_wait_for_a_portal_that_never_answers(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        let silent = Between::swallowing(&staging.console.base, "/gates");
        let mut command = staging.console.apply(&["--token-file", &token], &["true"]);
        let child = command.env("COUNTERSIGN_URL", &silent.base).spawn().expect("the program runs");
        until(async || silent.asked().then_some(())).await;
        kill(&child, "-INT");
        kill(&child, "-TERM");
        end_of(child).await.ended(1);
        Staging::assert_untouched(&staging.tokens().await, staging.last_run().await.as_ref());
    }

    async fn an_expired_token_says_what_to_do(engine: Engine) {
        let mut staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        staging.play.at("2025-11-18T15:30:00Z").await;
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(3);
        ran.complaining("The apply token has expired. Nothing ran.").complaining("Release another apply token");
        assert!(staging.last_run().await.is_none());
        assert_eq!(staging.console.revision(), "d48b1e9c5f62");
    }

    async fn without_a_token_or_with_another_secret_it_is_a_wrong_use(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.console.apply_with_alembic(&[]).await.ended(2).complaining("An apply token is needed");
        let api = staging.console.file("api.token", &staging.console.token);
        let ran = staging.console.apply_with_alembic(&["--token-file", &api]).await.ended(2);
        let ran = ran.complaining("this is an API token, not an apply token");
        assert!(!ran.stderr.contains(&staging.console.token));
        let mut command = staging.console.apply(&["--release"], &["true"]);
        command.env_remove("DATABASE_URL");
        finish(command).await.ended(2).complaining("DATABASE_URL is not set");
    }
}
