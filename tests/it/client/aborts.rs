//! Whatever is not as it was approved is found before the token is redeemed: exit code 3, one sentence, token unused.

use countersign::domain::artifact::ArtifactKind;
use serde_json::{Value, json};

use super::console::{Staging, finish, on_both_engines, python};
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
