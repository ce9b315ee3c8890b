//! Killed without warning at every point: what is true is found out later, and nothing runs twice.

use std::path::PathBuf;
use std::process::Child;

use countersign::domain::run::{RunStatus, TokenState};
use countersign::domain::user::Scope;

use super::between::Between;
use super::console::{Console, Ran, Staging, end_of, finish, kill, on_both_engines, until};
use crate::support::client::ApiClient;

impl Staging {
    /// Starts an apply whose command notes that it was started and waits until the file `go` is there.
    fn start(&self) -> Child {
        let alembic = self.console.alembic_command().join(" ");
        let script = format!(
            "cd ..; echo started >> starts; while [ ! -e go ]; do [ -d project ] || exit; sleep 0.05; done; \
             cd project; {alembic}; echo done > ../done"
        );
        self.console
            .apply(&["--release", "--heartbeat", "1"], &["sh", "-c", &script])
            .spawn()
            .expect("the program runs")
    }

    /// An apply that is killed as soon as its command runs, which goes on.
    async fn cut_off(&self) {
        let child = self.start();
        until(async || (self.starts() == 1).then_some(())).await;
        die(child).await;
    }

    /// Lets the command go on that was left alone, to its end.
    async fn let_it_end(&self) {
        self.console.file("go", "");
        until(async || self.console.path("done").exists().then_some(())).await;
    }

    /// Whether this machine remembers a run.
    pub(super) fn remembers(&self) -> bool {
        !kept(self).is_empty()
    }

    /// What has become of the stage's tokens, in the order of the states' names.
    pub(super) async fn states(&self) -> Vec<TokenState> {
        let mut states: Vec<_> = self.tokens().await.iter().map(|token| token.state).collect();
        states.sort_by_key(|state| state.as_str());
        states
    }

    async fn resume(&self) -> Ran {
        finish(self.console.apply(&["--resume"], &[])).await
    }

    fn starts(&self) -> usize {
        std::fs::read_to_string(self.console.path("starts")).unwrap_or_default().lines().count()
    }

    /// Puts this machine's memory back to an earlier phase, as if the program had been killed there.
    fn remember(&self, phase: &str, forgets_run: bool) {
        for (path, bytes) in kept(self) {
            let mut record: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
            record["phase"] = phase.into();
            if forgets_run {
                record["run"] = serde_json::Value::Null;
            }
            std::fs::write(&path, record.to_string()).expect("a record");
        }
    }
}

/// What this machine remembers, byte for byte.
fn kept(staging: &Staging) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(staging.console.path("state")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .map(|path| (path.clone(), std::fs::read(path).expect("a record")))
        .collect()
}

/// Kills the program and nothing that it started, as the kernel does it.
async fn die(mut child: Child) {
    kill(&child, "-KILL");
    tokio::task::spawn_blocking(move || child.wait().expect("its end")).await.expect("its end");
}

on_both_engines! {
    async fn nobody_starts_a_second_one_meanwhile(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        let ran = staging.console.apply_with_alembic(&["--release"]).await.ended(3);
        ran.complaining("is still running here");
    }

    async fn the_command_outlives_it_and_is_accompanied_to_its_end(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        let resumed = staging.console.apply(&["--resume", "--heartbeat", "1"], &[]).spawn().expect("the program runs");
        let before = staging.last_run().await.expect("a run");
        staging.play.app.clock.advance(jiff::SignedDuration::from_secs(20));
        until(async || staging.last_run().await.filter(|run| run.lease_until > before.lease_until)).await;
        staging.console.file("go", "");
        let ran = end_of(resumed).await.ended(0).complaining("The command is still running");
        assert!(ran.stdout.contains("succeeded: the database is at 0c7e5d1b94fa"), "{ran:?}");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.exit_code), (RunStatus::Succeeded, None));
        assert!(staging.log().await.contains("Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa"));
        assert_eq!((staging.starts(), staging.console.revision().as_str()), (1, "0c7e5d1b94fa"));
        staging.resume().await.ended(0).complaining("");
    }

    async fn after_the_command_ended(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        staging.let_it_end().await;
        let ran = staging.resume().await.ended(0);
        assert!(ran.stdout.contains("succeeded"), "{ran:?}");
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Succeeded);
        assert_eq!(staging.starts(), 1);
    }

    async fn so_long_ago_that_the_portal_gave_it_up(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        staging.let_it_end().await;
        staging.play.app.clock.advance(jiff::SignedDuration::from_mins(5));
        staging.resume().await.ended(1).complaining("was silent for longer than its lease").complaining("a verdict");
        let facts = staging.play.facts("staging").await;
        assert_eq!(facts.this.runs.last().expect("a run").status_at(facts.now), RunStatus::Unknown);
        assert_eq!((staging.starts(), staging.console.revision().as_str()), (1, "0c7e5d1b94fa"));
    }

    async fn after_the_token_was_redeemed_with_its_answer_lost(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        // As if it had died between the portal's commit and its own next write, before any command.
        staging.remember("prepared", true);
        let ran = staging.resume().await.ended(1);
        ran.complaining("after its token was redeemed and before the command was started").complaining("ended failed");
        let run = staging.last_run().await.expect("a run");
        assert_eq!((run.status, run.revision_after.as_deref()), (RunStatus::Failed, Some("d48b1e9c5f62")));
        assert_eq!(staging.starts(), 1);
    }

    async fn while_the_command_still_runs_nothing_is_forgotten(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.cut_off().await;
        let run_id = staging.last_run().await.expect("a run").id;
        let api = ApiClient::new(&staging.console.base, &staging.console.token);
        let body = serde_json::json!({"outcome": "failed", "exit_code": 1, "revision_before": "d48b1e9c5f62", "revision_after": "d48b1e9c5f62", "backup_restored": false, "prior_tag_redeployed": false});
        let told = api.post(&format!("/runs/{run_id}/finish"), &body).await;
        assert_eq!(told.status, 200, "{}", told.text);
        staging.resume().await.ended(3).complaining("is still running here");
        staging.console.apply_with_alembic(&["--release"]).await.ended(3).complaining("is still running here");
        staging.let_it_end().await;
        until(async || (staging.resume().await.code == 1).then_some(())).await;
        assert_eq!(staging.starts(), 1);
    }

    async fn with_another_token_of_the_same_person(engine: Engine) {
        let mut staging = Staging::approved(engine).await;
        staging.cut_off().await;
        let services = &staging.play.app.services;
        let priya = staging.play.actor(&staging.play.priya).await;
        for token in services.list_api_tokens(priya.user).await.expect("her tokens") {
            services.revoke_api_token(None, token.id).await.expect("revoked");
        }
        staging.let_it_end().await;
        staging.resume().await.ended(1).complaining("COUNTERSIGN_API_TOKEN");
        // Another person's token ends nothing, and forgets nothing.
        staging.console.token = Console::new(&staging.play.app, &staging.play.marta, Scope::ALL).await.token;
        let ran = staging.resume().await.ended(1).complaining("Only whoever redeemed the token reports on its run.");
        ran.complaining("ended in a way nobody saw and the database is at 0c7e5d1b94fa").complaining("With an API token of whoever redeemed");
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Running);
        // Another one of hers does.
        staging.console.token = Console::new(&staging.play.app, &staging.play.priya, Scope::ALL).await.token;
        let ran = staging.resume().await.ended(0);
        assert!(ran.stdout.contains("succeeded: the database is at 0c7e5d1b94fa"), "{ran:?}");
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Succeeded);
        assert!(staging.log().await.contains("Running upgrade f50d9e7b3a26 -> 0c7e5d1b94fa"));
        assert_eq!((staging.starts(), staging.remembers()), (1, false));
    }

    async fn with_another_token_where_only_the_key_is_known(engine: Engine) {
        let mut staging = Staging::approved(engine).await;
        staging.cut_off().await;
        staging.remember("prepared", true);
        // Somebody else finds no run under the key, and must not conclude that there is none.
        staging.console.token = Console::new(&staging.play.app, &staging.play.marta, Scope::ALL).await.token;
        staging.resume().await.ended(3).complaining("may be the one that was cut off here");
        assert!(staging.remembers());
        staging.console.token = Console::new(&staging.play.app, &staging.play.priya, Scope::ALL).await.token;
        staging.resume().await.ended(1).complaining("before the command was started").complaining("ended failed");
        assert_eq!(staging.last_run().await.expect("a run").status, RunStatus::Failed);
    }

    async fn a_token_that_was_released_for_it_is_taken_back_and_no_other(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let silent = Between::swallowing(&staging.console.base, "/apply-tokens/redeem");
        let mut command = staging.console.apply(&["--release"], &["true"]);
        let child = command.env("COUNTERSIGN_URL", &silent.base).spawn().expect("the program runs");
        until(async || silent.asked().then_some(())).await;
        die(child).await;
        assert_eq!(staging.states().await, [TokenState::Issued]);
        let resume = || {
            let mut command = staging.console.apply(&["--resume"], &[]);
            command.env("COUNTERSIGN_URL", &silent.base);
            finish(command)
        };
        let kept = kept(&staging);
        resume().await.ended(1).complaining("the token that was released for it is revoked");
        assert_eq!(staging.states().await, [TokenState::Revoked]);
        // Had somebody released another one meanwhile, that would not be this machine's to take.
        staging.token_file().await;
        for (path, bytes) in kept {
            std::fs::write(path, bytes).expect("a record");
        }
        resume().await.ended(1).complaining("the token that was released for it is revoked");
        assert_eq!(staging.states().await, [TokenState::Issued, TokenState::Revoked]);
        assert!(!staging.remembers());
    }

    async fn a_token_whose_release_was_never_answered_is_taken_back(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let between = Between::holding(&staging.console.base, "/staging/apply-tokens");
        let mut command = staging.console.apply(&["--release"], &["true"]);
        let child = command.env("COUNTERSIGN_URL", &between.base).spawn().expect("the program runs");
        until(async || between.asked().then_some(())).await;
        die(child).await;
        assert_eq!(staging.states().await, [TokenState::Issued]);
        let mut command = staging.console.apply(&["--resume"], &[]);
        command.env("COUNTERSIGN_URL", &between.base);
        finish(command).await.ended(1).complaining("the token that was released for it is revoked");
        assert_eq!(staging.states().await, [TokenState::Revoked]);
    }

    async fn before_the_token_was_redeemed(engine: Engine) {
        let staging = Staging::approved(engine).await;
        let token = staging.token_file().await;
        // A portal that takes the redemption and never answers: everything else goes to the real one.
        let silent = Between::swallowing(&staging.console.base, "/apply-tokens/redeem");
        let mut command = staging.console.apply(&["--token-file", &token], &["sh", "-c", "echo started >> ../starts"]);
        let child = command.env("COUNTERSIGN_URL", &silent.base).spawn().expect("the program runs");
        until(async || silent.asked().then_some(())).await;
        die(child).await;
        let resume = |base: &str| {
            let mut command = staging.console.apply(&["--resume"], &[]);
            command.env("COUNTERSIGN_URL", base);
            command
        };
        let ran = finish(resume(&silent.base)).await.ended(1);
        ran.complaining("before its token was redeemed: nothing ran, and the token is unused");
        assert_eq!(staging.tokens().await[0].state, TokenState::Issued);
        let ran = staging.console.apply_with_alembic(&["--token-file", &token]).await.ended(0);
        assert!(ran.stdout.contains("succeeded"), "{ran:?}");
        assert_eq!(staging.starts(), 0);
    }

    async fn with_nothing_to_resume(engine: Engine) {
        let staging = Staging::approved(engine).await;
        staging.resume().await.ended(1).complaining("Nothing was cut off here, and nothing ran");
        let run = staging.play.start("staging").await;
        staging.resume().await.ended(1).complaining(&format!("Run {run} of CHG-1 on staging is running, and was not started"));
    }
}
